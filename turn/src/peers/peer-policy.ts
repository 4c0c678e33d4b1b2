import { type AddressRange, parseAddressRange, rangeIncludes, rangeSize } from '@offhook/core';
import type { UdpEndpoint } from '@offhook/core/node';
import { embeddedIPv4, isatapIPv4 } from './embedded-address.ts';
import type { PeerRule, PeerRules } from './peer-rule.ts';
import { narrowestFirst, neverPeers } from './special-ranges.ts';

export type { PeerRules } from './peer-rule.ts';

/** A rule as it is compared. */
interface Compiled extends AddressRange {
  readonly portMin: number;
  readonly portMax: number;
  /** The first of its family's special ranges, the narrowest coming first, that it may open a part of. */
  readonly opensFrom: number;
}

/** The port of a question about an address as a whole. */
const ANY_PORT = -1;
const NEVER = neverPeers();
const SPECIAL = { 4: narrowestFirst(4), 6: narrowestFirst(6) } as const;

/**
 * Which peers a client may reach through us. What comes first decides: never a peer, an `allow` rule, a `deny` rule, the base. An
 * `allow` rule opens a part of a special-purpose range only when it is at least as narrow as that range. An IPv6 address that
 * carries an IPv4 address has to be allowed in all readings.
 *
 * Never changed: whoever reads new rules makes a new one. A check compares numbers and allocates nothing.
 */
export class PeerPolicy {
  readonly #base: PeerRules['base'];
  readonly #allow: readonly Compiled[];
  readonly #deny: readonly Compiled[];
  /** The word of an address inside another one, while it is looked at. */
  readonly #inner = new Uint32Array(1);
  readonly #words = new Uint32Array(4);

  /**
   * @param rules must have passed `peerRuleProblem`; a rule that can't be read is a bug.
   * @param own this machine's addresses (listeners, host): with the base `public` only a rule lets anybody reach them.
   */
  constructor(rules: PeerRules, own: readonly string[] = []) {
    this.#base = rules.base;
    this.#allow = rules.allow.map(compiled);
    this.#deny = [...rules.deny, ...own.map((address) => ({ address }))].map(compiled);
  }

  /** Whether a peer of this address and port may be reached. The words are those of `UdpEndpoint`. */
  allows(family: 4 | 6, words: ArrayLike<number>, at: number, port: number): boolean {
    return port > 0 && this.#check(family, words, at, port);
  }

  /** Whether any port of that address may be reached, which is all that a permission needs (RFC 8656 9). */
  allowsAddress(endpoint: UdpEndpoint): boolean {
    return this.#check(endpoint.family, this.#wordsOf(endpoint), 0, ANY_PORT);
  }

  allowsEndpoint(endpoint: UdpEndpoint): boolean {
    return this.allows(endpoint.family, this.#wordsOf(endpoint), 0, endpoint.port);
  }

  #wordsOf({ a, b, c, d }: UdpEndpoint): Uint32Array {
    const words = this.#words;
    words[0] = a;
    words[1] = b;
    words[2] = c;
    words[3] = d;
    return words;
  }

  #check(family: 4 | 6, words: ArrayLike<number>, at: number, port: number): boolean {
    if (!this.#checkAs(family, words, at, port)) return false;
    if (family === 4) return true;
    return this.#checkInner(embeddedIPv4(words, at), port) && this.#checkInner(isatapIPv4(words, at), port);
  }

  #checkInner(address: number, port: number): boolean {
    if (address < 0) return true;
    this.#inner[0] = address;
    return this.#checkAs(4, this.#inner, 0, port);
  }

  #checkAs(family: 4 | 6, words: ArrayLike<number>, at: number, port: number): boolean {
    if (indexIn(NEVER, family, words, at) >= 0) return false;
    const special = indexIn(SPECIAL[family], family, words, at);
    for (let i = 0; i < this.#allow.length; i++) {
      const rule = this.#allow[i]!;
      const isWide = special >= 0 && special < rule.opensFrom;
      const isPort = port === ANY_PORT || (port >= rule.portMin && port <= rule.portMax);
      if (!isWide && isPort && rangeIncludes(rule, family, words, at)) return true;
    }
    if (special >= 0 || this.#base === 'none') return false;
    for (let i = 0; i < this.#deny.length; i++) {
      const rule = this.#deny[i]!;
      const isPort =
        port === ANY_PORT ? rule.portMin === 1 && rule.portMax === 65535 : port >= rule.portMin && port <= rule.portMax;
      if (isPort && rangeIncludes(rule, family, words, at)) return false;
    }
    return true;
  }
}

function compiled(rule: PeerRule): Compiled {
  const range = parseAddressRange(rule.address);
  if (!range) throw new Error(`no address, CIDR prefix or range: ${rule.address}`);
  const size = rangeSize(range);
  const ranges = SPECIAL[range.family];
  const opens = ranges.findIndex((one) => rangeSize(one) >= size);
  return {
    ...range,
    portMin: rule.portMin ?? 1,
    portMax: rule.portMax ?? rule.portMin ?? 65535,
    opensFrom: opens < 0 ? ranges.length : opens,
  };
}

function indexIn(ranges: readonly AddressRange[], family: 4 | 6, words: ArrayLike<number>, at: number): number {
  for (let i = 0; i < ranges.length; i++) if (rangeIncludes(ranges[i]!, family, words, at)) return i;
  return -1;
}
