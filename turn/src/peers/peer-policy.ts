import { parseIPv4, parseIPv6 } from '@offhook/core';
import { UdpEndpoint } from '@offhook/core/node';

/** Peers that may be reached: an address or CIDR prefix and the ports there, all of them by default. */
export interface PeerRule {
  readonly address: string;
  readonly portMin?: number;
  readonly portMax?: number;
}

/** Whom clients may reach besides each other's relayed addresses. */
export interface PeerRules {
  /** `none`: only what `allow` names. `public`: every public unicast address besides. */
  readonly base: 'none' | 'public';
  /** Wins over everything but what is never a peer. */
  readonly allow: readonly PeerRule[];
  /** Wins over `public`. */
  readonly deny: readonly PeerRule[];
}

interface Prefix {
  readonly family: 4 | 6;
  readonly words: readonly number[];
  readonly bits: number;
}

interface Allowed extends Prefix {
  readonly portMin: number;
  readonly portMax: number;
}

/** Special-purpose ranges (RFC 6890 and its registries): only a rule at least as narrow as the range opens a part of it. */
const SPECIAL = [
  '0.0.0.0/8 10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 169.254.0.0/16 172.16.0.0/12 192.0.0.0/24 192.0.2.0/24',
  '192.31.196.0/24 192.52.193.0/24 192.88.99.0/24 192.168.0.0/16 192.175.48.0/24 198.18.0.0/15 198.51.100.0/24',
  '203.0.113.0/24 224.0.0.0/4 240.0.0.0/4',
  '::/128 ::1/128 ::/96 ::ffff:0:0/96 64:ff9b::/96 64:ff9b:1::/48 100::/64 2001::/23 2001:db8::/32 2002::/16',
  '3fff::/20 5f00::/16 fc00::/7 fe80::/10 fec0::/10 ff00::/8',
]
  .join(' ')
  .split(' ')
  .map((text) => parsePrefix(text)!);

/** Never a peer, whatever the rules say: unspecified, multicast, broadcast. */
const NEVER = ['0.0.0.0/8', '224.0.0.0/4', '255.255.255.255/32', '::/128', 'ff00::/8'].map(
  (text) => parsePrefix(text)!,
);

/**
 * Which peers a client may reach through us: none but those a rule names. An IPv6 address that carries an IPv4 address
 * (mapped, compatible, NAT64, 6to4, Teredo) has to be allowed in both readings.
 */
export class PeerPolicy {
  readonly #allowed: readonly Allowed[];

  /** @param rules must have passed `peerRuleProblem`; a rule that can't be read is a bug. */
  constructor(rules: PeerRules) {
    this.#allowed = rules.allow.map((rule) => {
      const prefix = parsePrefix(rule.address);
      if (!prefix) throw new Error(`no address or CIDR prefix: ${rule.address}`);
      return { ...prefix, portMin: rule.portMin ?? 1, portMax: rule.portMax ?? rule.portMin ?? 65535 };
    });
  }

  /** Whether a peer of this address and port may be reached. The words are those of `UdpEndpoint`. */
  allows(family: 4 | 6, words: ArrayLike<number>, at: number, port: number): boolean {
    return port > 0 && this.#check(family, words, at, port);
  }

  /** Whether any port of that address may be reached, which is all that a permission needs (RFC 8656 9). */
  allowsAddress(endpoint: UdpEndpoint): boolean {
    return this.#check(endpoint.family, [endpoint.a, endpoint.b, endpoint.c, endpoint.d], 0, -1);
  }

  allowsEndpoint(endpoint: UdpEndpoint): boolean {
    return this.allows(endpoint.family, [endpoint.a, endpoint.b, endpoint.c, endpoint.d], 0, endpoint.port);
  }

  #check(family: 4 | 6, words: ArrayLike<number>, at: number, port: number): boolean {
    if (!this.#checkAs(family, words, at, port)) return false;
    const embedded = family === 6 ? embeddedIPv4(words, at) : -1;
    return embedded < 0 || this.#checkAs(4, [embedded, 0, 0, 0], 0, port);
  }

  #checkAs(family: 4 | 6, words: ArrayLike<number>, at: number, port: number): boolean {
    let narrowest = -1;
    for (let r = 0; r < this.#allowed.length; r++) {
      const rule = this.#allowed[r]!;
      if (rule.bits <= narrowest || !covers(rule, family, words, at)) continue;
      if (port < 0 || (port >= rule.portMin && port <= rule.portMax)) narrowest = rule.bits;
    }
    if (narrowest < 0) return false;
    for (let r = 0; r < NEVER.length; r++) if (covers(NEVER[r]!, family, words, at)) return false;
    for (let r = 0; r < SPECIAL.length; r++) {
      if (SPECIAL[r]!.bits > narrowest && covers(SPECIAL[r]!, family, words, at)) return false;
    }
    return true;
  }
}

