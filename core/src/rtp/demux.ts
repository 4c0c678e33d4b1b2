/** What the first bytes of a packet on a shared port say it is (RFC 7983 7, RFC 5761 4). */
export const PacketKind = { unknown: 0, stun: 1, dtls: 2, rtp: 3, rtcp: 4, channelData: 5 } as const;
export type PacketKindValue = (typeof PacketKind)[keyof typeof PacketKind];

/**
 * Tells the packets of one port apart by their first byte (RFC 7983) and RTP from RTCP by the second (RFC 5761).
 * The caller still validates what it takes: `isStun`, `rtpHeaderLength`, `isRtcpCompound`.
 */
export function packetKind(bytes: Uint8Array, offset: number, length: number): PacketKindValue {
  if (length < 1) return PacketKind.unknown;
  const first = bytes[offset]!;
  if (first <= 3) return PacketKind.stun;
  if (first >= 20 && first <= 63) return PacketKind.dtls;
  if (first >= 64 && first <= 79) return PacketKind.channelData;
  if (first < 128 || first > 191 || length < 8) return PacketKind.unknown;
  return isRtcp(bytes, offset) ? PacketKind.rtcp : PacketKind.rtp;
}

/** Payload types 64–95, whatever the marker: RTCP packet types 192–223 look like them (RFC 5761 4). */
export function isRtcp(bytes: Uint8Array, offset: number): boolean {
  return (bytes[offset + 1]! & 0x60) === 0x40;
}
