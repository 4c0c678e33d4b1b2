import { once } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';
import { createServer as createTlsServer, type Server as TlsServer } from 'node:tls';
import type { SocketAddress } from '@offhook/core';
import { TLS_POLICY } from '@offhook/core/node';
import type { Connections } from './connections.ts';

/** A handshake that takes longer is no client's. */
const HANDSHAKE_MS = 10_000;
const BACKLOG = 1024;
/** Protocols of TURN and STUN over TLS (RFC 7443); a client that names others means another server. */
const PROTOCOLS = ['stun.turn', 'stun.nat-discovery'];

/** A certificate and its key, PEM. */
export interface Certificate {
  readonly cert: string;
  readonly key: string;
}

export interface StreamListenerOptions {
  readonly at: SocketAddress;
  readonly connections: Connections;
  /** Given: TLS. */
  readonly certificate: Certificate | undefined;
  /** Several threads listen on the same address; the system shares connections out. */
  readonly reusePort: boolean;
}

/** A TCP or TLS listener for TURN clients (RFC 8656 3.1). */
export class StreamListener {
  readonly local: SocketAddress;
  /** Index among all listeners of the server; until it has one, nobody is let in. */
  index = -1;
  readonly #server: Server;
  readonly #tls: TlsServer | undefined;

  private constructor(server: Server, tls: TlsServer | undefined, local: SocketAddress) {
    this.#server = server;
    this.#tls = tls;
    this.local = local;
  }

  /** Rejects with the system's error. */
  static async open(options: StreamListenerOptions): Promise<StreamListener> {
    const { at, connections, certificate, reusePort } = options;
    let listener: StreamListener | undefined;
    const add = (socket: Socket) => {
      if (listener === undefined || listener.index < 0) socket.destroy();
      else connections.add(socket, listener.index);
    };
    const tls = certificate && tlsServer(certificate, add);
    // In front of TLS: who is refused has cost no more than a TCP connection.
    const server = createServer((socket) => {
      const isAdmitted = tls ? connections.admitHandshake(socket) : connections.admit(socket);
      if (!isAdmitted) socket.destroy();
      else if (tls) tls.emit('connection', socket);
      else add(socket);
    });
    server.listen({ host: at.address, port: at.port, backlog: BACKLOG, ipv6Only: true, reusePort });
    await once(server, 'listening');
    const { port } = server.address() as { port: number };
    server.on('error', () => {}); // a connection that could not be accepted: the next one may be
    listener = new StreamListener(server, tls, { address: at.address, port });
    return listener;
  }

  /** New connections are served with it from now on. */
  use(certificate: Certificate): void {
    this.#tls?.setSecureContext({ ...TLS_POLICY, ...certificate });
  }

  close(): void {
    this.#server.close();
  }
}

/** Makes TLS of the sockets that it is given as connections; it listens on nothing. */
function tlsServer(certificate: Certificate, onSecure: (socket: Socket) => void): TlsServer {
  const tls = createTlsServer({
    ...TLS_POLICY,
    ...certificate,
    handshakeTimeout: HANDSHAKE_MS,
    ALPNCallback: ({ protocols }) => protocols.find((name) => PROTOCOLS.includes(name)),
  });
  tls.on('secureConnection', onSecure);
  tls.on('tlsClientError', (_error, socket) => socket.destroy());
  return tls;
}
