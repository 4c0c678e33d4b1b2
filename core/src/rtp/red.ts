import { readU16, writeU16 } from './header.ts';

/*
 *   0                   1                    2                   3
 *   0 1 2 3 4 5 6 7 8 9 0 1 2 3  4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
 *  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 *  |1|   block PT  |  timestamp offset         |   block length    |   a copy of an earlier packet, any number of them
 *  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 *  |0|   block PT  |   the packet's own block: at its timestamp, up to the end                          RFC 2198 3
 *  +-+-+-+-+-+-+-+-+   then the data of all blocks in the same order
 */

/** Blocks of one packet, its own included; NetEQ takes as many. */
export const MAX_RED_BLOCKS = 32;
/** 10 bits of length. */
export const MAX_RED_BLOCK_BYTES = 1023;
/** 14 bits of timestamp offset, in units of the clock rate: 341 ms at 48 kHz. */
export const MAX_RED_OFFSET = 16383;
/** Bytes of a copy's header, and of the own block's. */
export const RED_HEADER = 4;
export const RED_LAST_HEADER = 1;

/** The blocks of one payload, as `readRed` found them. Make one and use it again. */
export class RedBlocks {
  /** Blocks found; the last one is the packet's own. */
  count = 0;
  readonly payloadType = new Uint8Array(MAX_RED_BLOCKS);
  /** How far before the packet's timestamp; 0 for its own. */
  readonly timestampOffset = new Uint16Array(MAX_RED_BLOCKS);
  /** Where the data begins in the bytes that were read. */
  readonly at = new Uint32Array(MAX_RED_BLOCKS);
  readonly length = new Uint16Array(MAX_RED_BLOCKS);
}

/**
 * Finds the blocks of a RED payload of `length` bytes at `at`, padding left out. False when a header or a block runs over the
 * end, or there are more than `MAX_RED_BLOCKS`; then `into` has no blocks. An empty block is allowed.
 */
export function readRed(bytes: Uint8Array, at: number, length: number, into: RedBlocks): boolean {
  into.count = 0;
  const end = at + length;
  let header = at;
  let count = 0;
  let data = 0;
  for (;;) {
    if (header >= end || count === MAX_RED_BLOCKS) return false;
    const first = bytes[header]!;
    into.payloadType[count] = first & 0x7f;
    if ((first & 0x80) === 0) break;
    if (header + RED_HEADER > end) return false;
    const low = readU16(bytes, header + 2);
    into.timestampOffset[count] = (bytes[header + 1]! << 6) | (low >> 10);
    into.length[count] = low & 0x3ff;
    data += low & 0x3ff;
    header += RED_HEADER;
    count++;
  }
  header += RED_LAST_HEADER;
  const own = end - header - data;
  if (own < 0 || own > 0xffff) return false;
  into.timestampOffset[count] = 0;
  into.length[count] = own;
  count++;
  for (let i = 0, start = header; i < count; i++) {
    into.at[i] = start;
    start += into.length[i]!;
  }
  into.count = count;
  return true;
}

/** Writes the header of a copy and answers where the next one goes; -1 when the offset or length has no room in it. */
export function writeRedHeader(
  bytes: Uint8Array,
  at: number,
  block: { readonly payloadType: number; readonly timestampOffset: number; readonly length: number },
): number {
  const { payloadType, timestampOffset, length } = block;
  if (timestampOffset < 0 || timestampOffset > MAX_RED_OFFSET || length < 0 || length > MAX_RED_BLOCK_BYTES) return -1;
  if (at + RED_HEADER > bytes.length) return -1;
  bytes[at] = 0x80 | payloadType;
  bytes[at + 1] = timestampOffset >> 6;
  writeU16(bytes, at + 2, ((timestampOffset & 0x3f) << 10) | length);
  return at + RED_HEADER;
}

/** Writes the header of the packet's own block, which ends the list, and answers where the data begins; -1 without room. */
export function writeRedLastHeader(bytes: Uint8Array, at: number, payloadType: number): number {
  if (at >= bytes.length) return -1;
  bytes[at] = payloadType & 0x7f;
  return at + RED_LAST_HEADER;
}
