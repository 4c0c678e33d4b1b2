import type { Sound } from './wav.ts';

const LOWEST_HZ = 100;
const HIGHEST_HZ = 2000;
const STEP_HZ = 5;

/** Blocks in which power is measured: so short that a jitter buffer's stretching does not blur the tone. */
const BLOCK_S = 0.1;

/** The frequency that holds most of a sound's power, in steps of 5 Hz, and its share of all: near 1 for a pure tone. */
export function loudestTone({ rate, samples }: Sound): { hz: number; share: number } {
  const size = Math.floor(rate * BLOCK_S);
  let all = 0;
  for (const sample of samples) all += sample * sample;
  let best = { hz: 0, share: 0 };
  for (let hz = LOWEST_HZ; hz <= HIGHEST_HZ; hz += STEP_HZ) {
    let sum = 0;
    for (let at = 0; at + size <= samples.length; at += size) sum += power(samples.subarray(at, at + size), hz / rate);
    const share = sum / (all || 1);
    if (share > best.share) best = { hz, share };
  }
  return best;
}

/** Goertzel's recurrence: for a pure tone of that many `turns` per sample, the sum of the squares. */
function power(samples: Float32Array, turns: number): number {
  const coefficient = 2 * Math.cos(2 * Math.PI * turns);
  let before = 0;
  let last = 0;
  for (const sample of samples) {
    const next = sample + coefficient * last - before;
    before = last;
    last = next;
  }
  return (2 * (last * last + before * before - coefficient * last * before)) / samples.length;
}
