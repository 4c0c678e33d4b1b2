import {
  type Random,
  type ReportBlock,
  RtcpType,
  RtcpWriter,
  readReportBlocks,
  readU32,
  readXrBlocks,
  rtcpContentEnd,
  rtcpSsrc,
  rtcpType,
  type XrBlock,
  type XrDelay,
} from '@offhook/core';
import { GAP_MIN } from './loss-runs.ts';
import type { ReceivedStream } from './received-stream.ts';
import { type Formats, ReceiverStats } from './receiver-stats.ts';
import { RemoteReports } from './remote-reports.ts';
import { scoreOf } from './score.ts';
import { middleOf, PER_MS, SentTimes } from './sent-times.ts';

/** Mean time between our reports: RFC 3550 6.2's minimum, and what browsers do. */
export const PLAIN_INTERVAL_MS = 5000;
export const FEEDBACK_INTERVAL_MS = 1000;
/** RFC 3550 6.3.1: e − 3/2, what timer reconsideration would shorten the mean by. */
const COMPENSATION = Math.E - 1.5;
/** The longest report of ours with its SRTCP trailer, bytes. */
const REPORT_BYTES = 1200;
const TRAILER_BYTES = 64;
/** Receivers whose reference time is answered (RFC 3611 4.5). */
const MAX_REFERENCES = 4;
const NTP_EPOCH_S = 2_208_988_800;

/** What a leg's descriptions say of its RTCP. */
export interface HopSettings {
  readonly formats: Formats;
  readonly intervalMs: number;
  /** Reports need no SDES (a=rtcp-rsize on both sides, RFC 5506). */
  readonly reducedSize: boolean;
  /** Blocks of a=rtcp-xr that the peer wants (RFC 3611 5.1). */
  readonly extended: ReadonlySet<string>;
}

/**
 * Takes part in feedback before it goes to the far peer: PLI, FIR, NACK, REMB, TMMBR, transport-wide feedback. SSRCs are
 * those that the peer knows.
 */
export interface FeedbackTap {
  /** The feedback packet at `at` has come from this hop's peer; true = it goes on to the far peer as it is. */
  handleFeedback(bytes: Uint8Array, at: number, nowMs: number): boolean;
}

/** Every report of ours is written here: one is on its way at a time. */
const buffer = new Uint8Array(REPORT_BYTES + TRAILER_BYTES);

/**
 * RTCP between us and one peer, the end of this hop (RFC 3550 7.2): what it sends is measured and reported to it, what it
 * reports of our packets and of its delay is read. Time and randomness are handed in.
 */
