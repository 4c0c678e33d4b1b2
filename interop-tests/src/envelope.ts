import type { Sound } from './wav.ts';

const FRAME_S = 0.02;
/** Lags are tried in quarters of a frame: half a frame off already costs a true copy some 0.05. */
const STEPS = 4;

/** Root-mean-square level of each 20 ms frame, the first one beginning `shiftS` into the sound. */
export function envelope(sound: Sound, shiftS = 0): Float64Array {
  const size = sound.rate * FRAME_S;
  const start = sound.rate * shiftS;
  const frames = new Float64Array(Math.floor((sound.samples.length - start) / size));
  for (let f = 0; f < frames.length; f++) {
    const from = Math.round(start + f * size);
    const to = Math.round(start + (f + 1) * size);
    let sum = 0;
    for (let i = from; i < to; i++) sum += sound.samples[i]! ** 2;
    frames[f] = Math.sqrt(sum / (to - from));
  }
  return frames;
}

export interface Likeness {
  /** Pearson correlation of the two envelopes at the best lag, -1 to 1. */
  readonly correlation: number;
  /** How far into the reference's loop the heard sound begins, milliseconds. */
  readonly lagMs: number;
}

/**
 * How well a heard sound follows a sentence that is spoken over and over: the heard envelope against the reference's,
 * looped, at the lag where they agree best. Silence gives 0.
 */
export function likeness(heard: Sound, sentence: Sound): Likeness {
  const s = envelope(sentence);
  let best: Likeness = { correlation: 0, lagMs: 0 };
  for (let step = 0; step < STEPS; step++) {
    const shiftS = (step / STEPS) * FRAME_S;
    const h = envelope(heard, shiftS);
    for (let lag = 0; lag < s.length; lag++) {
      const c = pearson(h, s, lag);
      if (c > best.correlation) best = { correlation: c, lagMs: (lag * FRAME_S - shiftS) * 1000 };
    }
  }
  return best;
}

function pearson(h: Float64Array, s: Float64Array, lag: number): number {
  let sh = 0;
  let ss = 0;
  let shh = 0;
  let sss = 0;
  let shs = 0;
  const n = h.length;
  for (let i = 0; i < n; i++) {
    const a = h[i]!;
    const b = s[(i + lag) % s.length]!;
    sh += a;
    ss += b;
    shh += a * a;
    sss += b * b;
    shs += a * b;
  }
  const spread = (n * shh - sh * sh) * (n * sss - ss * ss);
  return spread > 0 ? (n * shs - sh * ss) / Math.sqrt(spread) : 0;
}

/** The loudest frame, to tell silence from speech. */
export function peakLevel(sound: Sound): number {
  return envelope(sound).reduce((a, b) => Math.max(a, b), 0);
}
