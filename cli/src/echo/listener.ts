import { networkInterfaces } from 'node:os';
import { type SocketAddress, unmapped } from '@offhook/core';
import { Admissions, SourceAllowances } from './allowance.ts';
import type { IssuedPair } from './identity.ts';
import type { ListenAt } from './listen-at.ts';
import { listenStreams } from './listen-stream.ts';
import { listenDatagrams } from './listen-udp.ts';
import { listenWebSockets } from './listen-websocket.ts';
import type { EchoCounters, EchoLimits, EchoPort, EchoPortOptions } from './port.ts';
import type { Scheme } from './url.ts';

export interface ListenerOptions {
  readonly plan: readonly ListenAt[];
  readonly limits: EchoLimits;
  readonly certificate: IssuedPair | undefined;
  /** Once for each transport and address, MAX_TOLD at most. */
  readonly onPeer?: (scheme: Scheme, address: string) => void;
}

/** Peers that are told by name; more would fill the terminal. */
const MAX_TOLD = 100;
/** When any port will do, and the one that the first address got is taken at the next. */
const ATTEMPTS = 5;
/** How many ports above a usual one are tried. */
const TRIES = 20;

/** What became of one wish. */
export interface Opened {
  readonly scheme: Scheme;
  readonly ports: readonly SocketAddress[];
  /** The usual port, which somebody else has. */
  readonly taken: number | undefined;
}

/** An echo over any number of ports. */
export class EchoListener {
  readonly opened: Opened[] = [];
  readonly counters = new Map<Scheme, EchoCounters>();
  readonly #ports: EchoPort[] = [];
  readonly #told = new Set<string>();
  readonly #options: ListenerOptions;
  readonly #admissions: Admissions;
  readonly #sources: SourceAllowances;

  /** Opens everything or nothing. Throws EchoTrouble when a port that was asked for can't be had. */
  static async open(options: ListenerOptions): Promise<EchoListener> {
    const listener = new EchoListener(options);
    try {
      for (const one of options.plan) await listener.#open(one);
      return listener;
    } catch (error) {
      await listener.close();
      throw error;
    }
  }

  private constructor(options: ListenerOptions) {
    this.#options = options;
    this.#admissions = new Admissions(options.limits.connections, options.limits.perAddress);
    this.#sources = new SourceAllowances(options.limits.bytesPerS);
  }

  /** Connections that are open now. */
  get connections(): number {
    return this.#admissions.total;
  }

  /** Takes nothing more, says goodbye to whoever is connected, and resolves when all are gone. */
  async close(): Promise<void> {
    await Promise.all(this.#ports.splice(0).map((port) => port.close()));
  }

  async #open({ scheme, addresses, port, isExact }: ListenAt): Promise<void> {
    const where = addresses.flatMap(everyAddress);
    const candidates = isExact ? [port] : this.#candidates(scheme, port);
    for (const [i, wanted] of candidates.entries()) {
      try {
        const ports = await this.#openAll(scheme, where, wanted);
        this.#ports.push(...ports);
        this.opened.push({
          scheme,
          ports: ports.map(({ at }) => at),
          taken: wanted === port ? undefined : port,
        });
        return;
      } catch (error) {
        const { code } = error as NodeJS.ErrnoException;
        if ((code !== 'EADDRINUSE' && code !== 'EACCES') || i === candidates.length - 1) throw error;
      }
    }
  }

  /** The usual port and those above it, but not those that other wishes are for. */
  #candidates(scheme: Scheme, port: number): number[] {
    if (port === 0) return Array.from({ length: ATTEMPTS }, () => 0);
    const isUdp = scheme === 'udp';
    const others = this.#options.plan.filter((one) => (one.scheme === 'udp') === isUdp).map((one) => one.port);
    const above = Array.from({ length: TRIES }, (_, i) => port + 1 + i);
    return [port, ...above.filter((one) => one <= 65_535 && !others.includes(one))];
  }

  /** The same port at each address; nothing stays open when one of them fails. */
  async #openAll(scheme: Scheme, addresses: readonly string[], port: number): Promise<EchoPort[]> {
    const ports: EchoPort[] = [];
    try {
      for (const address of addresses)
        ports.push(await this.#openOne(scheme, { address, port: ports[0]?.at.port ?? port }));
      return ports;
    } catch (error) {
      await Promise.all(ports.map((one) => one.close()));
      throw error;
    }
  }

  #openOne(scheme: Scheme, at: SocketAddress): Promise<EchoPort> {
    const { limits, certificate } = this.#options;
    const options: EchoPortOptions = {
      at,
      scheme,
      limits,
      certificate,
      counters: this.#countersOf(scheme),
      admissions: this.#admissions,
      sources: this.#sources,
      onPeer: (address) => this.#tell(scheme, unmapped(address)),
    };
    switch (scheme) {
      case 'udp':
        return listenDatagrams(options);
      case 'tcp':
      case 'tls':
        return listenStreams(options);
      case 'ws':
      case 'wss':
        return listenWebSockets(options);
      default:
        return scheme satisfies never;
    }
  }

  #countersOf(scheme: Scheme): EchoCounters {
    let counters = this.counters.get(scheme);
    if (!counters) {
      counters = { connections: 0, refused: 0, failed: 0, messages: 0, bytes: 0, dropped: 0, idle: 0 };
      this.counters.set(scheme, counters);
    }
    return counters;
  }

  #tell(scheme: Scheme, address: string): void {
    const key = `${scheme} ${address}`;
    if (this.#told.size >= MAX_TOLD || this.#told.has(key)) return;
    this.#told.add(key);
    this.#options.onPeer?.(scheme, address);
  }
}

/**
 * Each address that a wildcard stands for, because a UDP socket on a wildcard answers from whichever address the route
 * back has, and clients take no answer from another address than they asked.
 */
function everyAddress(address: string): string[] {
  if (address !== '0.0.0.0' && address !== '::') return [address];
  const family = address === '::' ? 'IPv6' : 'IPv4';
  const own = Object.values(networkInterfaces()).flatMap((list) => list ?? []);
  const found = own
    .filter((one) => one.family === family && !one.address.startsWith('fe80:'))
    .map((one) => one.address);
  return found.length > 0 ? [...new Set(found)] : [address];
}
