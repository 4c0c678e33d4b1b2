import type { Leg } from './leg.ts';

/** A leg's peer has pressed a key; `count` of them so far. */
export type OnKey = (call: Call, leg: Leg, press: { readonly key: string; readonly count: number }) => void;

/** The far side of a leg's peer wants a key frame, and the peer may understand INFO only (RFC 5168). */
export type OnKeyFrameWish = (call: Call, leg: Leg) => void;

/** Two legs, or one with its own echo. */
export class Call {
  readonly id: string;
  readonly legs: Leg[];
  /** Far legs of other fork branches, which hear nothing and are not heard. */
  readonly forks: Leg[] = [];
  /** Encrypted from peer to peer, forwarded unread. */
  readonly opaque: boolean;
  readonly echo: boolean;
  /** An echo of which nothing comes back: somebody waits. */
  readonly silent: boolean;
  /** Monotonic, like all times here. */
  readonly createdMs: number;
  lastSignalMs: number;
  /** The leg whose offer stands; its answer may be repeated. */
  offerer: Leg;
  answered = false;
  /** When it ends by a delayed `delete`. */
  endsAtMs: number | undefined;
  /** What the client has blocked for all peers; blocks of one peer stand beside it. */
  blocksMedia = false;
  blocksDtmf = false;
  onKey: OnKey | undefined;
  onKeyFrameWish: OnKeyFrameWish | undefined;
  /** Why the path is not what was asked for, in words. */
  warning: string | undefined;

  constructor(id: string, legs: Leg[], options: { opaque: boolean; echo: boolean; silent: boolean; nowMs: number }) {
    this.id = id;
    this.legs = legs;
    this.opaque = options.opaque;
    this.echo = options.echo;
    this.silent = options.silent;
    this.createdMs = options.nowMs;
    this.lastSignalMs = options.nowMs;
    this.offerer = legs[0]!;
  }

  leg(tag: string): Leg | undefined {
    return this.everyLeg().find((leg) => leg.tag === tag);
  }

  /** Legs of fork branches too. */
  everyLeg(): readonly Leg[] {
    return this.forks.length === 0 ? this.legs : [...this.legs, ...this.forks];
  }

  /** The other leg; of an echo the same. */
  other(leg: Leg): Leg {
    return this.legs.find((l) => l !== leg) ?? leg;
  }

  /** The last packet of any leg, or -1. */
  lastPacketMs(): number {
    let last = -1;
    for (const leg of this.everyLeg()) for (const t of leg.transports()) last = Math.max(last, t.lastInMs);
    return last;
  }
}
