import { createSocket, type Socket as UdpSocket } from 'node:dgram';
import { lookup, resolveSrv } from 'node:dns/promises';
import { connect as connectTcp, type Socket } from 'node:net';
import { checkServerIdentity, connect as connectTls, rootCertificates } from 'node:tls';
import { ipFamily, type SocketAddress, StreamFramer, unmapped } from '@offhook/core';
import type { Flow } from '@offhook/signaling';

export type ChatTransport = 'udp' | 'tcp' | 'tls';

export interface WireOptions {
  readonly transport: ChatTransport;
  readonly host: string;
  /** Undefined: by SRV records of the host, and 5060 (5061 over TLS) without any (RFC 3263 4.2). */
  readonly port: number | undefined;
  /** What a certificate has to be for, beside the host (RFC 5922 7.3). */
  readonly domain: string;
  /** PEM of a CA to be trusted beside the usual ones. */
  readonly ca: string | undefined;
}

export interface WireEvents {
  opened(flow: Flow): void;
  /** Without a flow: none could be opened. */
  closed(flow: Flow | undefined, words: string): void;
  received(bytes: Uint8Array, flow: Flow): void;
}

const CONNECT_MS = 10_000;
const KEEP_ALIVE_MS = 30_000;
/** A server that reads nothing is not waited for. */
const MAX_UNSENT = 1024 * 1024;

interface Open {
  readonly flow: Flow;
  send(bytes: Uint8Array): void;
  close(): void;
}

/** The one flow to the server: a connected UDP socket (strangers' datagrams don't reach it), or a connection. */
export class Wire {
  readonly #options: WireOptions;
  readonly #events: WireEvents;
  #open: Open | undefined;
  #nextId = 1;
  #isClosed = false;
  /** Ends what is being opened. */
  #abort: (() => void) | undefined;

  constructor(options: WireOptions, events: WireEvents) {
    this.#options = options;
    this.#events = events;
  }

