import {
  type ReportBlock,
  RTP_HEADER,
  type RtpMap,
  readS32,
  rtpPayloadType,
  rtpSequence,
  sequenceDistance,
} from '@offhook/core';
import { LossRuns } from './loss-runs.ts';
import { QualityHistory } from './quality-history.ts';

// RFC 3550 A.1.
const MIN_SEQUENTIAL = 2;
const MAX_DROPOUT = 3000;
const MAX_MISORDER = 100;
const SEQUENCES = 65_536;
const NO_SEQUENCE = SEQUENCES + 1;

/** Packets a late one may be behind the newest before it counts as lost in bursts and gaps. */
const LATE_PACKETS = 32;
/** How fast a lower bit rate is believed, per sample. */
const BITRATE_FALL = 1 / 16;
/** A step between arrival and timestamp beyond this is a new start of the sender's clock, not jitter. */
const MAX_TRANSIT_STEP_MS = 10_000;

/** Counters at a point in time; two of them tell what was in between. */
export interface StreamMark {
  expected: number;
  received: number;
  bytes: number;
  atMs: number;
}

/**
 * What is known of one source that a peer sends: sequence numbers (RFC 3550 A.1), losses (A.3), jitter (A.8), bursts (RFC
 * 3611 4.7.2). `handlePacket` is called once per packet and allocates nothing.
 */
export class ReceivedStream {
  // What each packet touches stands together and is small integers, which V8 keeps in the object itself.
  /** The SSRC as a signed number. */
  key = 0;
  payloadType = -1;
  #probation = MIN_SEQUENTIAL;
  #highest = 0;
  #cycles = 0;
  #received = 0;
  /** Payload bytes and headers, as opened. */
  bytes = 0;
  /** Bit n: the packet n behind the newest has come. */
  #window = 0;
  /** Settled as received since the last loss, and not told to `#losses` yet. */
  #settled = 0;
  /** Whole milliseconds. */
  lastMs = 0;
  /** Clock of the payload type per ms, 0 = its timestamps don't follow one. */
  #khz = 0;
  #hasTransit = false;
  /** Arrival less timestamp in units of the clock, modulo 2³². */
  #transit = 0;
  /** In 1/16 units of the clock, as in RFC 3550 A.8. */
  #jitter = 0;

  /** What the payload type means by the SDP; undefined when it doesn't say. */
  format: RtpMap | undefined;
  readonly quality = new QualityHistory();
  /** Share of lost packets within the last sample's interval, 0–1. */
  recentLossRate = 0;
  /** Of the payload while it is sent, bits per second; 0 = not known yet. */
  bitrateBps = 0;
  /** Of the last report block, and of the last sample of the score. */
  readonly reported: StreamMark = { expected: 0, received: 0, bytes: 0, atMs: 0 };
  readonly sampled: StreamMark = { expected: 0, received: 0, bytes: 0, atMs: 0 };
  /** The last sender report of this source: middle 32 bits of its NTP time (0 = none), and when it came. */
  lastSr = 0;
  lastSrMs = 0;
  /** First sequence number, extended, that the last report block spoke of, and how many of its packets were lost. */
  reportedFrom = 0;
  reportedLost = 0;
  readonly #losses = new LossRuns();
  #firstMs = 0;
  #base = 0;
  #bad = NO_SEQUENCE;
  /** The clock that `#jitter` is counted by, per ms. */
  #jitterKhz = 0;

  /** Begins anew as another source. */
  begin(ssrc: number, sequence: number, nowMs: number): void {
    this.key = ssrc | 0;
    this.payloadType = -1;
    this.format = undefined;
    this.bytes = 0;
    this.lastSr = 0;
    this.#losses.clear();
    this.#settled = 0;
    this.quality.clear();
    this.recentLossRate = 0;
    this.bitrateBps = 0;
    this.#firstMs = nowMs;
    this.#init(sequence);
    this.#highest = (sequence - 1) & 0xffff;
    this.#probation = MIN_SEQUENTIAL;
    this.#khz = 0;
    this.#jitterKhz = 0;
    this.#jitter = 0;
    this.lastMs = Math.floor(nowMs);
    this.mark(this.reported, Number.NEGATIVE_INFINITY); // never yet
    this.mark(this.sampled, nowMs);
  }

