import { createServer, type Server, type Socket } from 'node:net';
import { NgStreamReader } from '@offhook/core';
import { listening, NgClients, portOf } from './clients.ts';
import type { ControlContext } from './commands.ts';
import { type ControlParts, MAX_CONNECTIONS } from './connection.ts';

const KEEP_ALIVE_MS = 30_000;

/** The NG control protocol over TCP, framed as rtpengine's `listen-tcp-ng`. */
export class NgTcpServer {
  readonly #server: Server;
  readonly #context: ControlContext;
  readonly #clients: NgClients<Socket>;

  private constructor(server: Server, parts: ControlParts) {
    this.#server = server;
    this.#context = parts.context;
    this.#clients = new NgClients('tcp', parts);
    server.on('connection', (socket) => this.#accept(socket));
  }

  /** Rejects with the system's error when the port is in use. */
  static async listen(at: { address: string; port: number }, parts: ControlParts): Promise<NgTcpServer> {
    const server = createServer({ keepAlive: true, keepAliveInitialDelay: KEEP_ALIVE_MS, noDelay: true });
    await listening(server, at);
    return new NgTcpServer(server, parts);
  }

  get port(): number {
    return portOf(this.#server);
  }

  /** What has begun is answered, then every connection ends. */
  async close(): Promise<void> {
    const closed = new Promise<void>((done) => this.#server.close(() => done()));
    await this.#clients.close();
    await closed;
  }

  #accept(socket: Socket): void {
    const { counters, obeys } = this.#context;
    socket.on('error', () => {}); // `close` follows
    if (!obeys(socket.remoteAddress ?? '')) counters.refusedClients++;
    else if (this.#clients.size >= MAX_CONNECTIONS && !this.#clients.makeRoom()) counters.overload++;
    else {
      this.#serve(socket);
      return;
    }
    socket.destroy();
  }

  #serve(socket: Socket): void {
    const reader = new NgStreamReader();
    const connection = this.#clients.add(socket, {
      write: (bytes) => socket.write(bytes),
      get unwritten() {
        return socket.writableLength;
      },
      pause: () => socket.pause(),
      resume: () => socket.resume(),
      cut: () => socket.destroy(),
      end: (why) => {
        if (why === 'stopping') {
          socket.destroySoon();
          return;
        }
        socket.removeAllListeners('data');
        socket.resume(); // with bytes unread the system would reset the connection, and the answer be lost
        socket.end();
      },
    });
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
    socket.on('close', () => this.#clients.remove(socket));
  }
}

/** White space between messages belongs to none. */
function pastSpace(bytes: Uint8Array): Uint8Array {
  const start = bytes.findIndex((byte) => byte !== 0x20 && (byte < 0x09 || byte > 0x0d));
  return start < 0 ? bytes.subarray(bytes.length) : bytes.subarray(start);
}
