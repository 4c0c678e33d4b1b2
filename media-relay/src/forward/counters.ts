/** Why packets were dropped, plain counts; one record per leg's transport and one for the worker. */
export interface DropCounts {
  /** From an address that is not the leg's. */
  stranger: number;
  /** Neither STUN, DTLS, RTP nor RTCP, or malformed. */
  malformed: number;
  /** SRTP before there were keys. */
  unkeyed: number;
  /** SRTP with a wrong tag, replayed, or beyond the SSRC limit. */
  srtp: number;
  /** The other leg has no validated address yet, or takes no such media. */
  unready: number;
  /** No media section could be found for it. */
  unroutable: number;
  /** Its sender's address waits for five consistent packets. */
  probation: number;
  /** DTLS from an address that no ICE check has validated; without ICE from another source than the handshake's. */
  dtlsStranger: number;
  /** More than 50 packets to an address that was named by SDP only and never answered, RTP and RTCP each. */
  unconfirmed: number;
  /**
   * The first packet after a jump of a plain stream's sequence numbers, or of one more source than may have an SSRC of
   * their own as SRTP; the next one proves the new start.
   */
  restarted: number;
  /** It was delivered before, by a copy in RED or before it came as RTX, or is padding in RTX: nothing is wrong. */
  repeated: number;
  /** Of a simulcast layer that isn't forwarded now, or of none that is known: nothing is wrong. */
  layer: number;
  /** The client of the relay has blocked it. */
  blocked: number;
}

export function noDrops(): DropCounts {
  return {
    stranger: 0,
    malformed: 0,
    unkeyed: 0,
    srtp: 0,
    unready: 0,
    unroutable: 0,
    probation: 0,
    dtlsStranger: 0,
    unconfirmed: 0,
    restarted: 0,
    repeated: 0,
    layer: 0,
    blocked: 0,
  };
}
