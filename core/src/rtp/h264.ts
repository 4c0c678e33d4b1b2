import { readU16 } from './header.ts';

/*
 *  +---------------+
 *  |F|NRI|  Type   |   RFC 6184 1.3, 5.7.1 (STAP-A: units behind their 16-bit sizes)
 *  +---------------+
 */
const SEI = 6;
const SPS = 7;
const DELIMITER = 9;
const STAP_A = 24;

/**
 * Whether an access unit from which decoding can begin starts in that payload: its parameter sets come first, but for what may
 * stand in front of them in one packet (H.264 7.4.1.2.3: the delimiter).
 */
export function beginsH264Key(bytes: Uint8Array, at: number, end: number): boolean {
  if (at >= end) return false;
  const type = bytes[at]! & 31;
  if (type !== STAP_A) return type === SPS;
  for (let unit = at + 1; unit + 2 < end; unit += 2 + readU16(bytes, unit)) {
    const within = bytes[unit + 2]! & 31;
    if (within === SPS) return true;
    if (within !== DELIMITER && within !== SEI) return false;
  }
  return false;
}
