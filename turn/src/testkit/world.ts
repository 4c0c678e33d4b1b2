import type { SocketAddress } from '@offhook/core';
import type { TurnServer, TurnServerOptions } from '../server/turn-server.ts';

/** A datagram that a test socket received. */
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

/** A server and a network around it; the same cases run over virtual and over real ones. */
export interface World {
  readonly server: TurnServer;
  readonly listener: SocketAddress;
  /** Relay sockets that are open. */
  relays(): number;
  socket(): Promise<TestSocket>;
  /** Ends it and fails when anything is left over. */
  close(): Promise<void>;
}

export const REALM = 'turn.example.org'; // sixteen characters
export const SECRET = 's3cr3t';

export type WorldOptions = Partial<
  Pick<
    TurnServerOptions,
    'limits' | 'peers' | 'relay' | 'secrets' | 'users' | 'sha256' | 'natDiscovery' | 'alternateServer'
  >
>;
export type MakeWorld = (options?: WorldOptions) => Promise<World>;
