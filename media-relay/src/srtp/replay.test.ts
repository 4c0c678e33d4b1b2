import assert from 'node:assert/strict';
import { test } from 'node:test';
import { seededRandom } from '@offhook/core';
import { MAX_WINDOWS, REPLAY_WINDOW, ReplayTable } from './replay.ts';

test('a window agrees with a list of all that was seen, on long ways with small and large steps both ways', () => {
  for (let seed = 1; seed <= 20; seed++) {
    const random = seededRandom(seed);
    const table = new ReplayTable();
    const stream = table.add(seed)!;
    const seen = new Set<number>();
    let at = Math.floor(random.next() * 70_000);
    for (let step = 0; step < 5000; step++) {
      const far = [3, 3, 3, 40, 300, 700][Math.floor(random.next() * 6)]!;
      at = Math.max(0, at + Math.floor((random.next() - 0.45) * 2 * far));
      const isFresh = !seen.has(at) && (at > stream.highest || stream.highest - at < REPLAY_WINDOW);
      assert.equal(stream.isFresh(at), isFresh, `seed ${seed}, step ${step}, index ${at} of ${stream.highest}`);
      if (!isFresh) continue;
      seen.add(at);
      table.accept(stream, at);
    }
  }
});

test('a stream that gets a window again knows nothing below its highest index as fresh, and all above', () => {
  const table = new ReplayTable();
  const stream = table.add(0)!;
  table.accept(stream, 1000);
  for (let ssrc = 1; ssrc <= MAX_WINDOWS; ssrc++) table.accept(table.add(ssrc)!, 5);
  assert.equal(stream.isFresh(999), false);
  table.accept(stream, 1005);
  for (const [index, isFresh] of [
    [995, false],
    [1000, false],
    [1001, true],
    [1004, true],
    [1005, false],
    [1006, true],
  ] as const)
    assert.equal(stream.isFresh(index), isFresh, `${index}`);
});
