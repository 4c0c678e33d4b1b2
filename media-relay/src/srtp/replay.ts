import { SsrcMap } from './ssrc-map.ts';

/** Streams (SSRCs) of one direction that have a replay window; a further one takes that of the stream silent the longest. */
export const MAX_WINDOWS = 32;

/** Packets behind the highest index that are still accepted once (RFC 3711 3.3.2 asks for at least 64). */
export const REPLAY_WINDOW = 512;

const WORDS = REPLAY_WINDOW / 32;

/**
 * The highest index and the replay window of one SSRC. An index is the 48-bit `ROC · 2^16 + SEQ` of SRTP or the 31-bit
 * index of SRTCP, as a plain number.
 */
export class ReplayStream {
  highest = -1;
  /** One bit per index; undefined once another stream has taken it. 64 bytes lie in the object itself. */
  seen: Uint32Array | undefined;
  /** When it last became the stream of the moment. */
  usedAt = 0;

  /** Whether an index was never accepted and is not older than the window. */
  isFresh(index: number): boolean {
    const { highest, seen } = this;
    if (index > highest) return true;
    if (seen === undefined || highest - index >= REPLAY_WINDOW) return false;
    return (seen[wordOf(index)]! & (1 << (index % 32))) === 0;
  }
}

/**
 * The index that a sequence number of a stream, undefined for a new one, most likely has (RFC 3711 3.3.1, Appendix A): the one
 * nearest to the highest so far. -1 when that would lie before the first.
 */
export function estimateIndex(stream: ReplayStream | undefined, sequence: number): number {
  const highest = stream === undefined ? -1 : stream.highest;
  if (highest < 0) return sequence;
  const s = highest % 0x10000;
  const base = highest - s;
  if (s < 0x8000) {
    if (sequence - s > 0x8000) return base < 0x10000 ? -1 : base - 0x10000 + sequence;
  } else if (s - 0x8000 > sequence) return base + 0x10000 + sequence;
  return base + sequence;
}

/**
 * The streams of one direction under one key. One that lost its window keeps its highest index as long as the key lives, so
 * no index of it is ever fresh twice: when it comes back only what lies above is. Therefore the number of streams has an end
 * (`MAX_KNOWN_SSRCS`).
 */
export class ReplayTable {
  readonly #streams = new SsrcMap<ReplayStream>();
  /** Those that have a window. */
  readonly #holders: ReplayStream[] = [];
  #current: ReplayStream | undefined;
  #clock = 0;

  get count(): number {
    return this.#streams.count;
  }

  /** Undefined when it is new. */
  find(ssrc: number): ReplayStream | undefined {
    return this.#streams.find(ssrc);
  }

  /** A new stream, undefined when there is room for no more. Only for authenticated packets: nothing removes it. */
  add(ssrc: number): ReplayStream | undefined {
    const stream = new ReplayStream();
    return this.#streams.add(ssrc, stream) ? stream : undefined;
  }

  /** Marks a fresh index as seen; only after the tag was found good. */
  accept(stream: ReplayStream, index: number): void {
    // Time is counted in changes of the stream that is used: enough to tell which was silent the longest.
    if (stream !== this.#current) {
      this.#current = stream;
      stream.usedAt = ++this.#clock;
    }
    const seen = stream.seen ?? this.#giveWindow(stream);
    const { highest } = stream;
    if (index > highest) {
      if (highest < 0 || index - highest >= REPLAY_WINDOW) seen.fill(0);
      else for (let i = highest + 1; i <= index; i++) seen[wordOf(i)]! &= ~(1 << (i % 32));
      stream.highest = index;
    }
    seen[wordOf(index)]! |= 1 << (index % 32);
  }

  /** A window of its own, or the one that was used the longest ago. What the stream sent before, if anything, counts as seen. */
  #giveWindow(stream: ReplayStream): Uint32Array {
    const holders = this.#holders;
    if (holders.length < MAX_WINDOWS) {
      holders.push(stream);
      stream.seen = new Uint32Array(WORDS).fill(0xffffffff);
      return stream.seen;
    }
    let oldest = 0;
    for (let h = 1; h < MAX_WINDOWS; h++) if (holders[h]!.usedAt < holders[oldest]!.usedAt) oldest = h;
    const seen = holders[oldest]!.seen!.fill(0xffffffff);
    holders[oldest]!.seen = undefined;
    holders[oldest] = stream;
    stream.seen = seen;
    return seen;
  }
}

function wordOf(index: number): number {
  return Math.floor((index % REPLAY_WINDOW) / 32);
}
