/* libwebrtc's TrendlineEstimator: the slope of the queueing delay instead of the draft's Kalman filter. */
const WINDOW = 20;
const SMOOTHING = 0.9;
const GAIN = 4;
const MOST_DELTAS = 60;
/* Adaptive threshold (draft-ietf-rmcat-gcc-02 5.4, with libwebrtc's rates), ms. */
const FIRST_THRESHOLD = 12.5;
const K_UP = 0.0087;
const K_DOWN = 0.039;
const LEAST_THRESHOLD = 6;
const MOST_THRESHOLD = 600;
/** A spike this far above the threshold says nothing about it. */
const SPIKE_MS = 15;
const LONGEST_STEP_MS = 100;
const OVERUSE_MS = 10;

export type BandwidthUsage = 'normal' | 'overusing' | 'underusing';

/** Whether the queue before the bottleneck grows or drains, from the differences between groups of packets. */
export class Trendline {
  readonly #arrivalMs = new Float64Array(WINDOW);
  readonly #delayMs = new Float64Array(WINDOW);
  #size = 0;
  #at = 0;
  #deltas = 0;
  #firstArrivalMs = Number.NaN;
  #accumulatedMs = 0;
  #smoothedMs = 0;
  #trend = 0;
  #lastTrend = 0;
  #threshold = FIRST_THRESHOLD;
  #lastUpdateMs = Number.NaN;
  #overusingMs = -1;
  #overuses = 0;
  usage: BandwidthUsage = 'normal';

  handleGroup(sendDeltaMs: number, arrivalDeltaMs: number, arrivalMs: number): void {
    if (Number.isNaN(this.#firstArrivalMs)) this.#firstArrivalMs = arrivalMs;
    this.#deltas = Math.min(this.#deltas + 1, MOST_DELTAS);
    this.#accumulatedMs += arrivalDeltaMs - sendDeltaMs;
    this.#smoothedMs = SMOOTHING * this.#smoothedMs + (1 - SMOOTHING) * this.#accumulatedMs;
    this.#arrivalMs[this.#at] = arrivalMs - this.#firstArrivalMs;
    this.#delayMs[this.#at] = this.#smoothedMs;
    this.#at = (this.#at + 1) % WINDOW;
    this.#size = Math.min(this.#size + 1, WINDOW);
    if (this.#size === WINDOW) this.#trend = this.#slope() ?? this.#trend;
    this.#detect(sendDeltaMs, arrivalMs);
  }

  reset(): void {
    this.#size = 0;
    this.#at = 0;
    this.#deltas = 0;
    this.#firstArrivalMs = Number.NaN;
    this.#accumulatedMs = 0;
    this.#smoothedMs = 0;
    this.#trend = 0;
    this.#lastTrend = 0;
    this.#overusingMs = -1;
    this.#overuses = 0;
    this.usage = 'normal';
  }

  /** Least squares: milliseconds of delay per millisecond. */
  #slope(): number | undefined {
    let sumX = 0;
    let sumY = 0;
    for (let i = 0; i < WINDOW; i++) {
      sumX += this.#arrivalMs[i]!;
      sumY += this.#delayMs[i]!;
    }
    const meanX = sumX / WINDOW;
    const meanY = sumY / WINDOW;
    let over = 0;
    let under = 0;
    for (let i = 0; i < WINDOW; i++) {
      const x = this.#arrivalMs[i]! - meanX;
      over += x * (this.#delayMs[i]! - meanY);
      under += x * x;
    }
    return under === 0 ? undefined : over / under;
  }

  #detect(sendDeltaMs: number, nowMs: number): void {
    if (this.#deltas < 2) return;
    const modified = this.#deltas * this.#trend * GAIN;
    if (modified > this.#threshold) {
      this.#overusingMs = this.#overusingMs < 0 ? sendDeltaMs / 2 : this.#overusingMs + sendDeltaMs;
      this.#overuses++;
      if (this.#overusingMs > OVERUSE_MS && this.#overuses > 1 && this.#trend >= this.#lastTrend) {
        this.#overusingMs = 0;
        this.#overuses = 0;
        this.usage = 'overusing';
      }
    } else {
      this.#overusingMs = -1;
      this.#overuses = 0;
      this.usage = modified < -this.#threshold ? 'underusing' : 'normal';
    }
    this.#lastTrend = this.#trend;
    this.#adapt(Math.abs(modified), nowMs);
  }

  #adapt(modified: number, nowMs: number): void {
    const sinceMs = Number.isNaN(this.#lastUpdateMs) ? 0 : nowMs - this.#lastUpdateMs;
    this.#lastUpdateMs = nowMs;
    if (modified > this.#threshold + SPIKE_MS) return;
    const k = modified < this.#threshold ? K_DOWN : K_UP;
    const step = k * (modified - this.#threshold) * Math.max(0, Math.min(sinceMs, LONGEST_STEP_MS));
    this.#threshold = Math.min(MOST_THRESHOLD, Math.max(LEAST_THRESHOLD, this.#threshold + step));
  }
}
