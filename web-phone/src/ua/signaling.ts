import type { CallReport } from '../media/call-reports.ts';
import type { LocalMedia, PathState, PeerSession } from '../media/peer.ts';
import type { CallEnd } from './call-end.ts';
import type { LinkState, ProbeResult } from './link.ts';
import type { RenegotiationOutcome } from './renegotiation.ts';

/** The seam between the phone and whatever speaks SIP for it. */
export interface Signaling {
  start(): void;
  /** Ends calls, unregisters, closes. */
  stop(): Promise<void>;
  /** The network or the computer woke up: test or renew the connection now. */
  nudge(): void;
  /** Rings `uri`. Failures arrive as `ended` of the leg. */
  call(uri: string, media: LocalMedia): CallLeg;
  /** Sends a text (RFC 3428). Sent again with the same id it is the same message to the server. */
  message(text: OutgoingText): Promise<TextOutcome>;
  /** Says how one of its calls sounds (RFC 6035), also when it has just ended. Nothing waits for what comes of it. */
  report(leg: CallLeg, report: CallReport): void;
}

export interface SignalingEvents {
  link(state: LinkState): void;
  incoming(leg: CallLeg): void;
  text(text: IncomingText): void;
}

export interface OutgoingText {
  /** Becomes the Call-ID, and the From tag with it. */
  readonly id: string;
  readonly uri: string;
  readonly text: string;
}

export type TextOutcome =
  | { readonly kind: 'delivered' }
  /** Kept by the server until the other side is back. */
  | { readonly kind: 'stored' }
  /** It may have arrived nevertheless: never answered, or the server could not say. */
  | { readonly kind: 'unanswered'; readonly reason?: string }
  /** The connection went before the answer came. */
  | { readonly kind: 'connection-lost' }
  | { readonly kind: 'refused'; readonly status: number; readonly reason?: string };

export interface IncomingText {
  /** The same for each copy of one message. */
  readonly id: string;
  readonly from: Party;
  readonly text: string;
  /** When it was sent, as the server says; unix milliseconds. */
  readonly sentAtMs: number | undefined;
}

/** One call on the wire. */
export interface CallLeg {
  readonly remote: RemoteParty;
  /** Exists once media has been set up. */
  readonly peer: PeerSession | undefined;
  events: LegEvents | undefined;
  answer(media: LocalMedia): void;
  /** Cancels, rejects or hangs up, whichever the call's state asks for. */
  end(status?: 486 | 603): void;
  renegotiate(iceRestart: 'restart-ice' | 'keep-ice'): Promise<RenegotiationOutcome>;
}

/** Somebody else, as signalling names them. */
export interface Party {
  /** As a person would write it: without our own domain. */
  readonly user: string;
  readonly uri: string;
  readonly displayName: string | undefined;
}

export interface RemoteParty extends Party {
  /** The caller offers video. */
  readonly video: boolean;
}

export interface LegEvents {
  ringing(): void;
  earlyMedia(): void;
  answered(): void;
  ended(end: CallEnd): void;
  track(track: MediaStreamTrack): void;
  path(state: PathState): void;
  negotiated(): void;
}

export interface SignalingOptions {
  readonly user: string;
  readonly displayName: string;
  readonly domain: string;
  /** ws:// or wss:// address of `/sip` */
  readonly url: string;
  readonly session: () => string;
  /** Stable per tab, so that a reload replaces its own registration instead of adding one. */
  readonly identity: { readonly instanceId: string; readonly contact: string };
  readonly events: SignalingEvents;
  readonly probe: () => Promise<ProbeResult>;
  readonly onTrace: (direction: 'sent' | 'received' | 'note', text: string) => void;
  readonly createSocket: (url: string, protocols: string[]) => WebSocket;
  readonly createConnection: (configuration: RTCConfiguration) => RTCPeerConnection;
  readonly now: () => number;
  readonly random: () => number;
  readonly after: (ms: number, callback: () => void) => () => void;
}
