/**
 * Bytes of the RTP header at `offset`, CSRCs and extension included (RFC 3550 5.1, 5.3.1), or -1 when the packet is
 * malformed or shorter than it says.
 *
 *      0                   1                   2                   3
 *     |V=2|P|X|  CC   |M|     PT      |       sequence number         |
 *     |                           timestamp                           |
 *     |                             SSRC                              |
 *     |                        CSRC × CC                              |
 *     |     defined by profile        | words of the extension        | if X
 */
export function rtpHeaderLength(bytes: Uint8Array, offset: number, length: number): number {
  if (length < 12) return -1;
  const first = bytes[offset]!;
  if (first >> 6 !== 2) return -1;
  let header = 12 + (first & 15) * 4;
  if ((first & 0x10) !== 0) {
    if (length < header + 4) return -1;
    header += 4 + ((bytes[offset + header + 2]! << 8) | bytes[offset + header + 3]!) * 4;
  }
  return header <= length ? header : -1;
}

export function readU32(bytes: Uint8Array, at: number): number {
  return ((bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!) >>> 0;
}

export function writeU32(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >>> 24;
  bytes[at + 1] = value >>> 16;
  bytes[at + 2] = value >>> 8;
  bytes[at + 3] = value;
}
