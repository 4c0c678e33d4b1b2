import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TransportCcReport } from '@offhook/core';
import { FeedbackResults, SendHistory } from './send-history.ts';

const results = new FeedbackResults();

function report(baseSequence: number, arrivals: readonly (number | 'lost')[], reference = 0): TransportCcReport {
  const made = new TransportCcReport();
  made.baseSequence = baseSequence;
  made.count = arrivals.length;
  made.reference = reference;
  made.arrivalMs.set(arrivals.map((ms) => (ms === 'lost' ? Number.NaN : ms)));
  return made;
}

function outcome(): unknown[] {
  return Array.from({ length: results.count }, (_, i) => {
    const ms = results.arrivalMs[i]!;
    return [results.sendMs[i], results.bytes[i], results.cluster[i], Number.isNaN(ms) ? 'lost' : ms];
  });
}

test('each packet is found across the wrap, with what was known of it', () => {
  const history = new SendHistory(65535);
  assert.deepEqual([history.add(100, 0, 10), history.add(200, 3, 20), history.add(300, 0, 30)], [65535, 0, 1]);
  assert.equal(history.inFlightBytes, 600);
  history.resolve(report(65535, [5, 'lost', 9], 100), results);
  assert.deepEqual(outcome(), [
    [10, 100, 0, 5],
    [20, 200, 3, 'lost'],
    [30, 300, 0, 9],
  ]);
  assert.deepEqual([results.ackedBytes, results.newestSendMs, history.inFlightBytes], [400, 30, 0]);
});

test('what is told twice counts once; a loss that arrives after all counts as arrived', () => {
  const history = new SendHistory(0);
  history.add(100, 0, 10);
  history.add(100, 0, 20);
  history.resolve(report(0, ['lost', 1]), results);
  assert.equal(results.count, 2);
  history.resolve(report(0, ['lost', 1]), results);
  assert.equal(results.count, 0);
  history.resolve(report(0, [7, 1]), results);
  assert.deepEqual(outcome(), [[10, 100, 0, 7]]);
});

test('numbers that were never sent, or long ago, are no results', () => {
  const history = new SendHistory(0);
  for (let i = 0; i < 5000; i++) history.add(100, 0, i);
  history.resolve(report(0, [1, 2, 3]), results);
  assert.equal(results.count, 0);
  history.resolve(report(4999, [1, 2, 3]), results);
  assert.deepEqual(outcome(), [[4999, 100, 0, 1]]);
  assert.equal(history.inFlightBytes, 2047 * 100);
  history.forget();
  history.resolve(report(4000, [1]), results);
  assert.deepEqual([results.count, history.inFlightBytes], [0, 0]);
});

test("the receiver's clock goes on when its reference time turns over", () => {
  const history = new SendHistory(0);
  for (let i = 0; i < 3; i++) history.add(100, 0, i);
  history.resolve(report(0, [1], 0x7fffff), results);
  const before = results.arrivalMs[0]!;
  history.resolve(report(1, [1], -0x800000), results);
  assert.equal(results.arrivalMs[0]! - before, 64);
  history.resolve(report(2, [1], -0x800000 - 2 + 0x1000000), results);
  assert.equal(results.arrivalMs[0]! - before, -64);
});
