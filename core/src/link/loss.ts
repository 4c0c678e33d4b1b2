import type { Random } from '../base/index.ts';

/**
 * Loss of packets one by one or in bursts, the two-state model of libwebrtc's network simulation: after a lost packet the next
 * is lost with 1 − 1/L, after one that arrived with p / ((1 − p) · L); so p are lost altogether, in runs of L on average.
 */
export class LossModel {
  readonly #start: number;
  readonly #stay: number;
  #isLosing = false;
  readonly #random: Random;

  /** @param probability 0–1. @param meanBurst packets in a row, at least 1; undefined = each packet on its own. */
  constructor(random: Random, probability: number, meanBurst?: number) {
    this.#random = random;
    const isBursty = meanBurst !== undefined && meanBurst >= 1 && probability < 1;
    this.#stay = isBursty ? 1 - 1 / meanBurst : probability;
    this.#start = isBursty ? Math.min(1, probability / ((1 - probability) * meanBurst)) : probability;
  }

  /** Whether the next packet is lost. */
  next(): boolean {
    const probability = this.#isLosing ? this.#stay : this.#start;
    this.#isLosing = probability > 0 && this.#random.next() < probability;
    return this.#isLosing;
  }
}
