import { createSocket } from 'node:dgram';
import { getServers } from 'node:dns';
import { connect } from 'node:net';
import { type Crypto, ipFamily, parseHostPort, type SocketAddress } from '@offhook/core';
import type { DnsRecord, DnsReply, Question } from './dns.ts';
import { decodeReply, encodeQuestion } from './dns-message.ts';
import { type Lookup, lookupNames, readHosts } from './system-names.ts';

export interface DnsClientOptions {
  readonly crypto: Crypto;
  /** Addresses, with a port where it is not 53; default: those of the system. */
  readonly servers?: readonly string[];
  /** How long one server may take over one question. */
  readonly serverMs?: number;
  /** Names that this machine knows without DNS: its hosts file, and whatever else the system asks. */
  readonly hostsPath?: string;
  readonly lookup?: Lookup;
}

const SERVER_MS = 2000;
/** How often all servers are asked; when none has said a word lately, once, and not for long. */
const ROUNDS = 2;
const SILENT_MS = 10_000;
const SHORT_MS = 500;
/** Servers that are asked, and questions that are out at a time: each has a socket. */
const SERVERS = 4;
const AT_A_TIME = 64;
/** Look-ups of the system at a time: each holds one of Node's few threads. */
const LOOKUPS = 2;
/** The hosts file may change, and what the system knows too. */
const SYSTEM_TTL_S = 10;

/**
 * Asks name servers (RFC 1035): over UDP with a fresh socket for each question, so that its port and id can't be guessed
 * (RFC 5452), and over TCP when the answer does not fit.
 */
export class DnsClient {
  readonly #options: DnsClientOptions;
  readonly #lookup: Lookup;
  /** Stops what is under way. */
  readonly #stops = new Set<() => void>();
  readonly #questions = new Turns(AT_A_TIME);
  readonly #lookups = new Turns(LOOKUPS);
  #silentUntilMs = 0;
  #isClosed = false;

  constructor(options: DnsClientOptions) {
    this.#options = options;
    this.#lookup = options.lookup ?? lookupNames;
  }

  /** Sockets that are open. */
  get open(): number {
    return this.#stops.size;
  }

  /** Never rejects. Addresses come from the hosts file, then DNS, then from whatever else the system knows. */
  async ask(question: Question): Promise<DnsReply> {
    const { name, type } = question;
    const isAddress = type === 'A' || type === 'AAAA';
    const own = isAddress ? await readHosts(name, type, this.#options.hostsPath) : [];
    if (own.length > 0 || isLocalhost(name)) return systemReply(question, own);
    const reply = await this.#questions.run(() => this.#askServers(question));
    if (!isAddress || reply.kind === 'failure' || reply.answers.length > 0 || this.#isClosed) return reply;
    const known = await this.#lookups.run(() => this.#lookup(name, type === 'A' ? 4 : 6));
    return known.length > 0 ? systemReply(question, known) : reply;
  }

  close(): void {
    this.#isClosed = true;
    for (const stop of [...this.#stops]) stop();
    this.#questions.release();
    this.#lookups.release();
  }

  async #askServers(question: Question): Promise<DnsReply> {
    const { servers = getServers(), serverMs = SERVER_MS } = this.#options;
    const places = servers.slice(0, SERVERS).flatMap((server) => serverAt(server) ?? []);
    const isSilent = performance.now() < this.#silentUntilMs;
    let rcode: string | undefined;
    for (let round = 0; round < (isSilent ? 1 : ROUNDS); round++) {
      for (const server of places) {
        if (this.#isClosed) return { kind: 'failure' };
        const form = round === 0 ? 'edns' : 'plain';
        const ms = isSilent ? Math.min(SHORT_MS, serverMs) : serverMs;
        const reply = await this.#askOne(question, { server, form, ms });
        if (reply) this.#silentUntilMs = 0;
        if (reply?.kind === 'answer') return reply;
        rcode = reply?.rcode ?? rcode;
      }
    }
    if (rcode === undefined) this.#silentUntilMs = performance.now() + SILENT_MS;
    return { kind: 'failure', rcode };
  }

  /** What one server says; undefined when it says nothing in time. */
  async #askOne(
    question: Question,
    { server, form, ms }: { server: SocketAddress; form: 'edns' | 'plain'; ms: number },
  ): Promise<DnsReply | undefined> {
    const [high, low] = this.#options.crypto.randomBytes(2);
    const id = high! * 256 + low!;
    const bytes = encodeQuestion(id, question, form);
    const decode = (answer: Buffer) => decodeReply(answer, id, question);
    const reply = await this.#overUdp(server, { bytes, decode, ms });
    return reply === 'truncated' ? this.#overTcp(server, { bytes, decode, ms }) : reply;
  }

  #overUdp(server: SocketAddress, { bytes, decode, ms }: Exchange): Promise<DnsReply | 'truncated' | undefined> {
    return new Promise((resolve) => {
      const socket = createSocket(ipFamily(server.address) === 6 ? 'udp6' : 'udp4');
      const end = this.#once(ms, (reply: DnsReply | 'truncated' | undefined) => {
        socket.close();
        resolve(reply);
      });
      socket.on('error', () => end(undefined));
      socket.on('message', (answer) => {
        const reply = decode(answer);
        if (reply !== undefined) end(reply); // whatever else comes is somebody's attempt to get in first
      });
      // Connected, the socket takes nothing from anybody else, and hears at once that nobody listens there.
      socket.connect(server.port, server.address, () => socket.send(bytes));
    });
  }

