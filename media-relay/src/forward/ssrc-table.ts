import { MAX_KNOWN_SSRCS, SsrcIndex } from '../srtp/index.ts';

/**
 * SSRC → small number, looked up per packet without allocating. After `MAX_KNOWN_SSRCS` streams it forgets all and learns
 * again: it only routes, so a wrong memory costs nothing that payload types don't bring back.
 */
export class SsrcTable {
  readonly #index = new SsrcIndex();
  #values = new Int8Array(this.#index.capacity);

  get size(): number {
    return this.#index.count;
  }

  /** The value, or -1. */
  find(ssrc: number): number {
    const n = this.#index.find(ssrc);
    return n < 0 ? -1 : this.#values[n]!;
  }

  /** @param value 0–127. */
  set(ssrc: number, value: number): void {
    let n = this.#index.find(ssrc);
    if (n < 0) {
      if (this.#index.count === MAX_KNOWN_SSRCS) this.#index.clear();
      n = this.#index.add(ssrc);
      if (n >= this.#values.length) {
        const values = new Int8Array(this.#index.capacity);
        values.set(this.#values);
        this.#values = values;
      }
    }
    this.#values[n] = value;
  }

  clear(): void {
    this.#index.clear();
  }
}
