/** An IP address as text and a port, 0–65535. IPv6 without brackets. */
export interface SocketAddress {
  readonly address: string;
  readonly port: number;
}

/** One string per address and port, usable as a Map key and in messages: `192.0.2.1:5060`, `[2001:db8::1]:5060`. */
export function socketKey(at: SocketAddress): string {
  return at.address.includes(':') ? `[${at.address}]:${at.port}` : `${at.address}:${at.port}`;
}

/** Four bytes of a dotted IPv4 address as one unsigned number, or undefined when the text is not exactly that. */
export function parseIPv4(text: string): number | undefined {
  let value = 0;
  let octet = -1;
  let dots = 0;
  for (let i = 0; i < text.length; i++) {
    const c = text.charCodeAt(i);
    if (c >= 48 && c <= 57) {
      if (octet === 0) return undefined; // a leading zero is octal to some readers
      octet = (octet < 0 ? 0 : octet * 10) + (c - 48);
      if (octet > 255) return undefined;
    } else if (c === 46 && octet >= 0 && dots < 3) {
      value = value * 256 + octet;
      octet = -1;
      dots++;
    } else return undefined;
  }
  return dots === 3 && octet >= 0 ? value * 256 + octet : undefined;
}

/** The dotted text of an unsigned 32-bit IPv4 address. */
export function formatIPv4(value: number): string {
  return `${value >>> 24}.${(value >>> 16) & 255}.${(value >>> 8) & 255}.${value & 255}`;
}

/** Sixteen bytes of an IPv6 address (RFC 4291 2.2, embedded IPv4 allowed, no zone), or undefined. */
export function parseIPv6(text: string): Uint8Array | undefined {
  if (text.length > 45) return undefined;
  const halves = text.split('::');
  if (halves.length > 2) return undefined;
  const head = groups(halves[0] ?? '');
  const tail = halves.length === 2 ? groups(halves[1] ?? '') : [];
  if (!head || !tail) return undefined;
  const missing = 8 - head.length - tail.length;
  if (halves.length === 2 ? missing < 1 : missing !== 0) return undefined;
  const words = [...head, ...new Array<number>(missing).fill(0), ...tail];
  const bytes = new Uint8Array(16);
  words.forEach((word, i) => {
    bytes[i * 2] = word >> 8;
    bytes[i * 2 + 1] = word & 255;
  });
  return bytes;
}

function groups(text: string): number[] | undefined {
  if (text === '') return [];
  const words: number[] = [];
  const parts = text.split(':');
  for (const [i, part] of parts.entries()) {
    if (i === parts.length - 1 && part.includes('.')) {
      const v4 = parseIPv4(part);
      if (v4 === undefined) return undefined;
      words.push(v4 >>> 16, v4 & 0xffff);
    } else {
      if (!/^[0-9a-fA-F]{1,4}$/.test(part)) return undefined;
      words.push(Number.parseInt(part, 16));
    }
  }
  return words;
}

/** The canonical text of sixteen IPv6 bytes (RFC 5952). */
export function formatIPv6(bytes: Uint8Array): string {
  const words = Array.from({ length: 8 }, (_, i) => (bytes[i * 2]! << 8) | bytes[i * 2 + 1]!);
  let bestStart = -1;
  let bestLength = 1;
  for (let i = 0; i < 8; i++) {
    let n = 0;
    while (i + n < 8 && words[i + n] === 0) n++;
    if (n > bestLength) {
      bestStart = i;
      bestLength = n;
    }
  }
  const hex = words.map((w) => w.toString(16));
  if (bestStart < 0) return hex.join(':');
  return `${hex.slice(0, bestStart).join(':')}::${hex.slice(bestStart + bestLength).join(':')}`;
}

/** 4 or 6 when the text is an IP address, else undefined. */
export function ipFamily(text: string): 4 | 6 | undefined {
  if (parseIPv4(text) !== undefined) return 4;
  return parseIPv6(text) ? 6 : undefined;
}

/** The IPv4 address of an IPv4-mapped one, as dual-stack sockets report it (RFC 4291 2.5.5.2); others as they are. */
export function unmapped(address: string): string {
  if (address.charCodeAt(0) !== 0x3a) return address;
  return /^::ffff:\d+\.\d+\.\d+\.\d+$/i.test(address) ? address.slice(7) : address;
}

/** Whether one host can be reached there: not multicast, reserved, broadcast or unspecified (RFC 6890, RFC 1112 4, RFC 4291 2.5.2, 2.7). */
export function isUnicast(address: string): boolean {
  const plain = unmapped(address);
  const v4 = parseIPv4(plain);
  if (v4 !== undefined) return v4 >>> 24 > 0 && v4 >>> 24 < 224;
  const v6 = parseIPv6(plain);
  return v6 !== undefined && v6[0] !== 0xff && v6.some((byte) => byte !== 0);
}

/** Whether the address is this machine's own alone: 127.0.0.0/8 (mapped too) or ::1. Names are not. */
export function isLoopback(address: string): boolean {
  const plain = unmapped(address);
  return plain === '::1' || (plain.startsWith('127.') && parseIPv4(plain) !== undefined);
}

/**
 * What limits count by: an IPv4 address, or the /64 of an IPv6 one, because whoever has one address of it has them all
 * (RFC 6177 2). Text that is no address is its own network.
 */
export function networkOf(address: string): string {
  const plain = unmapped(address);
  if (!plain.includes(':')) return plain;
  const bytes = parseIPv6(plain);
  return bytes ? `${formatIPv6(bytes.fill(0, 8))}/64` : plain;
}
