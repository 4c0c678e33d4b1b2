/** The IPv4 address inside an IPv6 address by its prefix, or -1. Only such as a packet to the outer address may be sent to. */
export function embeddedIPv4(words: ArrayLike<number>, at: number): number {
  const a = words[at]! >>> 0;
  const b = words[at + 1]! >>> 0;
  const c = words[at + 2]! >>> 0;
  const d = words[at + 3]! >>> 0;
  if (a === 0 && b === 0 && c === 0xffff) return d; // ::ffff:0:0/96, IPv4-mapped (RFC 4291 2.5.5.2)
  if (a === 0 && b === 0 && c === 0xffff0000) return d; // ::ffff:0:0:0/96, IPv4-translated (RFC 2765 2.1)
  if (a === 0 && b === 0 && c === 0 && d > 1) return d; // ::/96, IPv4-compatible (RFC 4291 2.5.5.1) but for :: and ::1
  if (a === 0x0064ff9b && b === 0 && c === 0) return d; // 64:ff9b::/96, NAT64 (RFC 6052 2.1)
  if (a === 0x0064ff9b && b >>> 16 === 1) return d; // 64:ff9b:1::/48, local NAT64 (RFC 8215), suffix of a /96
  if (a >>> 16 === 0x2002) return (((a & 0xffff) << 16) | (b >>> 16)) >>> 0; // 6to4 (RFC 3056 2)
  if (a === 0x20010000) return ~d >>> 0; // Teredo: the client's address, inverted (RFC 4380 4)
  return -1;
}

/** The IPv4 address of an ISATAP interface, ::0:5efe:a.b.c.d or ::200:5efe:a.b.c.d behind any prefix (RFC 5214 6.1), or -1. */
export function isatapIPv4(words: ArrayLike<number>, at: number): number {
  return (words[at + 2]! & ~0x02000000) === 0x5efe ? words[at + 3]! >>> 0 : -1;
}
