import assert from 'node:assert/strict';
import { test } from 'node:test';
import { seededRandom } from '@offhook/core';
import { likeness } from './src/envelope.ts';
import type { Sound } from './src/wav.ts';

const RATE = 48_000;

/** Six seconds of noise in bursts and pauses of 60–400 ms, as syllables and breaths are. */
function babble(seed: number): Sound {
  const random = seededRandom(seed);
  const samples = new Float32Array(6 * RATE);
  for (let at = 0; at < samples.length; ) {
    const level = random.next() < 0.4 ? 0 : random.next();
    const end = Math.min(samples.length, at + Math.floor((0.06 + 0.34 * random.next()) * RATE));
    for (; at < end; at++) samples[at] = level * (random.next() * 2 - 1);
  }
  return { rate: RATE, samples };
}

function rotate({ rate, samples }: Sound, by: number): Sound {
  const turned = new Float32Array(samples.length);
  for (let i = 0; i < samples.length; i++) turned[i] = samples[(i + by) % samples.length]!;
  return { rate, samples: turned };
}

test('a copy is recognised at any lag, also between frames; other words and silence are not', () => {
  const spoken = babble(1);
  for (const lagMs of [0, 7, 410, 1433.3]) {
    const { correlation } = likeness(rotate(spoken, Math.round((lagMs / 1000) * RATE)), spoken);
    assert.ok(correlation > 0.98, `lag ${lagMs} ms: ${correlation}`);
  }
  assert.ok(likeness(babble(2), spoken).correlation < 0.5);
  assert.equal(likeness({ rate: RATE, samples: new Float32Array(6 * RATE) }, spoken).correlation, 0);
});

test('a hole of a quarter second is seen', () => {
  const spoken = babble(3);
  const samples = spoken.samples.slice();
  samples.copyWithin(2 * RATE, 2.25 * RATE);
  assert.ok(likeness({ rate: RATE, samples }, spoken).correlation < 0.9);
});
