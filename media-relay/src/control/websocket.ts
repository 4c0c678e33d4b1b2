import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { Duplex } from 'node:stream';
import { NG_LIMITS } from '@offhook/core';
import { type RawData, type WebSocket, WebSocketServer } from 'ws';
import { listening, NgClients, portOf } from './clients.ts';
import type { ControlContext } from './commands.ts';
import { type ControlParts, MAX_CONNECTIONS } from './connection.ts';

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

/** The NG control protocol over WebSocket, one message a frame, as rtpengine's `listen-http`. */
export class NgWebSocketServer {
  readonly #server: Server;
  readonly #sockets: WebSocketServer;
  readonly #options: NgWebSocketOptions;
  readonly #context: ControlContext;
  readonly #clients: NgClients<WebSocket>;

  private constructor(server: Server, options: NgWebSocketOptions, parts: ControlParts) {
    this.#server = server;
    this.#options = options;
    this.#context = parts.context;
    this.#clients = new NgClients('ws', parts);
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
  }

  /** Rejects with the system's error when the port is in use. */
  static async listen(options: NgWebSocketOptions, parts: ControlParts): Promise<NgWebSocketServer> {
    const server = createServer({
      maxHeaderSize: MAX_HEADERS,
      headersTimeout: HANDSHAKE_MS,
      requestTimeout: HANDSHAKE_MS,
      connectionsCheckingInterval: 2000,
      noDelay: true,
    });
    server.maxConnections = 2 * MAX_CONNECTIONS; // those that shake hands included
    await listening(server, options);
    return new NgWebSocketServer(server, options, parts);
  }

  get port(): number {
    return portOf(this.#server);
  }

  /** What has begun is answered, then every connection ends. */
  async close(): Promise<void> {
    const closed = new Promise<void>((done) => this.#server.close(() => done()));
    await this.#clients.close();
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
    if (this.#clients.size < MAX_CONNECTIONS) return undefined;
    counters.overload++;
    return '503 Service Unavailable';
  }

  #serve(ws: WebSocket): void {
    const { monotonicMs } = this.#context;
    let pingedMs = monotonicMs();
    let isAlive = true;
    const connection = this.#clients.add(ws, {
      write: (bytes, encoding) => ws.send(bytes, { binary: encoding === 'bencode' }, () => connection.drained()),
      get unwritten() {
        return ws.bufferedAmount;
      },
      pause: () => ws.pause(),
      resume: () => ws.resume(),
      cut: () => ws.terminate(),
      end: (why) => {
        if (why === 'stopping') {
          ws.close(1001, 'the relay stops');
          return;
        }
        ws.resume();
        ws.close(1007); // RFC 6455 7.4.1: data that is not what it should be
      },
      /** A client that is gone without a word is found by its silence. */
      sweep: (nowMs) => {
        if (!isAlive && nowMs - pingedMs > PONG_MS) ws.terminate();
        else if (nowMs - pingedMs > PING_MS) {
          isAlive = false;
          pingedMs = nowMs;
          ws.ping();
        }
      },
    });
    ws.on('pong', () => {
      isAlive = true;
    });
    ws.on('message', (data: RawData) => {
      isAlive = true;
      connection.handle(Buffer.isBuffer(data) ? data : Array.isArray(data) ? Buffer.concat(data) : Buffer.from(data));
    });
    ws.on('error', () => ws.terminate()); // a message above the limit is told by 1009 before
    ws.on('close', () => this.#clients.remove(ws));
  }
}
