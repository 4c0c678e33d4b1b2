import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LossMeter } from './loss-meter.ts';
import { chooseOffsets, residualLoss } from './red-policy.ts';

test('the residual loss is that of the table of bursts, and the cheapest copies that suffice are chosen', () => {
  const rounded = (loss: number, burst: number, offsets: number[]) =>
    Math.round(residualLoss(loss, burst, offsets) * 1000) / 10;
  assert.deepEqual([rounded(0.1, 1, [1]), rounded(0.2, 1, [1]), rounded(0.2, 1, [1, 2])], [1, 4, 0.8]);
  assert.deepEqual([rounded(0.1, 3, [1]), rounded(0.1, 3, [1, 2]), rounded(0.2, 5, [1, 2])], [6.7, 4.4, 12.8]);
  assert.deepEqual([rounded(0.1, 3, [2, 4]), rounded(0.2, 3, [2, 4]), rounded(0.2, 3, [2, 4, 6])], [2.1, 4.5, 2.1]);
  const chosen = (loss: number, burst: number, isOn = false) => chooseOffsets(loss, burst, isOn);
  assert.deepEqual(chosen(0, 1), []);
  assert.deepEqual([chosen(0.009, 1), chosen(0.009, 1, true), chosen(0.004, 1, true)], [[], [1], []]);
  assert.deepEqual([chosen(0.1, 1), chosen(0.2, 1)], [[1], [1, 2]]);
  assert.deepEqual(
    [chosen(0.05, 2), chosen(0.1, 3), chosen(0.2, 5)],
    [
      [2, 4],
      [2, 4, 6],
      [2, 4, 6],
    ],
  );
  assert.deepEqual([chosen(0.8, 3), chosen(Number.NaN, 3)], [[], []]);
});

test('the meter tells loss and bursts, forgives reordering, survives wraps and new starts', () => {
  const meter = new LossMeter();
  const feed = (count: number, arrives: (i: number) => boolean, first = 65_000) => {
    for (let i = 0; i < count; i++) if (arrives(i)) meter.received((first + i) & 0xffff);
  };
  feed(2000, (i) => i % 30 < 27);
  assert.ok(Math.abs(meter.loss - 0.1) < 0.005, `${meter.loss}`);
  assert.ok(Math.abs(meter.meanBurst - 3) < 0.1, `${meter.meanBurst}`);
  const calm = new LossMeter();
  assert.deepEqual([calm.loss, calm.meanBurst], [0, 1]);
  for (let i = 0; i < 1000; i++) calm.received(i ^ 3);
  assert.equal(calm.loss, 0);
  calm.received(40_000);
  for (let i = 0; i < 500; i++) calm.received(40_001 + i);
  assert.equal(calm.loss, 0, 'a new start is no loss');
  for (let i = 0; i < 60; i++) meter.fade(0.5);
  assert.equal(meter.meanBurst, 1);
});
