import { existsSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createSecureServer, Server as SecureServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { join, resolve } from 'node:path';
import fastifyStatic from '@fastify/static';
import { isLoopback, parseHostPort, type SocketAddress } from '@offhook/core';
import type { ServerCertificate } from '@offhook/core/node';
import Fastify, { type FastifyInstance } from 'fastify';
import { listenNear, type TransportHub } from '../transport/index.ts';
import { type ApiOptions, addApi, answerError } from './api.ts';
import { connectionLimit } from './connection-limit.ts';
import { securityHeaders } from './headers.ts';
import { serveUpgrades, type Upgrades } from './upgrade.ts';

export interface HttpOptions extends Omit<ApiOptions, 'onLogout' | 'onRenewed'> {
  /** The first one is told; the same port is wished for on the others. */
  readonly at: readonly SocketAddress[];
  /** The same over TLS, when there is a certificate. */
  readonly secureAt: readonly SocketAddress[];
  readonly certificate?: ServerCertificate | undefined;
  /** The built web phone. */
  readonly webRoot: string;
  readonly hub: TransportHub;
  readonly isDraining: () => boolean;
  /** Why the server can't take calls just now, in words; undefined when it can. */
  readonly notReady: () => string | undefined;
  /** The text of /metrics. */
  readonly metrics: () => Promise<string>;
}

export interface HttpServer {
  readonly local: SocketAddress;
  readonly secure: SocketAddress | undefined;
  readonly upgrades: Upgrades;
  close(): Promise<void>;
}

/** Requests are small; what is larger is refused. */
const BODY_LIMIT = 16 * 1024;
/** Reliability before convenience: Node's own limits are far too wide. */
const SERVER_OPTIONS = {
  requestTimeout: 15_000,
  headersTimeout: 10_000,
  keepAliveTimeout: 10_000,
  connectionsCheckingInterval: 2000,
  maxHeaderSize: 8 * 1024,
} as const;
const REQUESTS_PER_SOCKET = 100;
const HEADERS = 64;
/** For TLS the handshake is waited for as long as a request's headers. */
const HANDSHAKE_MS = 10_000;

/**
 * Page, API, health, metrics and the SIP WebSocket, all on each port: plain HTTP, and HTTPS where there is a certificate. A
 * port in use is skipped.
 */
export async function openHttpServer(options: HttpOptions): Promise<HttpServer> {
  const { app, upgrades } = build(options);
  await app.ready();
  const limit = connectionLimit(options.hub);
  const servers: Server[] = [];
  /** Beside 0.0.0.0, [::] is for IPv6 alone. */
  const ipv6Only = [...options.at, ...options.secureAt].some(({ address }) => address === '0.0.0.0');
  const make = (certificate?: ServerCertificate): Server => {
    const answer = (request: IncomingMessage, reply: ServerResponse) => app.routing(request, reply);
    if (!certificate) return createServer(SERVER_OPTIONS, answer);
    const context = { ...certificate.context('browsers'), handshakeTimeout: HANDSHAKE_MS };
    const server = createSecureServer({ ...SERVER_OPTIONS, ...context }, answer);
    server.on('tlsClientError', () => options.hub.counters.handshakesFailed++);
    return server;
  };
  const open = (at: SocketAddress, certificate?: ServerCertificate) =>
    listenNear(
      at,
      (port) =>
        new Promise<SocketAddress>((resolve, reject) => {
          const server = make(certificate);
          server.maxRequestsPerSocket = REQUESTS_PER_SOCKET;
          server.maxHeadersCount = HEADERS;
          server.on('connection', limit);
          upgrades.serve(server);
          server.once('error', reject);
          server.listen({ host: at.address, port, backlog: 4096, ipv6Only }, () => {
            server.removeAllListeners('error');
            server.on('error', () => options.hub.counters.sendErrors++); // EMFILE must not end the process
            servers.push(server);
            const bound = server.address() as AddressInfo;
            resolve({ address: bound.address, port: bound.port });
          });
        }),
    );
  const stopFollowing = options.certificate?.follow(() => {
    const context = options.certificate!.context('browsers');
    for (const server of servers) if (server instanceof SecureServer) server.setSecureContext(context);
  });
  const close = async () => {
    stopFollowing?.();
    const closed = servers.map((server) => new Promise<void>((resolve) => server.close(() => resolve())));
    for (const server of servers) server.closeAllConnections();
    await Promise.all(closed);
    await app.close();
  };
  try {
    const local = await openAll(options.at, open);
    const { certificate } = options;
    const secure = certificate ? await openAll(options.secureAt, (at) => open(at, certificate)) : undefined;
    return { local: local!, secure, upgrades, close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** Opens one after the other, all at the first one's port when any will do; answers the first one. */
async function openAll(
  places: readonly SocketAddress[],
  open: (at: SocketAddress) => Promise<SocketAddress>,
): Promise<SocketAddress | undefined> {
  let first: SocketAddress | undefined;
  for (const at of places) {
    const local = await open({ address: at.address, port: at.port || (first?.port ?? 0) });
    first ??= local;
  }
  return first;
}

function build(options: HttpOptions): { app: FastifyInstance; upgrades: Upgrades } {
  const app = Fastify({ logger: false, bodyLimit: BODY_LIMIT, return503OnClosing: true });
  const upgrades = serveUpgrades({
    ...options,
    check: (session) => options.sessions.check(session, options.nowS()),
  });
  app.setErrorHandler((error, _request, reply) => answerError(error, reply));
  app.addHook('onRequest', async (request, reply) => {
    reply.headers(securityHeaders(request.headers.host));
  });
  addApi(app, {
    ...options,
    onLogout: (family) => upgrades.closeFamily(family),
    onRenewed: (family, expiresAt) => upgrades.renewed(family, expiresAt),
  });
  addHealth(app, options);
  addPage(app, options.webRoot);
  return { app, upgrades };
}

function addHealth(app: FastifyInstance, options: HttpOptions): void {
  app.get('/healthz', async () => ({ status: 'ok' }));
  app.get('/readyz', async (_request, reply) => {
    const problem = options.isDraining() ? 'the server is being stopped' : options.notReady();
    if (problem === undefined) return { status: 'ready' };
    reply.code(503);
    return { error: { code: 'not_ready', message: problem } };
  });
  app.get('/metrics', async (request, reply) => {
    if (!isFromThisMachine(request.raw, options.isLocal)) {
      reply.code(403);
      return { error: { code: 'loopback_only', message: 'metrics are given to this machine only' } };
    }
    reply.type('text/plain; version=0.0.4; charset=utf-8');
    return options.metrics();
  });
}

/**
 * Loopback, not through a proxy that runs here and speaks for somebody else, and under a name of ours: a browser here that
 * shows a foreign page may be told that its name means 127.0.0.1 (DNS rebinding).
 */
function isFromThisMachine({ socket, headers }: IncomingMessage, isLocal: (host: string) => boolean): boolean {
  const name = parseHostPort(headers.host ?? '');
  const isDirect = !headers['x-forwarded-for'] && !headers.forwarded;
  return isDirect && isLoopback(socket.remoteAddress ?? '') && name !== undefined && isLocal(name.host);
}

/** The built web phone; file names under assets/ change with their content, so browsers may keep them. */
function addPage(app: FastifyInstance, webRoot: string): void {
  const root = resolve(webRoot);
  app.register(fastifyStatic, {
    root,
    cacheControl: false,
    dotfiles: 'deny',
    setHeaders: (reply, path) => {
      const lasting = path.startsWith(join(root, 'assets'));
      reply.header('Cache-Control', lasting ? 'public, max-age=31536000, immutable' : 'no-cache');
    },
  });
  app.setNotFoundHandler((request, reply) => {
    const path = request.url.split('?', 1)[0]!;
    if (path === '/sip') {
      const message = 'this is the SIP WebSocket: open it with the subprotocol sip';
      reply
        .code(426)
        .header('Upgrade', 'websocket')
        .send({ error: { code: 'upgrade_required', message } });
    } else if ((path === '/' || path === '/index.html') && !existsSync(join(root, 'index.html')))
      reply.code(503).type('text/html; charset=utf-8').send(NOT_BUILT);
    else reply.code(404).send({ error: { code: 'not_found', message: 'there is nothing at this address' } });
  });
}

const NOT_BUILT = `<!doctype html><html lang="en"><meta charset="utf-8"><title>Offhook</title>
<h1>The web phone is not built yet</h1>
<p>The server is running. Build the page with <code>npm run build</code> in the project folder
(<code>npm start</code> does it by itself), then reload.</p></html>
`;