  /** Opens a flow, told by `opened` or `closed`. */
  async open(): Promise<void> {
    const { transport } = this.#options;
    try {
      const at = await this.#where();
      if (this.#isClosed) return;
      const open = transport === 'udp' ? await this.#udp(at) : await this.#stream(at, transport);
      if (this.#isClosed) {
        open.close();
        return;
      }
      this.#open = open;
      this.#events.opened(open.flow);
    } catch (error) {
      if (!this.#isClosed) this.#events.closed(undefined, wordsOf(error as Error, this.#options));
    }
  }

  send(bytes: Uint8Array, flow: Flow): void {
    if (this.#open?.flow === flow) this.#open.send(bytes);
  }

  /** Ends a flow without a word to anybody. */
  drop(flow: Flow): void {
    if (this.#open?.flow !== flow) return;
    const open = this.#open;
    this.#open = undefined;
    open.close();
  }

  close(): void {
    this.#isClosed = true;
    this.#abort?.();
    if (this.#open) this.drop(this.#open.flow);
  }

  /** RFC 3263 4.2 in short: an address as it is, a port as it is given, else SRV, else the usual port. */
  async #where(): Promise<SocketAddress> {
    const { host, port, transport } = this.#options;
    const usual = transport === 'tls' ? 5061 : 5060;
    if (ipFamily(host) !== undefined) return { address: host, port: port ?? usual };
    if (port === undefined && host.includes('.')) {
      const service = transport === 'tls' ? `_sips._tcp.${host}` : `_sip._${transport}.${host}`;
      const records = await resolveSrv(service).catch(() => []);
      const [first] = records.sort((a, b) => a.priority - b.priority || b.weight - a.weight);
      if (first) return { address: (await lookup(first.name)).address, port: first.port };
    }
    return { address: (await lookup(host)).address, port: port ?? usual };
  }

  #udp(at: SocketAddress): Promise<Open> {
    return new Promise((resolve, reject) => {
      const socket: UdpSocket = createSocket(at.address.includes(':') ? 'udp6' : 'udp4');
      const failed = (error: Error) => {
        socket.close();
        reject(error);
      };
      this.#abort = () => socket.close();
      socket.once('error', failed);
      socket.once('connect', () => {
        const { address, port } = socket.address();
        const flow = this.#flow('udp', { address: unmapped(address), port }, at);
        socket.off('error', failed);
        socket.on('error', (error) => this.#lost(flow, error));
        socket.on('message', (bytes) => this.#events.received(bytes, flow));
        let isClosed = false;
        this.#abort = undefined;
        resolve({
          flow,
          send: (bytes) => {
            if (!isClosed) socket.send(bytes, (error) => error && this.#lost(flow, error));
          },
          close: () => {
            isClosed = true;
            socket.close();
          },
        });
      });
      socket.connect(at.port, at.address);
    });
  }

  #stream(at: SocketAddress, transport: 'tcp' | 'tls'): Promise<Open> {
    const { host, domain, ca } = this.#options;
    return new Promise((resolve, reject) => {
      const socket: Socket =
        transport === 'tcp'
          ? connectTcp({ host: at.address, port: at.port })
          : connectTls({
              host: at.address,
              port: at.port,
              ...(ipFamily(domain) === undefined ? { servername: domain } : {}),
              ...(ca === undefined ? {} : { ca: [...rootCertificates, ca] }),
              // RFC 5922 7.3 asks for the domain; whoever names a server by hand means that one
              checkServerIdentity: (_, certificate) =>
                checkServerIdentity(domain, certificate) && checkServerIdentity(host, certificate),
            });
      this.#abort = () => socket.destroy();
      const guard = setTimeout(() => socket.destroy(new Error('no connection within 10 s')), CONNECT_MS);
      const failed = (error?: Error) => {
        clearTimeout(guard);
        reject(error ?? new Error('the server has hung up'));
      };
      socket.once('error', failed);
      socket.once('close', () => failed());
      socket.once(transport === 'tcp' ? 'connect' : 'secureConnect', () => {
        clearTimeout(guard);
        this.#abort = undefined;
        socket.setNoDelay(true);
        socket.setKeepAlive(true, KEEP_ALIVE_MS);
        const local = { address: unmapped(socket.localAddress ?? ''), port: socket.localPort ?? 0 };
        const flow = this.#flow(transport, local, at);
        const framer = new StreamFramer();
        socket.on('error', (error) => this.#lost(flow, error));
        socket.on('close', () => this.#lost(flow, new Error('the server has closed the connection')));
        socket.on('data', (chunk) => {
          framer.push(chunk);
          for (let next = framer.next(); next !== undefined; next = framer.next()) {
            if (next instanceof Uint8Array) this.#events.received(next, flow);
            else if (next === 'keepalive') socket.write('\r\n');
            else socket.destroy(new Error(`the server sends no SIP: ${next.error}`));
          }
        });
        resolve({
          flow,
          send: (bytes) => {
            if (socket.writableLength > MAX_UNSENT) socket.destroy(new Error('the server reads nothing'));
            else if (!socket.destroyed) socket.write(bytes);
          },
          close: () => socket.destroySoon(),
        });
      });
    });
  }

  #flow(transport: ChatTransport, local: SocketAddress, remote: SocketAddress): Flow {
    return { id: this.#nextId++, transport, local, remote, isOutgoing: true };
  }

  #lost(flow: Flow, error: Error): void {
    if (this.#open?.flow !== flow) return;
    this.drop(flow);
    this.#events.closed(flow, wordsOf(error, this.#options));
  }
}

function wordsOf(error: NodeJS.ErrnoException, { host, port, transport, domain }: WireOptions): string {
  const where = `${host}${port === undefined ? '' : `:${port}`}`;
  const code = error.code ?? '';
  if (code === 'ECONNREFUSED') return `nobody listens at ${where} (${transport})`;
  if (code === 'ENOTFOUND' || code === 'EAI_AGAIN') return `there is no address for ${host}`;
  if (code === 'ECONNRESET' || code === 'EPIPE') return `${where} has cut the connection`;
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID') return `the certificate of ${where} is not for ${domain}`;
  if (/SELF_SIGNED|UNABLE_TO_(?:VERIFY|GET_ISSUER)/.test(code))
    return `the certificate of ${where} is by nobody who is trusted here; --ca names the CA's file`;
  if (code === 'CERT_HAS_EXPIRED') return `the certificate of ${where} has expired`;
  if (code.startsWith('ERR_SSL')) return `${where} does not speak TLS`;
  return `${where}: ${error.message}`;
}
