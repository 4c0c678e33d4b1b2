import assert from 'node:assert/strict';
import { peakLevel } from './envelope.ts';
import { FAR, HOLE_MS, OWN } from './heard-limits.ts';
import { likeness } from './likeness.ts';
import type { Sentence } from './speech.ts';
import type { Sound } from './wav.ts';

export interface Heard {
  readonly who: string;
  readonly far: number;
  readonly own: number;
}

/** Asserts that the right words arrived: the far sentence is heard, without a hole, and one's own is not. */
export function assertHears(who: string, heard: Sound, far: Sentence, own: Sentence): Heard {
  assert.ok(peakLevel(heard) > 0.01, `${who} hears silence`);
  const { score, waitedMs, holeMs } = likeness(heard, far.sound);
  const ownScore = likeness(heard, own.sound).score;
  const found = `score ${score.toFixed(3)}, waited ${waitedMs} ms, hole of ${holeMs} ms, own sentence ${ownScore.toFixed(3)}`;
  // How near to the line a run was, for whoever reads its log.
  console.error(`  ${who} hears the far sentence: ${found}`);
  assert.ok(score >= FAR, `${who} does not hear the far sentence: ${found}`);
  assert.ok(holeMs < HOLE_MS, `${who} hears the far sentence with a hole: ${found}`);
  assert.ok(ownScore <= OWN, `${who} hears its own sentence: ${found}`);
  return { who, far: score, own: ownScore };
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
