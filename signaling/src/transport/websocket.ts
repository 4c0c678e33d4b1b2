import { isUtf8 } from 'node:buffer';
import type { SocketAddress } from '@offhook/core';
import type { RawData, WebSocket } from 'ws';
import type { Connection, TransportHub } from './hub.ts';
import { KeepAlives } from './keep-alive.ts';

/** Limits for `new WebSocketServer({ noServer: true, … })` on the SIP path; the library's own are far too wide. */
export const WEBSOCKET_OPTIONS = {
  maxPayload: 64 * 1024,
  maxFragments: 16,
  maxBufferedChunks: 256,
  perMessageDeflate: false,
  autoPong: false, // answered by acceptWebSocket, with a limit
  skipUTF8Validation: false,
} as const;

/** The same for whoever comes without a session: no message of theirs needs more, and begun ones are held. */
export const STRANGER_WEBSOCKET_OPTIONS = { ...WEBSOCKET_OPTIONS, maxPayload: 16 * 1024 } as const;

/** Above so many bytes unwritten nothing more is read, until all of them are gone. */
const HIGH_WATER = 16 * 1024;

/**
 * SIP over an upgraded WebSocket (RFC 7118): one SIP message per WebSocket message. `account` is the user whose session
 * the upgrade carried. The caller has asked `hub.admits` before upgrading.
 */
export function acceptWebSocket(
  hub: TransportHub,
  socket: WebSocket,
  at: { local: SocketAddress; remote: SocketAddress; secure: boolean; account?: string },
): void {
  const flow = hub.newFlow({
    transport: at.secure ? 'wss' : 'ws',
    local: at.local,
    remote: at.remote,
    account: at.account,
    isKnown: at.account !== undefined,
  });
  const keepAlives = new KeepAlives(hub.limits);
  const strangerUntilMs = performance.now() + hub.limits.strangerMs;
  /** Who does not read is not read either. */
  const written = () => {
    if (socket.isPaused && socket.bufferedAmount === 0) socket.resume();
  };
  /** Answers a keep-alive when the answer to the one before is out; too many of them end the connection. */
  const answer = (pong: () => void) => {
    if (socket.readyState !== socket.OPEN) return; // what was read before it was cut
    hub.counters.keepAlives++;
    if (!keepAlives.take(performance.now())) {
      hub.counters.keepAliveFloodsCut++;
      socket.terminate();
    } else if (socket.bufferedAmount === 0) pong();
  };
  // Who came with a session has proven itself; others must speak SIP in time.
  let dueMs = at.account === undefined ? performance.now() + hub.limits.messageMs : undefined;
  let pingedMs: number | undefined;
  let lastPingMs = performance.now();
  const connection: Connection = {
    flow,
    // A text frame that is not UTF-8 would make a browser close the connection (RFC 6455 8.1).
    send: (bytes) => {
      if (socket.bufferedAmount > hub.limits.sendBuffer) {
        hub.counters.slowReadersCut++;
        socket.terminate();
      } else if (socket.readyState === socket.OPEN) {
        socket.send(bytes, { binary: !isUtf8(bytes) }, written);
        if (socket.bufferedAmount > HIGH_WATER) socket.pause();
      }
    },
    sweep: (nowMs) => {
      const isLate = (dueMs !== undefined && nowMs > dueMs) || (!flow.isKnown && nowMs > strangerUntilMs);
      if (isLate || (pingedMs !== undefined && nowMs - pingedMs > hub.limits.pongMs)) {
        hub.counters.connectionsTimedOut++;
        socket.terminate();
      } else if (pingedMs === undefined && nowMs - lastPingMs >= hub.limits.pingMs) {
        pingedMs = nowMs;
        lastPingMs = nowMs;
        socket.ping();
      }
    },
    // 1012: the service restarts; the phone comes back by itself.
    close: () => {
      socket.close(1012, 'server is stopping');
      setTimeout(() => socket.terminate(), 500).unref();
    },
  };
  hub.opened(connection);
  socket.on('pong', () => {
    pingedMs = undefined;
  });
  socket.on('ping', (data) => answer(() => socket.pong(data)));
  socket.on('error', () => socket.terminate());
  socket.on('close', () => hub.closed(connection));
  socket.on('message', (data: RawData) => {
    if (socket.readyState !== socket.OPEN) return; // we are closing it: nothing that still comes counts
    const bytes = Buffer.isBuffer(data) ? data : Array.isArray(data) ? Buffer.concat(data) : Buffer.from(data);
    if (bytes.length <= 4 && bytes.every((b) => b === 13 || b === 10)) {
      answer(() => bytes.length === 4 && socket.send('\r\n'));
      return;
    }
    if (hub.receive(bytes, flow)) dueMs = undefined;
  });
}
