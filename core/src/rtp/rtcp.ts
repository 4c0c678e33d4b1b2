import { readU16, readU32, writeU32 } from './header.ts';

/*
 *   0                   1                   2                   3
 *  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 *  |V=2|P|count/FMT|      PT       |   length in words minus one   |
 *  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 *  |                       SSRC of the sender                      |   RFC 3550 6.4, RFC 4585 6.1
 */

export const RtcpType = {
  senderReport: 200,
  receiverReport: 201,
  sdes: 202,
  bye: 203,
  app: 204,
  transportFeedback: 205,
  payloadFeedback: 206,
  extendedReport: 207,
} as const;

/** FMT of transport-layer feedback (RFC 4585 6.2, RFC 5104 4.2, transport-wide-cc draft). */
export const TransportFeedback = { nack: 1, tmmbr: 3, tmmbn: 4, transportCc: 15 } as const;
/** FMT of payload-specific feedback (RFC 4585 6.3, RFC 5104 4.3); 15 carries REMB. */
export const PayloadFeedback = { pli: 1, sli: 2, rpsi: 3, fir: 4, afb: 15 } as const;

const REMB = 0x52454d42;

/**
 * Whether every packet of the datagram is version 2 and the lengths add up exactly (RFC 3550 A.2). Reduced-size RTCP
 * (RFC 5506) is allowed. Check it first: the walk and the readers trust it.
 */
export function isRtcpCompound(bytes: Uint8Array, offset: number, length: number): boolean {
  const end = offset + length;
  let at = offset;
  while (at + 4 <= end) {
    if (bytes[at]! >> 6 !== 2) return false;
    const next = rtcpEnd(bytes, at);
    const padding = (bytes[at]! & 0x20) !== 0;
    if (next > end) return false;
    // RFC 3550 6.4.1 asks for a multiple of four and for the last packet only, but libwebrtc pads transport-wide
    // feedback by one to three bytes wherever it stands.
    if (padding && (bytes[next - 1]! === 0 || bytes[next - 1]! > next - at - 4)) return false;
    at = next;
  }
  return at === end && length > 0;
}

/** The end of the packet at `at`, which is the next one's start: `for (at = offset; at < end; at = rtcpEnd(bytes, at))`. */
export function rtcpEnd(bytes: Uint8Array, at: number): number {
  return at + (readU16(bytes, at + 2) + 1) * 4;
}

/** Where the packet's content ends, padding left out. */
export function rtcpContentEnd(bytes: Uint8Array, at: number): number {
  const end = rtcpEnd(bytes, at);
  return (bytes[at]! & 0x20) !== 0 ? end - bytes[end - 1]! : end;
}

/** An `RtcpType`. */
export function rtcpType(bytes: Uint8Array, at: number): number {
  return bytes[at + 1]!;
}

/** Report blocks, SDES chunks, BYE sources, or the feedback's FMT. */
export function rtcpCount(bytes: Uint8Array, at: number): number {
  return bytes[at]! & 31;
}

/** The sender's SSRC (in SDES and BYE: the first source), or 0 when the packet is too short to have one. */
export function rtcpSsrc(bytes: Uint8Array, at: number): number {
  return rtcpContentEnd(bytes, at) >= at + 8 ? readU32(bytes, at + 4) : 0;
}

/** The media source a feedback packet is about, or 0. */
export function rtcpMediaSsrc(bytes: Uint8Array, at: number): number {
  return rtcpContentEnd(bytes, at) >= at + 12 ? readU32(bytes, at + 8) : 0;
}

/** Whether the packet is feedback of that type and FMT. */
export function isFeedback(bytes: Uint8Array, at: number, type: number, format: number): boolean {
  return rtcpType(bytes, at) === type && rtcpCount(bytes, at) === format && rtcpContentEnd(bytes, at) >= at + 12;
}

/** Whether the packet is a REMB (draft-alvestrand-rmcat-remb-03 2.2). */
export function isRemb(bytes: Uint8Array, at: number): boolean {
  return (
    isFeedback(bytes, at, RtcpType.payloadFeedback, PayloadFeedback.afb) &&
    rtcpContentEnd(bytes, at) >= at + 20 &&
    readU32(bytes, at + 12) === REMB
  );
}

/**
 * Replaces every SSRC of a compound packet by `map(ssrc)`, in place: senders, report blocks, SDES chunks, BYE sources,
 * feedback's media source and the entries of FIR, TMMBR/TMMBN and REMB, and the blocks of XR that name one.
 * False, and nothing changed, when the packet is malformed.
 */
