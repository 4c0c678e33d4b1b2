import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LayerChoice, RembThrottler, ReportControl } from './index.ts';

function told(throttler: RembThrottler): unknown[] {
  const out: unknown[] = [];
  for (let request = throttler.poll(); request; request = throttler.poll()) out.push(request.bps);
  return out;
}

test('the sender is told at once, then each 200 ms at most, and at once when the rate falls by 3 %', () => {
  const throttler = new RembThrottler('remb');
  assert.equal(throttler.nextTimeout(), undefined);
  throttler.handleRate(500_000, 1000);
  assert.deepEqual(throttler.poll(), { kind: 'remb', bps: 500_000 });
  throttler.handleRate(600_000, 1050);
  throttler.handleRate(490_000, 1100); // 2 % less
  assert.deepEqual(told(throttler), []);
  assert.equal(throttler.nextTimeout(), 1200);
  throttler.handleTimeout(1200);
  assert.deepEqual(told(throttler), [490_000]);
  throttler.handleRate(470_000, 1210);
  assert.deepEqual(told(throttler), [470_000]);
  throttler.handleRate(800_000, 1300);
  throttler.handleTimeout(1410);
  assert.deepEqual(told(throttler), [800_000]);
});

test('what was said is said again each second, unless a TMMBN has confirmed it', () => {
  const throttler = new RembThrottler('tmmbr');
  throttler.handleRate(500_000, 0);
  assert.deepEqual(throttler.poll(), { kind: 'tmmbr', bps: 500_000 });
  assert.equal(throttler.nextTimeout(), 1000);
  throttler.handleTimeout(1000);
  assert.deepEqual(told(throttler), [500_000]);
  throttler.handleConfirmation(300_000);
  assert.equal(throttler.nextTimeout(), 2000);
  throttler.handleConfirmation(499_998);
  assert.equal(throttler.nextTimeout(), undefined);
  throttler.handleRate(400_000, 1100);
  assert.deepEqual(told(throttler), [400_000]);
  assert.equal(throttler.nextTimeout(), 2100);
});

const CLEAN = { loss: 0, rttMs: 60, sentBps: 1e9 };

test('by receiver reports alone: 8 % a second while all is well, half the loss down, held in between', () => {
  const control = new ReportControl({ startBps: 500_000 });
  for (let s = 0; s <= 5; s++) control.handleReport(CLEAN, s * 1000);
  assert.ok(control.targetBps > 500_000 * 1.08 ** 5 && control.targetBps < 745_000, `${control.targetBps}`);
  const before = control.targetBps;
  control.handleReport({ ...CLEAN, loss: 0.04 }, 6000);
  assert.equal(control.targetBps, before);
  control.handleReport({ ...CLEAN, loss: 0.2 }, 7000);
  assert.ok(Math.abs(control.targetBps - before * 0.9) < 1);
  control.handleCap(100_000);
  assert.equal(control.targetBps, 100_000);
});

test('by receiver reports alone: a round trip that stays long is a queue; a path that is longer becomes the usual', () => {
  const control = new ReportControl({ startBps: 500_000 });
  control.handleReport(CLEAN, 0);
  control.handleReport({ ...CLEAN, rttMs: 300, sentBps: 400_000 }, 5000);
  assert.equal(control.targetBps, 500_000);
  control.handleReport({ ...CLEAN, rttMs: 300, sentBps: 400_000 }, 10_000);
  assert.equal(control.targetBps, 340_000);
  for (let s = 15; s <= 35; s += 5) control.handleReport({ ...CLEAN, rttMs: 300 }, s * 1000);
  const settled = control.targetBps;
  control.handleReport({ ...CLEAN, rttMs: 300 }, 40_000);
  assert.ok(control.targetBps > settled);
});

