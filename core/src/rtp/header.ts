/*
 *   0                   1                   2                   3
 *   0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
 *  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 *  |V=2|P|X|  CC   |M|     PT      |       sequence number         |
 *  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 *  |                           timestamp                           |
 *  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 *  |                             SSRC                              |
 *  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 *  |        CSRCs (CC × 32) | extension (X) | payload | padding    |   RFC 3550 5.1
 */

/** Bytes of the fixed header. */
export const RTP_HEADER = 12;

/**
 * The length of header, CSRCs and extension, bytes, or -1 when the packet is no RTP version 2 or any of them runs over
 * its end. Check it first: the readers below trust the fixed header to be there.
 */
export function rtpHeaderLength(bytes: Uint8Array, offset: number, length: number): number {
  if (length < RTP_HEADER || bytes[offset]! >> 6 !== 2) return -1;
  const first = bytes[offset]!;
  let header = RTP_HEADER + (first & 0x0f) * 4;
  if ((first & 0x10) !== 0) {
    if (header + 4 > length) return -1;
    header += 4 + readU16(bytes, offset + header + 2) * 4;
  }
  return header > length ? -1 : header;
}

/** Bytes of padding at the end, 0 without, or -1 when the count is impossible (RFC 3550 5.1). */
export function rtpPaddingLength(bytes: Uint8Array, offset: number, length: number, headerLength: number): number {
  if ((bytes[offset]! & 0x20) === 0) return 0;
  const padding = bytes[offset + length - 1]!;
  return length === headerLength || padding === 0 || padding > length - headerLength ? -1 : padding;
}

export function rtpMarker(bytes: Uint8Array, offset: number): boolean {
  return (bytes[offset + 1]! & 0x80) !== 0;
}

/** 0–127. */
export function rtpPayloadType(bytes: Uint8Array, offset: number): number {
  return bytes[offset + 1]! & 0x7f;
}

export function rtpSequence(bytes: Uint8Array, offset: number): number {
  return readU16(bytes, offset + 2);
}

/** In units of the payload's clock rate. */
export function rtpTimestamp(bytes: Uint8Array, offset: number): number {
  return readU32(bytes, offset + 4);
}

export function rtpSsrc(bytes: Uint8Array, offset: number): number {
  return readU32(bytes, offset + 8);
}

/** Keeps the marker. */
export function setRtpPayloadType(bytes: Uint8Array, offset: number, payloadType: number): void {
  bytes[offset + 1] = (bytes[offset + 1]! & 0x80) | (payloadType & 0x7f);
}

export function setRtpSequence(bytes: Uint8Array, offset: number, sequence: number): void {
  writeU16(bytes, offset + 2, sequence);
}

export function setRtpTimestamp(bytes: Uint8Array, offset: number, timestamp: number): void {
  writeU32(bytes, offset + 4, timestamp);
}

export function setRtpSsrc(bytes: Uint8Array, offset: number, ssrc: number): void {
  writeU32(bytes, offset + 8, ssrc);
}

/** The fields of a header to write. */
export interface RtpHeader {
  readonly payloadType: number;
  readonly sequence: number;
  readonly timestamp: number;
  readonly ssrc: number;
  readonly marker?: boolean;
}

/** Writes a fixed header of twelve bytes without CSRCs or extension; the payload follows it. */
export function writeRtpHeader(bytes: Uint8Array, offset: number, header: RtpHeader): void {
  bytes[offset] = 0x80;
  bytes[offset + 1] = (header.marker ? 0x80 : 0) | (header.payloadType & 0x7f);
  setRtpSequence(bytes, offset, header.sequence);
  setRtpTimestamp(bytes, offset, header.timestamp);
  setRtpSsrc(bytes, offset, header.ssrc);
}

/** `a - b` of 16-bit sequence numbers as a signed distance, −32768 … 32767 (RFC 1982). */
export function sequenceDistance(a: number, b: number): number {
  return ((a - b) << 16) >> 16;
}

/** `a - b` of 32-bit timestamps as a signed distance. */
export function timestampDistance(a: number, b: number): number {
  return (a - b) | 0;
}

export function readU16(bytes: Uint8Array, at: number): number {
  return (bytes[at]! << 8) | bytes[at + 1]!;
}

export function readU32(bytes: Uint8Array, at: number): number {
  return ((bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!) >>> 0;
}

/** The same as a signed number: a small integer for V8 whatever its bits, where the upper half of unsigned ones costs a box each. */
export function readS32(bytes: Uint8Array, at: number): number {
  return (bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!;
}

export function writeU16(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >>> 8;
  bytes[at + 1] = value;
}

export function writeU32(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >>> 24;
  bytes[at + 1] = value >>> 16;
  bytes[at + 2] = value >>> 8;
  bytes[at + 3] = value;
}
