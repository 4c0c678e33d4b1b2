import type { IncomingMessage, Server } from 'node:http';
import type { Duplex } from 'node:stream';
import { unmapped } from '@offhook/core';
import { type WebSocket, WebSocketServer } from 'ws';
import { acceptWebSocket, type TransportHub, WEBSOCKET_OPTIONS } from '../transport/index.ts';
import { isWelcomeOrigin, type OriginOptions } from './origin.ts';

export const SIP_PATH = '/sip';
/** The phone offers its session as a subprotocol: browsers let pages set no other header, and URLs end up in logs. */
const SESSION_PROTOCOL = 'offhook.session.';

export interface UpgradeOptions extends OriginOptions {
  readonly hub: TransportHub;
  /** The user a session speaks for, or undefined. */
  readonly userOf: (session: string) => string | undefined;
  readonly isDraining: () => boolean;
}

/** The SIP WebSockets of one HTTP server (RFC 7118). */
export interface Upgrades {
  /** Refused upgrades by status. */
  readonly refused: ReadonlyMap<number, number>;
  /** Closes what was opened by that session, or by any session of that user. */
  closeSession(session: string): void;
  closeUser(user: string): void;
}

export function serveUpgrades(server: Server, options: UpgradeOptions): Upgrades {
  const { hub } = options;
  const sockets = new WebSocketServer({ noServer: true, handleProtocols: () => 'sip', ...WEBSOCKET_OPTIONS });
  const refused = new Map<number, number>();
  const open = new Map<WebSocket, { readonly user: string; readonly session: string }>();
  const closeWhere = (matches: (of: { user: string; session: string }) => boolean) => {
    for (const [socket, of] of open) if (matches(of)) socket.close(1008, 'the session has ended');
  };

  server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    socket.on('error', () => socket.destroy());
    const verdict = inspect(request, options);
    if ('status' in verdict) {
      refused.set(verdict.status, (refused.get(verdict.status) ?? 0) + 1);
      refuse(socket, verdict.status, verdict.words);
      return;
    }
    const { remoteAddress, remotePort, localAddress, localPort } = request.socket;
    const remote = { address: unmapped(remoteAddress ?? ''), port: remotePort ?? 0 };
    const local = { address: unmapped(localAddress ?? ''), port: localPort ?? 0 };
    if (!hub.admits(remote)) {
      refused.set(503, (refused.get(503) ?? 0) + 1);
      refuse(socket, 503, 'too many connections');
      return;
    }
    sockets.handleUpgrade(request, socket, head, (webSocket) => {
      const { user, session } = verdict;
      if (user !== undefined && session !== undefined) {
        open.set(webSocket, { user, session });
        webSocket.once('close', () => open.delete(webSocket));
      }
      const secure = 'encrypted' in request.socket;
      acceptWebSocket(hub, webSocket, { local, remote, secure, account: user });
    });
  });
  return {
    refused,
    closeSession: (session) => closeWhere((of) => of.session === session),
    closeUser: (user) => closeWhere((of) => of.user === user),
  };
}

type Refusal = { readonly status: number; readonly words: string };

/** What may be opened, and for whom; without a session the phone will be asked for its password by digest. */
function inspect(
  request: IncomingMessage,
  options: UpgradeOptions,
): Refusal | { readonly user?: string; readonly session?: string } {
  if ((request.url ?? '').split('?', 1)[0] !== SIP_PATH)
    return { status: 404, words: `SIP over WebSocket is at ${SIP_PATH}` };
  if (!isWelcomeOrigin(request, options)) return { status: 403, words: 'this page may not use the phone system' };
  if (options.isDraining()) return { status: 503, words: 'the server is being stopped' };
  const offered = (request.headers['sec-websocket-protocol'] ?? '').split(',').map((name) => name.trim());
  // RFC 7118 4.1: "the client … MUST include the value 'sip'"
  if (!offered.includes('sip')) return { status: 400, words: "the subprotocol 'sip' has to be offered (RFC 7118)" };
  const session = offered.find((name) => name.startsWith(SESSION_PROTOCOL))?.slice(SESSION_PROTOCOL.length);
  if (session === undefined) return {};
  const user = options.userOf(session);
  return user === undefined ? { status: 401, words: 'the session has ended: sign in again' } : { user, session };
}

const PHRASES: Readonly<Record<number, string>> = {
  400: 'Bad Request',
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'Not Found',
  503: 'Service Unavailable',
};

function refuse(socket: Duplex, status: number, words: string): void {
  const body = JSON.stringify({ error: { code: 'upgrade_refused', message: words } });
  socket.end(
    `HTTP/1.1 ${status} ${PHRASES[status]}\r\nConnection: close\r\nContent-Type: application/json; charset=utf-8\r\n` +
      `Content-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
    () => socket.destroy(),
  );
}
