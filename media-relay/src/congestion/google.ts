import { readTransportCc, TransportCcReport, transportCcCount } from '@offhook/core';
import { AckedBitrate } from './acked-bitrate.ts';
import { Alr } from './alr.ts';
import { DelayBased } from './delay-based.ts';
import { LossBased } from './loss-based.ts';
import { ProbeControl, type ProbeSituation } from './probe-control.ts';
import { ProbePacer } from './probe-pacer.ts';
import { ProbeResult } from './probe-result.ts';
import { FeedbackResults, PacketUse, SendHistory } from './send-history.ts';
import { UseRates, videoShare } from './use-rates.ts';

export interface CongestionOptions {
  /** Random, 16 bits: the first transport-wide number. */
  readonly firstSequence: number;
  /** Assumed until something is known. Default 300 kb/s, as browsers do. */
  readonly startBps?: number;
  /** Never less than this. Default 30 kb/s. */
  readonly minBps?: number;
  /** What is of use at most; nothing above is probed for. Default 10 Mb/s. */
  readonly maxBps?: number;
}

export type CongestionCommand =
  /** Send a padding packet or a retransmission of about that size, and call `handleSent` for it. */
  | { readonly kind: 'padding'; readonly bytes: number }
  /** The rate of everything that is sent to this peer has changed. */
  | { readonly kind: 'target'; readonly bps: number };

/* Without any feedback: as libwebrtc's RttBasedBackoff. */
const SILENCE_MS = 3000;
const SILENCE_STEP_MS = 1000;
const SILENCE_FACTOR = 0.8;
/** While losses limit the rate, the delay-based estimate is at most so much of what arrives. */
const LOSS_LIMITED = 1.2;
const RTT_WEIGHT = 1 / 8;

// Nothing is kept in them between two calls, so that all downstreams share them.
const report = new TransportCcReport();
const results = new FeedbackResults();

/**
 * Google congestion control of one downstream, sender's side (draft-ietf-rmcat-gcc-02 with libwebrtc's changes). One call
 * per packet sent, one per feedback packet; after that, and after `handleTimeout`, drain `poll()` and arm `nextTimeout()`.
 */
export class GoogleCongestionControl {
  readonly #history: SendHistory;
  readonly #acked = new AckedBitrate();
  readonly #alr = new Alr();
  readonly #delay: DelayBased;
  readonly #loss: LossBased;
  readonly #pacer = new ProbePacer();
  readonly #probes: ProbeControl;
  readonly #found = new ProbeResult();
  readonly #rates = new UseRates();
  readonly #minBps: number;
  readonly #maxBps: number;
  #capBps = Number.POSITIVE_INFINITY;
  #isStarted = false;
  #unheardSinceMs: number | undefined;
  #backoffAtMs = Number.POSITIVE_INFINITY;
  #isSilent = false;
  #judgedCluster = 0;
  /** What a growth cluster in the feedback at hand has shown to pass, or 0. */
  #grownBps = 0;
  #toldBps: number;
  #paddingBytes = 0;
  /** Rate of everything that is sent to this peer, bits a second. */
  targetBps: number;
  /** Smoothed, or undefined before the first feedback. */
  rttMs: number | undefined;
  /** Feedback taken, and feedback that couldn't be read, or spoke of more than was sent. */
  feedbackPackets = 0;
  badFeedback = 0;

  constructor(options: CongestionOptions) {
    const { firstSequence, startBps = 300_000, minBps = 30_000, maxBps = 10_000_000 } = options;
    this.#history = new SendHistory(firstSequence);
    this.#delay = new DelayBased({ startBps, minBps, maxBps });
    this.#loss = new LossBased({ startBps, minBps });
    this.#probes = new ProbeControl(maxBps, (bps, isGrowth) => this.#pacer.add(bps, isGrowth));
    this.#minBps = minBps;
    this.#maxBps = maxBps;
    this.targetBps = startBps;
    this.#toldBps = startBps;
  }

