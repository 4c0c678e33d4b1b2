import type { CodecChange } from './codecs.ts';
import type { SdesPolicy } from './sdes.ts';

/** Parts of the SDP's head that can be ours alone. */
export type ReplacedPart = 'username' | 'session-name' | 'SDP-version' | 'force-increment-sdp-ver';

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
  /**
   * Where the offering peer can be reached is still to be said, by the leg that `connect` will bring or by its answer to another
   * offer: nothing is sent to it from here, and its ICE credentials and certificate don't count.
   */
  readonly standIn: boolean;
  /** The fork branch that is offered to, or that answers (the client's own name for it). */
  readonly branch?: string | undefined;
  /** What the client calls the peer that the SDP is from. */
  readonly label?: string | undefined;
  /** Names of the interfaces towards the SDP's sender and towards its receiver. */
  readonly interfaces?: readonly [near: string | undefined, far: string | undefined] | undefined;
  /** Of our address in the answer. */
  readonly addressFamily?: 4 | 6 | undefined;
  /** Written into the answer in place of our own address. */
  readonly mediaAddress?: string | undefined;
  /** Our side of the handshake with the receiver, and with the sender, where it may be chosen. */
  readonly dtlsRole?: 'active' | 'passive' | undefined;
  readonly dtlsReverse?: 'active' | 'passive' | undefined;
  readonly sdes?: SdesPolicy | undefined;
  /** What else of the SDP's head is ours; the whole o= line is with `replaceOrigin`. */
  readonly replace?: ReadonlySet<ReplacedPart> | undefined;
  readonly codecs?: CodecChange | undefined;
  /** Written as a=ptime of audio. */
  readonly ptimeMs?: number | undefined;
  /** `echo`: nothing is to come back. */
  readonly silent: boolean;
}

/** An SDP and what of it isn't as asked for, or why there is none. */
export type DescribeResult =
  | { readonly sdp: string; readonly warnings?: readonly Warning[] }
  | { readonly error: string };

/** What warnings are about; counted so. */
export const WARNING_KINDS = [
  'direction',
  'opaque',
  'answer',
  'record-call',
  'inject-DTMF',
  'always-transcode',
  'ptime',
  'sdp-attr',
  'DTMF-security',
  'audio-player',
  'delay-buffer',
  'xmlrpc-callback',
] as const;
export type WarningKind = (typeof WARNING_KINDS)[number];

/** Something that was asked for and isn't done, in words. */
export interface Warning {
  readonly about: WarningKind;
  readonly words: string;
}
