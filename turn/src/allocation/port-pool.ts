import type { Random } from '@offhook/core';

/** RFC 6335 6; RFC 8656 7.2 recommends it for relayed addresses. */
const DYNAMIC_MIN = 49_152;
const DYNAMIC_MAX = 65_535;

/** The relay ports of one address: which are taken, and a random free one on demand (RFC 8656 7.2 step 8). */
export class PortPool {
  readonly address: string;
  readonly family: 4 | 6;
  readonly #min: number;
  readonly #max: number;
  readonly #random: Random;
  readonly #taken = new Set<number>();

  /** `portMin` 0: the system chooses any free port, or we one of the dynamic range where it has to be even. */
  constructor(options: {
    readonly address: string;
    readonly family: 4 | 6;
    readonly portMin: number;
    readonly portMax: number;
    readonly random: Random;
  }) {
    this.address = options.address;
    this.family = options.family;
    this.#min = options.portMin;
    this.#max = options.portMax;
    this.#random = options.random;
  }

  get taken(): number {
    return this.#taken.size;
  }

  /** A free port, taken from now on; 0 = let the system choose; undefined = none is left. */
  take(kind: 'any' | 'even' | 'even-with-next'): number | undefined {
    if (this.#min === 0 && kind === 'any') return 0;
    const min = this.#min === 0 ? DYNAMIC_MIN : this.#min;
    const max = this.#min === 0 ? DYNAMIC_MAX : this.#max;
    const size = max - min + 1;
    const start = Math.floor(this.#random.next() * size);
    for (let i = 0; i < size; i++) {
      const port = min + ((start + i) % size);
      if (this.#taken.has(port) || (kind !== 'any' && port % 2 !== 0)) continue;
      if (kind === 'even-with-next' && (port + 1 > max || this.#taken.has(port + 1))) continue;
      this.#taken.add(port);
      if (kind === 'even-with-next') this.#taken.add(port + 1);
      return port;
    }
    return undefined;
  }

  give(port: number): void {
    this.#taken.delete(port);
  }
}
