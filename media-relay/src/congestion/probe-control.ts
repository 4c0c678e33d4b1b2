/* libwebrtc's ProbeController. */
const FIRST_FACTORS = [3, 6];
const FURTHER = { factor: 2, share: 0.7 };
const ANSWER_MS = 1000;
const ALR = { intervalMs: 5000, factor: 2 };
const LOSS_LIMITED = 1.5;
/** Congested when it would be time: looked at again so much later. */
const LATER_MS = 1000;
/** After a large drop, and once more every other time until it is forgotten: the rate from before. */
const LARGE_DROP = 0.66;
const AFTER_DROP = { factor: 0.85, leastMs: 5000, halfLifeMs: 30_000 };
/*
 * A relay's own rule: its source fills the estimate, so it is hardly ever application limited, and 8 % a second take half
 * a minute from 0.3 to 2.5 Mb/s. So it looks further in ordinary times too. On a full line such a cluster would only
 * measure how much it takes away from others: it lasts as long as a frame and more, and counts when it goes through
 * unhindered. The next one then follows when the source has followed. Overuse soon afterwards shows that others needed
 * the room, and is answered with patience.
 */
const GROWTH = { factor: 1.5, leastMs: 1000, firstMs: 5000, mostMs: 20_000, proofMs: 3000 };

export interface ProbeSituation {
  readonly estimateBps: number;
  readonly inAlr: boolean;
  readonly isOverusing: boolean;
  /** Losses are what holds the estimate down: now, or still but less and less. */
  readonly loss: 'delayBased' | 'decreasing' | 'increasing';
}

/** When to probe, and how high. */
export class ProbeControl {
  readonly #add: (bps: number, isGrowth: boolean) => void;
  readonly #maxBps: number;
  #lastBps = 0;
  #lastProbeMs = Number.NEGATIVE_INFINITY;
  #furtherAboveBps = Number.POSITIVE_INFINITY;
  #patienceMs = GROWTH.firstMs;
  #growthMs = GROWTH.firstMs;
  #grewAtMs = Number.NEGATIVE_INFINITY;
  #wasOverusing = false;
  #wasLossy = false;
  #peakBps = 0;
  #peakMs = 0;
  #triedPeak = false;
  #notBeforeMs = Number.NEGATIVE_INFINITY;

  /** @param add queues a cluster. */
  constructor(maxBps: number, add: (bps: number, isGrowth: boolean) => void) {
    this.#maxBps = maxBps;
    this.#add = add;
  }

  /** The exponential start, or a start anew from a rate that is trusted less. */
  start(bps: number, nowMs: number): void {
    this.#lastBps = bps;
    for (const factor of FIRST_FACTORS) this.#probe(bps * factor, false, nowMs);
  }

  /** After each feedback. */
  handleEstimate(situation: ProbeSituation, nowMs: number): void {
    const { estimateBps, loss } = situation;
    const isAnswer = nowMs - this.#lastProbeMs <= ANSWER_MS && estimateBps > this.#furtherAboveBps;
    if (isAnswer && loss === 'delayBased') this.#probe(estimateBps * FURTHER.factor, false, nowMs);
    if (situation.isOverusing && !this.#wasOverusing) this.#judgeGrowth(nowMs);
    this.#wasOverusing = situation.isOverusing;
    this.#lastBps = estimateBps;
    // Silence is no time: nothing was learnt in it.
    const sinceMs = Math.min(nowMs - this.#peakMs, ANSWER_MS);
    this.#peakBps = Math.max(estimateBps, this.#peakBps * 0.5 ** (sinceMs / AFTER_DROP.halfLifeMs));
    this.#peakMs = nowMs;
    if (this.#wasLossy && loss === 'delayBased') this.handleReturn(nowMs);
    this.#wasLossy = loss !== 'delayBased';
  }

  /** Overuse has ended: perhaps what made the rate fall was short. */
  handleRecovery(nowMs: number): void {
    if (this.#hasDropped && nowMs - this.#lastProbeMs >= AFTER_DROP.leastMs) this.#probePeak(nowMs);
  }

  /** The path is good again, after silence of the peer or losses. */
  handleReturn(nowMs: number): void {
    if (!this.#hasDropped) return;
    this.#patienceMs = GROWTH.firstMs;
    this.#growthMs = GROWTH.firstMs;
    this.#probePeak(nowMs);
  }

  /** More arrives than the line was known to carry: it may have become much wider. */
  handleOutgrown(nowMs: number): void {
    if (nowMs - this.#lastProbeMs < GROWTH.leastMs) return;
    this.#probe(GROWTH.factor * this.#lastBps, true, nowMs);
  }

  /** What became of a growth cluster. */
  handleGrowth(wasUnhindered: boolean, nowMs: number): void {
    // The rate from before may be out of reach, and a bit more isn't.
    const laterMs = this.#triedPeak ? this.#patienceMs / 2 : this.#patienceMs;
    this.#growthMs = wasUnhindered ? GROWTH.leastMs : laterMs;
    if (wasUnhindered) this.#grewAtMs = nowMs;
  }

  /** The regular look further, when `nextTimeout` has come. */
  handleTimeout(situation: ProbeSituation, nowMs: number): void {
    if (nowMs < this.nextTimeout(situation.inAlr)) return;
    if (situation.isOverusing || situation.loss === 'decreasing') {
      this.#notBeforeMs = nowMs + LATER_MS;
      return;
    }
    this.#lastProbeMs = nowMs;
    if (this.#hasDropped && !this.#triedPeak && situation.loss === 'delayBased') {
      this.#probePeak(nowMs);
      return;
    }
    this.#triedPeak = false;
    const most = situation.loss === 'increasing' ? LOSS_LIMITED : Number.POSITIVE_INFINITY;
    const factor = Math.min(most, situation.inAlr ? ALR.factor : GROWTH.factor);
    this.#probe(situation.estimateBps * factor, !situation.inAlr, nowMs);
  }

  nextTimeout(inAlr: boolean): number {
    return Math.max(this.#notBeforeMs, this.#lastProbeMs + (inAlr ? ALR.intervalMs : this.#growthMs));
  }

  get #hasDropped(): boolean {
    return this.#lastBps < LARGE_DROP * this.#peakBps;
  }

  #judgeGrowth(nowMs: number): void {
    const wasInVain = nowMs - this.#grewAtMs < GROWTH.proofMs;
    const patienceMs = wasInVain ? this.#patienceMs * 2 : this.#patienceMs / 2;
    this.#patienceMs = Math.min(GROWTH.mostMs, Math.max(GROWTH.firstMs, patienceMs));
    this.#growthMs = this.#patienceMs;
  }

  #probePeak(nowMs: number): void {
    this.#triedPeak = true;
    this.#probe(AFTER_DROP.factor * this.#peakBps, true, nowMs);
  }

  #probe(wantedBps: number, isGrowth: boolean, nowMs: number): void {
    const bps = Math.min(wantedBps, this.#maxBps);
    // Nothing above is of use.
    if (bps <= this.#lastBps) return;
    this.#lastProbeMs = nowMs;
    this.#furtherAboveBps = isGrowth || wantedBps >= this.#maxBps ? Number.POSITIVE_INFINITY : FURTHER.share * bps;
    this.#add(bps, isGrowth);
  }
}
