import assert from 'node:assert/strict';
import { test } from 'node:test';
import { seededRandom } from '@offhook/core';
import { LossBased } from './loss-based.ts';
import { FeedbackResults } from './send-history.ts';

const DELAY_BPS = 1_000_000;
const BYTES = 500;
const results = new FeedbackResults();

/** A path with random loss that is sent as much as the estimate and the source allow, in feedback of so many milliseconds. */
class Path {
  readonly control = new LossBased({ startBps: 300_000, minBps: 30_000 });
  readonly #random = seededRandom(5);
  readonly #feedbackMs: number;
  readonly #mostBps: number;
  #nowMs = 0;

  constructor(feedbackMs = 50, mostBps = DELAY_BPS) {
    this.#feedbackMs = feedbackMs;
    this.#mostBps = mostBps;
  }

  send(loss: number, seconds: number): this {
    for (const endMs = this.#nowMs + seconds * 1000; this.#nowMs < endMs; this.#nowMs += this.#feedbackMs) {
      this.#feedback(loss);
    }
    return this;
  }

  #feedback(loss: number): void {
    const bps = Math.min(this.control.bps, this.#mostBps);
    const seconds = this.#feedbackMs / 1000;
    const packets = Math.max(1, Math.round((bps * seconds) / 8 / BYTES));
    let acked = 0;
    for (let i = 0; i < packets; i++) {
      const isLost = this.#random.next() < loss;
      if (!isLost) acked++;
      results.sendMs[i] = this.#nowMs + (i * this.#feedbackMs) / packets;
      results.arrivalMs[i] = isLost ? Number.NaN : this.#nowMs;
      results.bytes[i] = BYTES;
    }
    results.count = packets;
    this.control.handleFeedback(results, DELAY_BPS, (acked * BYTES * 8) / seconds);
  }
}

test('without loss the delay-based estimate holds', () => {
  const { control } = new Path().send(0, 5);
  assert.deepEqual([control.bps, control.state, control.averageLoss], [DELAY_BPS, 'delayBased', 0]);
});

test('up to 10 % of random loss is learnt as the path’s own, 40 % is not', () => {
  for (const loss of [0.02, 0.05, 0.1]) {
    const { control } = new Path().send(loss, 20);
    assert.ok(control.bps > 0.7 * DELAY_BPS, `${loss}: ${control.bps}`);
  }
  const { control } = new Path().send(0.4, 10);
  assert.ok(control.bps < 0.3 * DELAY_BPS, `${control.bps}`);
  assert.equal(control.state, 'decreasing');
});

test('when heavy loss has become light the rate comes back, though loss goes on', () => {
  const path = new Path().send(0, 2).send(0.3, 20);
  const low = path.control.bps;
  path.send(0.04, 15);
  assert.ok(low < 0.6 * DELAY_BPS && path.control.bps > 0.8 * DELAY_BPS, `${low} ${path.control.bps}`);
});

test('losses are of the last four seconds, however seldom a slow stream is heard of', () => {
  const path = new Path(200, 40_000).send(0, 2).send(0.3, 10);
  assert.ok(path.control.averageLoss > 0.2);
  path.send(0, 4);
  assert.deepEqual([path.control.averageLoss, path.control.state], [0, 'delayBased']);
});

test('what a probe has shown to pass ends the limit by what was lost before; losses after it count anew', () => {
  const path = new Path().send(0, 2).send(0.3, 10);
  const { control } = path;
  const low = control.bps;
  assert.ok(low < 0.6 * DELAY_BPS && control.state === 'decreasing');
  control.handleProbe(700_000);
  assert.deepEqual([control.state, control.averageLoss], ['delayBased', 0]);
  path.send(0, 1);
  assert.ok(control.bps >= 700_000, `${control.bps}`);
  path.send(0.3, 10);
  assert.ok(control.bps < 0.6 * DELAY_BPS, `${control.bps}`);
});
