import { readU32, writeU16, writeU32 } from './header.ts';
import { isFeedback, RtcpType, rtcpContentEnd, TransportFeedback } from './rtcp.ts';

/*
 *  |                              SSRC                             |
 *  | MxTBR Exp |  MxTBR Mantissa (17)            |Measured Overhead|   RFC 5104 4.2.1.1, 4.2.2.1
 */

/** One entry of a TMMBR or TMMBN. */
export interface Tmmb {
  /** TMMBR: the media sender that is to keep to it. TMMBN: who asked for it. */
  readonly ssrc: number;
  readonly bitrateBps: number;
  /** Bytes of each packet below RTP, 0–511. */
  readonly overheadBytes: number;
}

/** Entries of one packet that are read. */
const ENTRIES = 32;

/** The entries of the TMMBR at `at`, none where it is another packet. */
export function readTmmbr(bytes: Uint8Array, at: number): Tmmb[] {
  return readEntries(bytes, at, TransportFeedback.tmmbr);
}

/** The bounding set that the TMMBN at `at` tells, or undefined where it is another packet; an empty set is no limit. */
export function readTmmbn(bytes: Uint8Array, at: number): Tmmb[] | undefined {
  if (!isFeedback(bytes, at, RtcpType.transportFeedback, TransportFeedback.tmmbn)) return undefined;
  return readEntries(bytes, at, TransportFeedback.tmmbn);
}

function readEntries(bytes: Uint8Array, at: number, format: number): Tmmb[] {
  const entries: Tmmb[] = [];
  if (!isFeedback(bytes, at, RtcpType.transportFeedback, format)) return entries;
  const end = rtcpContentEnd(bytes, at);
  for (let entry = at + 12; entry + 8 <= end && entries.length < ENTRIES; entry += 8) {
    const word = readU32(bytes, entry + 4);
    entries.push({
      ssrc: readU32(bytes, entry),
      bitrateBps: ((word >>> 9) & 0x1ffff) * 2 ** (word >>> 26),
      overheadBytes: word & 0x1ff,
    });
  }
  return entries;
}

/** Appends a temporary maximum media bit rate request; answers its length, 0 without room. Rates are rounded down. */
export function writeTmmbr(bytes: Uint8Array, offset: number, sender: number, entries: readonly Tmmb[]): number {
  return writeEntries(bytes, offset, { format: TransportFeedback.tmmbr, sender, entries });
}

/** The same for its notification, which tells whoever asked what holds now. */
export function writeTmmbn(bytes: Uint8Array, offset: number, sender: number, entries: readonly Tmmb[]): number {
  return writeEntries(bytes, offset, { format: TransportFeedback.tmmbn, sender, entries });
}

function writeEntries(
  bytes: Uint8Array,
  offset: number,
  packet: { readonly format: number; readonly sender: number; readonly entries: readonly Tmmb[] },
): number {
  const entries = packet.entries.slice(0, ENTRIES);
  const length = 12 + entries.length * 8;
  if (offset + length > bytes.length) return 0;
  bytes[offset] = 0x80 | packet.format;
  bytes[offset + 1] = RtcpType.transportFeedback;
  writeU16(bytes, offset + 2, length / 4 - 1);
  writeU32(bytes, offset + 4, packet.sender);
  writeU32(bytes, offset + 8, 0);
  let at = offset + 12;
  for (const { ssrc, bitrateBps, overheadBytes } of entries) {
    let mantissa = Math.max(0, Math.floor(bitrateBps));
    let exponent = 0;
    while (mantissa > 0x1ffff && exponent < 63) {
      mantissa = Math.floor(mantissa / 2);
      exponent++;
    }
    const overhead = Math.min(0x1ff, Math.max(0, overheadBytes));
    writeU32(bytes, at, ssrc);
    writeU32(bytes, at + 4, exponent * 2 ** 26 + (Math.min(mantissa, 0x1ffff) << 9) + overhead);
    at += 8;
  }
  return length;
}
