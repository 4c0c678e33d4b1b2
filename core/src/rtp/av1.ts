/*
 *  +-+-+-+-+-+-+-+-+
 *  |Z|Y| W |N|-|-|-|   RTP Payload Format For AV1 (v1.0) 4.4
 *  +-+-+-+-+-+-+-+-+
 */
const NEW_SEQUENCE = 0x08;

/** Whether a coded video sequence starts in that payload, from which decoding can begin (N). */
export function beginsAv1Key(bytes: Uint8Array, at: number, end: number): boolean {
  return at < end && (bytes[at]! & NEW_SEQUENCE) !== 0;
}
