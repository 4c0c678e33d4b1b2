import { LinkCapacity } from './link-capacity.ts';
import type { BandwidthUsage } from './trendline.ts';

/* libwebrtc's AimdRateControl, after draft-ietf-rmcat-gcc-02 5.5. */
const BETA = 0.85;
const BELOW_BPS = 5000;
const GROWTH_PER_S = 1.08;
/**
 * libwebrtc's is 4 kb/s: then the step is proportional to the rate below 300 kb/s, and of several flows one that was pushed
 * down stays there. Half a packet per double response time at 200 ms is this.
 */
const LEAST_ADDITIVE_BPS_PER_S = 20_000;
const ABOVE_ACKED = 1.5;
const ABOVE_ACKED_BPS = 10_000;
/** Added to the round trip: how long an overuse takes to be seen. */
const RESPONSE_MS = 100;
/** So long after a probe what arrives lags behind what the probe has shown to pass. */
const PROBE_TRUST_MS = 600;
/**
 * An encoder that uses less than this share of its rate, and whose packets all arrive (within the noise of two estimates),
 * shows nothing of what the line carries. libwebrtc goes to 85 % of what arrives all the same; then queues that somebody else
 * made, or a probe of our own, take the rate down again and again to the part that happens to be used.
 */
const PARTLY_USED = { share: 0.9, noise: 1.25 };
const FRAMES_PER_S = 30;
const PACKET_BITS = 1200 * 8;
/**
 * Between two decreases. libwebrtc waits a round trip of 10 to 200 ms; a relay's source is one more hop and its encoder
 * away, and with the same time for all, flows with short round trips don't give way to those with long ones.
 */
const REDUCTION_MS = 300;

/** Increase by 8 % a second, or about half a packet per response time near what the line is known to carry; decrease to 85 %. */
export class RateControl {
  readonly #capacity = new LinkCapacity();
  readonly #minBps: number;
  #isIncreasing = false;
  #lastChangeMs = Number.NaN;
  #lastDecreaseMs = Number.NaN;
  #probeBps = 0;
  #probeMs = Number.NEGATIVE_INFINITY;
  #growthMs = Number.NEGATIVE_INFINITY;
  bps: number;
  readonly #maxBps: number;
  rttMs = 200;
  /** What is sent, without padding, bits a second; set before `update`. */
  sentBps = Number.POSITIVE_INFINITY;
  /** Set by `update`: more arrives than the line was known to carry. */
  hasOutgrown = false;

  constructor(options: { readonly startBps: number; readonly minBps: number; readonly maxBps: number }) {
    this.bps = options.startBps;
    this.#minBps = options.minBps;
    this.#maxBps = options.maxBps;
  }

  /** Steps with the detector's word. @param ackedBps what arrives, where it is known: not much more is allowed. */
  update(usage: BandwidthUsage, ackedBps: number | undefined, nowMs: number): void {
    this.hasOutgrown = false;
    if (usage === 'overusing' && this.#isNoMeasure(ackedBps, nowMs)) this.#giveWay(BETA * this.bps, nowMs);
    else if (usage === 'overusing') this.#decrease(this.#passed(ackedBps, nowMs), nowMs);
    else if (usage === 'underusing') this.#isIncreasing = false;
    else if (this.#isIncreasing) this.#increase(ackedBps, nowMs);
    else {
      this.#isIncreasing = true;
      this.#lastChangeMs = nowMs;
    }
  }

  /** While overuse goes on: whether a further decrease is due (a round trip after the last, or far too much is sent). */
  isTimeToReduce(ackedBps: number | undefined, nowMs: number): boolean {
    if (Number.isNaN(this.#lastDecreaseMs) || nowMs - this.#lastDecreaseMs >= REDUCTION_MS) return true;
    return ackedBps !== undefined && ackedBps < this.bps / 2;
  }

  /** What a probe has found. */
  handleProbe(bps: number, nowMs: number): void {
    this.#probeBps = bps;
    this.#probeMs = nowMs;
    this.setEstimate(bps, nowMs);
  }

  /** A packet of a growth cluster has arrived: what is behind it waits in the queue that the cluster may have made. */
  handleGrowthProbe(nowMs: number): void {
    this.#growthMs = nowMs;
  }

  /** What is kept to for another reason. */
  setEstimate(bps: number, nowMs: number): void {
    this.bps = this.#within(bps);
    this.#lastChangeMs = nowMs;
  }

  /** The rate that is known to have passed. */
  #passed(ackedBps: number | undefined, nowMs: number): number {
    const bps = ackedBps ?? this.bps;
    return nowMs - this.#probeMs < PROBE_TRUST_MS ? Math.max(bps, this.#probeBps) : bps;
  }

  #increase(ackedBps: number | undefined, nowMs: number): void {
    if (ackedBps !== undefined && ackedBps > this.#capacity.upperBps) {
      this.#capacity.reset();
      this.hasOutgrown = true;
    }
    const sinceS = Math.min(1, Math.max(0, nowMs - this.#lastChangeMs) / 1000);
    this.#lastChangeMs = nowMs;
    const limit = ackedBps === undefined ? Number.POSITIVE_INFINITY : ABOVE_ACKED * ackedBps + ABOVE_ACKED_BPS;
    if (this.bps >= limit) return;
    const step = this.#capacity.isKnown
      ? this.#additiveBpsPerS() * sinceS
      : Math.max(this.bps * (GROWTH_PER_S ** sinceS - 1), LEAST_ADDITIVE_BPS_PER_S * sinceS);
    this.bps = this.#within(Math.min(this.bps + step, limit));
  }

  #decrease(ackedBps: number, nowMs: number): void {
    let wanted = BETA * ackedBps;
    if (wanted > 2 * BELOW_BPS) wanted -= BELOW_BPS;
    if (wanted > this.bps && this.#capacity.isKnown) wanted = BETA * this.#capacity.bps;
    if (ackedBps < this.#capacity.lowerBps) this.#capacity.reset();
    this.#capacity.handleOveruse(ackedBps);
    this.#giveWay(Math.min(wanted, this.bps), nowMs);
  }

  #giveWay(bps: number, nowMs: number): void {
    this.bps = this.#within(bps);
    this.#isIncreasing = false;
    this.#lastChangeMs = nowMs;
    this.#lastDecreaseMs = nowMs;
  }

  /** Whether what arrives says nothing of what the line carries. */
  #isNoMeasure(ackedBps: number | undefined, nowMs: number): boolean {
    const { share, noise } = PARTLY_USED;
    if (nowMs - this.#growthMs < PROBE_TRUST_MS) return true;
    return ackedBps !== undefined && this.sentBps < share * this.bps && ackedBps * noise > this.sentBps;
  }

  /** An average packet per double response time. */
  #additiveBpsPerS(): number {
    const frameBits = this.bps / FRAMES_PER_S;
    const packetBits = frameBits / Math.ceil(frameBits / PACKET_BITS);
    return Math.max(LEAST_ADDITIVE_BPS_PER_S, packetBits / ((2 * (this.rttMs + RESPONSE_MS)) / 1000));
  }

  #within(bps: number): number {
    return Math.max(this.#minBps, Math.min(bps, this.#maxBps));
  }
}
