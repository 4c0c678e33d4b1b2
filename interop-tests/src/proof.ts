import assert from 'node:assert/strict';
import { likeness, peakLevel } from './envelope.ts';
import type { Sentence } from './speech.ts';
import type { Sound } from './wav.ts';

/** Least likeness of what is heard to the far sentence, and greatest to the own one. */
export const FAR = 0.9;
const OWN = 0.5;

export interface Heard {
  readonly who: string;
  readonly far: number;
  readonly own: number;
}

/** Asserts that the right words arrived: the far sentence's rhythm is heard, one's own is not. */
export function assertHears(who: string, heard: Sound, far: Sentence, own: Sentence): Heard {
  assert.ok(peakLevel(heard) > 0.01, `${who} hears silence`);
  const result = { who, far: likeness(heard, far.sound).correlation, own: likeness(heard, own.sound).correlation };
  // How near to the line a run was, for whoever reads its log.
  console.error(`  ${who} hears the far sentence: ${result.far.toFixed(3)}, its own: ${result.own.toFixed(3)}`);
  assert.ok(
    result.far >= FAR,
    `${who} does not hear the far sentence: correlation ${result.far.toFixed(2)}, with the own sentence ${result.own.toFixed(2)}`,
  );
  assert.ok(result.own <= OWN, `${who} hears its own sentence: correlation ${result.own.toFixed(2)}`);
  return result;
}

/** The middle of a recording: phones record ringing and hang-up too. */
export function middle(sound: Sound, skipS: number, lengthS: number): Sound {
  const from = Math.floor(skipS * sound.rate);
  const samples = sound.samples.subarray(from, from + Math.floor(lengthS * sound.rate));
  assert.ok(
    samples.length >= lengthS * sound.rate * 0.95,
    `the recording is only ${(sound.samples.length / sound.rate).toFixed(1)} s long`,
  );
  return { rate: sound.rate, samples };
}

/** Asserts that a sound fell silent within `withinS` of its beginning and stayed so. */
export function assertFallsSilent(who: string, sound: Sound, withinS: number): void {
  const rest = sound.samples.subarray(Math.floor(withinS * sound.rate));
  assert.ok(rest.length > sound.rate, `${who}: the recording is too short to tell`);
  const loud = rest.findLastIndex((sample) => Math.abs(sample) >= 0.01);
  assert.equal(loud, -1, `${who} still hears something ${(withinS + loud / sound.rate).toFixed(2)} s later`);
}