export function rewriteRtcpSsrc(
  bytes: Uint8Array,
  offset: number,
  length: number,
  map: (ssrc: number) => number,
): boolean {
  if (!isRtcpCompound(bytes, offset, length)) return false;
  const end = offset + length;
  for (let at = offset; at < end; at = rtcpEnd(bytes, at)) rewriteOne(bytes, at, rtcpContentEnd(bytes, at), map);
  return true;
}

type Map32 = (ssrc: number) => number;

function rewriteOne(bytes: Uint8Array, at: number, end: number, map: Map32): void {
  switch (rtcpType(bytes, at)) {
    case RtcpType.senderReport:
      rewriteAt(bytes, at + 4, end, map);
      rewriteEvery(bytes, { from: at + 28, end, step: 24, most: rtcpCount(bytes, at) }, map);
      return;
    case RtcpType.receiverReport:
      rewriteAt(bytes, at + 4, end, map);
      rewriteEvery(bytes, { from: at + 8, end, step: 24, most: rtcpCount(bytes, at) }, map);
      return;
    case RtcpType.sdes:
      rewriteSdes(bytes, at, end, map);
      return;
    case RtcpType.bye:
      rewriteEvery(bytes, { from: at + 4, end, step: 4, most: rtcpCount(bytes, at) }, map);
      return;
    case RtcpType.app:
      rewriteAt(bytes, at + 4, end, map);
      return;
    case RtcpType.transportFeedback:
    case RtcpType.payloadFeedback:
      rewriteFeedback(bytes, at, end, map);
      return;
    case RtcpType.extendedReport:
      rewriteExtended(bytes, at, end, map);
      return;
  }
}

function rewriteAt(bytes: Uint8Array, at: number, end: number, map: Map32): void {
  if (at + 4 <= end) writeU32(bytes, at, map(readU32(bytes, at)));
}

function rewriteEvery(
  bytes: Uint8Array,
  range: { readonly from: number; readonly end: number; readonly step: number; readonly most: number },
  map: Map32,
): void {
  let left = range.most;
  for (let at = range.from; at + range.step <= range.end && left > 0; at += range.step, left--) {
    rewriteAt(bytes, at, range.end, map);
  }
}

/** Chunks: SSRC, items (type, length, text) up to a zero, padded to a word (RFC 3550 6.5). */
function rewriteSdes(bytes: Uint8Array, start: number, end: number, map: Map32): void {
  let at = start + 4;
  for (let chunk = rtcpCount(bytes, start); chunk > 0 && at + 4 <= end; chunk--) {
    rewriteAt(bytes, at, end, map);
    at += 4;
    while (at < end && bytes[at] !== 0) at += 2 + (bytes[at + 1] ?? 0);
    at = start + ((at - start + 4) & ~3);
  }
}

function rewriteFeedback(bytes: Uint8Array, at: number, end: number, map: Map32): void {
  rewriteAt(bytes, at + 4, end, map);
  const media = at + 8 + 4 <= end ? readU32(bytes, at + 8) : 0;
  if (media !== 0) rewriteAt(bytes, at + 8, end, map);
  const format = rtcpCount(bytes, at);
  const payload = rtcpType(bytes, at) === RtcpType.payloadFeedback;
  if (
    payload ? format === PayloadFeedback.fir : format === TransportFeedback.tmmbr || format === TransportFeedback.tmmbn
  ) {
    rewriteEvery(bytes, { from: at + 12, end, step: 8, most: Number.POSITIVE_INFINITY }, map);
  } else if (payload && isRemb(bytes, at)) {
    rewriteEvery(bytes, { from: at + 20, end, step: 4, most: bytes[at + 16]! }, map);
  }
}

/** Blocks of XR that begin with a source: loss RLE 1, duplicate RLE 2, receipt times 3, statistics 6, VoIP metrics 7; DLRR 5 lists them (RFC 3611 4). */
function rewriteExtended(bytes: Uint8Array, start: number, end: number, map: Map32): void {
  rewriteAt(bytes, start + 4, end, map);
  let at = start + 8;
  while (at + 4 <= end) {
    const type = bytes[at]!;
    const next = at + 4 + readU16(bytes, at + 2) * 4;
    const blockEnd = Math.min(next, end);
    if (type === 5) rewriteEvery(bytes, { from: at + 4, end: blockEnd, step: 12, most: 1e9 }, map);
    else if (type === 1 || type === 2 || type === 3 || type === 6 || type === 7)
      rewriteAt(bytes, at + 4, blockEnd, map);
    at = next;
  }
}
