import { text } from '../base/index.ts';
import { readU16, readU32 } from './header.ts';
import {
  isFeedback,
  isRemb,
  PayloadFeedback,
  RtcpType,
  rtcpContentEnd,
  rtcpCount,
  rtcpType,
  TransportFeedback,
} from './rtcp.ts';

/** The sender's part of an SR (RFC 3550 6.4.1). */
export interface SenderInfo {
  readonly ssrc: number;
  /** Seconds since 1900. */
  readonly ntpSeconds: number;
  /** 1/2³² seconds. */
  readonly ntpFraction: number;
  readonly rtpTimestamp: number;
  readonly packets: number;
  readonly octets: number;
}

/** One report block of an SR or RR. */
export interface ReportBlock {
  readonly ssrc: number;
  /** 0–255, in 1/256. */
  readonly fractionLost: number;
  /** Signed 24 bits. */
  readonly packetsLost: number;
  readonly highestSequence: number;
  /** In units of the RTP clock. */
  readonly jitter: number;
  /** Middle 32 bits of the last SR's NTP time, 0 = none. */
  readonly lastSr: number;
  /** 1/65536 seconds. */
  readonly delaySinceLastSr: number;
}

/** The sender info of the SR at `at`, or undefined. */
export function readSenderInfo(bytes: Uint8Array, at: number): SenderInfo | undefined {
  if (rtcpType(bytes, at) !== RtcpType.senderReport || rtcpContentEnd(bytes, at) < at + 28) return undefined;
  return {
    ssrc: readU32(bytes, at + 4),
    ntpSeconds: readU32(bytes, at + 8),
    ntpFraction: readU32(bytes, at + 12),
    rtpTimestamp: readU32(bytes, at + 16),
    packets: readU32(bytes, at + 20),
    octets: readU32(bytes, at + 24),
  };
}

/** The report blocks of the SR or RR at `at`; those cut off are left out. */
export function readReportBlocks(bytes: Uint8Array, at: number): ReportBlock[] {
  const type = rtcpType(bytes, at);
  if (type !== RtcpType.senderReport && type !== RtcpType.receiverReport) return [];
  const end = rtcpContentEnd(bytes, at);
  const blocks: ReportBlock[] = [];
  let block = at + (type === RtcpType.senderReport ? 28 : 8);
  for (let left = rtcpCount(bytes, at); left > 0 && block + 24 <= end; left--, block += 24) {
    blocks.push({
      ssrc: readU32(bytes, block),
      fractionLost: bytes[block + 4]!,
      packetsLost: (readU32(bytes, block + 4) << 8) >> 8,
      highestSequence: readU32(bytes, block + 8),
      jitter: readU32(bytes, block + 12),
      lastSr: readU32(bytes, block + 16),
      delaySinceLastSr: readU32(bytes, block + 20),
    });
  }
  return blocks;
}

/** The CNAME of the first chunk of the SDES at `at`, or undefined. */
export function readCname(bytes: Uint8Array, at: number): string | undefined {
  if (rtcpType(bytes, at) !== RtcpType.sdes) return undefined;
  const end = rtcpContentEnd(bytes, at);
  for (let item = at + 8; item + 2 <= end && bytes[item] !== 0; item += 2 + bytes[item + 1]!) {
    const dataEnd = item + 2 + bytes[item + 1]!;
    if (dataEnd > end) return undefined;
    if (bytes[item] === 1) return text(bytes.subarray(item + 2, dataEnd));
  }
  return undefined;
}

/** The sources that leave with the BYE at `at`. */
export function readBye(bytes: Uint8Array, at: number): number[] {
  const sources: number[] = [];
  if (rtcpType(bytes, at) !== RtcpType.bye) return sources;
  const end = Math.min(rtcpContentEnd(bytes, at), at + 4 + rtcpCount(bytes, at) * 4);
  for (let source = at + 4; source + 4 <= end; source += 4) sources.push(readU32(bytes, source));
  return sources;
}

/** The sequence numbers the NACK at `at` asks for (RFC 4585 6.2.1). */
export function readNack(bytes: Uint8Array, at: number): number[] {
  const wanted: number[] = [];
  if (!isFeedback(bytes, at, RtcpType.transportFeedback, TransportFeedback.nack)) return wanted;
  const end = rtcpContentEnd(bytes, at);
  for (let entry = at + 12; entry + 4 <= end; entry += 4) {
    const pid = readU16(bytes, entry);
    const bitmask = readU16(bytes, entry + 2);
    wanted.push(pid);
    for (let bit = 0; bit < 16; bit++) if (bitmask & (1 << bit)) wanted.push((pid + bit + 1) & 0xffff);
  }
  return wanted;
}

/** The sources the FIR at `at` asks for a key frame, with their command numbers (RFC 5104 4.3.1). */
export function readFir(bytes: Uint8Array, at: number): { readonly ssrc: number; readonly command: number }[] {
  const asked: { ssrc: number; command: number }[] = [];
  if (!isFeedback(bytes, at, RtcpType.payloadFeedback, PayloadFeedback.fir)) return asked;
  const end = rtcpContentEnd(bytes, at);
  for (let entry = at + 12; entry + 8 <= end; entry += 8) {
    asked.push({ ssrc: readU32(bytes, entry), command: bytes[entry + 4]! });
  }
  return asked;
}

/** The bit rate and sources of the REMB at `at`, or undefined. */
export function readRemb(
  bytes: Uint8Array,
  at: number,
): { readonly bitrateBps: number; readonly ssrcs: readonly number[] } | undefined {
  if (!isRemb(bytes, at)) return undefined;
  const end = rtcpContentEnd(bytes, at);
  const exponent = bytes[at + 17]! >> 2;
  const mantissa = ((bytes[at + 17]! & 3) << 16) | readU16(bytes, at + 18);
  const ssrcs: number[] = [];
  let source = at + 20;
  for (let left = bytes[at + 16]!; left > 0 && source + 4 <= end; left--, source += 4) {
    ssrcs.push(readU32(bytes, source));
  }
  return { bitrateBps: mantissa * 2 ** exponent, ssrcs };
}
