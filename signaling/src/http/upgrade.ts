import type { IncomingMessage, Server } from 'node:http';
import type { Duplex } from 'node:stream';
import { unmapped } from '@offhook/core';
import { type ServerOptions, type WebSocket, WebSocketServer } from 'ws';
import type { Session } from '../auth/index.ts';
import {
  acceptWebSocket,
  STRANGER_WEBSOCKET_OPTIONS,
  type TransportHub,
  WEBSOCKET_OPTIONS,
} from '../transport/index.ts';
import { isWelcomeOrigin, type OriginOptions } from './origin.ts';

export const SIP_PATH = '/sip';
/** The phone offers its session as a subprotocol: browsers let pages set no other header, and URLs end up in logs. */
const SESSION_PROTOCOL = 'offhook.session.';

export interface UpgradeOptions extends OriginOptions {
  readonly hub: TransportHub;
  /** What a session speaks for, or undefined. */
  readonly check: (session: string) => Session | undefined;
  /** Unix seconds. */
  readonly nowS: () => number;
  readonly isDraining: () => boolean;
}

/** The SIP WebSockets of all HTTP servers (RFC 7118). */
export interface Upgrades {
  /** Takes the upgrades of one more server. */
  serve(server: Server): void;
  /** Refused upgrades by status. */
  readonly refused: ReadonlyMap<number, number>;
  /** What that family has opened may stay until then. */
  renewed(family: string, expiresAt: number): void;
  /** Closes what was opened by that family of sessions, or by any session of that user. */
  closeFamily(family: string): void;
  closeUser(user: string): void;
}

/** The clock may be set: deadlines are looked at again within this time. */
const LONGEST_WAIT_MS = 60_000;
/** How long a phone whose session has ended may take to close its side. */
const FAREWELL_MS = 500;

interface Family {
  readonly user: string;
  readonly sockets: Set<WebSocket>;
  /** The end of its newest session. */
  expiresAt: number;
}

export function serveUpgrades(options: UpgradeOptions): Upgrades {
  const { hub } = options;
  const make = (limits: ServerOptions) =>
    new WebSocketServer({ noServer: true, handleProtocols: () => 'sip', ...limits });
  const known = make(WEBSOCKET_OPTIONS);
  const strangers = make(STRANGER_WEBSOCKET_OPTIONS);
  const refused = new Map<number, number>();
  /** Families with open sockets. */
  const families = new Map<string, Family>();
  let timer: NodeJS.Timeout | undefined;
  const closeWhere = (matches: (family: string, of: Family) => boolean) => {
    for (const [id, family] of families) if (matches(id, family)) for (const socket of family.sockets) farewell(socket);
  };
  /** Closes what has outlived its sessions, and comes back when the next one may. */
  const watch = () => {
    clearTimeout(timer);
    const now = options.nowS();
    closeWhere((_, { expiresAt }) => expiresAt <= now);
    const next = Math.min(...[...families.values()].flatMap(({ expiresAt }) => (expiresAt > now ? [expiresAt] : [])));
    if (next === Number.POSITIVE_INFINITY) return;
    timer = setTimeout(watch, Math.min(Math.ceil((next - now) * 1000), LONGEST_WAIT_MS)).unref();
  };
  const renewed = (id: string, expiresAt: number) => {
    const family = families.get(id);
    if (family) family.expiresAt = Math.max(family.expiresAt, expiresAt);
  };
  const opened = (socket: WebSocket, { account, family: id, expiresAt }: Session) => {
    const family = families.get(id) ?? { user: account.user, sockets: new Set(), expiresAt };
    families.set(id, family);
    family.sockets.add(socket);
    renewed(id, expiresAt);
    socket.once('close', () => {
      family.sockets.delete(socket);
      if (family.sockets.size === 0 && families.get(id) === family) families.delete(id);
    });
    watch();
  };
  const onUpgrade = (request: IncomingMessage, socket: Duplex, head: Buffer) => {
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
    // Who comes with a session is known, wherever it comes from.
    if (!verdict.session && hub.refuses(remote, 'ws')) {
      refused.set(403, (refused.get(403) ?? 0) + 1);
      refuse(socket, 403, 'this address is banned for a while: sign in on the page, or ask whoever runs this server');
      return;
    }
    if (!hub.admits(remote)) {
      refused.set(503, (refused.get(503) ?? 0) + 1);
      refuse(socket, 503, 'too many connections');
      return;
    }
    const { session } = verdict;
    (session ? known : strangers).handleUpgrade(request, socket, head, (webSocket) => {
      if (session) opened(webSocket, session);
      const secure = 'encrypted' in request.socket;
      acceptWebSocket(hub, webSocket, { local, remote, secure, account: session?.account.user });
    });
  };
  return {
    serve: (server) => {
      server.on('upgrade', onUpgrade);
      server.on('close', () => clearTimeout(timer));
    },
    refused,
    renewed,
    closeFamily: (family) => closeWhere((id) => id === family),
    closeUser: (user) => closeWhere((_, of) => of.user === user),
  };
}

type Refusal = { readonly status: number; readonly words: string };

/** What may be opened, and for whom; without a session the phone will be asked for its password by digest. */
function inspect(request: IncomingMessage, options: UpgradeOptions): Refusal | { readonly session?: Session } {
  if ((request.url ?? '').split('?', 1)[0] !== SIP_PATH)
    return { status: 404, words: `SIP over WebSocket is at ${SIP_PATH}` };
  if (!isWelcomeOrigin(request, options)) return { status: 403, words: 'this page may not use the phone system' };
  if (options.isDraining()) return { status: 503, words: 'the server is being stopped' };
  const offered = (request.headers['sec-websocket-protocol'] ?? '').split(',').map((name) => name.trim());
  // RFC 7118 4.1: "the client … MUST include the value 'sip'"
  if (!offered.includes('sip')) return { status: 400, words: "the subprotocol 'sip' has to be offered (RFC 7118)" };
  const given = offered.find((name) => name.startsWith(SESSION_PROTOCOL))?.slice(SESSION_PROTOCOL.length);
  if (given === undefined) return {};
  const session = options.check(given);
  return session ? { session } : { status: 401, words: 'the session has ended: sign in again' };
}

/** 1008: sign in again. Who does not close its side is cut. */
function farewell(socket: WebSocket): void {
  socket.close(1008, 'the session has ended');
  setTimeout(() => socket.terminate(), FAREWELL_MS).unref();
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
