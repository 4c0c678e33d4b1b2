import { PacketUse } from './send-history.ts';

const TIME_CONSTANT_MS = 1000;
const USES = 4;

/** What is sent for each use, bits a second, smoothed over a second. */
export class UseRates {
  readonly #bits = new Float64Array(USES);
  readonly #atMs = new Float64Array(USES);
  #firstMs = Number.NaN;

  handleSent(use: PacketUse, bytes: number, nowMs: number): void {
    if (Number.isNaN(this.#firstMs)) this.#firstMs = nowMs;
    this.#bits[use] = this.#decayed(use, nowMs) + bytes * 8;
    this.#atMs[use] = nowMs;
  }

  bps(use: PacketUse, nowMs: number): number {
    if (Number.isNaN(this.#firstMs)) return 0;
    // What the weights add up to since the start, so that the first second is no ramp.
    const weight = TIME_CONSTANT_MS * (1 - Math.exp(-Math.max(20, nowMs - this.#firstMs) / TIME_CONSTANT_MS));
    return (this.#decayed(use, nowMs) * 1000) / weight;
  }

  /** Everything but padding. */
  mediaBps(nowMs: number): number {
    return this.bps(PacketUse.audio, nowMs) + this.bps(PacketUse.video, nowMs) + this.bps(PacketUse.repair, nowMs);
  }

  #decayed(use: PacketUse, nowMs: number): number {
    return this.#bits[use]! * Math.exp(-(nowMs - this.#atMs[use]!) / TIME_CONSTANT_MS);
  }
}

/** Below this video is of no use, and audio has the line to itself (mediasoup's least rate). */
const LEAST_VIDEO_BPS = 30_000;

/**
 * What is left for the far side's video: the line less audio, which goes first, and less retransmissions and FEC; at
 * most `capBps`. 0: nothing that is of use.
 */
export function videoShare(targetBps: number, rates: UseRates, capBps: number, nowMs: number): number {
  const left = targetBps - rates.bps(PacketUse.audio, nowMs);
  // Repair follows from loss that a lower rate may end; it never takes more than half of what is there.
  const share = left - Math.min(left / 2, rates.bps(PacketUse.repair, nowMs));
  return share < LEAST_VIDEO_BPS ? 0 : Math.min(share, capBps);
}
