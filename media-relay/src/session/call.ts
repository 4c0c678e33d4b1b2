import type { Leg } from './leg.ts';

/** Two legs, or one with its own echo. */
export class Call {
  readonly id: string;
  readonly legs: Leg[];
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
    return this.legs.find((leg) => leg.tag === tag);
  }

  /** The other leg; of an echo the same. */
  other(leg: Leg): Leg {
    return this.legs.find((l) => l !== leg) ?? leg;
  }

  /** The last packet of any leg, or -1. */
  lastPacketMs(): number {
    let last = -1;
    for (const leg of this.legs) for (const t of leg.transports()) last = Math.max(last, t.lastInMs);
    return last;
  }
}