  /** The path to the peer is open: probing begins, even when there is nothing to send yet. */
  handleStart(nowMs: number): void {
    if (this.#isStarted) return;
    this.#isStarted = true;
    this.#backoffAtMs = nowMs + SILENCE_MS;
    this.#probes.start(this.targetBps, nowMs);
    this.#advance(nowMs);
  }

  /**
   * A packet is about to be sent, of that many bytes with its RTP header and SRTP tag. Answers the transport-wide
   * sequence number that it has to carry. No command comes of it and no deadline becomes earlier, so there is nothing to
   * drain or to arm.
   */
  handleSent(use: PacketUse, bytes: number, nowMs: number): number {
    this.#unheardSinceMs ??= nowMs;
    this.#rates.handleSent(use, bytes, nowMs);
    if (use !== PacketUse.padding) this.#alr.handleSent(bytes, this.targetBps, nowMs);
    return this.#history.add(bytes, this.#pacer.handleSent(bytes), nowMs);
  }

  /** The RTCP packet at `at` of a compound that `isRtcpCompound` accepted; false when it is no feedback that can be read. */
  handleFeedback(bytes: Uint8Array, at: number, nowMs: number): boolean {
    if (!this.#history.mayTell(transportCcCount(bytes, at)) || !readTransportCc(bytes, at, report)) {
      this.badFeedback++;
      return false;
    }
    this.feedbackPackets++;
    this.#history.resolve(report, results);
    if (results.count > 0) this.#learn(nowMs);
    return true;
  }

  /** A REMB of the receiver, or what its SDP (b=AS, TIAS) allows: never more than that. Infinity takes it back. */
  handleCap(bps: number, nowMs: number): void {
    this.#capBps = bps;
    this.#conclude(nowMs);
  }

  handleTimeout(nowMs: number): void {
    if (nowMs >= this.#backoffAtMs) this.#judgeSilence(nowMs);
    this.#alr.handleSent(0, this.targetBps, nowMs);
    if (this.#isStarted) this.#probes.handleTimeout(this.#situation(), nowMs);
    this.#advance(nowMs);
  }

  nextTimeout(): number | undefined {
    if (!this.#isStarted) return undefined;
    const probe = this.#pacer.nextTimeout() ?? this.#probes.nextTimeout(this.#alr.sinceMs !== undefined);
    return Math.min(probe, this.#backoffAtMs);
  }

  poll(): CongestionCommand | undefined {
    if (this.#paddingBytes > 0) {
      const bytes = this.#paddingBytes;
      this.#paddingBytes = 0;
      return { kind: 'padding', bytes };
    }
    if (this.#toldBps === this.targetBps) return undefined;
    this.#toldBps = this.targetBps;
    return { kind: 'target', bps: this.targetBps };
  }

  /** What is left for video of the far side: see `videoShare`. */
  videoBps(capBps: number, nowMs: number): number {
    return videoShare(this.targetBps, this.#rates, capBps, nowMs);
  }

  /** What of it the sound takes that is numbered, bits a second. */
  audioBps(nowMs: number): number {
    return this.#rates.bps(PacketUse.audio, nowMs);
  }

  /** For statistics: what arrives, loss of the last seconds (0–1), and who holds the rate. */
  describe(): Readonly<Record<string, number | string | undefined>> {
    return {
      targetBps: this.targetBps,
      delayBps: this.#delay.rate.bps,
      lossBps: Number.isFinite(this.#loss.bps) ? this.#loss.bps : undefined,
      ackedBps: this.#acked.bps,
      loss: this.#loss.averageLoss,
      lossState: this.#loss.state,
      rttMs: this.rttMs,
      inFlightBytes: this.#history.inFlightBytes,
    };
  }

  #learn(nowMs: number): void {
    const wasSilent = this.#isSilent;
    this.#unheardSinceMs = undefined;
    this.#backoffAtMs = nowMs + SILENCE_MS;
    if (!Number.isNaN(results.newestSendMs)) this.#measureRtt(nowMs - results.newestSendMs);
    const probeBps = this.#readArrivals(nowMs);
    this.#delay.rate.sentBps = this.#rates.mediaBps(nowMs);
    this.#delay.handleFeedback(results, { ackedBps: this.#acked.bps, probeBps }, nowMs);
    if (this.#grownBps > 0) this.#loss.handleProbe(this.#grownBps);
    // What an outage has swallowed is no sign of congestion.
    if (!wasSilent) this.#loss.handleFeedback(results, this.#delay.rate.bps, this.#acked.bps);
    this.#followLoss(nowMs);
    this.#conclude(nowMs);
    this.#probes.handleEstimate(this.#situation(), nowMs);
    if (wasSilent) this.#probes.handleReturn(nowMs);
    this.#isSilent = false;
    if (this.#delay.hasRecovered) this.#probes.handleRecovery(nowMs);
    if (this.#delay.rate.hasOutgrown && this.#loss.state === 'delayBased') this.#probes.handleOutgrown(nowMs);
    this.#advance(nowMs);
  }

  /**
   * Behind a full queue delays grow no further, so that the delay-based half sees nothing while losses hold the rate: it
   * would let it jump back to where it came from.
   */
  #followLoss(nowMs: number): void {
    const { bps: ackedBps } = this.#acked;
    if (this.#loss.state !== 'decreasing' || ackedBps === undefined) return;
    const most = Math.max(LOSS_LIMITED * ackedBps, this.#loss.bps);
    if (this.#delay.rate.bps > most) this.#delay.rate.setEstimate(most, nowMs);
  }

  /** What arrived goes to the estimators; answers what a probe has found. */
  #readArrivals(nowMs: number): number | undefined {
    let probeBps: number | undefined;
    this.#grownBps = 0;
    this.#acked.isOverused = this.#delay.isOverusing;
    for (let i = 0; i < results.count; i++) {
      const arrivalMs = results.arrivalMs[i]!;
      if (Number.isNaN(arrivalMs)) continue;
      const bytes = results.bytes[i]!;
      this.#acked.handleArrival(bytes, arrivalMs);
      const cluster = results.cluster[i]!;
      if (cluster === 0) continue;
      if (this.#found.isGrowth(cluster)) this.#delay.rate.handleGrowthProbe(nowMs);
      const bps = this.#found.handlePacket(cluster, bytes, results.sendMs[i]!, arrivalMs);
      if (bps === undefined || !this.#counts(cluster, nowMs)) continue;
      probeBps = bps;
      if (this.#found.isGrowth(cluster)) this.#grownBps = bps;
    }
    if (probeBps !== undefined) this.#acked.expectFastChange();
    return probeBps;
  }

  #counts(cluster: number, nowMs: number): boolean {
    if (!this.#found.isGrowth(cluster)) return true;
    const { wasUnhindered } = this.#found;
    if (cluster !== this.#judgedCluster) this.#probes.handleGrowth(wasUnhindered, nowMs);
    this.#judgedCluster = cluster;
    return wasUnhindered;
  }

  #measureRtt(sampleMs: number): void {
    this.rttMs = this.rttMs === undefined ? sampleMs : this.rttMs + RTT_WEIGHT * (sampleMs - this.rttMs);
    this.#delay.rate.rttMs = this.rttMs;
  }

  /** Nobody is silent who wasn't asked, or who has never spoken: that is a peer without feedback, see `ReportControl`. */
  #judgeSilence(nowMs: number): void {
    const sinceMs = this.feedbackPackets === 0 ? nowMs : (this.#unheardSinceMs ?? nowMs);
    const dueAtMs = sinceMs + SILENCE_MS;
    if (nowMs < dueAtMs) this.#backoffAtMs = dueAtMs;
    else this.#backOff(nowMs);
  }

  #backOff(nowMs: number): void {
    this.#isSilent = true;
    this.#history.forget();
    this.#pacer.clear();
    this.#backoffAtMs = nowMs + SILENCE_STEP_MS;
    const bps = Math.max(this.#minBps, this.targetBps * SILENCE_FACTOR);
    this.#delay.rate.setEstimate(bps, nowMs);
    this.#loss.setEstimate(bps);
    this.#conclude(nowMs);
  }

  #conclude(nowMs: number): void {
    const bps = Math.min(this.#delay.rate.bps, this.#loss.bps, this.#capBps, this.#maxBps);
    this.targetBps = Math.max(this.#minBps, bps);
    this.#alr.handleSent(0, this.targetBps, nowMs);
  }

  #situation(): ProbeSituation {
    return {
      estimateBps: this.targetBps,
      inAlr: this.#alr.sinceMs !== undefined,
      isOverusing: this.#delay.isOverusing,
      loss: this.#loss.state,
    };
  }

  /** Clusters begin, and padding that is due is asked for. */
  #advance(nowMs: number): void {
    const cluster = this.#pacer.start(nowMs);
    if (cluster) this.#found.expect(cluster);
    this.#paddingBytes = this.#pacer.paddingDue(nowMs);
  }
}
