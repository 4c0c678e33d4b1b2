import {
  eraseRtpExtension,
  findRtpExtension,
  mapRtpExtensions,
  readTransportSequence,
  readU16,
  rtpExtensionData,
  rtpExtensionLength,
  rtpHeaderLength,
  rtpPayloadType,
  rtpSsrc,
  writeTransportSequence,
  writeU16,
} from '@offhook/core';
import type { RtxReceiver, VideoRepair } from '../recovery/index.ts';
import type { FeedbackTap, HopReports } from '../rtcp/index.ts';
import { ArrivalLog } from './arrival-log.ts';
import { GoogleCongestionControl } from './google.ts';
import { HopRequests } from './hop-requests.ts';
import { type RateCounters, RateFeedback } from './rate-feedback.ts';
import type { RateForm } from './remb-throttler.ts';
import { ReportRates } from './report-rates.ts';
import { PacketUse } from './send-history.ts';

/** Nothing above is of use: browsers send at most 2.5 Mb/s of one camera. */
const MAX_BPS = 4_000_000;
/** What SRTP adds; of that size a packet counts. */
const TAG_BYTES = 16;
/** The longest packet that leaves, and what a number may add to one. */
const MOST_BYTES = 1856 - TAG_BYTES;
/** Looked at so often, whatever comes: what packets have set in motion is seen then. */
const TICK_MS = 50;
/** What a downlink is taken for that has just taken the place of another one, as its own control does. */
const START_BPS = 300_000;
/** A peer that has agreed to feedback and gives none for so long is judged by its reports. */
const PATIENCE_MS = 5000;

export interface RateSettings {
  /** Identifier of the transport-wide number, the same both ways on a leg; 0 = not agreed on. */
  readonly sequenceId: number;
  /** Payload types of pictures, both ways; of a phone's port with nothing else all. */
  readonly pictures: readonly number[];
  /** Payload types that carry the number. */
  readonly numbered: readonly number[];
  /** From the far leg's identifiers of header extensions to this one's, 256 entries; undefined = they are the same. */
  readonly extensions: Uint8Array | undefined;
  /** How the peer is told what it may send; undefined = it can't be. */
  readonly form: RateForm | undefined;
  /** Whether sound counts in what the peer is told: it is numbered too. */
  readonly countsSound: boolean;
  readonly rtx: RtxReceiver | undefined;
  readonly repair: VideoRepair | undefined;
}

const NOTHING: RateSettings = {
  sequenceId: 0,
  pictures: [],
  numbered: [],
  extensions: undefined,
  form: undefined,
  countsSound: false,
  rtx: undefined,
  repair: undefined,
};

/**
 * Rates between one peer and us, on the terminated path where pictures pass: what comes from the peer is answered with
 * transport-wide feedback, what goes to it is numbered and its feedback judged, and it is told what the far side's
 * downlink takes. `received` and `send` are called per packet and allocate nothing.
 */
export class HopRates implements FeedbackTap {
  readonly #reports: HopReports;
  readonly #counters: RateCounters;
  readonly #random16: number;
  readonly #wake: () => void;
  readonly #isPicture = new Uint8Array(128);
  readonly #isNumbered = new Uint8Array(128);
  readonly #element = { id: 0, sequence: 0 };
  #settings = NOTHING;
  #log: ArrivalLog | undefined;
  #control: GoogleCongestionControl | undefined;
  readonly #byReports: ReportRates;
  readonly feedback: RateFeedback;
  readonly requests: HopRequests;
  #far: HopRates | undefined;
  #tickAtMs = Number.NEGATIVE_INFINITY;
  /** Sources of pictures, as signed numbers: heard from the peer, and sent to it. */
  #heard = 0;
  #sent = 0;
  #sentSinceMs = -1;
  /** Bytes of pictures sent to the peer. */
  #sentBytes = 0;
  #paddingBytes = 0;
  #isOpen = false;

  /**
   * @param firstSequence 16 bits, random.
   * @param wake called when `nextTimeout` may have become earlier by feedback.
   */
  constructor(options: {
    readonly reports: HopReports;
    readonly counters: RateCounters;
    readonly firstSequence: number;
    readonly wake: () => void;
  }) {
    const { reports, counters, firstSequence, wake } = options;
    this.#reports = reports;
    this.#counters = counters;
    this.#random16 = firstSequence;
    this.#wake = wake;
    this.#byReports = new ReportRates(reports);
    this.requests = new HopRequests(counters);
    this.feedback = new RateFeedback(counters);
  }

  /** Source of the pictures that the peer sends; undefined before the first. */
  get pictureSource(): number | undefined {
    return this.#heard === 0 ? undefined : this.#heard >>> 0;
  }

  /** What undoes the peer's retransmissions. */
  get rtx(): RtxReceiver | undefined {
    return this.#settings.rtx;
  }