/** What is wrong with a rule, in words, or undefined. */
export function peerRuleProblem(rule: PeerRule): string | undefined {
  if (!parsePrefix(rule.address))
    return `'${rule.address}' is neither an IP address nor a CIDR prefix like 10.1.0.0/16`;
  const { portMin = 1, portMax = rule.portMin ?? 65535 } = rule;
  const ports = [portMin, portMax];
  if (!ports.every((p) => Number.isInteger(p) && p >= 1 && p <= 65535) || portMin > portMax) {
    return `the ports of '${rule.address}' have to be 1–65535, the first not above the last`;
  }
  return undefined;
}

/** The IPv4 address inside an IPv6 address, or -1. */
export function embeddedIPv4(words: ArrayLike<number>, at: number): number {
  const a = words[at]! >>> 0;
  const b = words[at + 1]! >>> 0;
  const c = words[at + 2]! >>> 0;
  const d = words[at + 3]! >>> 0;
  if (a === 0 && b === 0 && c === 0xffff) return d; // ::ffff:0:0/96, IPv4-mapped (RFC 4291 2.5.5.2)
  if (a === 0 && b === 0 && c === 0) return d; // ::/96, IPv4-compatible (RFC 4291 2.5.5.1)
  if (a === 0x0064ff9b && b === 0 && c === 0) return d; // 64:ff9b::/96, NAT64 (RFC 6052 2.1)
  if (a === 0x0064ff9b && b >>> 16 === 1) return d; // 64:ff9b:1::/48, local NAT64 (RFC 8215), suffix of a /96
  if (a >>> 16 === 0x2002) return (((a & 0xffff) << 16) | (b >>> 16)) >>> 0; // 6to4 (RFC 3056 2)
  if (a === 0x20010000) return ~d >>> 0; // Teredo: the client's address, inverted (RFC 4380 4)
  return -1;
}

function parsePrefix(text: string): Prefix | undefined {
  const slash = text.indexOf('/');
  const endpoint = UdpEndpoint.from({ address: slash < 0 ? text : text.slice(0, slash), port: 0 });
  if (!endpoint) return undefined;
  const most = parseIPv4(slash < 0 ? text : text.slice(0, slash)) !== undefined ? 32 : 128;
  const digits = slash < 0 ? String(most) : text.slice(slash + 1);
  if (!/^\d{1,3}$/.test(digits) || Number(digits) > most) return undefined;
  const prefix = {
    family: endpoint.family,
    words: [endpoint.a, endpoint.b, endpoint.c, endpoint.d],
    bits: Number(digits),
  };
  // 10.1.2.3/8 is more likely a slip than a wish.
  return prefix.words.every((word, i) => (word & ~mask(prefix.bits, i)) === 0) ? prefix : undefined;
}

function covers(prefix: Prefix, family: 4 | 6, words: ArrayLike<number>, at: number): boolean {
  if (prefix.family !== family) return false;
  for (let i = 0; i * 32 < prefix.bits; i++) {
    if (((words[at + i]! ^ prefix.words[i]!) & mask(prefix.bits, i)) !== 0) return false;
  }
  return true;
}

/** The mask of word i of a prefix. */
function mask(bits: number, i: number): number {
  const here = Math.min(Math.max(bits - i * 32, 0), 32);
  return here === 0 ? 0 : -1 << (32 - here);
}

/** Whether a text is an IP address (for listeners and relays). */
export function isAddress(text: string): boolean {
  return parseIPv4(text) !== undefined || parseIPv6(text) !== undefined;
}
