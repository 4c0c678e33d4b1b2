import { sequenceDistance } from '@offhook/core';

/** A packet counts as lost when it is this many behind the newest and hasn't come. */
const WINDOW = 64;
/** A jump of more than this is a new start of the stream (RFC 3550 A.1, MAX_DROPOUT). */
const MAX_DROPOUT = 3000;

/**
 * Loss of one stream and the mean length of its bursts, from the sequence numbers that arrived. What came late or from a copy
 * may be told or not: the meter shows what the teller sees.
 */
export class LossMeter {
  readonly #seen = new Uint8Array(WINDOW);
  #highest = -1;
  /** Numbers since the start, up to `WINDOW`: those before it were never sent to us. */
  #known = 0;
  #inBurst = false;
  #packets = 0;
  #lost = 0;
  #bursts = 0;

  /** Share lost, 0–1, of the packets judged; 0 before the first. */
  get loss(): number {
    return this.#packets === 0 ? 0 : this.#lost / this.#packets;
  }

  /** Packets lost in a row, on average; 1 when none was lost. */
  get meanBurst(): number {
    return this.#bursts < 0.5 ? 1 : Math.max(1, this.#lost / this.#bursts);
  }

  /** A packet arrived; no allocation, O(1) without loss. */
  received(sequence: number): void {
    const ahead = this.#highest < 0 ? 0 : sequenceDistance(sequence, this.#highest);
    if (this.#highest < 0 || ahead > MAX_DROPOUT || ahead < -MAX_DROPOUT) {
      this.#seen.fill(0);
      this.#known = 0;
      this.#advance(sequence);
    } else if (ahead <= 0) {
      if (-ahead >= WINDOW) return;
    } else for (let i = 1; i <= ahead; i++) this.#advance((this.#highest + 1) & 0xffff);
    this.#seen[sequence % WINDOW] = 1;
  }

  /** Makes what was measured count for less: once a second, with 0.8 it is forgotten in some ten seconds. */
  fade(keep: number): void {
    this.#packets *= keep;
    this.#lost *= keep;
    this.#bursts *= keep;
  }

  #advance(sequence: number): void {
    const place = sequence % WINDOW;
    if (this.#known === WINDOW) this.#judge(this.#seen[place] === 1);
    else this.#known++;
    this.#seen[place] = 0;
    this.#highest = sequence;
  }

  #judge(arrived: boolean): void {
    this.#packets++;
    if (!arrived) {
      this.#lost++;
      if (!this.#inBurst) this.#bursts++;
    }
    this.#inBurst = !arrived;
  }
}
