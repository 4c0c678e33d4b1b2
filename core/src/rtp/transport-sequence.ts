import { findRtpExtension, rtpExtensionData, rtpExtensionLength } from './extension.ts';
import { RTP_HEADER, readU16, writeU16 } from './header.ts';

/*
 *   0                   1                   2                   3
 *  |       0xBE    |    0xDE       |           length              |
 *  |  ID   | L=1   |transport-wide sequence number | zero padding  |   draft-holmer-rmcat-transport-wide-cc-extensions-01 2
 */

const ONE_BYTE = 0xbede;

/** The transport-wide sequence number, 0–65535, or -1 where the packet has none under that identifier. */
export function readTransportSequence(bytes: Uint8Array, offset: number, headerLength: number, id: number): number {
  const at = findRtpExtension(bytes, offset, headerLength, id);
  if (at < 0 || rtpExtensionLength(bytes, offset, at) < 2) return -1;
  return readU16(bytes, rtpExtensionData(bytes, offset, at));
}

/**
 * Sets the transport-wide sequence number of a packet, in place where it has one under that identifier. Else the header
 * grows to the front by four or eight bytes: the packet then begins at the offset that is answered. -1, and nothing
 * changed, without room in front, or where identifier or extension have no form for it (RFC 8285 4.2, 4.3).
 */
export function writeTransportSequence(
  bytes: Uint8Array,
  offset: number,
  headerLength: number,
  element: { readonly id: number; readonly sequence: number },
): number {
  const { id, sequence } = element;
  const at = findRtpExtension(bytes, offset, headerLength, id);
  if (at >= 0) {
    if (rtpExtensionLength(bytes, offset, at) < 2) return -1;
    writeU16(bytes, rtpExtensionData(bytes, offset, at), sequence);
    return offset;
  }
  const fixed = RTP_HEADER + (bytes[offset]! & 15) * 4;
  const hasExtension = (bytes[offset]! & 0x10) !== 0;
  const profile = hasExtension ? readU16(bytes, offset + fixed) : ONE_BYTE;
  const isOneByte = profile === ONE_BYTE;
  if (id < 1 || id > (isOneByte ? 14 : 255) || (!isOneByte && (profile & 0xfff0) !== 0x1000)) return -1;
  const words = hasExtension ? readU16(bytes, offset + fixed + 2) : 0;
  const start = offset - (hasExtension ? 4 : 8);
  if (start < 0 || words === 0xffff) return -1;
  bytes.copyWithin(start, offset, offset + fixed);
  bytes[start]! |= 0x10;
  writeU16(bytes, start + fixed, profile);
  writeU16(bytes, start + fixed + 2, words + 1);
  // First of the elements: behind an identifier 15 nothing is read.
  const data = start + fixed + 4;
  if (isOneByte) {
    bytes[data] = (id << 4) | 1;
    writeU16(bytes, data + 1, sequence);
    bytes[data + 3] = 0;
  } else {
    bytes[data] = id;
    bytes[data + 1] = 2;
    writeU16(bytes, data + 2, sequence);
  }
  return start;
}
