import assert from 'node:assert/strict';
import { test } from 'node:test';
import { lacking } from '../src/peers.ts';
import { callsInARow } from '../src/studies/calls.ts';
import { scratchFolder } from '../src/system.ts';

/** Four events and a used nonce are remembered of a call (1.9 kB), and code is compiled; a call that stays has more than 10 kB. */
const REMEMBERED_BYTES = 6000;

test('1,000 calls between SIPp phones: none fails, each has its record, and nothing is left over', {
  skip: lacking('sipp', 'taskset'),
}, async () => {
  const folder = scratchFolder();
  try {
    const say = (words: string) => console.error(`  ${words}`);
    const { checks, heap } = await callsInARow({
      ...{ folder: folder.path, say, count: 1000, ratePerS: 60, warmUp: 0, withSound: false, isPinned: false },
    });
    for (const { what, figure, aim, isMet } of checks) assert.ok(isMet, `${what}: ${figure}, not ${aim}`);
    const perCall = (heap.after.bytes - heap.before.bytes) / 1000;
    assert.ok(perCall < REMEMBERED_BYTES, `${Math.round(perCall)} bytes of the heap stay for each call`);
  } finally {
    folder.remove();
  }
});