  /** RFC 7766: "each message … is prefixed with a two-byte length field". */
  #overTcp(server: SocketAddress, { bytes, decode, ms }: Exchange): Promise<DnsReply | undefined> {
    return new Promise((resolve) => {
      const socket = connect({ host: server.address, port: server.port });
      const end = this.#once(ms, (reply: DnsReply | undefined) => {
        socket.destroy();
        resolve(reply);
      });
      let got = Buffer.alloc(0);
      socket.on('error', () => end(undefined));
      socket.on('close', () => end(undefined));
      socket.on('connect', () => {
        const length = Buffer.alloc(2);
        length.writeUInt16BE(bytes.length);
        socket.write(Buffer.concat([length, bytes]));
      });
      socket.on('data', (chunk) => {
        got = Buffer.concat([got, chunk]);
        if (got.length < 2 || got.length < 2 + got.readUInt16BE(0)) return;
        const reply = decode(got.subarray(2, 2 + got.readUInt16BE(0)));
        end(reply === 'truncated' ? undefined : reply);
      });
    });
  }

  /** Runs `end` once: by the first call, after that time, or when the client is closed. */
  #once<T>(ms: number, end: (result: T | undefined) => void): (result: T | undefined) => void {
    const stop = () => once(undefined);
    const once = (result: T | undefined) => {
      if (!this.#stops.delete(stop)) return;
      clearTimeout(timer);
      end(result);
    };
    const timer = setTimeout(stop, ms).unref();
    this.#stops.add(stop);
    return once;
  }
}

/** Lets so many work at a time; the others wait for their turn. */
class Turns {
  readonly #most: number;
  readonly #queue: (() => void)[] = [];
  #working = 0;

  constructor(most: number) {
    this.#most = most;
  }

  async run<T>(work: () => Promise<T>): Promise<T> {
    if (this.#working >= this.#most) await new Promise<void>((resolve) => this.#queue.push(resolve));
    this.#working++;
    try {
      return await work();
    } finally {
      this.#working--;
      this.#queue.shift()?.();
    }
  }

  /** Nobody waits any more. */
  release(): void {
    for (const begin of this.#queue.splice(0)) begin();
  }
}

interface Exchange {
  readonly bytes: Buffer;
  readonly decode: (answer: Buffer) => DnsReply | 'truncated' | undefined;
  readonly ms: number;
}

/** "Name resolution APIs … SHOULD recognize localhost names as special and SHOULD always return the IP loopback address" (RFC 6761 6.3) */
function isLocalhost(name: string): boolean {
  return name === 'localhost' || name.endsWith('.localhost');
}

function systemReply({ name, type }: Question, addresses: readonly string[]): DnsReply {
  const known = addresses.length > 0 || !isLocalhost(name) ? addresses : [type === 'A' ? '127.0.0.1' : '::1'];
  const answers: DnsRecord[] =
    type === 'A' || type === 'AAAA' ? known.map((address) => ({ name, type, address, ttlS: SYSTEM_TTL_S })) : [];
  return { kind: 'answer', rcode: 'NOERROR', answers, additionals: [], negativeTtlS: SYSTEM_TTL_S };
}

/** `192.0.2.53`, `192.0.2.53:5353`, `2001:db8::53`, `[2001:db8::53]:5353`. */
export function serverAt(server: string): SocketAddress | undefined {
  if (ipFamily(server) !== undefined) return { address: server, port: 53 };
  const at = parseHostPort(server);
  return at && ipFamily(at.host) !== undefined ? { address: at.host, port: at.port ?? 53 } : undefined;
}
