import assert from 'node:assert/strict';
import { test } from 'node:test';
import { watchLag } from './lag.ts';

test('a loop that is held up is told late at its next tick, and in time again after it', async () => {
  const told: boolean[] = [];
  let wake = () => {};
  let longest = 0;
  const stop = watchLag(({ isLate, busy, lagMs }) => {
    told.push(isLate);
    longest = Math.max(longest, lagMs);
    assert.ok(busy >= 0 && busy <= 1);
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
  assert.ok(longest > 100 && longest < 10_000, String(longest));
  await until(false);
  stop();
  const before = told.length;
  await new Promise((resolve) => setTimeout(resolve, 120));
  assert.equal(told.length, before);
  clearInterval(alive);
});

test('a loop that always finds something to do is busy, though no timer is late', async () => {
  const ticks: { isLate: boolean; busy: number }[] = [];
  const stop = watchLag((tick) => ticks.push(tick));
  let isBusy = true;
  const work = () => {
    for (const end = performance.now() + 3; performance.now() < end; );
    if (isBusy) setImmediate(work);
  };
  work();
  // A busy machine may hold this process up too; what counts is that a tick in time is full.
  const until = async (matches: () => boolean) => {
    while (!matches()) await new Promise((resolve) => setTimeout(resolve, 10));
  };
  await until(() => ticks.some(({ isLate, busy }) => !isLate && busy > 0.99));
  isBusy = false;
  const before = ticks.length;
  await until(() => ticks.slice(before + 1).some(({ busy }) => busy < 0.5));
  stop();
});

test('a loop that sleeps to have more to do at once is not busy', async () => {
  let sleptMs = 0;
  const ticks: { busy: number }[] = [];
  const stop = watchLag(
    (tick) => ticks.push(tick),
    () => sleptMs,
  );
  let goesOn = true;
  const sleeper = new Int32Array(new SharedArrayBuffer(4));
  const sleep = () => {
    const began = performance.now();
    Atomics.wait(sleeper, 0, 0, 4);
    sleptMs += performance.now() - began;
    if (goesOn) setImmediate(sleep);
  };
  sleep();
  while (!ticks.slice(1).some(({ busy }) => busy < 0.2)) await new Promise((resolve) => setTimeout(resolve, 10));
  goesOn = false;
  assert.ok(ticks.slice(1).every(({ busy }) => busy < 0.9));
  stop();
});
