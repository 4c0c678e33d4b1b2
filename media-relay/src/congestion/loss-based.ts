import { LossObservations } from './loss-observations.ts';
import type { FeedbackResults } from './send-history.ts';

/* After libwebrtc's LossBasedBweV2 (defaults of 2026): the bandwidth and the loss that the path has whatever is sent are
 * estimated together, as what makes the observed losses most likely. Rates are kb/s. */
const FACTORS = [1.02, 1, 0.95];
const LEAST_OBSERVATIONS = 3;
const INHERENT = { first: 0.01, least: 1e-3, offset: 0.05, balanceKbps: 100 };
const BIAS = { linear: 0.0002, logarithmic: 0.02, threshold: 0.2, smoothing: 0.002 };
const NEWTON_STEP = 0.75;
const INSTANT = { offset: 0.05, balanceKbps: 100 };
const RAMP_UP = 1.5;
const RAMP_UP_IN_HOLD = 1.2;
const INCREASE_WINDOW_MS = 300;
const MOST_INCREASE = 1.3;
const HOLD = { firstMs: 300, mostMs: 3000, factor: 2 };
/** Less than this in four seconds, and losses limit nothing. */
const LOW_LOSS = 0.01;
const LEAST_PROBABILITY = 1e-6;

/** Whose estimate holds: that of delays, or that of losses, which goes down or up. */
export type LossState = 'delayBased' | 'decreasing' | 'increasing';

/**
 * The loss-based half. Other than there, the path's own loss stays known when another bound takes over, so that random
 * loss is not learnt anew after each. It is told of each feedback, and gives its word whether or not the delay-based half has news.
 * Random loss alone costs little: it is learnt as the path's own.
 */
export class LossBased {
  readonly #observations = new LossObservations();
  readonly #minKbps: number;
  #kbps: number;
  #inherent = INHERENT.first;
  #windowLimitKbps = Number.POSITIVE_INFINITY;
  #windowSinceMs = Number.NEGATIVE_INFINITY;
  #holdMs = HOLD.firstMs;
  #holdUntilMs = Number.NEGATIVE_INFINITY;
  #holdKbps = Number.POSITIVE_INFINITY;
  #resultKbps = Number.POSITIVE_INFINITY;
  state: LossState = 'delayBased';

  constructor(options: { readonly startBps: number; readonly minBps: number }) {
    this.#kbps = options.startBps / 1000;
    this.#minKbps = options.minBps / 1000;
  }

  /** The limit by losses, bits a second; infinite while there is nothing to say. */
  get bps(): number {
    return this.#resultKbps * 1000;
  }

  /** Weighted loss of the last four seconds, 0–1. */
  get averageLoss(): number {
    return this.#observations.averageLoss();
  }

  /** Keeps to a rate for another reason, such as silence of the peer. */
  setEstimate(bps: number): void {
    this.#kbps = bps / 1000;
    this.#resultKbps = Math.min(this.#resultKbps, this.#kbps);
  }

  /** That rate has just passed whole and unhindered: what was lost before is no sign of a limit below it. */
  handleProbe(bps: number): void {
    this.#kbps = Math.max(this.#kbps, bps / 1000);
    this.#resultKbps = Math.max(this.#resultKbps, this.#kbps);
    this.#observations.forget();
    this.#release();
  }

  handleFeedback(results: FeedbackResults, delayBps: number, ackedBps: number | undefined): void {
    const delayKbps = delayBps / 1000;
    if (!this.#observations.handleFeedback(results)) {
      this.#resultKbps = this.state === 'delayBased' ? delayKbps : Math.min(this.#resultKbps, delayKbps);
      return;
    }
    if (this.#observations.fresh < LEAST_OBSERVATIONS || this.averageLoss < LOW_LOSS) {
      this.#kbps = delayKbps;
      this.#resultKbps = delayKbps;
      this.#release();
      return;
    }
    this.#estimate(delayKbps, ackedBps === undefined ? undefined : ackedBps / 1000);
  }

  #estimate(delayKbps: number, ackedKbps: number | undefined): void {
    const nowMs = this.#observations.lastSendMs;
    const before = this.#kbps;
    this.#choose(delayKbps, ackedKbps);
    const loss = this.averageLoss;
    if (this.#kbps > before && this.#inherent < loss) this.#kbps = before;
    if (this.state !== 'delayBased') this.#boundIncrease(before, ackedKbps, nowMs);
    const bounded = Math.max(this.#minKbps, Math.min(this.#kbps, instantUpperBound(loss), delayKbps));
    this.#kbps = Math.min(this.#kbps, bounded);
    this.#conclude({ before, bounded, delayKbps, nowMs });
  }

  /** Which state that is, and what holds: after a decrease, for a while no more than it was decreased to. */
  #conclude(step: { before: number; bounded: number; delayKbps: number; nowMs: number }): void {
    const { before, bounded, delayKbps, nowMs } = step;
    const isHeld = this.state === 'decreasing' && this.#holdUntilMs > nowMs && bounded < delayKbps;
    if (isHeld) {
      this.#resultKbps = Math.min(this.#holdKbps, bounded);
    } else {
      if (this.state !== 'delayBased' && bounded > before && bounded < delayKbps) this.state = 'increasing';
      else if (bounded < delayKbps) this.#hold(bounded, nowMs);
      else this.#release();
      this.#resultKbps = bounded;
    }
    if (this.state !== 'delayBased' && nowMs - this.#windowSinceMs > INCREASE_WINDOW_MS) {
      this.#windowLimitKbps = this.#kbps * MOST_INCREASE;
      this.#windowSinceMs = nowMs;
    }
  }

