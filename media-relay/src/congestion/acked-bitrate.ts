/* Windows and weights of libwebrtc's BitrateEstimator; rates within are kb/s. */
const FIRST_WINDOW_MS = 500;
const WINDOW_MS = 150;
const UNCERTAINTY_SCALE = 10;
const FIRST_VARIANCE = 50;
const VARIANCE_GROWTH = 5;
/* While a source follows a new target, or a line has just become narrow: libwebrtc's weights alone take a second to see it. */
const FAST_CHANGE = 200;
const FAST_WINDOWS = 4;
/** While the line is overused, so much less in a window is no noise of frames. */
const NARROW = 0.75;

/** How much arrives at the receiver, from feedback: windows of arrival time, weighed against what was known before. */
export class AckedBitrate {
  #windowMs = 0;
  #lastMs = Number.NaN;
  #bytes = 0;
  #kbps = Number.NaN;
  #variance = FIRST_VARIANCE;
  #fastWindows = 0;
  /** Whether the line is overused: it may have just become narrow. */
  isOverused = false;

  /** Bits a second, or undefined before half a second was seen. */
  get bps(): number | undefined {
    return Number.isNaN(this.#kbps) ? undefined : this.#kbps * 1000;
  }

  /** @param arrivalMs receiver's clock. Packets out of order count into the window that is open. */
  handleArrival(bytes: number, arrivalMs: number): void {
    const sample = this.#sample(bytes, arrivalMs);
    if (Number.isNaN(sample)) return;
    if (Number.isNaN(this.#kbps)) {
      this.#kbps = sample;
      return;
    }
    const uncertainty = (UNCERTAINTY_SCALE * Math.abs(this.#kbps - sample)) / Math.max(this.#kbps, 1);
    const sampleVariance = uncertainty * uncertainty;
    const isFast = this.#fastWindows > 0 || (this.isOverused && sample < NARROW * this.#kbps);
    const predicted = this.#variance + (isFast ? FAST_CHANGE : VARIANCE_GROWTH);
    if (this.#fastWindows > 0) this.#fastWindows--;
    const sum = sampleVariance + predicted;
    this.#kbps = Math.max(0, (sampleVariance * this.#kbps + predicted * sample) / sum);
    this.#variance = (sampleVariance * predicted) / sum;
  }

  /** The next samples may be far from the last: the target has just risen much. */
  expectFastChange(): void {
    this.#fastWindows = FAST_WINDOWS;
  }

  /** kb/s of a window that has ended, else NaN. */
  #sample(bytes: number, arrivalMs: number): number {
    const length = Number.isNaN(this.#kbps) ? FIRST_WINDOW_MS : WINDOW_MS;
    if (Number.isNaN(this.#lastMs)) this.#lastMs = arrivalMs;
    const sinceMs = Math.max(0, arrivalMs - this.#lastMs);
    this.#windowMs += sinceMs;
    // A pause is no rate: the window that it falls into is thrown away.
    if (sinceMs > length) {
      this.#bytes = 0;
      this.#windowMs %= length;
    }
    this.#lastMs = Math.max(this.#lastMs, arrivalMs);
    let sample = Number.NaN;
    if (this.#windowMs >= length) {
      sample = (this.#bytes * 8) / length;
      this.#windowMs -= length;
      this.#bytes = 0;
    }
    this.#bytes += bytes;
    return sample;
  }
}
