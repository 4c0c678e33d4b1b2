import { sequenceDistance } from '@offhook/core';

/** Packets asked for at a time: the limit of mediasoup and libwebrtc. */
export const MAX_MISSING = 1000;
const ROOM = 1024;
/** Requests for one packet: mediasoup's limit. */
const MAX_TRIES = 10;
/** Until the round trip is known. */
const UNKNOWN_RTT_MS = 100;
/** A request isn't repeated sooner, however short the round trip. */
const MIN_RETRY_MS = 20;
/** Packets behind the newest that are still a late packet and no new start of the stream (RFC 3550 A.1 allows 100). */
const MAX_MISORDER = 1000;
/** A jump beyond it is a new start of the stream (RFC 3550 A.1, MAX_DROPOUT). */
const MAX_DROPOUT = 3000;

export interface NackOptions {
  /** A gap may be a packet that was overtaken: so long nothing is asked for. */
  readonly reorderMs: number;
  /** What is still missing then is given up. */
  readonly maxAgeMs: number;
  /** Whether a packet given up spoils what follows until the next key frame. */
  readonly needsKeyFrame: boolean;
}

export const VIDEO_NACK: NackOptions = { reorderMs: 10, maxAgeMs: 1000, needsKeyFrame: true };
/** Sound that comes later than this has been played over. */
export const AUDIO_NACK: NackOptions = { reorderMs: 10, maxAgeMs: 300, needsKeyFrame: false };

/**
 * Finds gaps in one received stream and says which packets to ask for and when (RFC 4585 6.2.1). A packet in order costs no
 * search and no allocation; the missing ones, in ascending order, lie in a ring of fixed size.
 */
export class NackGenerator {
  readonly #options: NackOptions;
  readonly #sequence = new Uint16Array(ROOM);
  readonly #missedAtMs = new Float64Array(ROOM);
  readonly #askAtMs = new Float64Array(ROOM);
  readonly #tries = new Uint8Array(ROOM);
  /** 1 = still missing. */
  readonly #open = new Uint8Array(ROOM);
  #first = 0;
  #count = 0;
  #missing = 0;
  #highest = -1;
  #awaited = -1;
  #dueAtMs = Number.POSITIVE_INFINITY;
  #wantsKeyFrame = false;
  /** Packets asked for that came, asked for in all (tries), and given up. */
  recovered = 0;
  asked = 0;
  givenUp = 0;

  constructor(options: NackOptions) {
    this.#options = options;
  }

  get missing(): number {
    return this.#missing;
  }

