import {
  RtcpType,
  readBye,
  readU32,
  rewriteRtcpSsrc,
  rtcpContentEnd,
  rtcpCount,
  rtcpEnd,
  rtcpType,
  writeU16,
  writeU32,
} from '@offhook/core';
import type { Simulcast } from './simulcast.ts';

const SENDER_INFO_BYTES = 20;
const BLOCK_BYTES = 24;

/** Reads the clocks of the layers from a well-formed compound of their sender (RFC 3550 6.4.1). */
export function readLayerReports(simulcast: Simulcast, bytes: Uint8Array, offset: number, length: number): void {
  for (let at = offset; at < offset + length; at = rtcpEnd(bytes, at)) {
    if (rtcpType(bytes, at) !== RtcpType.senderReport || rtcpContentEnd(bytes, at) < at + 28) continue;
    const ntpMs = readU32(bytes, at + 8) * 1000 + (readU32(bytes, at + 12) / 2 ** 32) * 1000;
    simulcast.layerOf(readU32(bytes, at + 4))?.handleReport(ntpMs, readU32(bytes, at + 16));
  }
}

/**
 * What of a compound that is on its way from the sender is about the one stream, in place: its length, 0 = nothing. The report of
 * the layer that is forwarded gets that stream's clock and counts (RFC 3550 7.2); of the others' the report blocks are left, and
 * that one of them ends is nothing to tell.
 */
export function followLayerReports(simulcast: Simulcast, bytes: Uint8Array, offset: number, length: number): number {
  let to = offset;
  let isWorthIt = false;
  for (let at = offset; at < offset + length; ) {
    const next = rtcpEnd(bytes, at);
    let kept = next - at;
    switch (rtcpType(bytes, at)) {
      case RtcpType.senderReport: {
        const layer = rtcpContentEnd(bytes, at) < at + 28 ? undefined : simulcast.layerOf(readU32(bytes, at + 4));
        if (layer !== undefined && !simulcast.isCurrent(layer)) kept = asReceiverReport(bytes, at);
        else if (layer !== undefined) tellOf(simulcast, bytes, at);
        isWorthIt ||= layer === undefined || simulcast.isCurrent(layer) || rtcpCount(bytes, at) > 0;
        break;
      }
      case RtcpType.receiverReport:
        isWorthIt ||= rtcpCount(bytes, at) > 0;
        break;
      case RtcpType.sdes:
        break;
      case RtcpType.bye:
        if (readBye(bytes, at).some((ssrc) => simulcast.layerOf(ssrc) !== undefined)) kept = 0;
        isWorthIt ||= kept > 0;
        break;
      default:
        isWorthIt = true;
    }
    if (to !== at) bytes.copyWithin(to, at, at + kept);
    to += kept;
    at = next;
  }
  if (!isWorthIt) return 0;
  rewriteRtcpSsrc(bytes, offset, to - offset, simulcast.outward);
  return to - offset;
}

function tellOf({ forwarded }: Simulcast, bytes: Uint8Array, at: number): void {
  writeU32(bytes, at + 16, (readU32(bytes, at + 16) + forwarded.timestampShift) >>> 0);
  writeU32(bytes, at + 20, forwarded.packets >>> 0);
  writeU32(bytes, at + 24, forwarded.octets >>> 0);
}

/** A sender report without its sender's part, padding and extensions: its length now. */
function asReceiverReport(bytes: Uint8Array, at: number): number {
  const blocks = at + 8 + SENDER_INFO_BYTES;
  const count = Math.min(rtcpCount(bytes, at), Math.floor((rtcpContentEnd(bytes, at) - blocks) / BLOCK_BYTES));
  const length = 8 + count * BLOCK_BYTES;
  bytes.copyWithin(at + 8, blocks, blocks + length - 8);
  bytes[at] = 0x80 | count;
  bytes[at + 1] = RtcpType.receiverReport;
  writeU16(bytes, at + 2, length / 4 - 1);
  return length;
}
