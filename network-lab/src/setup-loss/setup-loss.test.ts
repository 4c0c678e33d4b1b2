import assert from 'node:assert/strict';
import { test } from 'node:test';
import { nodeCrypto } from '@offhook/core/node';
import { reportTable, setupUnderLoss } from './index.ts';

const NOTHING = { calls: 0, dialogs: 0, transactions: 0, relayCalls: 0 };

for (const [loss, seed] of [
  [0.1, 1],
  [0.2, 1],
] as const) {
  test(`with ${loss * 100} % loss both ways 1000 of 1000 calls are set up within timer B, and nothing is left`, async () => {
    const report = await setupUnderLoss({ calls: 1000, loss, seed, crypto: nodeCrypto });
    assert.equal(report.inTime, 1000, reportTable(report));
    assert.deepEqual(report.failures, {});
    assert.deepEqual(report.left, NOTHING);
    const share = report.datagrams.lost / report.datagrams.sent;
    assert.ok(Math.abs(share - loss) < 0.02, `the network lost ${share}`);
    assert.ok(report.repeatedOk > 0, 'lost ACKs were made good');
  });
}

test('without loss each call takes one round trip, and the credentials of the registration serve them all', async () => {
  const report = await setupUnderLoss({ calls: 50, loss: 0, seed: 3, delayMs: 20, crypto: nodeCrypto });
  assert.equal(report.inTime, 50);
  assert.equal(report.challenges, 0);
  assert.equal(report.repeatedOk, 0);
  assert.ok(report.setupMs.max < 50, reportTable(report));
  assert.deepEqual(report.left, NOTHING);
});

test('the same seed gives the same run; a network that loses nearly everything fails in numbers, not in silence', async () => {
  const run = (seed: number, loss: number) => setupUnderLoss({ calls: 40, loss, seed, crypto: nodeCrypto });
  assert.deepEqual(await run(5, 0.2), await run(5, 0.2));
  assert.notDeepEqual(await run(5, 0.2), await run(6, 0.2));
  const bad = await run(7, 0.7);
  // Where every BYE was lost the server still believes in the call; only silence at the relay would tell it.
  assert.ok(bad.inTime < 40, 'the check can fail');
});
