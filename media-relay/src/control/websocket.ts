import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { Duplex } from 'node:stream';
import { NG_LIMITS } from '@offhook/core';
import { type RawData, type WebSocket, WebSocketServer } from 'ws';
import type { ControlContext } from './commands.ts';
import { FAREWELL_MS, MAX_CONNECTIONS, NgConnection, SWEEP_MS } from './connection.ts';
import type { NgDispatcher } from './dispatcher.ts';

/** As rtpengine names it. */
export const NG_SUBPROTOCOL = 'ng.rtpengine.com';
const PATHS: ReadonlySet<string> = new Set(['/', '/ng']);
const HANDSHAKE_MS = 10_000;
const PING_MS = 25_000;
const PONG_MS = 10_000;
const MAX_HEADERS = 8192;

export interface NgWebSocketOptions {
  readonly address: string;
  readonly port: number;
  /** Web pages that may connect; others, and those that hide where they are from (`null`), are refused. */
  readonly allowedOrigins: readonly string[];
}

interface Client {
  readonly connection: NgConnection;
  pingedMs: number;
  isAlive: boolean;
}

/** The NG control protocol over WebSocket, one message a frame, as rtpengine's `listen-http`. */
export class NgWebSocketServer {
  readonly #server: Server;
  readonly #sockets: WebSocketServer;
  readonly #options: NgWebSocketOptions;
  readonly #context: ControlContext;
  readonly #dispatcher: NgDispatcher;
  readonly #open = new Map<WebSocket, Client>();
  readonly #sweep: NodeJS.Timeout;
  #accepted = 0;

  private constructor(
    server: Server,
    options: NgWebSocketOptions,
    { context, dispatcher }: { context: ControlContext; dispatcher: NgDispatcher },
  ) {
    this.#server = server;
    this.#options = options;
    this.#context = context;
    this.#dispatcher = dispatcher;
    this.#sockets = new WebSocketServer({
      noServer: true,
      maxPayload: NG_LIMITS.bytes,
      maxFragments: 16,
      maxBufferedChunks: 256,
      perMessageDeflate: false,
      handleProtocols: () => NG_SUBPROTOCOL,
    });
    server.on('request', (_request, response) => {
      response.writeHead(426, { 'content-type': 'text/plain', upgrade: 'websocket', connection: 'close' });
      response.end(`This is the NG control protocol: come with a WebSocket of ${NG_SUBPROTOCOL}.\n`);
    });
    server.on('upgrade', (request, socket, head) => this.#upgrade(request, socket, head));
    server.on('clientError', (_error, socket) => socket.destroy());
    this.#sweep = setInterval(() => this.#look(context.monotonicMs()), SWEEP_MS).unref();
  }

  /** Rejects with the system's error when the port is in use. */
  static listen(
    options: NgWebSocketOptions,
    parts: { context: ControlContext; dispatcher: NgDispatcher },
  ): Promise<NgWebSocketServer> {
    const server = createServer({
      maxHeaderSize: MAX_HEADERS,
      headersTimeout: HANDSHAKE_MS,
      requestTimeout: HANDSHAKE_MS,
      connectionsCheckingInterval: 2000,
      noDelay: true,
    });
    server.maxConnections = 2 * MAX_CONNECTIONS; // those that shake hands included
    return new Promise((resolve, reject) => {
      server.once('error', reject);
      server.listen({ host: options.address, port: options.port }, () => {
        server.removeAllListeners('error');
        server.on('error', () => {});
        resolve(new NgWebSocketServer(server, options, parts));
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
      socket.close(1001, 'the relay stops');
      setTimeout(() => socket.terminate(), FAREWELL_MS).unref();
    }
    this.#server.closeAllConnections(); // of HTTP: those that were upgraded are not among them
    await closed;
  }

  #upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    const status = this.#refusal(request);
    if (status === undefined) {
      this.#sockets.handleUpgrade(request, socket, head, (ws) => this.#serve(ws));
      return;
    }
    socket.on('error', () => {});
    socket.end(`HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`);
  }

  #refusal({ socket, headers, url }: IncomingMessage): string | undefined {
    const { counters, obeys } = this.#context;
    // Browsers say where a page is from, and only they do: no page may command the relay of the machine it is read on.
    const isForeign = headers.origin !== undefined && !this.#options.allowedOrigins.includes(headers.origin);
    if (isForeign || !obeys(socket.remoteAddress ?? '')) {
      counters.refusedClients++;
      return '403 Forbidden';
    }
    if (!PATHS.has((url ?? '').split('?', 1)[0]!)) return '404 Not Found';
    const offered = (headers['sec-websocket-protocol'] ?? '').split(',').map((name) => name.trim());
    if (!offered.includes(NG_SUBPROTOCOL)) return '400 Bad Request';
    if (this.#open.size < MAX_CONNECTIONS) return undefined;
    counters.overload++;
    return '503 Service Unavailable';
  }

  #serve(ws: WebSocket): void {
    const { monotonicMs } = this.#context;
    const connection = new NgConnection(
      `ws ${++this.#accepted}`,
      {
        write: (bytes, encoding) => ws.send(bytes, { binary: encoding === 'bencode' }, () => connection.drained()),
        get unwritten() {
          return ws.bufferedAmount;
        },
        pause: () => ws.pause(),
        resume: () => ws.resume(),
        cut: () => ws.terminate(),
        end: () => {
          ws.resume();
          ws.close(1007); // RFC 6455 7.4.1: data that is not what it should be
          setTimeout(() => ws.terminate(), FAREWELL_MS).unref();
        },
      },
      { context: this.#context, dispatcher: this.#dispatcher },
    );
    const client: Client = { connection, pingedMs: monotonicMs(), isAlive: true };
    this.#open.set(ws, client);
    ws.on('pong', () => {
      client.isAlive = true;
    });
    ws.on('message', (data: RawData) => {
      client.isAlive = true;
      connection.handle(Buffer.isBuffer(data) ? data : Array.isArray(data) ? Buffer.concat(data) : Buffer.from(data));
    });
    ws.on('error', () => ws.terminate()); // a message above the limit is told by 1009 before
    ws.on('close', () => {
      this.#open.delete(ws);
      connection.closed();
    });
  }

  /** A client that is gone without a word is found by its silence. */
  #look(nowMs: number): void {
    for (const [ws, client] of this.#open) {
      client.connection.sweep(nowMs);
      if (!client.isAlive && nowMs - client.pingedMs > PONG_MS) ws.terminate();
      else if (nowMs - client.pingedMs > PING_MS) {
        client.isAlive = false;
        client.pingedMs = nowMs;
        ws.ping();
      }
    }
  }
}
