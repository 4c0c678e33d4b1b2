import assert from 'node:assert/strict';
import { test } from 'node:test';
import { seededRandom } from '@offhook/core';
import { FAR, HOLE_MS, OWN } from './src/heard-limits.ts';
import { likeness } from './src/likeness.ts';
import type { Sound } from './src/wav.ts';

const RATE = 16_000;
const SEEDS = [1, 2, 3, 4, 5, 6];

/** Seven seconds of noise in bursts and pauses of 60–400 ms, as syllables and breaths are. */
function babble(seed: number): Sound {
  const random = seededRandom(seed);
  const samples = new Float32Array(7 * RATE);
  for (let at = 0; at < samples.length; ) {
    const level = random.next() < 0.4 ? 0 : 0.2 + 0.8 * random.next();
    const end = Math.min(samples.length, at + Math.floor((0.06 + 0.34 * random.next()) * RATE));
    for (; at < end; at++) samples[at] = level * (random.next() * 2 - 1);
  }
  return { rate: RATE, samples };
}

/** Six seconds of the looped sound from `fromS` on. */
function recorded({ rate, samples }: Sound, fromS = 2.1): Sound {
  const from = Math.round(fromS * RATE);
  return { rate, samples: Float32Array.from({ length: 6 * RATE }, (_, i) => samples[(i + from) % samples.length]!) };
}

/** `withoutS` of a sound, from `atS` on, replaced by other samples of any length. */
function replaced({ rate, samples }: Sound, atS: number, withoutS: number, by: ArrayLike<number> = []): Sound {
  const at = Math.round(atS * rate);
  const rest = samples.subarray(at + Math.round(withoutS * rate));
  const all = new Float32Array(at + by.length + rest.length);
  all.set(samples.subarray(0, at));
  all.set(by, at);
  all.set(rest, at + by.length);
  return { rate, samples: all };
}

/** From `fromS` to `toS` five milliseconds are left out, or said twice, again and again. */
function paced(sound: Sound, { fromS, toS, everyS }: { fromS: number; toS: number; everyS: number }, leftOut: boolean) {
  const piece = Math.round(0.005 * RATE);
  let all = sound;
  for (let at = toS; at > fromS; at -= everyS) {
    const from = Math.round(at * RATE);
    const twice = sound.samples.slice(from - piece, from);
    all = leftOut ? replaced(all, at, 0.005) : replaced(all, at, 0, twice);
  }
  return all;
}

const silence = (lengthS: number) => new Float32Array(Math.round(lengthS * RATE));
const noise = (lengthS: number) => babble(99).samples.subarray(0, Math.round(lengthS * RATE));

/** Where a syllable of more than `lengthS` is in the middle of the sound. */
function loudPlace({ samples }: Sound, lengthS: number): number {
  const size = Math.round(lengthS * RATE);
  const places = Array.from({ length: 80 }, (_, i) => 1.5 + i * 0.025);
  const loud = (atS: number) => {
    const at = Math.round(atS * RATE);
    return samples.subarray(at, at + size).reduce((sum, sample) => sum + sample ** 2, 0);
  };
  return places.reduce((best, place) => (loud(place) > loud(best) ? place : best));
}

/** What `assertHears` goes by. */
function isHeard(heard: Sound, sentence: Sound): boolean {
  const { score, holeMs } = likeness(heard, sentence);
  return score >= FAR && holeMs < HOLE_MS;
}

test('a copy is recognised at any place, also between frames', () => {
  for (const seed of SEEDS) {
    for (const fromS of [0, 0.007, 0.41, 1.4333, 6.9]) {
      const sentence = babble(seed);
      const { score, waitedMs, holeMs } = likeness(recorded(sentence, fromS), sentence);
      assert.ok(score > 0.98 && waitedMs === 0 && holeMs <= 20, `${fromS} s: ${score}, ${waitedMs}, ${holeMs}`);
    }
  }
});

test('other words and silence are not taken for the sentence', () => {
  for (const seed of SEEDS) {
    const { score } = likeness(recorded(babble(seed)), babble(seed + 10));
    assert.ok(score < OWN, `${seed}: ${score}`);
  }
  assert.equal(likeness({ rate: RATE, samples: silence(6) }, babble(1)).score, 0);
  assert.equal(likeness({ rate: RATE, samples: silence(0) }, babble(1)).score, 0);
});

test('words that were stretched and squeezed by a tenth for two seconds are heard, all of them', () => {
  for (const seed of SEEDS) {
    const sentence = babble(seed);
    for (const leftOut of [true, false]) {
      const heard = paced(recorded(sentence), { fromS: 1, toS: 3, everyS: 0.05 }, leftOut);
      const { score, holeMs } = likeness(heard, sentence);
      assert.ok(isHeard(heard, sentence), `${seed}: ${score}, ${holeMs}`);
    }
  }
});

for (const [what, filling] of [
  ['silence', silence],
  ['invented sound', noise],
] as const) {
  test(`a stall that delays the words, with ${what} in its place, is waited through up to three quarters of a second`, () => {
    for (const seed of SEEDS) {
      const sentence = babble(seed);
      for (const lengthS of [0.3, 0.75]) {
        const heard = replaced(recorded(sentence), 2.5, 0, filling(lengthS));
        const { score, waitedMs } = likeness(heard, sentence);
        assert.ok(isHeard(heard, sentence), `${seed}, ${lengthS} s: ${score}`);
        assert.ok(Math.abs(waitedMs - lengthS * 1000) <= 100, `${seed}, ${lengthS} s: ${waitedMs} ms`);
      }
      assert.ok(!isHeard(replaced(recorded(sentence), 2.5, 0, filling(1.2)), sentence), `${seed}: a longer one is not`);
    }
  });
}

test('a quarter of a second that was left out is seen', () => {
  for (const seed of SEEDS) {
    const sentence = babble(seed);
    for (const atS of [1.5, 2.5, 3.3]) {
      const { score } = likeness(replaced(recorded(sentence), atS, 0.25), sentence);
      assert.ok(score < FAR, `${seed} at ${atS} s: ${score}`);
    }
  }
});

test('a hole of a quarter of a second in a spoken place is seen', () => {
  for (const seed of SEEDS) {
    const sentence = babble(seed);
    const heard = recorded(sentence);
    const holed = replaced(heard, loudPlace(heard, 0.25), 0.25, silence(0.25));
    assert.ok(!isHeard(holed, sentence), `${seed}: ${JSON.stringify(likeness(holed, sentence))}`);
  }
});

test('a second and a half of other words in place of the sentence’s is seen', () => {
  for (const seed of SEEDS) {
    const sentence = babble(seed);
    const heard = replaced(recorded(sentence), 2.2, 1.5, noise(1.5));
    assert.ok(!isHeard(heard, sentence), `${seed}: ${JSON.stringify(likeness(heard, sentence))}`);
  }
});

test('another sentence beside it, as loud, is seen', () => {
  for (const seed of SEEDS) {
    const heard = recorded(babble(seed));
    const other = recorded(babble(seed + 10)).samples;
    const mixed = heard.samples.map((sample, i) => sample + other[i]!);
    assert.ok(!isHeard({ rate: RATE, samples: mixed }, babble(seed)), `${seed}`);
  }
});
