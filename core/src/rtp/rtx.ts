import {
  rtpHeaderLength,
  rtpPaddingLength,
  rtpSequence,
  setRtpPayloadType,
  setRtpSequence,
  setRtpSsrc,
  writeU16,
} from './header.ts';

/*
 *  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 *  |            RTP header          |   SSRC, payload type and sequence number of the retransmission stream
 *  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 *  |   original sequence number     |   then the original payload                                RFC 4588 4
 *  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 */

/** Bytes an RTX packet is longer than its original. */
export const RTX_HEADER = 2;

/** What an RTX packet's header says in place of the original's. */
export interface RtxHeader {
  readonly payloadType: number;
  readonly ssrc: number;
  readonly sequence: number;
}

/**
 * Copies an RTP packet as a retransmission into another buffer, whose length is answered: header, extension and payload pass,
 * padding doesn't (RFC 4588 4). -1 when the packet is malformed or there is no room.
 */
export function copyAsRtx(
  packet: { readonly bytes: Uint8Array; readonly offset: number; readonly length: number },
  to: Uint8Array,
  at: number,
  rtx: RtxHeader,
): number {
  const { bytes, offset, length } = packet;
  const header = rtpHeaderLength(bytes, offset, length);
  if (header < 0) return -1;
  const padding = rtpPaddingLength(bytes, offset, length, header);
  const out = length - padding + RTX_HEADER;
  if (padding < 0 || at + out > to.length) return -1;
  for (let i = 0; i < header; i++) to[at + i] = bytes[offset + i]!;
  to[at]! &= ~0x20;
  writeU16(to, at + header, rtpSequence(bytes, offset));
  to.set(bytes.subarray(offset + header, offset + length - padding), at + header + RTX_HEADER);
  setRtpPayloadType(to, at, rtx.payloadType);
  setRtpSequence(to, at, rtx.sequence);
  setRtpSsrc(to, at, rtx.ssrc);
  return out;
}

/**
 * Makes the original of an RTX packet, in place, and answers its length; its sequence number is the one that stood in front of
 * the payload. 0 for a packet of nothing but padding, which browsers send to measure the bandwidth; -1 when it is malformed.
 */
export function restoreFromRtx(
  bytes: Uint8Array,
  offset: number,
  length: number,
  original: { readonly payloadType: number; readonly ssrc: number },
): number {
  const header = rtpHeaderLength(bytes, offset, length);
  if (header < 0) return -1;
  if (length === header) return 0;
  const padding = rtpPaddingLength(bytes, offset, length, header);
  if (padding < 0) return -1;
  const payload = length - header - padding;
  if (payload === 0) return 0;
  if (payload < RTX_HEADER) return -1;
  const from = offset + header;
  bytes[offset + 2] = bytes[from]!;
  bytes[offset + 3] = bytes[from + 1]!;
  bytes.copyWithin(from, from + RTX_HEADER, from + payload);
  bytes[offset]! &= ~0x20;
  setRtpPayloadType(bytes, offset, original.payloadType);
  setRtpSsrc(bytes, offset, original.ssrc);
  return header + payload - RTX_HEADER;
}