  /** What both descriptions say. Machines live on as long as what they stand on was agreed on before. */
  configure(settings: RateSettings): void {
    this.#settings = settings;
    this.#isPicture.fill(0);
    this.#isNumbered.fill(0);
    for (const payloadType of settings.pictures) this.#isPicture[payloadType & 0x7f] = 1;
    for (const payloadType of settings.numbered) this.#isNumbered[payloadType & 0x7f] = 1;
    this.#element.id = settings.sequenceId;
    if (settings.sequenceId === 0) {
      this.#log = undefined;
      this.#control = undefined;
    } else this.#log ??= new ArrivalLog(this.#reports.ssrc);
    this.requests.setForm(settings.form);
  }

  /** Whose pictures come here, and go to whom. After another one its rate is told at once: a REMB holds until the next. */
  connect(far: HopRates | undefined): void {
    this.#far = far;
    if (far === undefined) return;
    this.#tickAtMs = Number.NEGATIVE_INFINITY;
    this.#wake();
  }

  get far(): HopRates | undefined {
    return this.#far;
  }

  /** An opened packet came from the peer. What of it goes on: its length, 0 = nothing (RTX that brings nothing new), -1 = malformed. */
  received(bytes: Uint8Array, offset: number, length: number, nowMs: number): number {
    if (this.#log !== undefined && (bytes[offset]! & 0x10) !== 0) {
      const header = rtpHeaderLength(bytes, offset, length);
      const sequence = header < 0 ? -1 : readTransportSequence(bytes, offset, header, this.#element.id);
      if (sequence >= 0) this.#log.handlePacket(sequence, rtpSsrc(bytes, offset), length + TAG_BYTES, nowMs);
    }
    const { rtx } = this.#settings;
    const out = rtx === undefined ? length : rtx.restore(bytes, offset, length);
    if (out > 0 && this.#isPicture[rtpPayloadType(bytes, offset)] !== 0) this.#heard = rtpSsrc(bytes, offset) | 0;
    return out;
  }

  /** A packet goes to the peer, before it is protected; the answer is its new length. */
  send(bytes: Uint8Array, offset: number, length: number, nowMs: number): number {
    const { extensions, repair } = this.#settings;
    if (extensions !== undefined && (bytes[offset]! & 0x10) !== 0) {
      const header = rtpHeaderLength(bytes, offset, length);
      if (header > 0) mapRtpExtensions(bytes, offset, header, extensions);
    }
    const isPicture = this.#isPicture[rtpPayloadType(bytes, offset)] !== 0;
    const out = this.#number(bytes, offset, length, isPicture ? PacketUse.video : PacketUse.audio, nowMs);
    if (!isPicture) return out;
    this.#sent = rtpSsrc(bytes, offset) | 0;
    if (this.#sentSinceMs < 0) this.#sentSinceMs = nowMs;
    this.#sentBytes += out;
    repair?.keep(bytes, offset, out, nowMs);
    return out;
  }

  /** A packet of our own goes to the peer: a retransmission as RTX, or padding. As `send`. */
  sendOwn(use: PacketUse, bytes: Uint8Array, length: number, nowMs: number): number {
    return this.#number(bytes, 0, length, use, nowMs);
  }

  /** Writes the transport-wide number where it is agreed on for that payload type, and takes it out where it isn't. */
  #number(bytes: Uint8Array, offset: number, length: number, use: PacketUse, nowMs: number): number {
    const { id } = this.#element;
    if (id === 0) return length;
    let out = length;
    const header = rtpHeaderLength(bytes, offset, length);
    if (header < 0) return length;
    let at = findRtpExtension(bytes, offset, header, id);
    const isAgreed = this.#isNumbered[rtpPayloadType(bytes, offset)] !== 0;
    if (at >= 0 && (!isAgreed || rtpExtensionLength(bytes, offset, at) !== 2)) {
      eraseRtpExtension(bytes, offset, at); // what stands there is no number of ours
      at = -1;
    }
    if (!isAgreed) return length;
    const control = this.#control ?? this.#begin(at < 0 ? -1 : readU16(bytes, rtpExtensionData(bytes, offset, at)));
    if (at < 0) {
      out = this.#makeRoom(bytes, offset, length, header);
      if (out === length) return length;
      at = findRtpExtension(bytes, offset, header + out - length, id);
      if (at < 0) return out;
    }
    const sequence = control.handleSent(use, out + TAG_BYTES, nowMs);
    writeU16(bytes, rtpExtensionData(bytes, offset, at), sequence);
    return out;
  }

  /**
   * Our numbers go on where the sender's are: before there were pictures those have passed from end to end, and a jump would make
   * the receiver tell of thousands of packets that were lost.
   */
  #begin(theirs: number): GoogleCongestionControl {
    const firstSequence = theirs < 0 ? this.#random16 : theirs;
    this.#control = new GoogleCongestionControl({ firstSequence, maxBps: MAX_BPS });
    return this.#control;
  }

  /** Puts an empty element into a header that has none, behind the packet's beginning; the new length, or the old one without room. */
  #makeRoom(bytes: Uint8Array, offset: number, length: number, header: number): number {
    const more = (bytes[offset]! & 0x10) !== 0 ? 4 : 8;
    if (length + more > MOST_BYTES || offset + length + more + TAG_BYTES > bytes.length) return length;
    bytes.copyWithin(offset + more, offset, offset + length);
    if (writeTransportSequence(bytes, offset + more, header, this.#element) === offset) return length + more;
    bytes.copyWithin(offset, offset + more, offset + more + length);
    return length;
  }

  /** Transport-wide feedback, REMB, TMMBR and TMMBN end here; true = it is something else. */
  handleFeedback(bytes: Uint8Array, at: number, nowMs: number): boolean {
    const { feedback } = this;
    const taken = feedback.take(bytes, at, { ours: this.#reports.ssrc, sent: this.#sent >>> 0 });
    switch (taken) {
      case 'other':
        return true;
      case 'arrivals':
        this.#learn(bytes, at, nowMs);
        break;
      case 'cap':
        this.#control?.handleCap(feedback.capBps, nowMs);
        this.#byReports.handleCap(feedback.capBps);
        this.#tell();
        break;
      case 'confirmation':
        this.requests.handleConfirmation(feedback.confirmedBps);
        break;
      case 'ignored':
        break;
    }
    return false;
  }

  #learn(bytes: Uint8Array, at: number, nowMs: number): void {
    if (this.#control === undefined && this.#element.id !== 0) return; // about what passed before there were pictures
    if (!this.#control?.handleFeedback(bytes, at, nowMs)) {
      this.#counters.badFeedback++;
      return;
    }
    this.#counters.feedback++;
    this.#drain();
    this.#wake();
  }

  #drain(): void {
    for (let command = this.#control?.poll(); command; command = this.#control?.poll()) {
      if (command.kind === 'padding') this.#paddingBytes = command.bytes;
      else this.#tell();
    }
  }

  /** What the peer takes has changed: its sender hears of it at once. */
  #tell(): void {
    const far = this.#far;
    if (far === undefined) return;
    far.#tickAtMs = Number.NEGATIVE_INFINITY;
    far.#wake();
  }

  /** @param isOpen whether anything can be sent to the peer. */
  handleTimeout(nowMs: number, isOpen: boolean): void {
    this.#tickAtMs = nowMs + TICK_MS;
    this.#isOpen = isOpen;
    if (isOpen) this.#control?.handleStart(nowMs);
    this.#control?.handleTimeout(nowMs);
    this.#drain();
    this.#byReports.handleTimeout(this.#sent, this.#sentBytes, nowMs);
    const known = this.#far?.downlinkBps(this.#settings.countsSound, nowMs);
    // What was told of another far side, or of this one before it was described anew, holds no longer.
    const bps = known ?? (this.requests.toldBps === undefined ? undefined : this.#far?.startBps(nowMs));
    if (bps !== undefined) this.requests.handleRate(bps, nowMs);
  }

  nextTimeout(): number {
    if (!this.#isOpen) return this.#tickAtMs;
    const log = this.#log?.nextTimeout() ?? Number.POSITIVE_INFINITY;
    const control = this.#control?.nextTimeout() ?? Number.POSITIVE_INFINITY;
    return Math.min(this.#tickAtMs, log, control);
  }

  /**
   * What the far side may send to this peer as pictures, bits a second; undefined = nothing is known, so nothing is said.
   * `withSound`: as much more as its sound takes.
   */
  downlinkBps(withSound: boolean, nowMs: number): number | undefined {
    const control = this.#control;
    if (control === undefined || this.#isUnanswered(control, nowMs)) return this.#byReports.bps;
    if (control.feedbackPackets === 0) return undefined;
    return control.videoBps(Number.POSITIVE_INFINITY, nowMs) + (withSound ? control.audioBps(nowMs) : 0);
  }

  /** In place of what isn't known yet: where feedback will tell soon its start rate, else what is of use at most. */
  startBps(nowMs: number): number {
    if (this.#element.id === 0 || (this.#control && this.#isUnanswered(this.#control, nowMs))) return MAX_BPS;
    return START_BPS;
  }

  #isUnanswered({ feedbackPackets }: GoogleCongestionControl, nowMs: number): boolean {
    return feedbackPackets === 0 && this.#sentSinceMs >= 0 && nowMs - this.#sentSinceMs > PATIENCE_MS;
  }

  /** Writes what the peer is to hear now behind a report's head; the new end, the same when there is nothing (more). */
  write(bytes: Uint8Array, at: number, nowMs: number): number {
    const { ssrc } = this.#reports;
    const length = this.#log?.writeFeedback(bytes, at, nowMs) ?? 0;
    if (length > 0) this.#counters.feedbackSent++;
    let end = at + length;
    end += this.feedback.writeNotification(bytes, end);
    if (this.#heard !== 0) end += this.requests.write(bytes, end, { sender: ssrc, media: this.#heard >>> 0 });
    return end;
  }

  /** Bytes of a padding packet that a probe needs now, or 0; it is asked for once. */
  takePadding(): number {
    const bytes = this.#paddingBytes;
    this.#paddingBytes = 0;
    return bytes;
  }

  /** For `query` and tests. */
  describe(): Readonly<Record<string, number | string | undefined>> {
    return { ...this.#control?.describe(), reportsBps: this.#byReports.bps, toldBps: this.requests.toldBps };
  }
}
