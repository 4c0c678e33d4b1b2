import type { SocketAddress } from '@offhook/core';
import type { PartConfig, TlsSettings } from '@offhook/core/node';
import type { RelayAddress } from './allocation/relay-address.ts';
import type { TurnLimits } from './limits.ts';
import type { PeerRules } from './peers/peer-rule.ts';

/** Where clients come; port 0 = any, a port in use is skipped (for all addresses alike where they ask for the same). */
export interface TurnListen {
  readonly udp: readonly SocketAddress[];
  readonly tcp: readonly SocketAddress[];
  readonly tls: readonly SocketAddress[];
}

/** What may be changed while the server runs: `reload` reads these anew from the configuration file. */
export interface TurnPolicy {
  /** Secrets of the time-limited credentials; several are good at once, so that one can be replaced. May be empty where there are long-term users. */
  readonly secrets: readonly string[];
  /** JSON file whose key `turn` holds further secrets, one or a list: read at the start and at each reload. */
  readonly secretsFile?: string;
  /** JSON file of the long-term users (`users-file.ts`); made when the first one is handed over the admin socket. */
  readonly usersFile?: string;
  readonly peers: PeerRules;
  readonly limits?: Partial<TurnLimits>;
  /** Time-limited credentials that have expired refresh nothing any more; default false: an allocation may be kept with them. */
  readonly strictExpiry?: boolean;
  /** Where clients are sent while this server drains (RFC 8489 10). */
  readonly alternateServer?: SocketAddress;
}

/** The configuration file of the TURN part. */
export interface TurnConfig extends PartConfig, TurnPolicy {
  readonly listen: TurnListen;
  /** The certificate of the TLS listeners; needed where there is one. */
  readonly tls?: TlsSettings;
  /** Addresses of the relay sockets, one per address family is enough, and their ports; 0 and 0 = any the system has free. */
  readonly relay: { readonly addresses: readonly RelayAddress[]; readonly portMin: number; readonly portMax: number };
  readonly realm: string;
  /** Threads that share every port; a client stays on one of them. Default 1. */
  readonly workers?: number;
  /** Makes nonces good on several servers and after a restart; default random. At least 16 characters. */
  readonly nonceSecret?: string;
  /** Offer SHA-256 (RFC 8489 9.2, PASSWORD-ALGORITHMS); default true. Without it, replies to strangers are 28 bytes shorter. */
  readonly sha256?: boolean;
  /** Answer NAT behaviour discovery (RFC 5780): `listen.udp` has to hold two addresses with the same two ports. Default false. */
  readonly natDiscovery?: boolean;
  /** Longest wait for further packets under load, microseconds; 0 = none. Default 500. */
  readonly gatherUs?: number;
  /** Fail where a port of `listen` is in use, instead of taking the next one that is free. Default false. */
  readonly fixedPorts?: boolean;
  /** How UDP is done; default `auto`: batched where the system can. */
  readonly implementation?: 'auto' | 'mmsg' | 'dgram';
  /** Serve `/metrics` and `/users` over HTTP here; without it they are had over the admin socket only. */
  readonly http?: SocketAddress;
}
