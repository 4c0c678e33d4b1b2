import { envelope, FRAME_S, loopedEnvelope } from './envelope.ts';
import type { Sound } from './wav.ts';

export interface Likeness {
  /** -1 to 1: how well the levels agree (Pearson's correlation), times the share of the recording that was not waited through. */
  readonly score: number;
  /** So long nothing of the sentence was said: a jitter buffer had nothing to play, and went on afterwards where it had stopped. */
  readonly waitedMs: number;
  /** The longest stretch in which the sentence is spoken and next to nothing is heard. */
  readonly holeMs: number;
}

/** Places in the sentence are told apart to a quarter of a frame: half a frame off already costs a true copy some 0.05. */
const STEPS = 4;
const STEP_S = FRAME_S / STEPS;

/**
 * What it costs the alignment, in squared standard deviations of level as the difference of two frames does: a quarter of a
 * frame more or less than real time, to begin to wait, and each frame of waiting. So a jitter buffer's stretching and
 * squeezing is followed (a quarter of real time at most), one wait of half a second costs as much as fifteen frames
 * of other words (2 each), and words that were left out cannot be made up for.
 */
const DRIFT_COST = 1;
const WAIT_COST = 24;
const WAIT_FRAME_COST = 0.2;

/** Below this share of what it should be a level is none; and below this share of the mean the sentence itself pauses. */
const FAINT = 0.3;

/**
 * How well a heard sound follows a sentence that is spoken over and over, from wherever it begins. A stall of the machine
 * delays sound without losing any of it, and jitter buffers stretch, wait and squeeze until they have found their depth:
 * so the place in the sentence may drift and wait, at a price, but never jumps ahead. Silence scores 0.
 */
export function likeness(heard: Sound, sentence: Sound): Likeness {
  const h = envelope(heard);
  const s = loopedEnvelope(sentence, STEP_S);
  const places = align(standardised(h), standardised(s));
  const { correlation, gain, mean } = agreement(h, s, places);
  const waited = places.reduce((sum, place) => sum + (place === WAITING ? 1 : 0), 0);
  let hole = 0;
  let faint = 0;
  for (const [i, place] of places.entries()) {
    const level = place === WAITING ? 0 : s[place]!;
    faint = level > FAINT * mean && h[i]! < FAINT * gain * level ? faint + 1 : 0;
    hole = Math.max(hole, faint);
  }
  const share = places.length > 0 ? 1 - waited / places.length : 0;
  return { score: correlation * share, waitedMs: waited * FRAME_S * 1000, holeMs: hole * FRAME_S * 1000 };
}

/** In place of a place in the sentence. */
const WAITING = -1;

/** How a place was come to, beside the drifts -1, 0 and 1. */
const RESUMED = 2;

/** The place in the looped sentence at which each heard frame is, by the cheapest way (Viterbi), or WAITING. */
function align(heard: Float64Array, sentence: Float64Array): Int32Array {
  const size = sentence.length;
  const before = (place: number, drift: number) => (place - STEPS - drift + 2 * size) % size;
  // What the way to each place costs so far: going on, or waiting to go on from there.
  let going = sentence.map((level) => ((heard[0] ?? 0) - level) ** 2);
  let waiting = new Float64Array(size).fill(WAIT_COST + WAIT_FRAME_COST);
  const cameBy: Int8Array[] = [];
  const waitedBefore: Uint8Array[] = [];
  for (let i = 1; i < heard.length; i++) {
    const nextGoing = new Float64Array(size);
    const nextWaiting = new Float64Array(size);
    const came = new Int8Array(size);
    const waited = new Uint8Array(size);
    for (let place = 0; place < size; place++) {
      let least = going[before(place, 0)]!;
      for (let drift = -1; drift <= 1; drift += 2) {
        const cost = going[before(place, drift)]! + DRIFT_COST;
        if (cost < least) [least, came[place]] = [cost, drift];
      }
      const resumed = waiting[before(place, 0)]!;
      if (resumed < least) [least, came[place]] = [resumed, RESUMED];
      nextGoing[place] = least + (heard[i]! - sentence[place]!) ** 2;
      const begun = going[place]! + WAIT_COST;
      waited[place] = waiting[place]! <= begun ? 1 : 0;
      nextWaiting[place] = Math.min(waiting[place]!, begun) + WAIT_FRAME_COST;
    }
    going = nextGoing;
    waiting = nextWaiting;
    cameBy.push(came);
    waitedBefore.push(waited);
  }
  let place = leastAt(going);
  const last = leastAt(waiting);
  let isWaiting = waiting[last]! < going[place]!;
  if (isWaiting) place = last;
  const places = new Int32Array(heard.length);
  for (let i = heard.length - 1; i >= 0; i--) {
    places[i] = isWaiting ? WAITING : place;
    if (i === 0) break;
    if (isWaiting) {
      isWaiting = waitedBefore[i - 1]![place] === 1;
    } else {
      const by = cameBy[i - 1]![place]!;
      isWaiting = by === RESUMED;
      place = before(place, isWaiting ? 0 : by);
    }
  }
  return places;
}

function leastAt(costs: Float64Array): number {
  let at = 0;
  for (let i = 1; i < costs.length; i++) if (costs[i]! < costs[at]!) at = i;
  return at;
}

/** Shifted and scaled to mean 0 and variance 1. */
function standardised(levels: Float64Array): Float64Array {
  const mean = levels.reduce((sum, level) => sum + level, 0) / levels.length;
  const variance = levels.reduce((sum, level) => sum + (level - mean) ** 2, 0) / levels.length;
  const deviation = Math.sqrt(variance) || 1;
  return levels.map((level) => (level - mean) / deviation);
}

/** Pearson's correlation of the frames that were not waited through, how much louder they are heard, and the sentence's mean level. */
function agreement(h: Float64Array, s: Float64Array, places: Int32Array) {
  let n = 0;
  let sh = 0;
  let ss = 0;
  let shh = 0;
  let sss = 0;
  let shs = 0;
  for (const [i, place] of places.entries()) {
    if (place === WAITING) continue;
    const a = h[i]!;
    const b = s[place]!;
    n++;
    sh += a;
    ss += b;
    shh += a * a;
    sss += b * b;
    shs += a * b;
  }
  const spread = (n * shh - sh * sh) * (n * sss - ss * ss);
  return {
    correlation: spread > 0 ? (n * shs - sh * ss) / Math.sqrt(spread) : 0,
    gain: sss > 0 ? shs / sss : 0,
    mean: n > 0 ? ss / n : 0,
  };
}
