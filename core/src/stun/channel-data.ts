/*
 *   0                   1                   2                   3
 *  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 *  |     channel 0x4000–0x7FFF     |            length             |
 *  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 *  |  application data, over UDP padding is optional (RFC 8656 12.4)
 */

export const CHANNEL_HEADER = 4;
export const CHANNEL_MIN = 0x4000;
/** RFC 8656 12 gives clients 0x4000–0x4FFF; those of RFC 5766, coturn's tools among them, choose up to 0x7FFF. */
export const CHANNEL_MAX = 0x7fff;

/** Whether the first two bits, 01, say ChannelData (RFC 5766 11; RFC 8656 12 narrows it for clients). */
export function isChannelData(bytes: Uint8Array, offset: number, length: number): boolean {
  return length >= CHANNEL_HEADER && (bytes[offset]! & 0xc0) === 0x40;
}

/** The channel number. */
export function channelNumber(bytes: Uint8Array, offset: number): number {
  return (bytes[offset]! << 8) | bytes[offset + 1]!;
}

/** The length of the application data, or -1 when it would run over the end of the datagram (RFC 8656 12.6). */
export function channelDataLength(bytes: Uint8Array, offset: number, length: number): number {
  const data = (bytes[offset + 2]! << 8) | bytes[offset + 3]!;
  return data > length - CHANNEL_HEADER ? -1 : data;
}

/** Writes the four bytes in front of the data. */
export function writeChannelHeader(bytes: Uint8Array, offset: number, channel: number, dataLength: number): void {
  bytes[offset] = channel >>> 8;
  bytes[offset + 1] = channel;
  bytes[offset + 2] = dataLength >>> 8;
  bytes[offset + 3] = dataLength;
}