  #hold(kbps: number, nowMs: number): void {
    if (this.state !== 'decreasing') {
      this.#holdUntilMs = nowMs + this.#holdMs;
      this.#holdMs = Math.min(this.#holdMs * HOLD.factor, HOLD.mostMs);
      this.#holdKbps = kbps;
    }
    this.state = 'decreasing';
  }

  #release(): void {
    this.state = 'delayBased';
    this.#holdMs = HOLD.firstMs;
    this.#holdUntilMs = Number.NEGATIVE_INFINITY;
    this.#windowLimitKbps = Number.POSITIVE_INFINITY;
  }

  #boundIncrease(before: number, ackedKbps: number | undefined, nowMs: number): void {
    if (nowMs - this.#windowSinceMs <= INCREASE_WINDOW_MS) this.#kbps = Math.min(this.#kbps, this.#windowLimitKbps);
    if (this.#kbps <= before || ackedKbps === undefined) return;
    const factor = this.#holdUntilMs > nowMs ? RAMP_UP_IN_HOLD : RAMP_UP;
    this.#kbps = Math.max(before, Math.min(this.#kbps, factor * ackedKbps));
  }

  /** Of all candidates the one whose losses are likeliest, each with its own best inherent loss. */
  #choose(delayKbps: number, ackedKbps: number | undefined): void {
    const base = this.#kbps;
    const inherent = this.#inherent;
    let best = Number.NEGATIVE_INFINITY;
    const loss = this.averageLoss;
    for (let i = 0; i < FACTORS.length + 2; i++) {
      let kbps = i < FACTORS.length ? base * FACTORS[i]! : i === FACTORS.length ? (ackedKbps ?? base) : delayKbps;
      // The delay-based estimate is a candidate upwards only.
      if (i > FACTORS.length && kbps <= base) continue;
      kbps = Math.max(this.#minKbps, kbps);
      const own = this.#newton(kbps, feasible(inherent, kbps));
      const value = this.#objective(kbps, own, loss);
      if (value <= best) continue;
      best = value;
      this.#kbps = kbps;
      this.#inherent = own;
    }
  }

  #newton(kbps: number, inherent: number): number {
    const o = this.#observations;
    let first = 0;
    let second = 0;
    for (let i = 0; i < o.count; i++) {
      const p = lossProbability(inherent, kbps, o.sendingKbps[i]!);
      const lost = o.lost[i]!;
      const received = o.packets[i]! - lost;
      first += o.weight[i]! * (lost / p - received / (1 - p));
      second -= o.weight[i]! * (lost / (p * p) + received / ((1 - p) * (1 - p)));
    }
    return second === 0 ? inherent : feasible(inherent - (NEWTON_STEP * first) / second, kbps);
  }

  #objective(kbps: number, inherent: number, loss: number): number {
    const o = this.#observations;
    const bias = highBandwidthBias(kbps, loss);
    let sum = 0;
    for (let i = 0; i < o.count; i++) {
      const p = lossProbability(inherent, kbps, o.sendingKbps[i]!);
      const lost = o.lost[i]!;
      const likelihood = lost * Math.log(p) + (o.packets[i]! - lost) * Math.log(1 - p);
      sum += o.weight[i]! * (likelihood + bias * o.packets[i]!);
    }
    return sum;
  }
}

/** Beyond the bandwidth everything is lost, below it what the path loses anyway. */
function lossProbability(inherent: number, kbps: number, sendingKbps: number): number {
  const over = sendingKbps > kbps ? (1 - inherent) * ((sendingKbps - kbps) / sendingKbps) : 0;
  return Math.min(1 - LEAST_PROBABILITY, Math.max(LEAST_PROBABILITY, inherent + over));
}

/** The loss that may be the path's own: little at a high bandwidth. */
function feasible(inherent: number, kbps: number): number {
  const most = Math.min(1, INHERENT.offset + INHERENT.balanceKbps / kbps);
  return Math.min(most, Math.max(INHERENT.least, inherent));
}

/** Prefers the higher of two bandwidths that explain the losses alike, as long as losses are low. */
function highBandwidthBias(kbps: number, loss: number): number {
  const room = BIAS.threshold - loss;
  const strength = room / (BIAS.smoothing + Math.abs(room));
  return strength * (BIAS.linear * kbps + BIAS.logarithmic * Math.log(1 + kbps));
}

function instantUpperBound(loss: number): number {
  return loss > INSTANT.offset ? INSTANT.balanceKbps / (loss - INSTANT.offset) : Number.POSITIVE_INFINITY;
}
