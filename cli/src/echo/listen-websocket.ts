import { createServer } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { type RawData, type WebSocket, WebSocketServer } from 'ws';
import { ByteAllowance } from './allowance.ts';
import { admitConnections, listening } from './listen-stream.ts';
import { type EchoPort, type EchoPortOptions, FAREWELL_MS, HANDSHAKE_MS } from './port.ts';

/** Above so many bytes unwritten nothing more is read, until they are gone. */
const HIGH_WATER = 64 * 1024;
const MAX_HEADERS = 8192;

/** WebSocket, over TLS too, at any path: each message comes back in its kind, text or binary. */
export async function listenWebSockets(options: EchoPortOptions): Promise<EchoPort> {
  const { scheme, certificate, counters, limits } = options;
  const open = new Set<Socket>();
  const http = {
    maxHeaderSize: MAX_HEADERS,
    headersTimeout: HANDSHAKE_MS,
    requestTimeout: HANDSHAKE_MS,
    keepAliveTimeout: 1000,
    connectionsCheckingInterval: 1000,
    noDelay: true,
  };
  const server =
    scheme === 'wss'
      ? createSecureServer({ ...http, ...certificate, handshakeTimeout: HANDSHAKE_MS })
      : createServer(http);
  const sockets = new WebSocketServer({
    noServer: true,
    maxPayload: limits.maxSize,
    maxFragments: 1024,
    maxBufferedChunks: 4096,
    perMessageDeflate: false,
    autoPong: false, // answered below, with a limit
  });
  admitConnections(server, options, open);
  server.on('tlsClientError', (_error: Error, stream: Socket) => {
    counters.failed++;
    stream.destroy();
  });
  server.on('clientError', (_error: Error, stream: Duplex) => {
    counters.failed++;
    // An answer tells who comes with TLS, or with nothing known, what this is.
    if (stream.writable) stream.end('HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n');
    else stream.destroy();
  });
  server.on('request', (request, response) => {
    counters.failed++;
    request.resume();
    response.writeHead(426, { 'content-type': 'text/plain', upgrade: 'websocket', connection: 'close' });
    response.end('This is an echo for WebSockets: come with an upgrade.\n');
  });
  server.on('upgrade', (request, socket, head) => {
    sockets.handleUpgrade(request, socket, head, (one) => echoMessages(one, socket as Socket, options));
  });
  const farewell = () => {
    for (const one of sockets.clients) one.close(1001, 'the echo is stopping');
    server.closeAllConnections(); // of HTTP: those that were upgraded are not among them
  };
  return listening(server, options, { open, farewell });
}

function echoMessages(socket: WebSocket, stream: Socket, { limits, counters, onPeer }: EchoPortOptions): void {
  const allowance = new ByteAllowance(limits.bytesPerS, performance.now());
  let timer: NodeJS.Timeout | undefined;
  const resume = () => {
    if (timer === undefined && socket.bufferedAmount === 0 && socket.isPaused) socket.resume();
  };
  const spend = (bytes: number) => {
    const pauseMs = allowance.spend(bytes, performance.now());
    if (pauseMs > 0)
      timer ??= setTimeout(() => {
        timer = undefined;
        resume();
      }, pauseMs);
    if (timer !== undefined || socket.bufferedAmount > HIGH_WATER) socket.pause();
  };
  onPeer(stream.remoteAddress ?? '');
  stream.setTimeout(limits.idleMs, () => {
    counters.idle++;
    socket.close(1001, `nothing came for ${limits.idleMs / 1000} s`);
    setTimeout(() => socket.terminate(), FAREWELL_MS).unref();
  });
  socket.on('error', () => socket.terminate()); // a message above the limit is told by 1009 before
  socket.on('close', () => clearTimeout(timer));
  socket.on('ping', (data) => {
    if (socket.bufferedAmount === 0 && socket.readyState === socket.OPEN) socket.pong(data);
    spend(data.length);
  });
  socket.on('message', (data: RawData, isBinary) => {
    if (socket.readyState !== socket.OPEN) return;
    const bytes = Buffer.isBuffer(data) ? data : Array.isArray(data) ? Buffer.concat(data) : Buffer.from(data);
    counters.messages++;
    counters.bytes += bytes.length;
    socket.send(bytes, { binary: isBinary }, resume);
    spend(bytes.length);
  });
}
