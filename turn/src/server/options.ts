import type { Crypto, SocketAddress } from '@offhook/core';
import type { RelayPorts } from '../allocation/allocation-table.ts';
import type { SharedMemory } from '../allocation/shared.ts';
import type { LongTermUser } from '../auth/long-term-users.ts';
import type { TurnLimits } from '../limits.ts';
import type { PeerRules } from '../peers/peer-policy.ts';

/** What may be changed while the server runs. */
export interface TurnRules {
  /** Secrets of the time-limited credentials, all good at once. */
  readonly secrets: readonly string[];
  readonly users: readonly LongTermUser[];
  /** The peers that may be reached, besides our own relayed addresses. */
  readonly peers: PeerRules;
  readonly limits?: Partial<TurnLimits> | undefined;
  /** Time-limited credentials that have expired refresh nothing any more. */
  readonly strictExpiry?: boolean | undefined;
  /** Where new clients are sent while draining. */
  readonly alternateServer?: SocketAddress | undefined;
  /** Other addresses of this machine: not to be reached unless a rule names them. */
  readonly hostAddresses?: readonly string[] | undefined;
}

export interface TurnServerOptions extends TurnRules {
  /** The addresses listened on, those over UDP first; a packet names its listener by the index. */
  readonly listeners: readonly SocketAddress[];
  /** How many of them are over UDP; default all. */
  readonly udpListeners?: number;
  /** Addresses of the relay sockets and their ports; portMin 0 = the system chooses. */
  readonly relay: RelayPorts;
  readonly realm: string;
  readonly sha256?: boolean | undefined;
  readonly natDiscovery?: boolean | undefined;
  /** Relay sockets set the DF bit. */
  readonly isDontFragment: boolean;
  /** 32 bytes, the same on all threads: makes nonces. */
  readonly nonceKey: Uint8Array;
  readonly memory: SharedMemory;
  /** This thread's number. */
  readonly worker: number;
  readonly crypto: Crypto;
  /** The wall clock, Unix milliseconds, only for nonces and the expiry of credentials. */
  readonly wallMs: () => number;
}
