/** SSRCs one map ever knows: a peer that takes a new one each minute is served for 17 hours under one key. */
export const MAX_KNOWN_SSRCS = 1024;

/**
 * SSRC → what is known of its stream. Looked up per packet without allocating; the one looked up last, which on most
 * transports is the only one, is found without touching the map's memory.
 */
export class SsrcMap<T> {
  /** All, from the second one on. */
  #known: Map<number, T> | undefined;
  #lastKey = 0;
  #last: T | undefined;

  get count(): number {
    return this.#known?.size ?? (this.#last === undefined ? 0 : 1);
  }

  /** @param ssrc as 32 bits, signed or not */
  find(ssrc: number): T | undefined {
    const key = ssrc | 0; // a small integer for V8 whatever the SSRC
    return key === this.#lastKey && this.#last !== undefined ? this.#last : this.#lookUp(key);
  }

  /** Takes an SSRC that `find` doesn't know; false when there is room for no more. */
  add(ssrc: number, value: T): boolean {
    if (this.count === MAX_KNOWN_SSRCS) return false;
    this.set(ssrc, value);
    return true;
  }

  /** Takes another value for an SSRC that is known. */
  set(ssrc: number, value: T): void {
    const key = ssrc | 0;
    if (this.#known === undefined && this.#last !== undefined && this.#lastKey !== key)
      this.#known = new Map([[this.#lastKey, this.#last]]);
    this.#known?.set(key, value);
    this.#lastKey = key;
    this.#last = value;
  }

  clear(): void {
    this.#known = undefined;
    this.#last = undefined;
  }

  #lookUp(key: number): T | undefined {
    const found = this.#known?.get(key);
    if (found === undefined) return undefined;
    this.#lastKey = key;
    this.#last = found;
    return found;
  }
}
