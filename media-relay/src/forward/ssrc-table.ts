const SLOTS = 64;
/** SSRCs one transport remembers; more are routed by payload type each time. */
export const MAX_LEARNED_SSRCS = 32;

/** SSRC → small number, looked up per packet without allocating: open addressing over 64 slots, at most half full. */
export class SsrcTable {
  readonly #keys = new Uint32Array(SLOTS);
  readonly #values = new Int8Array(SLOTS).fill(-1);
  #size = 0;

  get size(): number {
    return this.#size;
  }

  /** The value, or -1. */
  find(ssrc: number): number {
    let slot = home(ssrc);
    while (this.#values[slot]! >= 0 && this.#keys[slot] !== ssrc) slot = (slot + 1) & (SLOTS - 1);
    return this.#values[slot]!;
  }

  /** @param value 0–127. Nothing happens when the table is full. */
  set(ssrc: number, value: number): void {
    let slot = home(ssrc);
    while (this.#values[slot]! >= 0 && this.#keys[slot] !== ssrc) slot = (slot + 1) & (SLOTS - 1);
    if (this.#values[slot]! < 0) {
      if (this.#size >= MAX_LEARNED_SSRCS) return;
      this.#size++;
    }
    this.#keys[slot] = ssrc;
    this.#values[slot] = value;
  }

  clear(): void {
    this.#values.fill(-1);
    this.#size = 0;
  }
}

function home(ssrc: number): number {
  return Math.imul(ssrc, 0x9e3779b1) >>> 26;
}
