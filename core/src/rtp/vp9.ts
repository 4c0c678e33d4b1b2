/*
 *       0 1 2 3 4 5 6 7
 *      +-+-+-+-+-+-+-+-+
 *      |I|P|L|F|B|E|V|Z|   P: predicted from other pictures, B: a frame begins
 *      +-+-+-+-+-+-+-+-+
 *   I: |M| PictureID   |   M: 15 bits of it, else 7
 *   M: |   PictureID   |
 *   L: | TID |U| SID |D|   SID: spatial layer
 *      +-+-+-+-+-+-+-+-+   RFC 9628 4.2
 */
const HAS_PICTURE_ID = 0x80;
const IS_PREDICTED = 0x40;
const HAS_LAYERS = 0x20;
const BEGINS = 0x08;

/** Whether a picture from which decoding can begin starts in that payload: its lowest spatial layer needs no other picture. */
export function beginsVp9Key(bytes: Uint8Array, at: number, end: number): boolean {
  if (at >= end) return false;
  const flags = bytes[at]!;
  if ((flags & (IS_PREDICTED | BEGINS)) !== BEGINS) return false;
  if ((flags & HAS_LAYERS) === 0) return true;
  const isLong = (flags & HAS_PICTURE_ID) !== 0 && at + 1 < end && (bytes[at + 1]! & 0x80) !== 0;
  const layers = at + 1 + ((flags & HAS_PICTURE_ID) === 0 ? 0 : isLong ? 2 : 1);
  return layers < end && ((bytes[layers]! >> 1) & 7) === 0;
}
