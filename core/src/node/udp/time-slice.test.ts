import assert from 'node:assert/strict';
import { getPriority, setPriority } from 'node:os';
import { test } from 'node:test';
import { shortTimeSlices } from './index.ts';

test('slices are short where the system has them, and how nice a process is stays', async () => {
  const nice = Math.min(19, getPriority() + 3); // one that whoever runs this may set
  setPriority(nice);
  const slice = await shortTimeSlices();
  assert.equal(getPriority(), nice);
  // Linux says 0 before 6.12
  assert.ok(slice === 0 || slice === 100_000, `${slice} ns`);
  assert.equal(await shortTimeSlices(), slice);
});
