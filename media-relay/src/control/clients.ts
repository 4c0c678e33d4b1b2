import type { AddressInfo, Server } from 'node:net';
import { type ControlParts, NgConnection, type Wire } from './connection.ts';

/** How often connections are looked at. */
const SWEEP_MS = 5_000;

/** Rejects with the system's error when the port is in use; what fails later ends nothing. */
export function listening(server: Server, at: { address: string; port: number }): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen({ host: at.address, port: at.port }, () => {
      server.removeAllListeners('error');
      server.on('error', () => {}); // no descriptor for a new client: the others go on
      resolve();
    });
  });
}

export function portOf(server: Server): number {
  return (server.address() as AddressInfo).port;
}

/** The clients of one server over TCP or WebSocket, the oldest first: looked after, and bidden farewell at the end. */
export class NgClients<Socket> {
  readonly #transport: 'tcp' | 'ws';
  readonly #parts: ControlParts;
  readonly #open = new Map<Socket, NgConnection>();
  readonly #sweep: NodeJS.Timeout;
  #accepted = 0;

  constructor(transport: 'tcp' | 'ws', parts: ControlParts) {
    this.#transport = transport;
    this.#parts = parts;
    this.#sweep = setInterval(() => {
      for (const connection of this.#open.values()) connection.sweep(parts.context.monotonicMs());
    }, SWEEP_MS).unref();
  }

  get size(): number {
    return this.#open.size;
  }

  add(socket: Socket, wire: Wire): NgConnection {
    const connection = new NgConnection(`${this.#transport} ${++this.#accepted}`, wire, this.#parts);
    this.#open.set(socket, connection);
    return connection;
  }

  /** Its socket has closed. */
  remove(socket: Socket): void {
    this.#open.get(socket)?.closed();
    this.#open.delete(socket);
  }

  /** Whoever only connects, as a port scan or a web page can, keeps nobody out: the oldest such goes. */
  makeRoom(): boolean {
    for (const [socket, connection] of this.#open) {
      if (connection.hasAsked) continue;
      this.#parts.context.counters.idleConnections++;
      this.remove(socket);
      connection.cut();
      return true;
    }
    return false;
  }

  /** What has begun is answered, then every connection ends. */
  async close(): Promise<void> {
    clearInterval(this.#sweep);
    await this.#parts.dispatcher.settled();
    for (const connection of this.#open.values()) connection.bidFarewell();
  }
}
