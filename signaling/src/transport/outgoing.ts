import { connect as connectTcp, type Socket } from 'node:net';
import {
  type ConnectionOptions,
  connect as connectTls,
  createSecureContext,
  type SecureContextOptions,
  type TLSSocket,
} from 'node:tls';
import { ipFamily } from '@offhook/core';
import { readAuthorities, readCredentials, TLS_POLICY } from '@offhook/core/node';
import { type Hop, hopLabel, type Opened, type TlsPeer } from '../locate/index.ts';
import type { TransportHub } from './hub.ts';
import { certificateTrouble, connectTrouble, lateTrouble } from './outgoing-words.ts';
import { ownStream } from './stream.ts';

export interface OutgoingOptions {
  /** What holds for peers that have nothing of their own. */
  readonly tls?: TlsPeer;
  /** What ends a connection after it was opened, in words that name the hop: often a certificate that we did not show. */
  readonly onTrouble?: (words: string) => void;
}

/**
 * Connections to other servers, over TCP and TLS. One that is open is used by all who want the same hop and the same TLS (RFC
 * 3261 18.1.1, RFC 5923); who wants it while it is being opened waits with the first.
 */
export class OutgoingConnections {
  readonly #hub: TransportHub;
  readonly #options: OutgoingOptions;
  readonly #open = new Map<string, Promise<Opened>>();
  /** Sockets that are not flows yet. */
  readonly #opening = new Set<Socket>();

  constructor(hub: TransportHub, options: OutgoingOptions = {}) {
    this.#hub = hub;
    this.#options = options;
  }

  /** A flow to that hop; never rejects. */
  open(hop: Hop, tls: TlsPeer | undefined = this.#options.tls): Promise<Opened> {
    const key = connectionKey(hop, tls);
    const known = this.#open.get(key);
    if (known) return known;
    const { limits, counters } = this.#hub;
    if (!this.#hub.admitsOutgoing(this.#opening.size, performance.now())) {
      counters.connectionsNotOpened++;
      const error = `${hopLabel(hop)}: ${limits.outgoing} connections to other servers are open already, no more are allowed`;
      return Promise.resolve({ error });
    }
    const opened = this.#connect(hop, tls, () => {
      if (this.#open.get(key) === opened) this.#open.delete(key);
    });
    this.#open.set(key, opened);
    return opened;
  }

  /** Gives up what is being opened. What is open is closed by the hub. */
  close(): void {
    for (const socket of this.#opening) socket.destroy();
  }

  #connect(hop: Hop, tls: TlsPeer | undefined, onGone: () => void): Promise<Opened> {
    return new Promise((resolve) => {
      const { limits, counters } = this.#hub;
      const fail = (words: string) => {
        counters.connectionsNotOpened++;
        // Called before the promise is known, too: whoever asks next gets a new one.
        queueMicrotask(onGone);
        resolve({ error: `${hopLabel(hop)}${words}` });
      };
      let socket: Socket;
      try {
        socket = hop.transport === 'tls' ? secureSocket(hop, tls) : plainSocket(hop);
      } catch (error) {
        fail(`: ${(error as Error).message}`); // a file of ours that can't be used
        return;
      }
      this.#opening.add(socket);
      /** How far it came: what a failure means depends on it. */
      let stage: 'connecting' | 'handshake' | 'open' | 'failed' = 'connecting';
      const giveUp = (words: string) => {
        if (stage === 'failed' || stage === 'open') return;
        stage = 'failed';
        clearTimeout(timer);
        this.#opening.delete(socket);
        socket.destroy();
        fail(words);
      };
      const timer = setTimeout(
        () => giveUp(connectTrouble({ code: 'ETIMEDOUT' }, stage, limits.connectMs)),
        limits.connectMs,
      ).unref();
      socket.on('error', (error: NodeJS.ErrnoException) => {
        if (stage !== 'open') giveUp(connectTrouble(error, stage, limits.connectMs));
        else this.#options.onTrouble?.(`${hopLabel(hop)}${lateTrouble(error)}`);
        socket.destroy();
      });
      socket.on('close', () => giveUp(connectTrouble({ code: 'ECONNRESET' }, stage, limits.connectMs)));
      const use = () => {
        stage = 'open';
        clearTimeout(timer);
        this.#opening.delete(socket);
        counters.connectionsOpened++;
        socket.on('close', onGone);
        const transport = hop.transport === 'tls' ? 'tls' : 'tcp';
        resolve({ flow: ownStream(this.#hub, socket, transport) });
      };
      socket.once('connect', () => {
        if (stage !== 'connecting') return;
        stage = 'handshake';
        if (hop.transport !== 'tls') use();
      });
      socket.once('secureConnect', () => {
        if (stage !== 'handshake') return;
        const trouble = certificateTrouble(socket as TLSSocket, hop.name, tls?.verify);
        if (trouble === undefined) use();
        else giveUp(trouble);
      });
    });
  }
}

/** Why these settings can't be used, in words, or undefined: for those who read configurations. */
export function tlsPeerProblem(tls: TlsPeer): string | undefined {
  try {
    createSecureContext(filesOf(tls));
    return undefined;
  } catch (error) {
    return (error as Error).message;
  }
}

function connectionKey({ transport, address, port, name }: Hop, tls: TlsPeer | undefined): string {
  if (transport !== 'tls') return JSON.stringify([transport, address, port]);
  const { caPath, certPath, keyPath, verify } = tls ?? {};
  return JSON.stringify([transport, address, port, name, caPath, certPath, keyPath, verify]);
}

/** Dead machines are noticed by TCP too, for servers that answer no pings. */
const KEEP_ALIVE = { noDelay: true, keepAlive: true, keepAliveInitialDelay: 30_000 } as const;

function plainSocket({ address, port }: Hop): Socket {
  return connectTcp({ host: address, port, ...KEEP_ALIVE });
}

function secureSocket({ address, port, name }: Hop, tls: TlsPeer = {}): TLSSocket {
  const options: ConnectionOptions = {
    ...TLS_POLICY,
    ...filesOf(tls),
    host: address,
    port,
    ...(ipFamily(name) === undefined ? { servername: name } : {}),
    rejectUnauthorized: false, // judged, and said in words, before anything is sent
    checkServerIdentity: () => undefined,
  };
  const socket = connectTls(options);
  socket.setNoDelay(true);
  socket.setKeepAlive(true, KEEP_ALIVE.keepAliveInitialDelay);
  return socket;
}

/** Read anew for each connection: files that were replaced count at once. Throws in words. */
function filesOf({ caPath, certPath, keyPath }: TlsPeer): SecureContextOptions {
  const ca = caPath === undefined ? {} : { ca: readAuthorities(caPath) };
  if (certPath === undefined || keyPath === undefined) return ca;
  const { cert, key } = readCredentials({ cert: certPath, key: keyPath }, Date.now());
  return { ...ca, cert, key };
}
