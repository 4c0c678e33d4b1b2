import { createServer, type Server, type Socket } from 'node:net';
import { NgStreamReader } from '@offhook/core';
import type { ControlContext } from './commands.ts';
import { FAREWELL_MS, MAX_CONNECTIONS, NgConnection, SWEEP_MS } from './connection.ts';
import type { NgDispatcher } from './dispatcher.ts';

const KEEP_ALIVE_MS = 30_000;

/** The NG control protocol over TCP, framed as rtpengine's `listen-tcp-ng`. */
export class NgTcpServer {
  readonly #server: Server;
  readonly #context: ControlContext;
  readonly #dispatcher: NgDispatcher;
  readonly #open = new Map<Socket, NgConnection>();
  readonly #sweep: NodeJS.Timeout;
  #accepted = 0;

  private constructor(server: Server, context: ControlContext, dispatcher: NgDispatcher) {
    this.#server = server;
    this.#context = context;
    this.#dispatcher = dispatcher;
    server.on('connection', (socket) => this.#accept(socket));
    this.#sweep = setInterval(() => {
      for (const connection of this.#open.values()) connection.sweep(context.monotonicMs());
    }, SWEEP_MS).unref();
  }

  /** Rejects with the system's error when the port is in use. */
  static listen(
    at: { address: string; port: number },
    context: ControlContext,
    dispatcher: NgDispatcher,
  ): Promise<NgTcpServer> {
    const server = createServer({ keepAlive: true, keepAliveInitialDelay: KEEP_ALIVE_MS, noDelay: true });
    return new Promise((resolve, reject) => {
      server.once('error', reject);
      server.listen({ host: at.address, port: at.port }, () => {
        server.removeAllListeners('error');
        server.on('error', () => {}); // no descriptor for a new client: the others go on
        resolve(new NgTcpServer(server, context, dispatcher));
      });
    });
  }

  get port(): number {
    return (this.#server.address() as { port: number }).port;
  }

  get connections(): number {
    return this.#open.size;
  }

  /** What has begun is answered, then every connection ends. */
  async close(): Promise<void> {
    clearInterval(this.#sweep);
    const closed = new Promise<void>((done) => this.#server.close(() => done()));
    await this.#dispatcher.settled();
    for (const socket of this.#open.keys()) {
      socket.destroySoon();
      setTimeout(() => socket.destroy(), FAREWELL_MS).unref();
    }
    await closed;
  }

  #accept(socket: Socket): void {
    const { counters, obeys } = this.#context;
    socket.on('error', () => {}); // `close` follows
    if (!obeys(socket.remoteAddress ?? '')) counters.refusedClients++;
    else if (this.#open.size >= MAX_CONNECTIONS && !this.#makeRoom()) counters.overload++;
    else {
      this.#serve(socket);
      return;
    }
    socket.destroy();
  }

  /** Whoever only connects, as a port scan or a web page can, keeps nobody out: the oldest such goes. */
  #makeRoom(): boolean {
    for (const [socket, { hasAsked }] of this.#open) {
      if (hasAsked) continue;
      this.#context.counters.idleConnections++;
      this.#open.delete(socket);
      socket.destroy();
      return true;
    }
    return false;
  }

  #serve(socket: Socket): void {
    const reader = new NgStreamReader();
    const connection = new NgConnection(
      `tcp ${++this.#accepted}`,
      {
        write: (bytes) => socket.write(bytes),
        get unwritten() {
          return socket.writableLength;
        },
        pause: () => socket.pause(),
        resume: () => socket.resume(),
        cut: () => socket.destroy(),
        end: () => {
          socket.removeAllListeners('data');
          socket.resume(); // with bytes unread the system would reset the connection, and the answer be lost
          socket.end();
          setTimeout(() => socket.destroy(), FAREWELL_MS).unref();
        },
      },
      { context: this.#context, dispatcher: this.#dispatcher },
    );
    this.#open.set(socket, connection);
    let rest = new Uint8Array(0);
    /** From the beginning of the message on that is being read, as far as it came in one piece. */
    let head: Uint8Array = rest;
    const pump = () => {
      while (!connection.isBusy && !socket.destroyed) {
        if (!reader.isWithin) head = pastSpace(rest);
        rest = rest.subarray(reader.push(rest));
        const item = reader.next();
        if (item === 'malformed') {
          this.#context.counters.malformed++;
          connection.refuse(head);
        } else if (item !== 'incomplete') {
          head = pastSpace(head.subarray(item.length));
          connection.handle(item);
        } else if (rest.length === 0) break;
      }
      connection.notePartial(reader.isWithin);
    };
    connection.onReady = pump;
    socket.on('data', (chunk) => {
      rest = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
      pump();
    });
    socket.on('drain', () => connection.drained());
    socket.on('close', () => {
      this.#open.delete(socket);
      connection.closed();
    });
  }
}

/** White space between messages belongs to none. */
function pastSpace(bytes: Uint8Array): Uint8Array {
  const start = bytes.findIndex((byte) => byte !== 0x20 && (byte < 0x09 || byte > 0x0d));
  return start < 0 ? bytes.subarray(bytes.length) : bytes.subarray(start);
}
