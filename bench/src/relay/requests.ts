/** One direction of one call: what its packets are sent to, and what they need there. */
export interface FlowTarget {
  /** The relay's port. */
  readonly port: number;
  /** AES_CM_128_HMAC_SHA1_80 key and salt, base64, when the relay expects SRTP. */
  readonly key?: string;
  /** Credentials of a connectivity check that has to be answered first: the relay's, and one's own username fragment. */
  readonly ice?: { readonly ufrag: string; readonly pwd: string; readonly own: string };
}

/** The calls that loads go through from now on, two flows each: what the client sends, what the peer sends. */
export interface CallsRequest {
  readonly kind: 'calls';
  readonly flows: readonly FlowTarget[];
  /** Bytes of the tag on what reaches peers. */
  readonly peerTail: number;
}
