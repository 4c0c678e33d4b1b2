/*
 *  +---------------+
 *  |F|NRI|  Type   |   RFC 6184 1.3, 5.7.1 (STAP-A: units behind their 16-bit sizes)
 *  +---------------+
 */
const SPS = 7;
const STAP_A = 24;

/** Whether an access unit from which decoding can begin starts in that payload: its parameter sets come first. */
export function beginsH264Key(bytes: Uint8Array, at: number, end: number): boolean {
  if (at >= end) return false;
  const type = bytes[at]! & 31;
  if (type === STAP_A) return at + 3 < end && (bytes[at + 3]! & 31) === SPS;
  return type === SPS;
}
