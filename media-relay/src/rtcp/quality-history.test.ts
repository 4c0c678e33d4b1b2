import assert from 'node:assert/strict';
import { test } from 'node:test';
import { QualityHistory } from './quality-history.ts';

const sample = (roundTripMs: number, jitterMs = 2) => ({
  atMs: 0,
  mos: 4,
  r: 80,
  model: 'G.107' as const,
  lossPercent: 0,
  jitterMs,
  roundTripMs,
});

test('the mean round trip is of the samples that have one; everything else is of all', () => {
  const history = new QualityHistory();
  history.add(sample(0));
  assert.equal(history.mean?.roundTripMs, 0);
  history.add(sample(40, 8));
  history.add(sample(60));
  assert.deepEqual(history.mean, { mos: 4, lossPercent: 0, jitterMs: 4, roundTripMs: 50 });
  history.clear();
  history.add(sample(10));
  assert.equal(history.mean?.roundTripMs, 10);
});
