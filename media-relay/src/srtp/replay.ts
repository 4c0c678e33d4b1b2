import { SsrcIndex } from './ssrc-index.ts';

/** Streams (SSRCs) of one direction that have a replay window; a further one takes that of the stream silent the longest. */
export const MAX_WINDOWS = 32;

/** Packets behind the highest index that are still accepted once (RFC 3711 3.3.2 asks for at least 64). */
export const REPLAY_WINDOW = 512;

const WORDS = REPLAY_WINDOW / 32;

/**
 * The highest index and the replay window per SSRC, in fixed arrays. An index is the 48-bit `ROC · 2^16 + SEQ` of SRTP
 * or the 31-bit index of SRTCP, as a plain number.
 *
 * A stream that lost its window keeps its number and highest index as long as the key lives, so no index of it is ever
 * fresh twice: when it comes back only what lies above is. Therefore the number of streams has an end
 * (`MAX_KNOWN_SSRCS`).
 */
export class ReplayTable {
  readonly #index = new SsrcIndex();
  #highest = new Float64Array(this.#index.capacity).fill(-1);
  /** Stream → its window, -1 = it has none. */
  #window = new Int8Array(this.#index.capacity).fill(-1);
  readonly #seen = new Uint32Array(MAX_WINDOWS * WORDS);
  /** Window → the stream that holds it, and when (counting packets) it was last used. */
  readonly #holder = new Int16Array(MAX_WINDOWS).fill(-1);
  readonly #usedAt = new Float64Array(MAX_WINDOWS);
  #clock = 0;

  get count(): number {
    return this.#index.count;
  }

  /** The stream's number; -1 when it is new. */
  find(ssrc: number): number {
    return this.#index.find(ssrc);
  }

  /** A number for a new stream, -1 when there is room for no more. Only for authenticated packets: nothing removes it. */
  add(ssrc: number): number {
    const stream = this.#index.add(ssrc);
    if (this.#index.capacity > this.#highest.length) {
      const highest = new Float64Array(this.#index.capacity).fill(-1);
      const window = new Int8Array(this.#index.capacity).fill(-1);
      highest.set(this.#highest);
      window.set(this.#window);
      this.#highest = highest;
      this.#window = window;
    }
    return stream;
  }

  /**
   * The index a sequence number most likely has (RFC 3711 3.3.1, Appendix A): the one nearest to the highest so far.
   * -1 when that would lie before the first.
   */
  estimate(stream: number, sequence: number): number {
    const highest = stream < 0 ? -1 : this.#highest[stream]!;
    if (highest < 0) return sequence;
    const s = highest % 0x10000;
    const base = highest - s;
    if (s < 0x8000) {
      if (sequence - s > 0x8000) return base < 0x10000 ? -1 : base - 0x10000 + sequence;
    } else if (s - 0x8000 > sequence) return base + 0x10000 + sequence;
    return base + sequence;
  }

  /** Whether an index was never accepted and is not older than the window. */
  isFresh(stream: number, index: number): boolean {
    if (stream < 0) return true;
    const highest = this.#highest[stream]!;
    if (index > highest) return true;
    const window = this.#window[stream]!;
    if (window < 0 || highest - index >= REPLAY_WINDOW) return false;
    return (this.#seen[wordOf(window, index)]! & (1 << (index % 32))) === 0;
  }

  /** Marks a fresh index as seen; only after the tag was found good. */
  accept(stream: number, index: number): void {
    let window = this.#window[stream]!;
    if (window < 0) window = this.#takeWindow(stream);
    this.#usedAt[window] = ++this.#clock;
    const highest = this.#highest[stream]!;
    if (index > highest) {
      if (highest < 0 || index - highest >= REPLAY_WINDOW) this.#seen.fill(0, window * WORDS, (window + 1) * WORDS);
      else for (let i = highest + 1; i <= index; i++) this.#seen[wordOf(window, i)]! &= ~(1 << (i % 32));
      this.#highest[stream] = index;
    }
    this.#seen[wordOf(window, index)]! |= 1 << (index % 32);
  }

  /** The window that was used the longest ago. What its new stream sent before, if anything, counts as seen. */
  #takeWindow(stream: number): number {
    let window = 0;
    for (let w = 1; w < MAX_WINDOWS; w++) if (this.#usedAt[w]! < this.#usedAt[window]!) window = w;
    const evicted = this.#holder[window]!;
    if (evicted >= 0) this.#window[evicted] = -1;
    this.#holder[window] = stream;
    this.#window[stream] = window;
    this.#seen.fill(0xffffffff, window * WORDS, (window + 1) * WORDS);
    return window;
  }
}

function wordOf(window: number, index: number): number {
  return window * WORDS + Math.floor((index % REPLAY_WINDOW) / 32);
}
