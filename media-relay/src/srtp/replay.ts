/** Streams (SSRCs) one direction of a leg may carry; more are refused. */
export const MAX_SSRCS = 32;

/** Packets behind the highest index that are still accepted once (RFC 3711 3.3.2 asks for at least 64). */
export const REPLAY_WINDOW = 512;

const WORDS = REPLAY_WINDOW / 32;

/**
 * The highest index and the replay window per SSRC, in fixed arrays. An index is the 48-bit `ROC · 2^16 + SEQ` of SRTP
 * or the 31-bit index of SRTCP, as a plain number.
 */
export class ReplayTable {
  readonly #ssrcs = new Uint32Array(MAX_SSRCS);
  readonly #highest = new Float64Array(MAX_SSRCS).fill(-1);
  readonly #seen = new Uint32Array(MAX_SSRCS * WORDS);
  #count = 0;
  #last = 0;

  get count(): number {
    return this.#count;
  }

  /** The stream's slot; -1 when it is new. */
  find(ssrc: number): number {
    if (this.#last < this.#count && this.#ssrcs[this.#last] === ssrc) return this.#last;
    for (let i = 0; i < this.#count; i++)
      if (this.#ssrcs[i] === ssrc) {
        this.#last = i;
        return i;
      }
    return -1;
  }

  /** A slot for a new stream, -1 when all are taken. Only for authenticated packets: nothing removes a stream. */
  add(ssrc: number): number {
    if (this.#count === MAX_SSRCS) return -1;
    this.#ssrcs[this.#count] = ssrc;
    this.#last = this.#count;
    return this.#count++;
  }

  /**
   * The index a sequence number most likely has (RFC 3711 3.3.1, Appendix A): the one nearest to the highest so far.
   * -1 when that would lie before the first.
   */
  estimate(slot: number, sequence: number): number {
    const highest = slot < 0 ? -1 : this.#highest[slot]!;
    if (highest < 0) return sequence;
    const s = highest % 0x10000;
    const base = highest - s;
    if (s < 0x8000) {
      if (sequence - s > 0x8000) return base < 0x10000 ? -1 : base - 0x10000 + sequence;
    } else if (s - 0x8000 > sequence) return base + 0x10000 + sequence;
    return base + sequence;
  }

  /** Whether an index was never accepted and is not older than the window. */
  isFresh(slot: number, index: number): boolean {
    if (slot < 0) return true;
    const highest = this.#highest[slot]!;
    if (index > highest) return true;
    if (highest - index >= REPLAY_WINDOW) return false;
    return (this.#seen[this.#word(slot, index)]! & (1 << (index % 32))) === 0;
  }

  /** Marks an index as seen; only after the tag was found good. */
  accept(slot: number, index: number): void {
    const highest = this.#highest[slot]!;
    if (index > highest) {
      if (highest < 0 || index - highest >= REPLAY_WINDOW) this.#seen.fill(0, slot * WORDS, (slot + 1) * WORDS);
      else for (let i = highest + 1; i <= index; i++) this.#seen[this.#word(slot, i)]! &= ~(1 << (i % 32));
      this.#highest[slot] = index;
    }
    this.#seen[this.#word(slot, index)]! |= 1 << (index % 32);
  }

  #word(slot: number, index: number): number {
    return slot * WORDS + Math.floor((index % REPLAY_WINDOW) / 32);
  }
}
