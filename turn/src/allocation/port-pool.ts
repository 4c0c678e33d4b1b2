import type { Random } from '@offhook/core';
import { UdpEndpoint } from '@offhook/core/node';
import type { RelayAddress } from './relay-address.ts';
import type { SharedTables } from './shared.ts';

/** RFC 6335 6; RFC 8656 7.2 recommends it for relayed addresses. */
const DYNAMIC_MIN = 49_152;
const DYNAMIC_MAX = 65_535;

export interface PortPoolOptions {
  readonly at: RelayAddress;
  /** Index of the address in the shared tables. */
  readonly index: number;
  /** 0 and 0: the system chooses any free port, or we one of the dynamic range where it has to be even. */
  readonly portMin: number;
  readonly portMax: number;
  readonly random: Random;
  readonly shared: SharedTables;
}

/** The relay ports of one address: a random free one on demand (RFC 8656 7.2), and which addresses are ours. */
export class PortPool {
  readonly address: string;
  readonly family: 4 | 6;
  readonly index: number;
  /** The address without a port, as sockets have it and as it is told. */
  readonly local: UdpEndpoint;
  readonly external: UdpEndpoint | undefined;
  readonly #options: PortPoolOptions;

  constructor(options: PortPoolOptions) {
    const { address, external } = options.at;
    this.#options = options;
    this.address = address;
    this.family = address.includes(':') ? 6 : 4;
    this.index = options.index;
    this.local = UdpEndpoint.from({ address, port: 0 })!;
    this.external = external === undefined ? undefined : UdpEndpoint.from({ address: external, port: 0 });
  }

  get taken(): number {
    return this.#options.shared.portsTaken(this.index);
  }

  /** A free port, taken from now on; 0 = let the system choose; undefined = none is left. */
  take(kind: 'any' | 'even' | 'even-with-next'): number | undefined {
    const { portMin, portMax, random, shared } = this.#options;
    if (portMin === 0 && kind === 'any') return 0;
    const min = portMin === 0 ? DYNAMIC_MIN : portMin;
    const max = portMin === 0 ? DYNAMIC_MAX : portMax;
    const size = max - min + 1;
    if (shared.portsTaken(this.index) >= size) return undefined;
    const start = Math.floor(random.next() * size);
    for (let i = 0; i < size; i++) {
      const port = min + ((start + i) % size);
      if (kind !== 'any' && port % 2 !== 0) continue;
      if (kind === 'even-with-next' && port + 1 > max) continue;
      if (!shared.takePort(this.index, port)) continue;
      if (kind !== 'even-with-next' || shared.takePort(this.index, port + 1)) return port;
      shared.givePort(this.index, port);
    }
    return undefined;
  }

  /** Notes a port that the system has chosen; false when it is kept for somebody. */
  note(port: number): boolean {
    return this.#options.shared.takePort(this.index, port);
  }

  /** The port's socket is open. */
  opened(port: number): void {
    this.#options.shared.openPort(this.index, port);
  }

  give(port: number): void {
    if (port !== 0) this.#options.shared.givePort(this.index, port);
  }

  /** Whether the address in these words (as `UdpEndpoint` has them) is that of our sockets. */
  isLocal(words: ArrayLike<number>, at: number): boolean {
    return isAt(this.local, words, at);
  }

  isExternal(words: ArrayLike<number>, at: number): boolean {
    return this.external !== undefined && isAt(this.external, words, at);
  }

  /** Whether a relay socket is open at that port. */
  isOpen(port: number): boolean {
    return this.#options.shared.isPortOpen(this.index, port);
  }

  /** The endpoint that clients and peers are told for a socket bound to `port`. */
  told(port: number): UdpEndpoint {
    const { family, a, b, c, d } = this.external ?? this.local;
    return new UdpEndpoint(family, [a, b, c, d], port);
  }
}

function isAt(own: UdpEndpoint, words: ArrayLike<number>, at: number): boolean {
  return (
    (words[at]! | 0) === own.a &&
    (words[at + 1]! | 0) === own.b &&
    (words[at + 2]! | 0) === own.c &&
    (words[at + 3]! | 0) === own.d
  );
}
