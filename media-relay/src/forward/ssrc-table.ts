import { SsrcMap } from '../srtp/index.ts';

/**
 * SSRC → small number, looked up per packet without allocating. After `MAX_KNOWN_SSRCS` streams it forgets all and learns
 * again: it only routes, so a wrong memory costs nothing that payload types don't bring back.
 */
export class SsrcTable {
  readonly #values = new SsrcMap<number>();

  get size(): number {
    return this.#values.count;
  }

  /** The value, or -1. */
  find(ssrc: number): number {
    return this.#values.find(ssrc) ?? -1;
  }

  set(ssrc: number, value: number): void {
    if (this.#values.find(ssrc) !== undefined) this.#values.set(ssrc, value);
    else if (!this.#values.add(ssrc, value)) {
      this.#values.clear();
      this.#values.add(ssrc, value);
    }
  }

  clear(): void {
    this.#values.clear();
  }
}
