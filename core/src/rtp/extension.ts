import { RTP_HEADER, readU16 } from './header.ts';

/*
 *  one-byte form, profile 0xBEDE:      |  ID   |  len-1 | data …         RFC 8285 4.2
 *  two-byte form, profile 0x1000–100F: |      ID       |  len  | data …  RFC 8285 4.3
 */

/**
 * Where the iteration over the elements of a header extension begins, or -1 without one. `headerLength` is what
 * `rtpHeaderLength` answered. Use: `for (at = first(…); at >= 0; at = next(…))` with `rtpExtensionId` and its like.
 */
export function firstRtpExtension(bytes: Uint8Array, offset: number, headerLength: number): number {
  if ((bytes[offset]! & 0x10) === 0) return -1;
  return element(bytes, offset, headerLength, start(bytes, offset) + 4);
}

/** The element behind the one at `at`, or -1. */
export function nextRtpExtension(bytes: Uint8Array, offset: number, headerLength: number, at: number): number {
  const next = rtpExtensionData(bytes, offset, at) + rtpExtensionLength(bytes, offset, at);
  return element(bytes, offset, headerLength, next);
}

/** The local identifier that SDP's extmap gave a meaning. */
export function rtpExtensionId(bytes: Uint8Array, offset: number, at: number): number {
  return oneByte(bytes, offset) ? bytes[at]! >> 4 : bytes[at]!;
}

/** Where the data of the element at `at` begins. */
export function rtpExtensionData(bytes: Uint8Array, offset: number, at: number): number {
  return at + (oneByte(bytes, offset) ? 1 : 2);
}

/** Bytes of the data of the element at `at`. */
export function rtpExtensionLength(bytes: Uint8Array, offset: number, at: number): number {
  return oneByte(bytes, offset) ? (bytes[at]! & 15) + 1 : bytes[at + 1]!;
}

/** The element with that identifier, or -1. */
export function findRtpExtension(bytes: Uint8Array, offset: number, headerLength: number, id: number): number {
  let at = firstRtpExtension(bytes, offset, headerLength);
  while (at >= 0 && rtpExtensionId(bytes, offset, at) !== id) at = nextRtpExtension(bytes, offset, headerLength, at);
  return at;
}

/**
 * Gives each element the identifier that stands at its own in `ids` (256 entries), in place: between two legs identifiers are
 * different worlds (RFC 8285 5). One with 0 there, or whose new identifier has no place in the form used, becomes padding.
 */
export function mapRtpExtensions(bytes: Uint8Array, offset: number, headerLength: number, ids: Uint8Array): void {
  for (let at = firstRtpExtension(bytes, offset, headerLength); at >= 0; ) {
    const next = nextRtpExtension(bytes, offset, headerLength, at);
    const one = oneByte(bytes, offset);
    const id = ids[rtpExtensionId(bytes, offset, at)]!;
    if (id === 0 || (one && id > 14)) eraseRtpExtension(bytes, offset, at);
    else bytes[at] = one ? (id << 4) | (bytes[at]! & 15) : id;
    at = next;
  }
}

/** Makes padding of the element at `at`; one that follows it has to be found before (RFC 8285 4.2, 4.3: zeros are skipped). */
export function eraseRtpExtension(bytes: Uint8Array, offset: number, at: number): void {
  bytes.fill(0, at, rtpExtensionData(bytes, offset, at) + rtpExtensionLength(bytes, offset, at));
}

function start(bytes: Uint8Array, offset: number): number {
  return offset + RTP_HEADER + (bytes[offset]! & 15) * 4;
}

function oneByte(bytes: Uint8Array, offset: number): boolean {
  return readU16(bytes, start(bytes, offset)) === 0xbede;
}

/** The first whole element from `at` on, padding skipped, or -1. */
function element(bytes: Uint8Array, offset: number, headerLength: number, at: number): number {
  const end = offset + headerLength;
  const one = oneByte(bytes, offset);
  if (!one && (readU16(bytes, start(bytes, offset)) & 0xfff0) !== 0x1000) return -1;
  let here = at;
  while (here < end && bytes[here] === 0) here++;
  if (here >= end || (one && bytes[here]! >> 4 === 15) || (!one && here + 2 > end)) return -1;
  const dataEnd = rtpExtensionData(bytes, offset, here) + rtpExtensionLength(bytes, offset, here);
  return dataEnd > end ? -1 : here;
}