  /** A packet of the stream arrived, by itself or as a retransmission. True when it had been asked for. */
  received(sequence: number, nowMs: number): boolean {
    if (this.#highest < 0) {
      this.#highest = sequence;
      return false;
    }
    const ahead = sequenceDistance(sequence, this.#highest);
    if (ahead === 1) this.#highest = sequence;
    else if (ahead > 1 && ahead <= MAX_DROPOUT) {
      this.#miss(ahead - 1, nowMs);
      this.#highest = sequence;
    } else if (ahead > MAX_DROPOUT || ahead < -MAX_MISORDER) {
      // RFC 3550 A.1: two in a row prove the new start.
      if (this.#awaited === sequence) this.#restart(sequence);
      else this.#awaited = (sequence + 1) & 0xffff;
      return false;
    }
    this.#awaited = -1;
    return ahead < 0 && this.#missing > 0 && this.#arrived(sequence);
  }

  /** Another stream begins: nothing of the last one is asked for. */
  forget(): void {
    this.#clear();
    this.#highest = -1;
    this.#awaited = -1;
    this.#wantsKeyFrame = false;
  }

  /** When `collect` has something to ask for or to give up; undefined without. */
  nextTimeout(): number | undefined {
    return this.#dueAtMs === Number.POSITIVE_INFINITY ? undefined : this.#dueAtMs;
  }

  /**
   * What to ask for now, ascending, written to `into`; the answer is how many. What didn't come in time or after ten requests is
   * given up. `rttMs` 0 = unknown.
   */
  collect(nowMs: number, rttMs: number, into: Uint16Array): number {
    if (nowMs < this.#dueAtMs) return 0;
    const retryMs = Math.max(MIN_RETRY_MS, rttMs > 0 ? rttMs : UNKNOWN_RTT_MS);
    let count = 0;
    this.#dueAtMs = Number.POSITIVE_INFINITY;
    for (let i = 0; i < this.#count; i++) {
      const place = (this.#first + i) % ROOM;
      if (this.#open[place] === 0) continue;
      const endsAtMs = this.#missedAtMs[place]! + this.#options.maxAgeMs;
      const isDue = this.#askAtMs[place]! <= nowMs;
      if (endsAtMs <= nowMs || (isDue && this.#tries[place]! >= MAX_TRIES)) {
        this.#giveUp(place);
        continue;
      }
      if (isDue && count < into.length) {
        into[count++] = this.#sequence[place]!;
        this.#tries[place]!++;
        this.#askAtMs[place] = nowMs + retryMs;
        this.asked++;
      }
      this.#dueAtMs = Math.min(this.#dueAtMs, this.#askAtMs[place]!, endsAtMs);
    }
    this.#trim();
    return count;
  }

  /** Whether a gap in a picture is beyond hope since this was asked last: only a key frame helps. */
  takeKeyFrameWish(): boolean {
    const wanted = this.#wantsKeyFrame;
    this.#wantsKeyFrame = false;
    return wanted;
  }

  #miss(packets: number, nowMs: number): void {
    if (this.#missing + packets > MAX_MISSING) {
      // As libwebrtc: more than can be asked for is left to a key frame.
      this.givenUp += packets;
      this.#clear();
      this.#wantsKeyFrame = this.#options.needsKeyFrame;
      return;
    }
    // Those that came meanwhile still hold a place between the others.
    if (this.#count + packets > ROOM) this.#compact();
    const askAtMs = nowMs + this.#options.reorderMs;
    for (let i = 1; i <= packets; i++) {
      const place = (this.#first + this.#count++) % ROOM;
      this.#sequence[place] = this.#highest + i;
      this.#missedAtMs[place] = nowMs;
      this.#askAtMs[place] = askAtMs;
      this.#tries[place] = 0;
      this.#open[place] = 1;
    }
    this.#missing += packets;
    this.#dueAtMs = Math.min(this.#dueAtMs, askAtMs);
  }

  /** Binary search: the ring is ascending. */
  #arrived(sequence: number): boolean {
    let low = 0;
    let high = this.#count - 1;
    while (low <= high) {
      const middle = (low + high) >> 1;
      const place = (this.#first + middle) % ROOM;
      const difference = sequenceDistance(sequence, this.#sequence[place]!);
      if (difference === 0) {
        if (this.#open[place] === 0) return false;
        const wasAsked = this.#tries[place]! > 0;
        this.#open[place] = 0;
        this.#missing--;
        if (wasAsked) this.recovered++;
        this.#trim();
        return wasAsked;
      }
      if (difference > 0) low = middle + 1;
      else high = middle - 1;
    }
    return false;
  }

  #giveUp(place: number): void {
    this.#open[place] = 0;
    this.#missing--;
    this.givenUp++;
    if (this.#options.needsKeyFrame) this.#wantsKeyFrame = true;
  }

  #trim(): void {
    while (this.#count > 0 && this.#open[this.#first] === 0) {
      this.#first = (this.#first + 1) % ROOM;
      this.#count--;
    }
    if (this.#count === 0) this.#dueAtMs = Number.POSITIVE_INFINITY;
  }

  #compact(): void {
    let kept = 0;
    for (let i = 0; i < this.#count; i++) {
      const from = (this.#first + i) % ROOM;
      if (this.#open[from] === 0) continue;
      const to = (this.#first + kept++) % ROOM;
      this.#sequence[to] = this.#sequence[from]!;
      this.#missedAtMs[to] = this.#missedAtMs[from]!;
      this.#askAtMs[to] = this.#askAtMs[from]!;
      this.#tries[to] = this.#tries[from]!;
      this.#open[to] = 1;
    }
    this.#count = kept;
  }

  #clear(): void {
    this.givenUp += this.#missing;
    this.#count = 0;
    this.#missing = 0;
    this.#dueAtMs = Number.POSITIVE_INFINITY;
  }

  #restart(sequence: number): void {
    this.#clear();
    this.#highest = sequence;
    this.#awaited = -1;
    if (this.#options.needsKeyFrame) this.#wantsKeyFrame = true;
  }
}
