import { readU16, writeU16 } from './header.ts';

/*
 *       0 1 2 3 4 5 6 7
 *      +-+-+-+-+-+-+-+-+
 *      |X|R|N|S|R| PID |   S: a partition begins, PID: which
 *      +-+-+-+-+-+-+-+-+
 *   X: |I|L|T|K| RSV   |
 *   I: |M| PictureID   |   M: 15 bits of it, else 7
 *      |   PictureID   |
 *   L: |   TL0PICIDX   |
 * T/K: |TID|Y| KEYIDX  |   Y: depends on temporal layer 0 alone
 *      +-+-+-+-+-+-+-+-+   RFC 7741 4.2; behind it VP8's own head, whose first bit is 0 in a key frame (4.3)
 */

/** What stands in front of a VP8 payload. Offsets are those of the buffer, -1 = the field is not there. */
export interface Vp8Descriptor {
  /** The first packet of a frame. */
  isStart: boolean;
  /** The first packet of a key frame. */
  isKey: boolean;
  /** -1 = none. */
  pictureId: number;
  pictureIdAt: number;
  /** The picture ID has 15 bits, else 7. */
  isLong: boolean;
  /** TL0PICIDX, -1 = none. */
  tl0: number;
  tl0At: number;
  /** Temporal layer, 0 where none is named. */
  temporal: number;
  /** The frame depends on temporal layer 0 alone (Y). */
  isSync: boolean;
}

/** A record for `readVp8`, which is meant to be used again. */
export function vp8Descriptor(): Vp8Descriptor {
  return {
    isStart: false,
    isKey: false,
    pictureId: -1,
    pictureIdAt: -1,
    isLong: false,
    tl0: -1,
    tl0At: -1,
    temporal: 0,
    isSync: false,
  };
}

/** Reads the descriptor of the payload from `at` to `end`; false when that is empty or cut, and the record says nothing then. */
export function readVp8(bytes: Uint8Array, at: number, end: number, into: Vp8Descriptor): boolean {
  into.pictureId = -1;
  into.pictureIdAt = -1;
  into.isLong = false;
  into.tl0 = -1;
  into.tl0At = -1;
  into.temporal = 0;
  into.isSync = false;
  into.isStart = false;
  into.isKey = false;
  if (at >= end) return false;
  const first = bytes[at]!;
  let next = at + 1;
  if ((first & 0x80) !== 0) {
    if (next >= end) return false;
    next = readExtension(bytes, next, end, into);
  }
  if (next >= end) return false;
  into.isStart = (first & 0x17) === 0x10;
  into.isKey = into.isStart && (bytes[next]! & 1) === 0;
  return true;
}

/** What follows the extension byte at `at`: where it ends, or `end` when it is cut. */
function readExtension(bytes: Uint8Array, at: number, end: number, into: Vp8Descriptor): number {
  const fields = bytes[at]!;
  let next = at + 1;
  if ((fields & 0x80) !== 0) {
    const isLong = next < end && (bytes[next]! & 0x80) !== 0;
    if (next + (isLong ? 2 : 1) > end) return end;
    into.isLong = isLong;
    into.pictureIdAt = next;
    into.pictureId = isLong ? readU16(bytes, next) & 0x7fff : bytes[next]!;
    next += isLong ? 2 : 1;
  }
  if ((fields & 0x40) !== 0) {
    if (next >= end) return end;
    into.tl0At = next;
    into.tl0 = bytes[next++]!;
  }
  if ((fields & 0x30) !== 0) {
    if (next >= end) return end;
    if ((fields & 0x20) !== 0) {
      into.temporal = bytes[next]! >> 6;
      into.isSync = (bytes[next]! & 0x20) !== 0;
    }
    next++;
  }
  return next;
}

/** Writes another picture ID in the width that stands there; nothing without one. */
export function setVp8PictureId(bytes: Uint8Array, { pictureIdAt, isLong }: Vp8Descriptor, pictureId: number): void {
  if (pictureIdAt < 0) return;
  if (isLong) writeU16(bytes, pictureIdAt, 0x8000 | (pictureId & 0x7fff));
  else bytes[pictureIdAt] = pictureId & 0x7f;
}

/** Writes another TL0PICIDX; nothing without one. */
export function setVp8Tl0(bytes: Uint8Array, { tl0At }: Vp8Descriptor, tl0: number): void {
  if (tl0At >= 0) bytes[tl0At] = tl0;
}
