/** What `offer`, `answer` and `echo` ask for, already validated. */
export interface DescribeRequest {
  readonly callId: string;
  readonly fromTag: string;
  readonly toTag: string | undefined;
  readonly sdp: string;
  /** The far side's m= protocol; undefined = the offer's own. */
  readonly protocol: string | undefined;
  readonly ice: 'force' | 'remove' | undefined;
  /** DTLS off towards the far side although its protocol would have it. */
  readonly dtlsOff: boolean;
  /** SDES off towards the far side: a secure protocol then means DTLS. */
  readonly sdesOff: boolean;
  readonly rtcpMux: readonly string[];
  readonly replaceOrigin: boolean;
  readonly receivedFrom: string | undefined;
  readonly trustAddress: boolean;
  readonly opaque: boolean;
  /** The offering peer is reached through another call's leg, which `connect` will bring: nothing is sent to it from here. */
  readonly standIn: boolean;
  /** `echo`: nothing is to come back. */
  readonly silent: boolean;
}

/** An SDP, or why there is none. */
export type DescribeResult = { readonly sdp: string; readonly warning?: string } | { readonly error: string };
