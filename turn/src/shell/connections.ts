import type { Socket } from 'node:net';
import { isLoopback, networkOf, type SocketAddress } from '@offhook/core';
import { UdpEndpoint } from '@offhook/core/node';
import { LookupKey } from '../allocation/lookup-key.ts';
import type { TurnLimits } from '../limits.ts';
import { StreamFramer } from './stream-framer.ts';

/** Above this many bytes not yet taken by a slow client, further packets are dropped, as a full link would. */
const MAX_WAITING = 256 * 1024;
/** TLS handshakes at a time, some 40 KiB each; the oldest gives way, as one that is meant takes a fraction of a second. */
const MAX_HANDSHAKES = 256;
/** How often connections without an allocation are looked for. */
const SWEEP_MS = 1000;

/** A client over TCP or TLS. */
export interface Connection {
  /** Its number; used again when it is gone. */
  readonly id: number;
  /** Index among all listeners of the server. */
  readonly listener: number;
  readonly client: UdpEndpoint;
  readonly socket: Socket;
  readonly openedAtMs: number;
}

/** What connections tell. */
export interface ConnectionEvents {
  /** A message came: `key` is its source as a batch of one packet. Valid during the call. */
  message(connection: Connection, batch: LookupKey, nowMs: number): void;
  /** All messages of a chunk were told. */
  settled(): void;
  closed(connection: Connection): void;
  /** Whether it holds an allocation. */
  isUsed(connection: Connection): boolean;
}

/** The open connections of TCP and TLS clients: their limits, their framing, and what waits to be sent. */
export class Connections {
  refused = 0;
  dropped = 0;
  oversize = 0;
  /** Set before the first connection is let in. */
  events: ConnectionEvents | undefined;
  limits: TurnLimits;
  readonly #nowMs: () => number;
  readonly #open: (Connection | undefined)[] = [];
  readonly #free: number[] = [];
  readonly #perNetwork = new Map<string, number>();
  readonly #corked = new Set<Socket>();
  /** Connections in their TLS handshake, oldest first, by the client's address and port. */
  readonly #handshakes = new Map<string, Socket>();
  readonly #batch = new LookupKey();
  readonly #sweep: NodeJS.Timeout;
  #size = 0;

  constructor(limits: TurnLimits, nowMs: () => number) {
    this.limits = limits;
    this.#nowMs = nowMs;
    this.#sweep = setInterval(() => this.#closeIdle(), SWEEP_MS).unref();
  }

  /** Connections, those in their TLS handshake included. */
  get size(): number {
    return this.#size;
  }

  /**
   * Counts a new TCP connection, until it is closed; false when one more may not come from there. For TLS before the
   * handshake, which costs more than all that follows.
   */
  admit(socket: Socket): boolean {
    const at = remoteOf(socket);
    const { limits } = this;
    const network = at && networkOf(at.address);
    const held = network === undefined ? 0 : (this.#perNetwork.get(network) ?? 0);
    const isTooMany = at !== undefined && !isLoopback(at.address) && held >= limits.connectionsPerSource;
    if (network === undefined || isTooMany || this.#size >= limits.connections) {
      this.refused++;
      return false;
    }
    this.#size++;
    this.#perNetwork.set(network, held + 1);
    socket.once('close', () => {
      this.#size--;
      const left = this.#perNetwork.get(network)! - 1;
      if (left > 0) this.#perNetwork.set(network, left);
      else this.#perNetwork.delete(network);
    });
    return true;
  }

  /** A connection that was admitted begins its TLS handshake. */
  shakeHands(socket: Socket): void {
    const at = placeOf(socket);
    this.#handshakes.set(at, socket);
    socket.once('close', () => {
      if (this.#handshakes.get(at) === socket) this.#handshakes.delete(at);
    });
    if (this.#handshakes.size <= MAX_HANDSHAKES) return;
    for (const oldest of this.#handshakes.values()) {
      this.refused++;
      oldest.destroy();
      break;
    }
  }

  /** Takes a connection over: reads from it, and forgets it when it ends. */
  add(socket: Socket, listener: number): void {
    this.#handshakes.delete(placeOf(socket));
    const at = remoteOf(socket);
    const client = at && UdpEndpoint.from(at);
    if (!at || !client) {
      socket.destroy();
      return;
    }
    const id = this.#free.pop() ?? this.#open.length;
    const connection: Connection = { id, listener, client, socket, openedAtMs: this.#nowMs() };
    this.#open[id] = connection;
    const batch = this.#batch;
    const framer = new StreamFramer({
      message: (bytes, offset, length) => {
        batch.fill(client, bytes, offset, length);
        this.events?.message(connection, batch, this.#nowMs());
      },
      oversize: () => {
        this.oversize++;
      },
    });
    socket.setNoDelay(true);
    socket.setKeepAlive(true, 60_000);
    socket.on('data', (chunk: Buffer) => {
      if (!framer.handle(chunk)) socket.destroy();
      this.events?.settled();
    });
    socket.on('error', () => socket.destroy());
    socket.on('close', () => this.#remove(connection));
    socket.on('end', () => socket.end());
  }

  /** Sends a copy of these bytes, or drops them when the client is too slow to take them. */
  send(id: number, bytes: Uint8Array): void {
    const socket = this.#open[id]?.socket;
    if (!socket?.writable || socket.writableLength > MAX_WAITING) {
      this.dropped++;
      return;
    }
    if (!this.#corked.has(socket)) {
      if (this.#corked.size === 0) queueMicrotask(() => this.flush());
      this.#corked.add(socket);
      socket.cork();
    }
    socket.write(Buffer.from(bytes));
  }

  /** Hands what was sent since the last time to the system, one call per connection. */
  flush(): void {
    for (const socket of this.#corked) socket.uncork();
    this.#corked.clear();
  }

  close(): void {
    clearInterval(this.#sweep);
    this.flush();
    for (const connection of this.#open) connection?.socket.destroy();
  }

  #remove(connection: Connection): void {
    if (this.#open[connection.id] !== connection) return;
    this.#open[connection.id] = undefined;
    this.#free.push(connection.id);
    this.events?.closed(connection);
  }

  #closeIdle(): void {
    const before = this.#nowMs() - this.limits.connectionIdleS * 1000;
    for (const connection of this.#open) {
      if (connection && connection.openedAtMs < before && !this.events?.isUsed(connection)) connection.socket.destroy();
    }
  }
}

function placeOf({ remoteAddress, remotePort }: Socket): string {
  return `${remoteAddress} ${remotePort}`;
}

/** IPv4 clients of an IPv6 listener come by mapped addresses; they are IPv4. */
function remoteOf({ remoteAddress, remotePort }: Socket): SocketAddress | undefined {
  if (remoteAddress === undefined || remotePort === undefined) return undefined;
  const address = remoteAddress.replace(/^::ffff:(?=\d+\.)/i, '').replace(/%.*$/, '');
  return { address, port: remotePort };
}
