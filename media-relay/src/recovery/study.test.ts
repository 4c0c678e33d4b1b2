import assert from 'node:assert/strict';
import { test } from 'node:test';
import { residualLoss } from './red-policy.ts';
import { minuteOfSound, row } from './study.ts';

/** Twelve minutes of each, whose mean lies within a fifth of what theory says. */
const MINUTES = 12;

test('copies leave as much loss as the model of bursts says, and none is delivered twice', () => {
  for (const [loss, burst, offsets] of [
    [0.1, undefined, [1]],
    [0.1, 3, [2, 4]],
    [0.2, undefined, [1, 2]],
    [0.2, 3, [1, 2]],
  ] as const) {
    const { residualPercent, twice } = row('', { red: offsets }, { loss, burst, minutes: MINUTES });
    const expected = residualLoss(loss, burst ?? 1, offsets) * 100;
    assert.ok(Math.abs(residualPercent - expected) < expected / 5, `${loss} ${burst}: ${residualPercent}, ${expected}`);
    assert.equal(twice, 0);
  }
});

test('one copy takes 10 % random loss to 1.1 %, two at distances 2 and 4 take bursts of three to 2.2 %', () => {
  assert.ok(row('', { red: [1] }, { loss: 0.1, minutes: MINUTES }).residualPercent <= 1.1);
  assert.ok(row('', { red: [2, 4] }, { loss: 0.1, burst: 3, minutes: MINUTES }).residualPercent <= 2.2);
});

test('what is measured turns copies on and off; NACK mends what it can within a deadline', () => {
  const minutes = 3;
  const clean = row('', { red: 'adaptive' }, { loss: 0, minutes });
  assert.deepEqual([clean.residualPercent, clean.bandwidth], [0, 1]);
  const adaptive = row('', { red: 'adaptive' }, { loss: 0.1, burst: 3, minutes });
  assert.ok(adaptive.residualPercent < 2 && adaptive.bandwidth > 2 && adaptive.bandwidth <= 3);
  const nack = row('', { nack: true }, { loss: 0.05, minutes });
  assert.ok(nack.residualPercent < 0.5 && nack.bandwidth < 1.1, JSON.stringify(nack));
  const both = row('', { red: 'adaptive', nack: true }, { loss: 0.1, minutes });
  assert.ok(both.residualPercent < 0.2 && both.twice === 0, JSON.stringify(both));
});

test('the same seed gives the same minute', () => {
  const options = { seed: 7, loss: 0.1, burst: 2, red: [1, 2], nack: true };
  assert.deepEqual(minuteOfSound(options), minuteOfSound(options));
  assert.notDeepEqual(minuteOfSound(options), minuteOfSound({ ...options, seed: 8 }));
});
