import { formatIPv4, formatIPv6, parseIPv4, parseIPv6 } from './address.ts';

/** Addresses of one family from a first to a last one, both included, as words of 32 bits: one of IPv4, four of IPv6. */
export interface AddressRange {
  readonly family: 4 | 6;
  readonly first: readonly number[];
  readonly last: readonly number[];
}

/** An address, a CIDR prefix (10.1.0.0/16), or a range as coturn writes it (10.0.0.0-10.255.255.255); undefined when it is none. */
export function parseAddressRange(text: string): AddressRange | undefined {
  const dash = text.indexOf('-');
  if (dash >= 0) return between(parseAddress(text.slice(0, dash)), parseAddress(text.slice(dash + 1)));
  const slash = text.indexOf('/');
  const only = parseAddress(slash < 0 ? text : text.slice(0, slash));
  if (!only || slash < 0) return only;
  const digits = text.slice(slash + 1);
  const bits = Number(digits);
  if (!/^\d{1,3}$/.test(digits) || bits > widthOf(only.family)) return undefined;
  const last = only.first.map((word, i) => (word | ~mask(bits, i)) >>> 0);
  // 10.1.2.3/8 is more likely a slip than a wish.
  return only.first.some((word, i) => (word & ~mask(bits, i)) !== 0) ? undefined : { ...only, last };
}

/** The shortest text: an address, a CIDR prefix where it is one, and else a range. */
export function rangeText(range: AddressRange): string {
  const first = addressText(range.family, range.first);
  const bits = prefixBits(range);
  if (bits === undefined) return `${first}-${addressText(range.family, range.last)}`;
  return bits === widthOf(range.family) ? first : `${first}/${bits}`;
}

/** Canonical text of an address (RFC 5952). */
export function addressText(family: 4 | 6, words: readonly number[]): string {
  if (family === 4) return formatIPv4(words[0]!);
  const bytes = new Uint8Array(16);
  const view = new DataView(bytes.buffer);
  for (const [i, word] of words.entries()) view.setUint32(4 * i, word);
  return formatIPv6(bytes);
}

/** Whether an address is inside; its words begin at `at`. */
export function rangeIncludes(range: AddressRange, family: 4 | 6, words: ArrayLike<number>, at: number): boolean {
  if (range.family !== family) return false;
  return compareAt(words, at, range.first) >= 0 && compareAt(words, at, range.last) <= 0;
}

/** How many addresses there are, for comparing widths; not for packets. */
export function rangeSize({ family, first, last }: AddressRange): bigint {
  return numberOf(family, last) - numberOf(family, first) + 1n;
}

/** The fewest CIDR prefixes that hold the same addresses. */
export function rangePrefixes({ family, first, last }: AddressRange): AddressRange[] {
  const prefixes: AddressRange[] = [];
  const end = numberOf(family, last);
  for (let from = numberOf(family, first); from <= end; ) {
    let size = 1n;
    while ((from & (2n * size - 1n)) === 0n && from + 2n * size - 1n <= end && size < 1n << BigInt(widthOf(family)))
      size *= 2n;
    prefixes.push({ family, first: wordsOf(family, from), last: wordsOf(family, from + size - 1n) });
    from += size;
  }
  return prefixes;
}

/** What is left of a range without the addresses of others. */
export function rangeWithout(range: AddressRange, holes: readonly AddressRange[]): AddressRange[] {
  const { family } = range;
  let left: (readonly [bigint, bigint])[] = [[numberOf(family, range.first), numberOf(family, range.last)]];
  for (const hole of holes) {
    if (hole.family !== family) continue;
    const from = numberOf(family, hole.first);
    const to = numberOf(family, hole.last);
    left = left.flatMap(([first, last]) => {
      if (to < first || from > last) return [[first, last] as const];
      const before = from > first ? [[first, from - 1n] as const] : [];
      return to < last ? [...before, [to + 1n, last] as const] : before;
    });
  }
  return left.map(([first, last]) => ({ family, first: wordsOf(family, first), last: wordsOf(family, last) }));
}

/** Whether all of a range is inside of another one. */
export function rangeHolds(outer: AddressRange, inner: AddressRange): boolean {
  return rangeIncludes(outer, inner.family, inner.first, 0) && rangeIncludes(outer, inner.family, inner.last, 0);
}

function parseAddress(text: string): AddressRange | undefined {
  const v4 = parseIPv4(text);
  if (v4 !== undefined) return { family: 4, first: [v4], last: [v4] };
  const v6 = parseIPv6(text);
  if (!v6) return undefined;
  const view = new DataView(v6.buffer, v6.byteOffset, 16);
  const words = [0, 4, 8, 12].map((offset) => view.getUint32(offset));
  return { family: 6, first: words, last: words };
}

function between(from: AddressRange | undefined, to: AddressRange | undefined): AddressRange | undefined {
  if (!from || !to || from.family !== to.family || compareAt(from.first, 0, to.first) > 0) return undefined;
  return { family: from.family, first: from.first, last: to.first };
}

/** Negative, zero or positive, as the address at `at` is before, at or behind the other one. */
function compareAt(words: ArrayLike<number>, at: number, other: readonly number[]): number {
  for (let i = 0; i < other.length; i++) {
    const difference = (words[at + i]! >>> 0) - other[i]!;
    if (difference !== 0) return difference;
  }
  return 0;
}

function prefixBits(range: AddressRange): number | undefined {
  const size = rangeSize(range);
  const isPrefix = (size & (size - 1n)) === 0n && numberOf(range.family, range.first) % size === 0n;
  return isPrefix ? widthOf(range.family) - (size.toString(2).length - 1) : undefined;
}

function widthOf(family: 4 | 6): number {
  return family === 4 ? 32 : 128;
}

function numberOf(family: 4 | 6, words: readonly number[]): bigint {
  return words.slice(0, family === 4 ? 1 : 4).reduce((sum, word) => (sum << 32n) | BigInt(word), 0n);
}

function wordsOf(family: 4 | 6, value: bigint): number[] {
  const shifts = family === 4 ? [0n] : [96n, 64n, 32n, 0n];
  return shifts.map((shift) => Number((value >> shift) & 0xffffffffn));
}

/** The mask of word i of a prefix. */
function mask(bits: number, i: number): number {
  const here = Math.min(Math.max(bits - i * 32, 0), 32);
  return here === 0 ? 0 : -1 << (32 - here);
}
