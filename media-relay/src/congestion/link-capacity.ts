/* libwebrtc's LinkCapacityEstimator, kb/s; the draft's R_hat average and deviation (draft-ietf-rmcat-gcc-02 5.5). */
const WEIGHT = 0.05;
const FIRST_DEVIATION = 0.4;
const DEVIATION = { least: 0.4, most: 2.5 };

/** What arrived whenever the line was overused: about its capacity, and how sure that is. */
export class LinkCapacity {
  #kbps = Number.NaN;
  #deviation = FIRST_DEVIATION;

  get isKnown(): boolean {
    return !Number.isNaN(this.#kbps);
  }

  /** Bits a second; NaN before the first overuse. */
  get bps(): number {
    return this.#kbps * 1000;
  }

  get upperBps(): number {
    return this.isKnown ? (this.#kbps + this.#threeSigma()) * 1000 : Number.POSITIVE_INFINITY;
  }

  get lowerBps(): number {
    return this.isKnown ? Math.max(0, this.#kbps - this.#threeSigma()) * 1000 : 0;
  }

  handleOveruse(ackedBps: number): void {
    const sample = ackedBps / 1000;
    this.#kbps = this.isKnown ? (1 - WEIGHT) * this.#kbps + WEIGHT * sample : sample;
    const error = this.#kbps - sample;
    const variance = (error * error) / Math.max(this.#kbps, 1);
    this.#deviation = (1 - WEIGHT) * this.#deviation + WEIGHT * variance;
    this.#deviation = Math.min(DEVIATION.most, Math.max(DEVIATION.least, this.#deviation));
  }

  reset(): void {
    this.#kbps = Number.NaN;
  }

  #threeSigma(): number {
    return 3 * Math.sqrt(this.#deviation * this.#kbps);
  }
}
