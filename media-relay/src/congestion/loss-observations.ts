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
  /** Of each, 1 for the youngest, 0 for one that is too old. */
  readonly weight = new Float64Array(WINDOW);
  readonly #endMs = new Float64Array(WINDOW);
  count = 0;
  /** Those that aren't too old. */
  fresh = 0;
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

  /** What was seen so far says nothing any more. */
  forget(): void {
    this.count = 0;
    this.fresh = 0;
    this.#at = 0;
    this.#openPackets = 0;
    this.#openLost = 0;
    this.#openBytes = 0;
    this.#openSinceMs = this.lastSendMs;
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
    this.#endMs[this.#at] = this.lastSendMs;
    this.#at = (this.#at + 1) % WINDOW;
    this.fresh = 0;
    for (let i = 0; i < this.count; i++) {
      const spans = (this.lastSendMs - this.#endMs[i]!) / LEAST_MS;
      this.weight[i] = spans < WINDOW ? TEMPORAL_WEIGHT ** spans : 0;
      if (spans < WINDOW) this.fresh++;
    }
    this.#openPackets = 0;
    this.#openLost = 0;
    this.#openBytes = 0;
    this.#openSinceMs = this.lastSendMs;
  }
}