test('by receiver reports alone, each second or each five: a line is used by 80 % with 2 % of loss', () => {
  for (const everyS of [1, 5])
    for (const capacityBps of [400_000, 1_000_000]) {
      const control = new ReportControl();
      let queueMs = 0;
      let used = 0;
      let lostBits = 0;
      for (let s = 0; s < 200; s += everyS) {
        const sentBps = control.targetBps;
        const fullMs = queueMs + (1000 * everyS * (sentBps - capacityBps)) / capacityBps;
        queueMs = Math.max(0, Math.min(300, fullMs));
        const lost = (Math.max(0, fullMs - 300) / 1000) * capacityBps;
        used += Math.min(sentBps, capacityBps) * everyS;
        lostBits += lost;
        control.handleReport({ loss: lost / (sentBps * everyS), rttMs: 60 + queueMs, sentBps }, s * 1000);
      }
      assert.ok(used > 0.8 * 200 * capacityBps, `${everyS} s: ${used / 200} of ${capacityBps}`);
      assert.ok(lostBits < 0.02 * 200 * capacityBps, `${everyS} s: ${lostBits / 200} of ${capacityBps}`);
    }
});

test('by receiver reports alone: not far above what is sent', () => {
  const control = new ReportControl({ startBps: 300_000 });
  for (let s = 0; s <= 60; s++) control.handleReport({ ...CLEAN, sentBps: 300_000 }, s * 1000);
  assert.equal(control.targetBps, 460_000);
});

/** Three layers that are sent all the time, measured each half second. */
function layers(): { choice: LayerChoice; at: (fromS: number, toS: number, videoBps: number) => number[] } {
  const choice = new LayerChoice(3);
  const at = (fromS: number, toS: number, videoBps: number) => {
    const chosen: number[] = [];
    for (let ms = fromS * 1000; ms < toS * 1000; ms += 500) {
      [100_000, 400_000, 1_200_000].forEach((bps, layer) => {
        choice.handleRate(layer, bps, ms);
      });
      chosen.push(choice.choose(videoBps, ms));
    }
    return chosen;
  };
  return { choice, at };
}

test('the highest layer that fits is taken, up only with headroom and after two seconds of its life', () => {
  const { at } = layers();
  assert.deepEqual(at(0, 2, 500_000), [1, 1, 1, 1]);
  assert.deepEqual(at(2, 3, 1_250_000), [1, 1]);
  assert.deepEqual(at(3, 4, 1_330_000), [2, 2]);
  assert.deepEqual(at(4, 5, 1_210_000), [2, 2]);
  const young = new LayerChoice(2);
  young.handleRate(0, 100_000, 0);
  young.choose(1e6, 0);
  assert.deepEqual(
    [500, 1000, 1500, 2000, 2500].map((ms) => {
      young.handleRate(0, 100_000, ms);
      young.handleRate(1, 300_000, ms);
      return young.choose(1e6, ms);
    }),
    [0, 0, 0, 0, 1],
  );
});

test('down at once, not up again for eight seconds, for ten after an upgrade in vain; none when audio needs the line', () => {
  const { at } = layers();
  at(0, 11, 1e7);
  assert.deepEqual(at(11, 12, 450_000), [1, 1]);
  const up = at(12, 22, 1e7);
  assert.equal(up.indexOf(2), 14); // 11 s + 8 s
  assert.deepEqual(at(22, 23, 450_000), [1, 1]); // three seconds after it: in vain
  assert.equal(at(23, 34, 1e7).indexOf(2), 18); // 22 s + 10 s
  assert.deepEqual(at(34, 34.5, 49_000), [-1]);
  assert.deepEqual(at(34.5, 36, 1e7), [0, 0, 0], 'a picture is better than none');
});

test('half of what the least layer takes is enough for it, with headroom to come back', () => {
  const { at } = layers();
  assert.deepEqual(at(0, 1, 54_000), [-1, -1]);
  assert.deepEqual(at(1, 2, 56_000), [0, 0]);
  assert.deepEqual(at(2, 4, 450_000), [1, 1, 1, 1]);
  assert.deepEqual(at(4, 5, 85_000), [0, 0]);
  assert.deepEqual(at(5, 6, 50_000), [0, 0]);
  assert.deepEqual(at(6, 7, 49_000), [-1, -1]);
  assert.deepEqual(at(7, 8, 54_000), [-1, -1]);
  assert.deepEqual(at(8, 9, 56_000), [0, 0]);
});

test('a layer that its sender has stopped is left, also when it fits', () => {
  const { choice, at } = layers();
  at(0, 5, 1e7);
  choice.handleRate(0, 100_000, 6500);
  assert.equal(choice.choose(1e7, 6500), 0);
});
