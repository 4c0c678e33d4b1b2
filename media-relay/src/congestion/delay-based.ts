import { InterGroup } from './inter-group.ts';
import { RateControl } from './rate-control.ts';
import type { FeedbackResults } from './send-history.ts';
import { Trendline } from './trendline.ts';

/** A pause after which the old delays say nothing. */
const STREAM_TIMEOUT_MS = 2000;

/** The delay-based half: groups, trend, detector and rate control. */
export class DelayBased {
  readonly #groups = new InterGroup();
  readonly #trend = new Trendline();
  readonly rate: RateControl;
  #lastArrivalMs = Number.NaN;
  #wasOverusing = false;
  /** Set by `handleFeedback`: overuse has just ended. */
  hasRecovered = false;

  constructor(options: { readonly startBps: number; readonly minBps: number; readonly maxBps: number }) {
    this.rate = new RateControl(options);
  }

  get isOverusing(): boolean {
    return this.#trend.usage === 'overusing';
  }

  /**
   * @param state acked rate, where known; what a probe found. Packets of a
   * probe are left out of the trend: that they queue for a moment is what they are sent for.
   */
  handleFeedback(
    results: FeedbackResults,
    state: { readonly ackedBps: number | undefined; readonly probeBps: number | undefined },
    nowMs: number,
  ): void {
    for (let i = 0; i < results.count; i++) {
      const arrivalMs = results.arrivalMs[i]!;
      if (Number.isNaN(arrivalMs) || results.cluster[i] !== 0) continue;
      this.#handlePacket(results.sendMs[i]!, arrivalMs);
    }
    this.hasRecovered = false;
    if (this.isOverusing) {
      if (this.rate.isTimeToReduce(state.ackedBps, nowMs)) this.rate.update('overusing', state.ackedBps, nowMs);
    } else {
      // It raises the rate; it lowers it only at the start. Later it would tell what others left to it in that moment.
      const { probeBps = 0, ackedBps } = state;
      if (probeBps > this.rate.bps || (probeBps > 0 && ackedBps === undefined)) this.rate.handleProbe(probeBps, nowMs);
      this.rate.update(this.#trend.usage, state.ackedBps, nowMs);
      this.hasRecovered = this.#wasOverusing;
    }
    this.#wasOverusing = this.isOverusing;
  }

  #handlePacket(sendMs: number, arrivalMs: number): void {
    if (arrivalMs - this.#lastArrivalMs > STREAM_TIMEOUT_MS) {
      this.#groups.reset();
      this.#trend.reset();
    }
    this.#lastArrivalMs = arrivalMs;
    if (!this.#groups.handlePacket(sendMs, arrivalMs)) return;
    this.#trend.handleGroup(this.#groups.sendDeltaMs, this.#groups.arrivalDeltaMs, arrivalMs);
  }
}
