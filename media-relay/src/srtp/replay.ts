import { SsrcMap } from './ssrc-map.ts';

/** Streams (SSRCs) of one direction that have a replay window; a further one takes that of the stream silent the longest. */
export const MAX_WINDOWS = 32;

/** Packets behind the highest index that are still accepted once (RFC 3711 3.3.2 asks for at least 64). */
export const REPLAY_WINDOW = 512;

const GROUPS = REPLAY_WINDOW / 32;

/**
 * The highest index and the replay window of one SSRC. An index is the 48-bit `ROC · 2^16 + SEQ` of SRTP or the 31-bit
 * index of SRTCP, as a plain number.
 *
 * The window is a ring of groups of 32 indices. The bits of the group that the highest index lies in are a number of this
 * object; memory of its own is only touched with a new group, and for what comes late.
 */
export class ReplayStream {
  highest = -1;
  /** Bits of the newest group, those above `highest` zero. */
  #newest = 0;
  /** Bits of the groups before it; undefined once another stream has taken them. */
  #groups: Uint32Array | undefined;
  /** When it last became the stream of the moment. */
  usedAt = 0;

  get hasWindow(): boolean {
    return this.#groups !== undefined;
  }

  /** Takes 64 bytes as its window. What the stream sent before, if anything, counts as seen. */
  giveWindow(groups: Uint32Array): void {
    groups.fill(0xffffffff);
    this.#groups = groups;
    this.#newest = (2 << (this.highest % 32)) - 1;
  }

  takeWindow(): Uint32Array | undefined {
    const groups = this.#groups;
    this.#groups = undefined;
    return groups;
  }

  /** Whether an index was never accepted and is not older than the window. */
  isFresh(index: number): boolean {
    const { highest } = this;
    if (index > highest) return true;
    if (this.#groups === undefined || highest - index >= REPLAY_WINDOW) return false;
    const bits = isSameGroup(index, highest) ? this.#newest : this.#groups[placeOf(index)]!;
    return (bits & (1 << (index % 32))) === 0;
  }

  /** Marks a fresh index as seen; there has to be a window. */
  accept(index: number): void {
    const { highest } = this;
    const bit = 1 << (index % 32);
    if (isSameGroup(index, highest)) this.#newest |= bit;
    else if (index < highest) {
      this.#groups![placeOf(index)]! |= bit;
      return;
    } else this.#begin(index, bit);
    if (index > highest) this.highest = index;
  }

  /** The newest group is another one. */
  #begin(index: number, bit: number): void {
    const groups = this.#groups!;
    const { highest } = this;
    if (highest < 0 || index - highest >= REPLAY_WINDOW) groups.fill(0);
    else {
      groups[placeOf(highest)] = this.#newest;
      const group = Math.floor(index / 32);
      for (let g = Math.floor(highest / 32) + 1; g < group; g++) groups[g % GROUPS] = 0;
    }
    this.#newest = bit;
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
    if (!stream.hasWindow) this.#giveWindow(stream);
    stream.accept(index);
  }

  /** A window of its own, or the one that was used the longest ago. */
  #giveWindow(stream: ReplayStream): void {
    const holders = this.#holders;
    if (holders.length < MAX_WINDOWS) {
      holders.push(stream);
      stream.giveWindow(new Uint32Array(GROUPS));
      return;
    }
    let oldest = 0;
    for (let h = 1; h < MAX_WINDOWS; h++) if (holders[h]!.usedAt < holders[oldest]!.usedAt) oldest = h;
    stream.giveWindow(holders[oldest]!.takeWindow()!);
    holders[oldest] = stream;
  }
}

/** Where the bits of an index lie in the window. */
function placeOf(index: number): number {
  return Math.floor(index / 32) % GROUPS;
}

/** Both within 32 indices that begin with a multiple of 32; none below zero. */
function isSameGroup(index: number, highest: number): boolean {
  return highest >= 0 && Math.floor(index / 32) === Math.floor(highest / 32);
}
