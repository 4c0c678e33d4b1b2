import type { FeedbackResults } from './send-history.ts';

/** Observations that count, and how long each lasts at least (libwebrtc's LossBasedBweV2). */
const WINDOW = 15;
const LEAST_MS = 250;
const TEMPORAL_WEIGHT = 0.9;

/** What became of packets in spans of a quarter of a second, the youngest weighing most. */
export class LossObservations {
  readonly packets = new Float64Array(WINDOW);
  readonly lost = new Float64Array(WINDOW);
  /** At which rate they were sent, kb/s. */
  readonly sendingKbps = new Float64Array(WINDOW);
  /** Of each, 1 for the youngest. */
  readonly weight = new Float64Array(WINDOW);
  count = 0;
  #at = 0;
  #openPackets = 0;
  #openLost = 0;
  #openBytes = 0;
  #openSinceMs = Number.NaN;
  /** Send time of the youngest packet that was heard of. */
  lastSendMs = Number.NaN;

  /** Whether a new observation is complete. */
  handleFeedback(results: FeedbackResults): boolean {
    for (let i = 0; i < results.count; i++) {
      const sendMs = results.sendMs[i]!;
      this.#openPackets++;
      this.#openBytes += results.bytes[i]!;
      if (Number.isNaN(results.arrivalMs[i]!)) this.#openLost++;
      if (!(sendMs <= this.lastSendMs)) this.lastSendMs = sendMs;
      if (Number.isNaN(this.#openSinceMs)) this.#openSinceMs = sendMs;
    }
    const lastedMs = this.lastSendMs - this.#openSinceMs;
    if (!(lastedMs >= LEAST_MS)) return false;
    this.#close(lastedMs);
    return true;
  }

  /** Lost of what was sent, weighted, 0–1. */
  averageLoss(): number {
    let packets = 0;
    let lost = 0;
    for (let i = 0; i < this.count; i++) {
      packets += this.weight[i]! * this.packets[i]!;
      lost += this.weight[i]! * this.lost[i]!;
    }
    return packets === 0 ? 0 : lost / packets;
  }

  #close(lastedMs: number): void {
    this.packets[this.#at] = this.#openPackets;
    this.lost[this.#at] = this.#openLost;
    this.sendingKbps[this.#at] = (this.#openBytes * 8) / lastedMs;
    this.count = Math.min(this.count + 1, WINDOW);
    for (let age = 0; age < this.count; age++) {
      this.weight[(this.#at - age + WINDOW) % WINDOW] = TEMPORAL_WEIGHT ** age;
    }
    this.#at = (this.#at + 1) % WINDOW;
    this.#openPackets = 0;
    this.#openLost = 0;
    this.#openBytes = 0;
    this.#openSinceMs = this.lastSendMs;
  }
}
