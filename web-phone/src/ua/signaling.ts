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
}

export interface SignalingEvents {
  link(state: LinkState): void;
  incoming(leg: CallLeg): void;
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

export interface RemoteParty {
  readonly user: string;
  readonly uri: string;
  readonly displayName: string | undefined;
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
