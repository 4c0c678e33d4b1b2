import { createSocket } from 'node:dgram';
import { connect as connectTcp, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import {
  answerChallenge,
  createRequest,
  hex,
  parseChallenge,
  parseSip,
  SipMessage,
  StreamFramer,
  utf8,
} from '@offhook/core';
import { nodeCrypto } from '@offhook/core/node';
import WebSocket from 'ws';
import { DOMAIN } from './running.ts';

export interface RegisterOptions {
  readonly user: string;
  readonly password?: string;
  readonly contact?: string;
  readonly expires?: number;
  /** Changes what would be sent in answer to the challenge. */
  readonly spoil?: (authorization: string) => string;
}

const T1_MS = 500;

/** A phone of a few lines: one request at a time over one transport. */
export class SipClient implements AsyncDisposable {
  readonly closed: Promise<void>;
  /** Whether requests over UDP are repeated until they are answered. */
  repeats = true;
  /** What it says to requests; nothing when it is not set. */
  answer: ((request: SipMessage) => SipMessage | undefined) | undefined;
  readonly #repeating = new Set<NodeJS.Timeout | undefined>();
  readonly #send: (bytes: Uint8Array) => void;
  readonly #close: () => void;
  readonly #transport: string;
  readonly #callId = hex(nodeCrypto.randomBytes(8));
  readonly #waiting = new Map<number, (response: SipMessage) => void>();
  #cseq = 0;

  private constructor(
    transport: string,
    wire: { send: (bytes: Uint8Array) => void; close: () => void; closed: Promise<void> },
  ) {
    this.#transport = transport;
    this.#send = wire.send;
    this.#close = wire.close;
    this.closed = wire.closed;
  }

  /** `from` is the address it has, when that is not the machine's choice. */
  static async udp(port: number, host = '127.0.0.1', from?: string): Promise<SipClient> {
    const socket = createSocket(host.includes(':') ? 'udp6' : 'udp4');
    if (from !== undefined) await new Promise<void>((resolve) => socket.bind(0, from, resolve));
    await new Promise<void>((resolve) => socket.connect(port, host, resolve));
    const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()));
    const client = new SipClient('UDP', { send: (bytes) => socket.send(bytes), close: () => socket.close(), closed });
    socket.on('message', (bytes) => client.#receive(bytes));
    return client;
  }

  static async tcp(port: number, host = '127.0.0.1', from?: string): Promise<SipClient> {
    const socket = connectTcp({ port, host, localAddress: from });
    await new Promise((resolve, reject) => socket.once('connect', resolve).once('error', reject));
    return SipClient.#stream('TCP', socket);
  }

  /** Trusts `ca` alone. */
  static async tls(port: number, ca: Uint8Array, host = '127.0.0.1'): Promise<SipClient> {
    const socket = connectTls({ port, host, ca: Buffer.from(ca) });
    await new Promise((resolve, reject) => socket.once('secureConnect', resolve).once('error', reject));
    return SipClient.#stream('TLS', socket);
  }

  static #stream(transport: 'TCP' | 'TLS', socket: Socket): SipClient {
    const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()));
    const client = new SipClient(transport, {
      send: (bytes) => socket.write(bytes),
      close: () => socket.destroy(),
      closed,
    });
    const framer = new StreamFramer();
    socket.on('error', () => {});
    socket.on('data', (chunk) => {
      framer.push(chunk);
      for (let next = framer.next(); next instanceof Uint8Array; next = framer.next()) client.#receive(next);
    });
    return client;
  }

  /** Rejects with `refused <status>` when the upgrade is refused. */
  static async webSocket(url: string, protocols: string[] = ['sip'], options: WebSocket.ClientOptions = {}) {
    const socket = new WebSocket(url, protocols, options);
    await new Promise((resolve, reject) => {
      socket.once('open', resolve);
      socket.once('error', reject);
      socket.once('unexpected-response', (_request, response) => {
        response.resume();
        reject(new Error(`refused ${response.statusCode}`));
      });
    });
    const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()));
    const client = new SipClient(url.startsWith('wss') ? 'WSS' : 'WS', {
      send: (bytes) => socket.send(bytes),
      close: () => socket.terminate(),
      closed,
    });
    socket.on('message', (data: Buffer) => client.#receive(data));
    return client;
  }

  /** Sends a request, with a session description or another body if one is given, and answers its final response. */
  request(
    method: string,
    user: string,
    headers: readonly (readonly [string, string | number])[] = [],
    at: string | { readonly uri: string; readonly type?: string; readonly body: string } = `sip:${DOMAIN}`,
  ): Promise<SipMessage> {
    const { uri, type = 'application/sdp', body } = typeof at === 'string' ? { uri: at } : at;
    const cseq = ++this.#cseq;
    const message = createRequest({
      method,
      uri,
      from: `<sip:${user}@${DOMAIN}>;tag=t`,
      to: method === 'REGISTER' ? `<sip:${user}@${DOMAIN}>` : `<${uri}>`,
      callId: this.#callId,
      cseq,
      headers,
      body: body === undefined ? undefined : { type, bytes: body },
    });
    const branch = `z9hG4bK${hex(nodeCrypto.randomBytes(8))}`;
    message.prepend('via', `SIP/2.0/${this.#transport} client.invalid;branch=${branch};rport`);
    return new Promise((resolve) => {
      const bytes = message.serialize();
      // A server that is behind with its work does not look at datagrams of strangers, which are repeated (RFC 3261 17.1.2).
      const again = this.#transport === 'UDP' && this.repeats ? setInterval(() => this.#send(bytes), T1_MS) : undefined;
      this.#repeating.add(again);
      this.#waiting.set(cseq, (response) => {
        clearInterval(again);
        this.#repeating.delete(again);
        resolve(response);
      });
      this.#send(bytes);
    });
  }

  /** REGISTER, and again with credentials when a password is given and a challenge comes. */
  async register(o: RegisterOptions): Promise<SipMessage> {
    const headers = [
      ...(o.contact === undefined ? [] : [['Contact', o.contact] as const]),
      ...(o.expires === undefined ? [] : [['Expires', o.expires] as const]),
    ];
    const first = await this.request('REGISTER', o.user, headers);
    if (first.status !== 401 || o.password === undefined) return first;
    const authorization = answerChallenge(
      {
        challenge: parseChallenge(first.header('www-authenticate') ?? '')!,
        username: o.user,
        password: o.password,
        method: 'REGISTER',
        uri: `sip:${DOMAIN}`,
      },
      nodeCrypto,
    )!;
    return this.request('REGISTER', o.user, [...headers, ['Authorization', o.spoil?.(authorization) ?? authorization]]);
  }

  sendRaw(text: string): void {
    this.#send(utf8(text));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const again of this.#repeating) clearInterval(again);
    this.#close();
    await this.closed;
  }

  #receive(bytes: Uint8Array): void {
    const message = parseSip(bytes);
    if (!(message instanceof SipMessage)) return;
    if (message.kind === 'request') {
      const answer = this.answer?.(message);
      if (answer) this.#send(answer.serialize());
      return;
    }
    if (message.status < 200) return;
    this.#waiting.get(message.cseq.number)?.(message);
    this.#waiting.delete(message.cseq.number);
  }
}
