import { readU16, writeU16, writeU32 } from './header.ts';
import { isFeedback, RtcpType, rtcpContentEnd, TransportFeedback } from './rtcp.ts';

/*
 *  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 *  |            PID                |             BLP               |   RFC 4585 6.2.1: bit i of BLP is PID + i + 1
 *  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 */

/** Bytes of a NACK before its entries, and of one entry. */
const NACK_HEADER = 12;
const NACK_ENTRY = 4;

/**
 * Reads the sequence numbers that the NACK at `at` asks for into a caller's array, without allocating, and answers how many
 * there are; those beyond the array's length are left out. 0 when it is no NACK. The compound has to be checked before.
 */
export function readNackInto(bytes: Uint8Array, at: number, into: Uint16Array): number {
  if (!isFeedback(bytes, at, RtcpType.transportFeedback, TransportFeedback.nack)) return 0;
  const end = rtcpContentEnd(bytes, at);
  let count = 0;
  for (let entry = at + NACK_HEADER; entry + NACK_ENTRY <= end && count < into.length; entry += NACK_ENTRY) {
    const pid = readU16(bytes, entry);
    into[count++] = pid;
    for (let mask = readU16(bytes, entry + 2), next = pid + 1; mask !== 0 && count < into.length; mask >>= 1, next++) {
      if ((mask & 1) !== 0) into[count++] = next;
    }
  }
  return count;
}

/**
 * Writes a NACK for the first `count` numbers of an ascending list (RFC 1982 order) and answers its length in bytes, 0 for an
 * empty list or without room for one entry. Numbers for which there is no room are left out.
 */
export function writeNack(
  bytes: Uint8Array,
  at: number,
  nack: { readonly sender: number; readonly media: number; readonly sequences: Uint16Array; readonly count: number },
): number {
  const { sender, media, sequences } = nack;
  const count = Math.min(nack.count, sequences.length);
  let entry = at + NACK_HEADER;
  let i = 0;
  while (i < count && entry + NACK_ENTRY <= bytes.length) {
    const pid = sequences[i++]!;
    let mask = 0;
    for (; i < count; i++) {
      const ahead = (sequences[i]! - pid - 1) & 0xffff;
      if (ahead >= 16) break;
      mask |= 1 << ahead;
    }
    writeU16(bytes, entry, pid);
    writeU16(bytes, entry + 2, mask);
    entry += NACK_ENTRY;
  }
  if (entry === at + NACK_HEADER) return 0;
  bytes[at] = 0x80 | TransportFeedback.nack;
  bytes[at + 1] = RtcpType.transportFeedback;
  writeU16(bytes, at + 2, (entry - at) / 4 - 1);
  writeU32(bytes, at + 4, sender);
  writeU32(bytes, at + 8, media);
  return entry - at;
}
