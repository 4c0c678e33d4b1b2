import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BATCH } from './index.ts';
import { ReceiveSize } from './receive-size.ts';

/** Bursts of so many packets, `restTurns` turns apart; what was asked for in each turn that found some. */
function asked(bursts: readonly number[], restTurns = 5): number[][] {
  const size = new ReceiveSize();
  let turn = 0;
  return bursts.map((packets) => {
    turn += restTurns;
    const sizes: number[] = [];
    for (let left = packets; left > 0; turn++) {
      const wanted = size.in(turn);
      const received = Math.min(left, wanted);
      size.observe(received, turn);
      left -= received;
      sizes.push(wanted);
    }
    return sizes;
  });
}

test('a socket with one packet at a time is asked for one', () => {
  assert.deepEqual(asked([1, 1, 1]), [[1], [1], [1]]);
});

test('what is asked for follows the bursts, up and down', () => {
  assert.deepEqual(asked([1, 10, 10, 10, 1, 1, 1, 1, 1]), [[1], [1, 4, 16], [8, 32], [16], [16], [8], [4], [2], [1]]);
});

test('a flood is read by whole batches', () => {
  assert.deepEqual(asked([1000])[0]!.slice(0, 5), [1, 4, 16, BATCH, BATCH]);
});