export class HopReports {
  readonly received = new ReceiverStats();
  readonly remote = new RemoteReports();
  /** RTCP packets that we made ourselves. */
  reportsSent = 0;
  /** Round trip to the peer and back, ms, of its last report that shows one; undefined before. */
  roundTripMs: number | undefined;
  feedback: FeedbackTap | undefined;
  #ssrc: number;
  readonly #cname: string;
  readonly #random: Random;
  #settings: HopSettings = {
    formats: new Map(),
    intervalMs: PLAIN_INTERVAL_MS,
    reducedSize: false,
    extended: new Set(),
  };
  #nextMs = 0;
  /** The peer has sent extended reports itself. */
  #isExtended = false;
  readonly #senderReports = new SentTimes();
  readonly #references = new SentTimes();
  /** Reference times that wait for an answer: sender, middle of its time, when it came. */
  readonly #asked: { ssrc: number; middle: number; atMs: number }[] = [];

  constructor({ ssrc, cname, random }: { ssrc: number; cname: string; random: Random }) {
    this.#ssrc = ssrc;
    this.#cname = cname;
    this.#random = random;
  }

  /** Our source towards this peer. */
  get ssrc(): number {
    return this.#ssrc;
  }

  configure(settings: HopSettings): void {
    this.#settings = settings;
    this.received.setFormats(settings.formats);
  }

  /** Reads the RTCP packet at `at` of a well-formed compound from the peer. */
  handlePacket(bytes: Uint8Array, at: number, nowMs: number): void {
    switch (rtcpType(bytes, at)) {
      case RtcpType.senderReport:
        this.#takeSenderReport(bytes, at, nowMs);
        this.#takeBlocks(bytes, at, nowMs);
        return;
      case RtcpType.receiverReport:
        this.#takeBlocks(bytes, at, nowMs);
        return;
      case RtcpType.extendedReport:
        for (const block of readXrBlocks(bytes, at)) this.#takeExtended(block, rtcpSsrc(bytes, at), nowMs);
        return;
    }
  }

  /** The sender report at `at` leaves for this peer, whose report blocks will name it. */
  forwarded(bytes: Uint8Array, at: number, nowMs: number): void {
    if (rtcpContentEnd(bytes, at) < at + 28) return;
    this.#senderReports.remember(middleOf(readU32(bytes, at + 8), readU32(bytes, at + 12)), nowMs);
  }

  /** Report blocks of the sources that the peer has sent since it was last told of them, at most so many. */
  report(most: number, nowMs: number): ReportBlock[] {
    return this.#heardSince((stream) => stream.reported.received)
      .slice(0, most)
      .map((stream) => stream.report(nowMs));
  }

  /** When `handleTimeout` wants to be called. */
  nextTimeout(): number {
    return this.#nextMs;
  }

  /** Takes a sample of how the peer's sources sound; the length of the report due, written into `buffer`, or 0. */
  handleTimeout(nowMs: number): number {
    if (nowMs < this.#nextMs) return 0;
    const isFirst = this.#nextMs === 0;
    // RFC 3550 6.2 and 6.3.1: half to one and a half of the mean, shortened as if by reconsideration.
    this.#nextMs = nowMs + (this.#settings.intervalMs * (0.5 + this.#random.next())) / COMPENSATION;
    if (isFirst) return 0;
    const heard = this.#heardSince((stream) => stream.sampled.received);
    for (const stream of this.received.streams) {
      const loss = stream.sample(nowMs);
      if (loss !== undefined) this.#rate(stream, loss, nowMs);
    }
    return this.#write(heard, nowMs);
  }

  /** Where `handleTimeout` wrote to; there is room for SRTCP's trailer behind. */
  get buffer(): Uint8Array {
    return buffer;
  }

  #heardSince(received: (stream: ReceivedStream) => number): ReceivedStream[] {
    return this.received.streams.filter((s) => s.isValid && s.received > received(s));
  }

  #write(heard: readonly ReceivedStream[], nowMs: number): number {
    while (this.received.find(this.#ssrc)) this.#ssrc = Math.floor(this.#random.next() * 2 ** 32); // RFC 3550 8.2
    // What a sender report that passed here has told the peer just now isn't told again.
    const blocks = this.#heardSince((stream) => stream.reported.received)
      .filter((stream) => nowMs - stream.reported.atMs >= this.#settings.intervalMs / 2)
      .map((stream) => stream.report(nowMs));
    const extended = this.#extendedBlocks(heard, nowMs);
    if (blocks.length === 0 && extended.length === 0) return 0;
    const writer = new RtcpWriter(buffer.subarray(0, REPORT_BYTES)).receiverReport(this.#ssrc, blocks);
    if (!this.#settings.reducedSize) writer.sdes(this.#ssrc, this.#cname);
    if (extended.length > 0) writer.extendedReport(this.#ssrc, extended);
    this.reportsSent++;
    return writer.length;
  }

  #extendedBlocks(heard: readonly ReceivedStream[], nowMs: number): XrBlock[] {
    const { extended } = this.#settings;
    const blocks: XrBlock[] = [];
    if (this.#asked.length > 0) {
      const delays = this.#asked.splice(0).map(
        ({ ssrc, middle, atMs }): XrDelay => ({
          ssrc,
          lastReference: middle,
          delay: Math.floor((nowMs - atMs) * PER_MS),
        }),
      );
      blocks.push({ kind: 'dlrr', delays });
    }
    if (this.#isExtended || extended.has('rcvr-rtt')) {
      const ntpSeconds = NTP_EPOCH_S + Math.floor(nowMs / 1000);
      const ntpFraction = Math.floor(((nowMs % 1000) / 1000) * 2 ** 32);
      this.#references.remember(middleOf(ntpSeconds, ntpFraction), nowMs);
      blocks.push({ kind: 'referenceTime', ntpSeconds, ntpFraction });
    }
    for (const stream of heard) {
      if (extended.has('stat-summary')) blocks.push(statistics(stream));
      if (extended.has('voip-metrics') && stream.quality.latest) blocks.push(this.#voipMetrics(stream));
    }
    return blocks;
  }

  #voipMetrics(stream: ReceivedStream): XrBlock {
    const { losses, quality } = stream;
    const { latest } = quality;
    const packetMs = stream.packetMs;
    return {
      kind: 'voipMetrics',
      ssrc: stream.ssrc,
      lossRate: stream.lossRate,
      discardRate: 0,
      burstDensity: losses.burstDensity,
      gapDensity: losses.gapDensity,
      burstMs: losses.meanBurstPackets * packetMs,
      gapMs: losses.meanGapPackets * packetMs,
      roundTripMs: this.roundTripMs ?? 0,
      endSystemMs: 0,
      gapMin: GAP_MIN,
      r: latest?.model === 'G.107' ? latest.r : undefined, // RFC 3611 4.7.5 knows the narrowband scale only
      mosListening: latest?.mos,
      mosConversational: latest?.mos,
      receiverConfiguration: 0, // nothing is concealed or buffered here
      bufferNominalMs: 0,
      bufferMaxMs: 0,
      bufferLimitMs: 0,
    };
  }

  #rate(stream: ReceivedStream, loss: number, nowMs: number): void {
    const { format, jitterMs, bitrateBps, losses } = stream;
    if (format === undefined) return;
    const { roundTripMs } = this;
    const score = scoreOf({ format, bitrateBps, roundTripMs, jitterMs, loss, burstLength: losses.burstLength });
    if (score === undefined) return;
    stream.quality.add({ atMs: nowMs, ...score, lossPercent: 100 * loss, jitterMs, roundTripMs: roundTripMs ?? 0 });
  }

  #takeSenderReport(bytes: Uint8Array, at: number, nowMs: number): void {
    if (rtcpContentEnd(bytes, at) < at + 28) return;
    const stream = this.received.find(rtcpSsrc(bytes, at));
    if (!stream) return;
    stream.lastSr = middleOf(readU32(bytes, at + 8), readU32(bytes, at + 12));
    stream.lastSrMs = nowMs;
  }

  #takeBlocks(bytes: Uint8Array, at: number, nowMs: number): void {
    for (const block of readReportBlocks(bytes, at)) {
      this.remote.take(block, nowMs);
      this.#takeRoundTrip(this.#senderReports.roundTrip(block.lastSr, block.delaySinceLastSr, nowMs));
    }
  }

  #takeExtended(block: XrBlock, sender: number, nowMs: number): void {
    this.#isExtended = true;
    switch (block.kind) {
      case 'referenceTime': {
        const middle = middleOf(block.ntpSeconds, block.ntpFraction);
        const known = this.#asked.findIndex((asked) => asked.ssrc === sender);
        if (known >= 0) this.#asked.splice(known, 1);
        else if (this.#asked.length >= MAX_REFERENCES) this.#asked.shift();
        this.#asked.push({ ssrc: sender, middle, atMs: nowMs });
        return;
      }
      case 'dlrr':
        for (const { ssrc, lastReference, delay } of block.delays) {
          if (ssrc === this.#ssrc) this.#takeRoundTrip(this.#references.roundTrip(lastReference, delay, nowMs));
        }
        return;
      case 'voipMetrics':
        this.remote.takeVoip(block, nowMs);
        return;
      case 'statistics':
        return;
    }
  }

  #takeRoundTrip(ms: number | undefined): void {
    if (ms !== undefined) this.roundTripMs = ms;
  }
}

function statistics(stream: ReceivedStream): XrBlock {
  return {
    kind: 'statistics',
    ssrc: stream.ssrc,
    beginSequence: stream.reportedFrom & 0xffff,
    endSequence: (stream.extendedHighest + 1) & 0xffff,
    lost: Math.max(0, stream.reportedLost),
  };
}
