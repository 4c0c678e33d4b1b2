import type { QualityModel } from '@offhook/core';

/** How one source sounded within one interval. */
export interface QualitySample {
  readonly atMs: number;
  readonly mos: number;
  /** On the scale of `model`. */
  readonly r: number;
  readonly model: QualityModel;
  readonly lossPercent: number;
  readonly jitterMs: number;
  /** 0 = not known. */
  readonly roundTripMs: number;
}

/** Samples kept of a call's course; when they are as many, every second one goes and the rest are twice as far apart. */
const MAX_PROGRESS = 20;

/** The course of a source's quality: lowest, highest, mean, and a few points between. */
export class QualityHistory {
  latest: QualitySample | undefined;
  lowest: QualitySample | undefined;
  highest: QualitySample | undefined;
  count = 0;
  #mos = 0;
  #loss = 0;
  #jitter = 0;
  #roundTrip = 0;
  /** Samples that have one. */
  #roundTrips = 0;
  #progress: QualitySample[] = [];
  /** One in so many samples is kept. */
  #every = 1;

  get progress(): readonly QualitySample[] {
    return this.#progress;
  }

  /** Undefined before the first sample. */
  get mean(): Omit<QualitySample, 'atMs' | 'model' | 'r'> | undefined {
    const n = this.count;
    if (n === 0) return undefined;
    return {
      mos: this.#mos / n,
      lossPercent: this.#loss / n,
      jitterMs: this.#jitter / n,
      roundTripMs: this.#roundTrips === 0 ? 0 : this.#roundTrip / this.#roundTrips,
    };
  }

  add(sample: QualitySample): void {
    this.latest = sample;
    if (this.lowest === undefined || sample.mos < this.lowest.mos) this.lowest = sample;
    if (this.highest === undefined || sample.mos > this.highest.mos) this.highest = sample;
    this.#mos += sample.mos;
    this.#loss += sample.lossPercent;
    this.#jitter += sample.jitterMs;
    if (sample.roundTripMs > 0) {
      this.#roundTrip += sample.roundTripMs;
      this.#roundTrips++;
    }
    if (this.count++ % this.#every !== 0) return;
    this.#progress.push(sample);
    if (this.#progress.length < MAX_PROGRESS) return;
    this.#progress = this.#progress.filter((_, i) => i % 2 === 0);
    this.#every *= 2;
  }

  clear(): void {
    this.latest = undefined;
    this.lowest = undefined;
    this.highest = undefined;
    this.count = 0;
    this.#mos = 0;
    this.#loss = 0;
    this.#jitter = 0;
    this.#roundTrip = 0;
    this.#roundTrips = 0;
    this.#progress = [];
    this.#every = 1;
  }
}
