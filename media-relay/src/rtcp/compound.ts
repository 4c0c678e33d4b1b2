import {
  RtcpType,
  RtcpWriter,
  readSenderInfo,
  readU32,
  rtcpContentEnd,
  rtcpEnd,
  rtcpType,
  writeU32,
} from '@offhook/core';
import type { HopReports } from './hop-reports.ts';

const SENDER_INFO_END = 28;
const BLOCK_BYTES = 24;
/** A compound that gains report blocks grows to this at most: below every path's MTU, and with room behind it for SRTCP. */
const GROWN_BYTES = 1200;
const MAX_PACKET_BYTES = 1856;

const out = new Uint8Array(MAX_PACKET_BYTES);

/** Reads a well-formed compound that comes back to its sender (echo) and is left as it is. */
export function observeCompound(
  hop: HopReports,
  bytes: Uint8Array,
  offset: number,
  length: number,
  nowMs: number,
): void {
  for (let at = offset; at < offset + length; at = rtcpEnd(bytes, at)) {
    hop.handlePacket(bytes, at, nowMs);
    if (rtcpType(bytes, at) === RtcpType.senderReport) hop.forwarded(bytes, at, nowMs);
  }
}

/**
 * Ends the hop that a well-formed compound came by and begins the next: what is about this hop stays here (report blocks,
 * extended reports), the rest stands at the same place afterwards. Sender reports keep their times and counts and get
 * report blocks about what the far peer sends us. The length of what is to be sent on, 0 = nothing is left.
 *
 * @param far undefined when nothing can be sent there now; the compound is only read then.
 */
export function relayCompound(
  hop: HopReports,
  far: HopReports | undefined,
  { bytes, offset, length }: { readonly bytes: Uint8Array; readonly offset: number; readonly length: number },
  nowMs: number,
): number {
  let end = 0;
  let isWorthIt = false;
  let hasReported = false;
  for (let at = offset; at < offset + length; at = rtcpEnd(bytes, at)) {
    hop.handlePacket(bytes, at, nowMs);
    switch (rtcpType(bytes, at)) {
      case RtcpType.senderReport: {
        if (far === undefined || rtcpContentEnd(bytes, at) < at + SENDER_INFO_END) continue;
        const room = Math.floor((GROWN_BYTES - length) / BLOCK_BYTES);
        const blocks = hasReported || room <= 0 ? [] : far.report(Math.min(room, 31), nowMs);
        end += new RtcpWriter(out, end).senderReport(readSenderInfo(bytes, at)!, blocks).length;
        far.forwarded(bytes, at, nowMs);
        hasReported = true;
        isWorthIt = true;
        continue;
      }
      case RtcpType.receiverReport:
        // RFC 3550 6.1: a compound begins with a report, so an empty one stays in front of what follows.
        if (rtcpContentEnd(bytes, at) >= at + 8) end = emptyReport(readU32(bytes, at + 4), end);
        continue;
      case RtcpType.extendedReport:
        continue;
      case RtcpType.transportFeedback:
      case RtcpType.payloadFeedback:
        if (hop.feedback !== undefined && !hop.feedback.handleFeedback(bytes, at, nowMs)) continue;
        isWorthIt = true;
        break;
      case RtcpType.sdes:
        break;
      default:
        isWorthIt = true;
    }
    const next = rtcpEnd(bytes, at);
    out.set(bytes.subarray(at, next), end);
    end += next - at;
  }
  if (!isWorthIt || far === undefined) return 0;
  bytes.set(out.subarray(0, end), offset);
  return end;
}

function emptyReport(ssrc: number, to: number): number {
  writeU32(out, to, 0x80c90001);
  writeU32(out, to + 4, ssrc);
  return to + 8;
}
