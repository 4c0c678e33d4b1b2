/*
 * For peers without transport-wide feedback. Loss rule of draft-ietf-rmcat-gcc-02 6, with Kurento's limit for a decrease:
 * at the draft's 10 % a queue that is always full would be held for good. Step of libwebrtc's older control.
 */
const HIGH_LOSS = 12 / 256;
const LOW_LOSS = 0.02;
const GROWTH_PER_S = 1.08;
const GROWTH_BPS = 1000;
/** Reports may be five seconds apart: a step for all of them would be half the rate. */
const LONGEST_STEP_S = 2;
/** Not far above what is sent: nobody has shown that it passes. */
const ABOVE_SENT = 1.5;
const ABOVE_SENT_BPS = 10_000;
/* The queue is what the round trip takes longer than the shortest of the last half minute. */
const BASE_WINDOW_MS = 30_000;
const LONG_QUEUE_MS = 150;
const SHORT_QUEUE_MS = 50;
const QUEUE_FACTOR = 0.85;
const LONG_REPORTS = 2;

export interface ReceiverReport {
  /** Lost since the last report, 0–1 (RFC 3550 6.4.1: fraction/256). */
  readonly loss: number;
  /** From LSR and DLSR, or undefined. */
  readonly rttMs: number | undefined;
  /** What was sent to the peer since the last report, bits a second. */
  readonly sentBps: number;
}

/** Rate of one downstream by receiver reports alone: loss, and growth of the round trip. */
export class ReportControl {
  readonly #minBps: number;
  readonly #maxBps: number;
  readonly #base = new Float64Array(2).fill(Number.POSITIVE_INFINITY);
  #baseSinceMs = Number.NaN;
  #lastMs = Number.NaN;
  #longReports = 0;
  #capBps = Number.POSITIVE_INFINITY;
  #bps: number;

  constructor(options: { readonly startBps?: number; readonly minBps?: number; readonly maxBps?: number } = {}) {
    const { startBps = 300_000, minBps = 30_000, maxBps = 2_000_000 } = options;
    this.#bps = startBps;
    this.#minBps = minBps;
    this.#maxBps = maxBps;
  }

  get targetBps(): number {
    return Math.max(this.#minBps, Math.min(this.#bps, this.#capBps));
  }

  /** A REMB or TMMBR of the peer: never more than that. */
  handleCap(bps: number): void {
    this.#capBps = bps;
  }

  handleReport(report: ReceiverReport, nowMs: number): void {
    const sinceS = Number.isNaN(this.#lastMs) ? 0 : Math.min(LONGEST_STEP_S, (nowMs - this.#lastMs) / 1000);
    this.#lastMs = nowMs;
    const queueMs = report.rttMs === undefined ? 0 : this.#queue(report.rttMs, nowMs);
    this.#longReports = queueMs > LONG_QUEUE_MS ? this.#longReports + 1 : 0;
    if (report.loss > HIGH_LOSS) this.#set(this.#bps * (1 - report.loss / 2));
    else if (this.#longReports >= LONG_REPORTS) this.#shorten(report.sentBps);
    else if (report.loss < LOW_LOSS && queueMs < SHORT_QUEUE_MS) this.#grow(report.sentBps, sinceS);
  }

  #shorten(sentBps: number): void {
    this.#longReports = 0;
    this.#set(Math.min(this.#bps, Math.max(sentBps, this.#minBps)) * QUEUE_FACTOR);
  }

  #grow(sentBps: number, sinceS: number): void {
    const most = ABOVE_SENT * sentBps + ABOVE_SENT_BPS;
    if (this.#bps < most) this.#set(Math.min(most, this.#bps * GROWTH_PER_S ** sinceS + GROWTH_BPS * sinceS));
  }

  #set(bps: number): void {
    this.#bps = Math.max(this.#minBps, Math.min(bps, this.#maxBps));
  }

  /** Two half windows, so that an old shortest round trip is forgotten. */
  #queue(rttMs: number, nowMs: number): number {
    if (!(nowMs - this.#baseSinceMs < BASE_WINDOW_MS / 2)) {
      this.#base[1] = this.#base[0]!;
      this.#base[0] = Number.POSITIVE_INFINITY;
      this.#baseSinceMs = nowMs;
    }
    this.#base[0] = Math.min(this.#base[0]!, rttMs);
    return rttMs - Math.min(this.#base[0]!, this.#base[1]!);
  }
}
