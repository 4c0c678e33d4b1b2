import assert from 'node:assert/strict';
import { test } from 'node:test';
import { cpuTimeMs, HangDetector } from './hang.ts';

const LIMITS = { idleMs: 15_000, busyMs: 60_000 };

/** Ticks once a second; answers at which one it counted as hung. */
function hungAt(seconds: number, cpuMsAt: (second: number) => number | undefined): number | undefined {
  const detector = new HangDetector(LIMITS, 1000);
  for (let s = 0; s <= seconds; s++) if (detector.tick(s * 1000, cpuMsAt(s)) === 'hung') return s;
  return undefined;
}

const CASES: readonly [string, (second: number) => number | undefined, number | undefined][] = [
  ['that does nothing', () => 500, 15],
  ['whose work can’t be seen', () => undefined, 15],
  ['that works all the time', (s) => s * 1000, 60],
  ['that gets a tenth of a loaded processor', (s) => s * 100, 60],
  ['that worked for a second and then hung', (s) => Math.min(s, 1) * 1000, 50],
];

for (const [what, cpu, at] of CASES)
  test(`a silent part ${what} counts as hung after ${at} s`, () => assert.equal(hungAt(100, cpu), at));

test('an answer begins the count anew', () => {
  const detector = new HangDetector(LIMITS, 1000);
  for (let s = 0; s < 100; s++) {
    if (s % 14 === 0) detector.answered();
    assert.equal(detector.tick(s * 1000, 0), 'fine');
  }
});

test('time during which nobody ticked (a suspended machine) counts for two ticks at most', () => {
  const detector = new HangDetector(LIMITS, 1000);
  detector.tick(0, 0);
  assert.equal(detector.tick(3_600_000, 0), 'fine');
  assert.equal(detector.silentMs, 2000);
});

test('processor time grows with work, and nobody’s can’t be seen', () => {
  const before = cpuTimeMs(process.pid)!;
  for (const until = performance.now() + 100; performance.now() < until; );
  assert.ok(cpuTimeMs(process.pid)! >= before + 30);
  assert.equal(cpuTimeMs(2 ** 30), undefined);
});
