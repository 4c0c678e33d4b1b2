import { sequenceDistance, TRANSPORT_CC_LIMIT, type TransportCcReport } from '@offhook/core';

/** What a packet is sent for; of each the share is measured. */
export const PacketUse = { audio: 0, video: 1, repair: 2, padding: 3 } as const;
export type PacketUse = (typeof PacketUse)[keyof typeof PacketUse];

/** Power of two: at 1,000 packets a second, two seconds, which is more than any feedback takes. */
const SLOTS = 2048;
/**
 * Times that feedback may speak of each packet sent. A receiver does so once, and again from a late packet on; but 24 bytes
 * can speak of 4,096 numbers, and somebody who repeats them must not keep us busy.
 */
const TOLD_PER_SENT = 4;
/** What of that is saved up. */
const MOST_TOLD = TOLD_PER_SENT * SLOTS;
const FREE = 0;
const IN_FLIGHT = 1;
const LOST = 2;

/** One feedback packet's outcome, packet by packet in the order they were sent. Used again with each. */
export class FeedbackResults {
  count = 0;
  readonly sendMs = new Float64Array(TRANSPORT_CC_LIMIT);
  /** On the receiver's clock, comparable with itself only; NaN: lost. */
  readonly arrivalMs = new Float64Array(TRANSPORT_CC_LIMIT);
  readonly bytes = new Uint16Array(TRANSPORT_CC_LIMIT);
  /** The probe cluster it belonged to, or 0. */
  readonly cluster = new Int32Array(TRANSPORT_CC_LIMIT);
  /** Send time of the youngest packet that arrived, or NaN. */
  newestSendMs = Number.NaN;
  /** Bytes that were reported as arrived. */
  ackedBytes = 0;
}

/** Sender's side of transport-wide congestion control: what was sent when under which number. Of a fixed size. */
export class SendHistory {
  readonly #sendMs = new Float64Array(SLOTS);
  readonly #bytes = new Uint16Array(SLOTS);
  readonly #cluster = new Int32Array(SLOTS);
  readonly #state = new Uint8Array(SLOTS);
  #next: number;
  #reference = 0;
  #referenceMs = 0;
  #hasReference = false;
  /** Numbers that feedback may still speak of. */
  #tellable = SLOTS;
  /** Bytes sent that nothing was heard of. */
  inFlightBytes = 0;

  /** @param firstSequence 16 bits, random (RFC 3550 5.1's reason holds here too). */
  constructor(firstSequence: number) {
    // One turn up, so that no unwrapped number is ever negative.
    this.#next = (firstSequence & 0xffff) + 0x10000;
  }

  /** Takes note of a packet and answers its transport-wide number, 16 bits. */
  add(bytes: number, cluster: number, nowMs: number): number {
    const sequence = this.#next++;
    if (this.#tellable < MOST_TOLD) this.#tellable += TOLD_PER_SENT;
    const slot = sequence & (SLOTS - 1);
    if (this.#state[slot] === IN_FLIGHT) this.inFlightBytes -= this.#bytes[slot]!;
    this.#sendMs[slot] = nowMs;
    this.#bytes[slot] = bytes;
    this.#cluster[slot] = cluster;
    this.#state[slot] = IN_FLIGHT;
    this.inFlightBytes += this.#bytes[slot]!;
    return sequence & 0xffff;
  }

  /** What is in flight is given up: a peer that is silent for long will not tell of it. */
  forget(): void {
    this.#state.fill(FREE);
    this.inFlightBytes = 0;
  }

  /** Whether feedback may speak of so many numbers, to be asked before it is read; then they count as told. */
  mayTell(count: number): boolean {
    if (count > this.#tellable) return false;
    this.#tellable -= count;
    return true;
  }

  /** Looks up what a report says. Each packet counts as lost once and as arrived once, late arrivals after a loss too. */
  resolve(report: TransportCcReport, results: FeedbackResults): void {
    const referenceMs = this.#receiverClock(report.reference);
    const newest = this.#next - 1;
    const base = newest + sequenceDistance(report.baseSequence, newest & 0xffff);
    const oldest = newest - SLOTS + 1;
    results.count = 0;
    results.newestSendMs = Number.NaN;
    results.ackedBytes = 0;
    for (let i = 0; i < report.count; i++) {
      const sequence = base + i;
      if (sequence < oldest || sequence > newest) continue;
      const slot = sequence & (SLOTS - 1);
      const state = this.#state[slot]!;
      const arrivalMs = report.arrivalMs[i]!;
      const isLost = Number.isNaN(arrivalMs);
      if (state === FREE || (isLost && state === LOST)) continue;
      if (state === IN_FLIGHT) this.inFlightBytes -= this.#bytes[slot]!;
      this.#state[slot] = isLost ? LOST : FREE;
      const at = results.count++;
      results.sendMs[at] = this.#sendMs[slot]!;
      results.arrivalMs[at] = isLost ? Number.NaN : referenceMs + arrivalMs;
      results.bytes[at] = this.#bytes[slot]!;
      results.cluster[at] = this.#cluster[slot]!;
      if (isLost) continue;
      results.ackedBytes += this.#bytes[slot]!;
      results.newestSendMs = this.#sendMs[slot]!;
    }
  }

  /** The reference time has 24 bits and turns over after twelve days: distances are added up. */
  #receiverClock(reference: number): number {
    if (this.#hasReference) this.#referenceMs += (((reference - this.#reference) << 8) >> 8) * 64;
    this.#reference = reference;
    this.#hasReference = true;
    return this.#referenceMs;
  }
}
