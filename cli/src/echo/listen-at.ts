import { ipFamily } from '@offhook/core';
import { DEFAULT_PORTS, SCHEMES, type Scheme, splitHost } from './url.ts';

/** One port of a listener. */
export interface ListenAt {
  readonly scheme: Scheme;
  /** Addresses that get the same port. */
  readonly addresses: readonly string[];
  /** 0: any. */
  readonly port: number;
  /** Asked for by number: another one would not do. */
  readonly isExact: boolean;
}

/** What was asked for, by transport: `7007`, `192.0.2.1:7007`, `[::1]:7007`, `any`; several with commas. */
export type ListenWishes = Readonly<Partial<Record<Scheme, string>>>;

/** More would be a mistake in writing. */
const MOST = 64;

/**
 * Where to listen. Without a wish, every transport at its usual port. `hosts` are the addresses that a bare port stands
 * for. What can't be understood is told in words.
 */
export function listenPlan(wishes: ListenWishes, hosts: readonly string[]): readonly ListenAt[] | string {
  const named = SCHEMES.filter((scheme) => wishes[scheme] !== undefined);
  if (named.length === 0)
    return SCHEMES.map((scheme) => ({ scheme, addresses: hosts, port: DEFAULT_PORTS[scheme], isExact: false }));
  const plan: ListenAt[] = [];
  for (const scheme of named) {
    for (const wish of wishes[scheme]!.split(',')) {
      const one = listenAt(scheme, wish.trim(), hosts);
      if (typeof one === 'string') return `--${scheme}: ${one}`;
      plan.push(one);
    }
  }
  if (plan.length > MOST) return `${plan.length} ports are too many (${MOST} at most)`;
  return askedTwice(plan) ?? plan;
}

/** UDP has ports of its own; the others are all on those of TCP. */
function askedTwice(plan: readonly ListenAt[]): string | undefined {
  const seen = new Set<string>();
  for (const { scheme, addresses, port, isExact } of plan) {
    for (const address of isExact ? addresses : []) {
      const key = `${scheme === 'udp'} ${address} ${port}`;
      if (seen.has(key)) return `--${scheme}: port ${port} is asked for twice; TCP, TLS, WS and WSS need one each`;
      seen.add(key);
    }
  }
  return undefined;
}

function listenAt(scheme: Scheme, wish: string, hosts: readonly string[]): ListenAt | string {
  const anyPort = /^(?:(.*):)?(?:any|0)$/s.exec(wish);
  if (/^\d+$/.test(wish) && !anyPort) {
    const port = Number(wish);
    if (port > 65535) return `'${wish}' is no port (0–65535; 0 or any: whichever is free)`;
    return { scheme, addresses: hosts, port, isExact: true };
  }
  if (anyPort && anyPort[1] === undefined) return { scheme, addresses: hosts, port: 0, isExact: false };
  const at = splitHost(anyPort ? anyPort[1]! : wish);
  if (typeof at === 'string') return `${at}; written as 7007, 192.0.2.1:7007, [2001:db8::1]:7007 or any`;
  const host = at.host === 'localhost' ? hosts[0]! : at.host;
  if (ipFamily(host.replace(/%.*$/, '')) === undefined)
    return `'${at.host}' is ${wish.includes(':') ? 'a name' : 'neither a port nor an address'}; name an address of this machine (0.0.0.0 is all of IPv4, [::] all of IPv6)`;
  if (anyPort) return { scheme, addresses: [host], port: 0, isExact: false };
  if (at.port === undefined) return { scheme, addresses: [host], port: DEFAULT_PORTS[scheme], isExact: false };
  return { scheme, addresses: [host], port: at.port, isExact: true };
}
