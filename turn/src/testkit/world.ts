import type { SocketAddress } from '@offhook/core';
import type { TurnServerOptions } from '../server/options.ts';
import type { TurnServer } from '../server/turn-server.ts';

/** A datagram that a test socket received, or a message cut out of a stream. */
export interface Received {
  readonly bytes: Uint8Array;
  readonly from: SocketAddress;
}

/** A client's or peer's socket in a world. */
export interface TestSocket {
  readonly local: SocketAddress;
  send(bytes: Uint8Array, to: SocketAddress): void;
  /** The next datagram, or undefined when none comes. */
  receive(): Promise<Received | undefined>;
  close(): void;
}

/** A server that can be looked into. */
export interface Inside {
  readonly server: TurnServer;
  /** Relay sockets that are open. */
  relays(): number;
}

/** A server and a network around it; the same cases run over virtual and over real ones, and against other servers. */
export interface World {
  readonly listener: SocketAddress;
  /** Undefined: a server of which only the answers are seen. */
  readonly inside: Inside | undefined;
  /** IPv6 allocations can be had, and `peer(6)`. */
  readonly hasIPv6: boolean;
  /** A client's socket, over the world's transport. */
  client(): Promise<TestSocket>;
  /** A UDP socket that the rules let clients reach. */
  peer(family?: 4 | 6): Promise<TestSocket>;
  /** Ends it and fails when anything is left over. */
  close(): Promise<void>;
}

export const REALM = 'turn.example.org'; // sixteen characters
export const SECRET = 's3cr3t';

/** What a case may ask of every world. */
export interface ContractOptions {
  readonly limits?: TurnServerOptions['limits'];
  /** No relayed addresses of IPv6. */
  readonly isIPv4Only?: boolean;
}
export type MakeWorld = (options: ContractOptions) => Promise<World>;

export type WorldOptions = Partial<
  Pick<
    TurnServerOptions,
    | 'limits'
    | 'peers'
    | 'relay'
    | 'secrets'
    | 'users'
    | 'sha256'
    | 'natDiscovery'
    | 'alternateServer'
    | 'isDontFragment'
  >
> &
  Pick<ContractOptions, 'isIPv4Only'>;
