import { parseAddressRange } from '@offhook/core';

/** A rule as the TURN part takes it. */
export interface PeerRule {
  readonly address: string;
  readonly portMin?: number;
  readonly portMax?: number;
}

/** An address, prefix or range, and its ports; an IPv6 address has brackets then. */
const PORTS = /^(.*[\]\d]):(\d{1,5})(?:-(\d{1,5}))?$/;

/** `10.1.0.0/16`, `10.1.2.3:5000`, `10.1.2.3-10.1.2.9:5000-5999`, `2001:db8::1`, `[2001:db8::1]:5000`; else why not, in words. */
export function parsePeerRule(text: string): PeerRule | { readonly problem: string } {
  const [before, first, last] = splitPorts(text);
  const address = /^\[(.*)\]$/.exec(before)?.[1] ?? before;
  if (parseAddressRange(address) === undefined)
    return {
      problem: `'${text}' is no peer: an address, a prefix like 10.1.0.0/16 or a range like 10.1.0.0-10.1.0.9, and perhaps :port or :port-port behind it (IPv6 then in brackets)`,
    };
  if (first === undefined) return { address };
  const [portMin, portMax] = [Number(first), Number(last ?? first)];
  if (portMin < 1 || portMax > 65535 || portMin > portMax)
    return { problem: `'${text}': ports are 1 to 65535, the first not above the last` };
  return { address, portMin, portMax };
}

/** The rules of a configuration that has no problems. */
export function peerRules(texts: readonly string[]): PeerRule[] {
  return texts.flatMap((text) => {
    const rule = parsePeerRule(text);
    return 'problem' in rule ? [] : [rule];
  });
}

function splitPorts(text: string): readonly [string, string?, string?] {
  const [, before = text, first, last] = PORTS.exec(text) ?? [];
  // a bare IPv6 address ends like a port
  return before.includes(':') && !before.startsWith('[') ? [text] : [before, first, last];
}
