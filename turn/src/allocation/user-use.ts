import { Meter } from './meter.ts';
import type { Buckets } from './shared.ts';

/** What a user has and sends, on one thread. */
export class UserUse {
  /** What follows the time in a user name. */
  readonly user: string;
  /** Where the user is counted for quotas. */
  readonly buckets: Buckets;
  /** Relayed addresses now. */
  relays = 0;
  /** Signed requests. */
  readonly requests = new Meter();
  readonly toPeers = new Meter();
  readonly toClient = new Meter();

  constructor(user: string, buckets: Buckets) {
    this.user = user;
    this.buckets = buckets;
  }
}

/** Of one user, for people and for metrics. */
export interface UserFigures {
  readonly user: string;
  readonly allocations: number;
  readonly packetsToPeers: number;
  readonly bytesToPeers: number;
  readonly packetsToClient: number;
  readonly bytesToClient: number;
}

export function figuresOf({ user, relays, toPeers, toClient }: UserUse): UserFigures {
  return {
    user,
    allocations: relays,
    packetsToPeers: toPeers.packets,
    bytesToPeers: toPeers.bytes,
    packetsToClient: toClient.packets,
    bytesToClient: toClient.bytes,
  };
}
