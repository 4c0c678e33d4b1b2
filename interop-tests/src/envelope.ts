import type { Sound } from './wav.ts';

/** Level is measured over this long. */
export const FRAME_S = 0.02;

/** Root-mean-square level of each frame; a frame begins every `hopS`, the first one at the beginning. */
export function envelope(sound: Sound, hopS = FRAME_S): Float64Array {
  const frames = Math.floor((sound.samples.length / sound.rate - FRAME_S) / hopS + 1e-9) + 1;
  return levels(sound, hopS, Math.max(0, frames));
}

/** The same of a sound that is repeated without end: frames begin in its first round, the last of them end in the next one. */
export function loopedEnvelope(sound: Sound, hopS: number): Float64Array {
  return levels(sound, hopS, Math.round(sound.samples.length / sound.rate / hopS));
}

function levels({ rate, samples }: Sound, hopS: number, count: number): Float64Array {
  const size = Math.round(FRAME_S * rate);
  const frames = new Float64Array(count);
  for (let f = 0; f < count; f++) {
    const from = Math.round(f * hopS * rate);
    let sum = 0;
    for (let i = from; i < from + size; i++) sum += samples[i % samples.length]! ** 2;
    frames[f] = Math.sqrt(sum / size);
  }
  return frames;
}

/** The loudest frame, to tell silence from speech. */
export function peakLevel(sound: Sound): number {
  return envelope(sound).reduce((a, b) => Math.max(a, b), 0);
}
