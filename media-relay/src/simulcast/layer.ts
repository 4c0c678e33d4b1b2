import { timestampDistance } from '@offhook/core';
import { RtxReceiver } from '../recovery/index.ts';

/** Temporal layers of VP8 (RFC 7741 4.2: TID has two bits). */
export const TEMPORAL_LAYERS = 4;
/** No source is: sources are 32 bits, and 0 is one of them. */
export const NO_SOURCE = 2 ** 32;
/** Weight of the last window in a rate: a key frame alone moves no choice. */
const WEIGHT = 0.3;
/** Less than a packet each other second is a temporal layer that is over. */
const LEAST_BPS = 1000;
/** RFC 6184 8.2.1, RFC 7741 6.1: 90 kHz. */
const CLOCK_PER_MS = 90;

const NOTHING = { originals: new Uint8Array(128), pictures: new Uint8Array(128), sources: new Map<number, number>() };

/** One layer of simulcast as it comes: its sources, its rates, and what its sender reports say of its clock. */
export class SimulcastLayer {
  /** Undoes its retransmissions. */
  readonly rtx = new RtxReceiver(NOTHING);
  /** Its sources, signed 32 bits; `NO_SOURCE` = not known yet. */
  source = NO_SOURCE;
  rtxSource = NO_SOURCE;
  /** Something came in the last window. */
  isThere = false;
  readonly #bytes = new Float64Array(TEMPORAL_LAYERS);
  readonly #bps = new Float64Array(TEMPORAL_LAYERS);
  #hasReport = false;
  #reportNtpMs = 0;
  #reportTimestamp = 0;
  #hasPicture = false;
  #picture = 0;

  /** Another source is this layer now, with a clock of its own. */
  take(source: number): void {
    this.source = source;
    this.#hasReport = false;
    this.#hasPicture = false;
  }

  /** Whether a packet with this timestamp, signed 32 bits, is of another picture than the one before. */
  beginsPicture(timestamp: number): boolean {
    if (this.#hasPicture && timestamp === this.#picture) return false;
    this.#hasPicture = true;
    this.#picture = timestamp;
    return true;
  }

  count(temporal: number, bytes: number): void {
    this.#bytes[temporal]! += bytes;
  }

  /** Ends a window of measuring; whether something came in it (`isThere`). */
  measure(elapsedMs: number): boolean {
    this.isThere = false;
    for (let i = 0; i < TEMPORAL_LAYERS; i++) {
      const bps = (8000 * this.#bytes[i]!) / elapsedMs;
      this.isThere ||= bps > 0;
      this.#bps[i] = this.#bps[i]! < LEAST_BPS ? bps : this.#bps[i]! + WEIGHT * (bps - this.#bps[i]!);
      this.#bytes[i] = 0;
    }
    return this.isThere;
  }

  /** Bits a second of its temporal layers up to that one; 0 when that one brings nothing. */
  rateUpTo(temporal: number): number {
    if (this.#bps[temporal]! < LEAST_BPS) return 0;
    let bps = 0;
    for (let i = 0; i <= temporal; i++) bps += this.#bps[i]!;
    return bps;
  }

  /** Of all of it. */
  get bps(): number {
    return this.rateUpTo(this.topTemporal);
  }

  /** Its highest temporal layer. */
  get topTemporal(): number {
    for (let i = TEMPORAL_LAYERS - 1; i > 0; i--) if (this.#bps[i]! >= LEAST_BPS) return i;
    return 0;
  }

  /** A sender report (RFC 3550 6.4.1). */
  handleReport(ntpMs: number, timestamp: number): void {
    this.#hasReport = true;
    this.#reportNtpMs = ntpMs;
    this.#reportTimestamp = timestamp;
  }

  /** What is to be added to this layer's timestamps where `shift` is added to the other's, by both reports; undefined without. */
  shiftLike(other: SimulcastLayer, shift: number): number | undefined {
    if (!this.#hasReport || !other.#hasReport) return undefined;
    const ticks = Math.round((this.#reportNtpMs - other.#reportNtpMs) * CLOCK_PER_MS);
    return (timestampDistance(other.#reportTimestamp, this.#reportTimestamp) + ticks + shift) | 0;
  }
}

/** Ticks of the clock of pictures in that time. */
export function ticksOf(ms: number): number {
  return Math.round(ms * CLOCK_PER_MS);
}
