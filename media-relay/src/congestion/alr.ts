/* libwebrtc's AlrDetector: a budget of 65 % of the estimate over half a second. */
const USAGE = 0.65;
const START = 0.8;
const STOP = 0.5;
const WINDOW_MS = 500;

/** Application limited region: whether the source sends much less than it may, so that what arrives shows no limit. */
export class Alr {
  #budgetBits = 0;
  #lastMs = Number.NaN;
  sinceMs: number | undefined;

  handleSent(bytes: number, estimateBps: number, nowMs: number): void {
    const most = (USAGE * estimateBps * WINDOW_MS) / 1000;
    const sinceMs = Number.isNaN(this.#lastMs) ? 0 : nowMs - this.#lastMs;
    this.#lastMs = nowMs;
    this.#budgetBits = Math.min(most, this.#budgetBits + (USAGE * estimateBps * sinceMs) / 1000);
    this.#budgetBits = Math.max(-most, this.#budgetBits - bytes * 8);
    const level = this.#budgetBits / most;
    if (level > START) this.sinceMs ??= nowMs;
    else if (level < STOP) this.sinceMs = undefined;
  }
}
