import { sequenceDistance, type TransportCcFeedback, writeTransportCc } from '@offhook/core';

/** Power of two. At 1,000 packets a second, four seconds. */
const SLOTS = 4096;
/** A packet that comes this late stays lost: to report it, everything since would have to be said again. */
const LATE = 500;
/** A number this far ahead is a sender that began anew. */
const RESTART = SLOTS / 2;

/* Interval of feedback: 5 % of the bandwidth that arrives, for packets of this size with IP and UDP (libwebrtc). */
const FEEDBACK_BITS = 68 * 8;
const FEEDBACK_SHARE = 0.05;
const INTERVAL_MS = { first: 100, least: 50, most: 250 };

/**
 * Receiver's side of transport-wide congestion control: when which number arrived, and the feedback about it
 * (draft-holmer-rmcat-transport-wide-cc-extensions-01). Of a fixed size, whatever comes. Use: `handlePacket` for each
 * packet, at `nextTimeout` `writeFeedback` until it answers 0.
 */
export class ArrivalLog {
  readonly #feedback: { -readonly [K in keyof TransportCcFeedback]: TransportCcFeedback[K] };
  readonly #arrivalMs: Float64Array;
  /** Unwrapped numbers: the first that was not reported, and the highest that arrived, -1 = none yet. */
  #next = 0;
  #highest = -1;
  #dueAtMs: number | undefined;
  #lastFeedbackMs = 0;
  #bytesSince = 0;
  #intervalMs = INTERVAL_MS.first;
  /** Packets taken, and those that came too late or twice. */
  packets = 0;
  ignored = 0;

  /** @param sender SSRC that our feedback is from. */
  constructor(sender: number) {
    this.#arrivalMs = new Float64Array(SLOTS).fill(Number.NaN);
    const numbers = { media: 0, baseSequence: 0, feedbackCount: 0, first: 0, count: 0 };
    this.#feedback = { sender, ...numbers, arrivalMs: this.#arrivalMs, mask: SLOTS - 1 };
  }

  /** @param sequence transport-wide, 16 bits. @param ssrc of the packet: one of them stands in the feedback. */
  handlePacket(sequence: number, ssrc: number, bytes: number, nowMs: number): void {
    this.#feedback.media = ssrc;
    this.#bytesSince += bytes;
    const at = this.#place(sequence, nowMs);
    if (at < 0) {
      this.ignored++;
      return;
    }
    this.#arrivalMs[at & (SLOTS - 1)] = nowMs;
    this.#next = Math.min(this.#next, at);
    this.packets++;
    this.#dueAtMs ??= Math.max(nowMs, this.#lastFeedbackMs + this.#intervalMs);
  }

  /** When feedback is due. */
  nextTimeout(): number | undefined {
    return this.#dueAtMs;
  }

  /**
   * Writes the next RTCP packet of what is due and answers its length, or 0: there is nothing (more) to say now. `room`
   * is to hold an ordinary datagram; what finds none in it comes with the next call.
   */
  writeFeedback(bytes: Uint8Array, offset: number, nowMs: number): number {
    if (this.#dueAtMs === undefined || nowMs < this.#dueAtMs) return 0;
    const feedback = this.#feedback;
    feedback.baseSequence = this.#next & 0xffff;
    feedback.first = this.#next & (SLOTS - 1);
    feedback.count = this.#highest + 1 - this.#next;
    const { length, count } = writeTransportCc(bytes, offset, feedback);
    if (length === 0) {
      this.#rest(nowMs);
      return 0;
    }
    feedback.feedbackCount = (feedback.feedbackCount + 1) & 0xff;
    this.#next += count;
    if (this.#next > this.#highest) this.#rest(nowMs);
    return length;
  }

  #rest(nowMs: number): void {
    const sinceMs = nowMs - this.#lastFeedbackMs;
    if (sinceMs > 0 && this.#bytesSince > 0) {
      const bitsPerMs = (this.#bytesSince * 8) / sinceMs;
      const wanted = FEEDBACK_BITS / (FEEDBACK_SHARE * bitsPerMs);
      this.#intervalMs = Math.min(INTERVAL_MS.most, Math.max(INTERVAL_MS.least, wanted));
    }
    this.#bytesSince = 0;
    this.#lastFeedbackMs = nowMs;
    this.#dueAtMs = undefined;
  }

  /** The unwrapped number of a packet, or -1: it is there already or too late. */
  #place(sequence: number, nowMs: number): number {
    const ahead = this.#highest < 0 ? RESTART + 1 : sequenceDistance(sequence, this.#highest & 0xffff);
    if (ahead > RESTART || ahead < -RESTART) this.#restart(sequence, nowMs);
    else if (ahead > 0) this.#forward(ahead);
    else return this.#isNewLate(this.#highest + ahead) ? this.#highest + ahead : -1;
    return this.#highest;
  }

  #restart(sequence: number, nowMs: number): void {
    this.#arrivalMs.fill(Number.NaN);
    // One turn up, so that no unwrapped number is ever negative.
    this.#highest = sequence + 0x10000;
    this.#next = this.#highest;
    this.#lastFeedbackMs = nowMs;
  }

  /** The numbers between are lost until they come. */
  #forward(ahead: number): void {
    for (let i = 1; i < ahead; i++) this.#arrivalMs[(this.#highest + i) & (SLOTS - 1)] = Number.NaN;
    this.#highest += ahead;
    this.#next = Math.max(this.#next, this.#highest - SLOTS + 1);
  }

  #isNewLate(at: number): boolean {
    return at >= this.#highest - LATE && Number.isNaN(this.#arrivalMs[at & (SLOTS - 1)]!);
  }
}
