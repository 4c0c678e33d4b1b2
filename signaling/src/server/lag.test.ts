import assert from 'node:assert/strict';
import { test } from 'node:test';
import { watchLag } from './lag.ts';

test('a loop that is held up is told late at its next tick, and in time again after it', async () => {
  const told: boolean[] = [];
  let wake = () => {};
  const stop = watchLag((isLate) => {
    told.push(isLate);
    wake();
  });
  const alive = setInterval(() => {}, 1000);
  const next = () => new Promise<void>((resolve) => (wake = resolve));
  const until = async (isLate: boolean) => {
    do await next();
    while (told.at(-1) !== isLate);
  };
  await until(false);
  for (const end = performance.now() + 250; performance.now() < end; );
  await next();
  assert.equal(told.at(-1), true);
  await until(false);
  stop();
  const before = told.length;
  await new Promise((resolve) => setTimeout(resolve, 120));
  assert.equal(told.length, before);
  clearInterval(alive);
});