  get ssrc(): number {
    return this.key >>> 0;
  }

  /** Bursts and gaps so far. */
  get losses(): LossRuns {
    this.#losses.received(this.#settled);
    this.#settled = 0;
    return this.#losses;
  }

  /** Two packets in a row have shown that this is a source (RFC 3550 A.1). */
  get isValid(): boolean {
    return this.#probation === 0;
  }

  get received(): number {
    return this.#received;
  }

  /** RFC 3550 A.3. */
  get expected(): number {
    return this.isValid ? this.#cycles + this.#highest - this.#base + 1 : 0;
  }

  /** May be negative: duplicates count as received (RFC 3550 6.4.1). */
  get lost(): number {
    return this.expected - this.#received;
  }

  /** Share of lost packets since the start, 0–1. */
  get lossRate(): number {
    return rateOf(this.expected, this.#received);
  }

  /** Share of lost packets since that mark, 0–1. */
  lossSince(mark: StreamMark): number {
    return rateOf(this.expected - mark.expected, this.#received - mark.received);
  }

  /** Cycles in the high half, highest sequence number in the low one. */
  get extendedHighest(): number {
    return this.#cycles + this.#highest;
  }

  get jitterMs(): number {
    return this.#jitterKhz === 0 ? 0 : this.#jitter / (16 * this.#jitterKhz);
  }

  /** Mean time between packets, ms. */
  get packetMs(): number {
    return this.expected < 2 ? 0 : (this.lastMs - this.#firstMs) / this.expected;
  }

  /**
   * Takes the interval since the last sample: the share of packets lost in it, or undefined when nothing came. The bit rate
   * rises at once and falls slowly, because pauses of speech say nothing of the encoder.
   */
  sample(nowMs: number): number | undefined {
    const { sampled } = this;
    const packets = this.#received - sampled.received;
    const elapsedMs = nowMs - sampled.atMs;
    const isHeard = this.isValid && packets > 0 && elapsedMs > 0;
    const loss = this.lossSince(sampled);
    if (isHeard) {
      const payload = this.bytes - sampled.bytes - RTP_HEADER * packets;
      const bps = (8000 * payload) / ((1 - Math.min(loss, 0.9)) * elapsedMs);
      this.bitrateBps += (bps - this.bitrateBps) * (bps > this.bitrateBps ? 1 : BITRATE_FALL);
    }
    this.recentLossRate = isHeard ? loss : 0;
    this.mark(sampled, nowMs);
    return isHeard ? loss : undefined;
  }

  mark(mark: StreamMark, nowMs: number): void {
    mark.expected = this.expected;
    mark.received = this.#received;
    mark.bytes = this.bytes;
    mark.atMs = nowMs;
  }

  /** Whether an opened RTP packet is of this source, and its payload type the one that was described. */
  isOf(bytes: Uint8Array, offset: number): boolean {
    return readS32(bytes, offset + 8) === this.key && rtpPayloadType(bytes, offset) === this.payloadType;
  }

  /** One opened RTP packet of this source; `length` bytes with its header. */
  handlePacket(bytes: Uint8Array, offset: number, length: number, nowMs: number): void {
    this.lastMs = Math.floor(nowMs);
    if (!this.#follow(rtpSequence(bytes, offset))) return;
    this.bytes += length;
    if (this.#khz > 0) this.#measureJitter(readS32(bytes, offset + 4), nowMs);
  }

  /** Another payload type than before: `clockRate` 0 measures no jitter with it (unknown, or events of RFC 4733). */
  setFormat(payloadType: number, format: RtpMap | undefined, clockRate: number): void {
    this.payloadType = payloadType;
    if (format !== undefined && clockRate > 0) this.format = format;
    const khz = clockRate / 1000;
    if (khz === 0 || khz !== this.#jitterKhz) this.#hasTransit = false;
    if (khz > 0 && this.#jitterKhz > 0) this.#jitter = Math.round((this.#jitter * khz) / this.#jitterKhz);
    if (khz > 0) this.#jitterKhz = khz;
    this.#khz = khz;
  }

  /** The report block about this source, and what is told from now on is told since now (RFC 3550 6.4.1). */
  report(nowMs: number): ReportBlock {
    const { reported } = this;
    const fraction = Math.min(255, Math.floor(this.lossSince(reported) * 256));
    this.reportedFrom = this.#base + reported.expected;
    this.reportedLost = this.lost - (reported.expected - reported.received);
    this.mark(reported, nowMs);
    return {
      ssrc: this.ssrc,
      fractionLost: fraction,
      packetsLost: Math.min(0x7fffff, Math.max(-0x800000, this.lost)),
      highestSequence: this.extendedHighest % 2 ** 32,
      jitter: this.#jitter >> 4,
      lastSr: this.lastSr,
      delaySinceLastSr: this.lastSr === 0 ? 0 : Math.min(0xffffffff, Math.floor((nowMs - this.lastSrMs) * 65.536)),
    };
  }

  /** RFC 3550 A.1, update_seq; false when the packet doesn't count. */
  #follow(sequence: number): boolean {
    if (this.#probation > 0) {
      if (sequence !== ((this.#highest + 1) & 0xffff)) {
        this.#probation = MIN_SEQUENTIAL - 1;
        this.#highest = sequence;
        return false;
      }
      this.#probation--;
      this.#highest = sequence;
      if (this.#probation > 0) return false;
      this.#init(sequence);
      this.#received = 1;
      return true;
    }
    const step = sequenceDistance(sequence, this.#highest);
    if (step > 0 && step < MAX_DROPOUT) {
      if (sequence < this.#highest) this.#cycles += SEQUENCES;
      this.#highest = sequence;
      this.#advance(step);
    } else if (step > 0 || step < -MAX_MISORDER) {
      if (sequence !== this.#bad) {
        this.#bad = (sequence + 1) & 0xffff;
        return false;
      }
      this.#init(sequence); // two in a row: the sender began anew
    } else if (-step < LATE_PACKETS) this.#window |= 1 << -step;
    this.#received++;
    return true;
  }

  #init(sequence: number): void {
    this.#base = sequence;
    this.#highest = sequence;
    this.#cycles = 0;
    this.#bad = NO_SEQUENCE;
    this.#received = 0;
    this.#window = -1; // what came before the first packet isn't missed
    this.#hasTransit = false;
    for (const mark of [this.reported, this.sampled]) {
      mark.expected = 0;
      mark.received = 0;
    }
  }

  /** The oldest `step` packets leave the window: whether they came is settled. */
  #advance(step: number): void {
    for (let n = Math.min(step, LATE_PACKETS); n > 0; n--) {
      if (this.#window < 0) this.#settled++;
      else this.losses.lost(1);
      this.#window <<= 1;
    }
    if (step > LATE_PACKETS) this.losses.lost(step - LATE_PACKETS);
    this.#window |= 1;
  }

  /** RFC 3550 A.8, in integers. */
  #measureJitter(timestamp: number, nowMs: number): void {
    const transit = (Math.floor(nowMs * this.#khz) - timestamp) | 0;
    if (this.#hasTransit) {
      const d = Math.abs((transit - this.#transit) | 0);
      if (d < MAX_TRANSIT_STEP_MS * this.#khz) this.#jitter += d - ((this.#jitter + 8) >> 4);
    }
    this.#hasTransit = true;
    this.#transit = transit;
  }
}

function rateOf(expected: number, received: number): number {
  return expected <= 0 ? 0 : Math.min(1, Math.max(0, (expected - received) / expected));
}
