import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Meter, type Rate } from './meter.ts';

const RATE = { bytesPerS: 1000, packetsPerS: 4 };

/** As the data path does: what fits is counted. */
function take(meter: Meter, length: number, rate: Rate, nowMs: number): boolean {
  const fits = meter.fits(length, rate, nowMs);
  if (fits) meter.count(length);
  return fits;
}

test('a second that begins with a packet lets as many pass as the rate says, and the next second as many again', () => {
  const meter = new Meter();
  const taken = (nowMs: number) => Array.from({ length: 6 }, () => take(meter, 10, RATE, nowMs));
  const four = [true, true, true, true, false, false];
  assert.deepEqual(taken(0), four, 'the first of all, at whatever time');
  assert.deepEqual(taken(999), Array(6).fill(false));
  assert.deepEqual(taken(1000), four);
  assert.deepEqual(taken(5500), four, 'a second begins where its first packet comes');
  assert.deepEqual(taken(6499), Array(6).fill(false));
  assert.deepEqual(taken(6500), four);
});

test('bytes are limited to the last one, and a packet that doesn’t fit leaves room for a smaller one', () => {
  const meter = new Meter();
  assert.ok(take(meter, 600, RATE, 0));
  assert.equal(take(meter, 401, RATE, 0), false);
  assert.ok(take(meter, 400, RATE, 0), 'exactly full');
  assert.equal(take(meter, 1, RATE, 0), false);
  assert.ok(take(meter, 0, RATE, 0), 'empty ones are counted by packets alone');
  assert.equal(take(meter, 1001, RATE, 1000), false, 'longer than a second has');
});

test('what passed is counted for good, what didn’t is not', () => {
  const meter = new Meter();
  for (let ms = 0; ms < 3000; ms += 100) take(meter, 100, RATE, ms);
  assert.deepEqual([meter.packets, meter.bytes], [12, 1200]);
  take(meter, 2000, RATE, 9000);
  assert.deepEqual([meter.packets, meter.bytes], [12, 1200]);
});

test('a rate that changes holds in the second that goes on', () => {
  const meter = new Meter();
  for (let i = 0; i < 4; i++) assert.ok(take(meter, 10, RATE, 0));
  assert.equal(take(meter, 10, RATE, 500), false);
  assert.ok(take(meter, 10, { ...RATE, packetsPerS: 5 }, 500));
  assert.equal(take(meter, 10, { ...RATE, packetsPerS: 2 }, 999), false);
});
