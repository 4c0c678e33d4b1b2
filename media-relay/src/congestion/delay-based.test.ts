import assert from 'node:assert/strict';
import { test } from 'node:test';
import { seededRandom } from '@offhook/core';
import { AckedBitrate } from './acked-bitrate.ts';
import { Alr } from './alr.ts';
import { InterGroup } from './inter-group.ts';
import { RateControl } from './rate-control.ts';
import { Trendline } from './trendline.ts';

test('packets sent within 5 ms are one group, so is a burst behind a pause of the line', () => {
  const groups = new InterGroup();
  const seen: unknown[] = [];
  const packets = [
    [0, 100],
    [3, 103],
    [20, 121],
    [24, 125],
    [40, 143],
    [50, 143.5], // held up with the one before: no new group
    [60, 162],
    [80, 181],
  ] as const;
  for (const [sendMs, arrivalMs] of packets) {
    if (groups.handlePacket(sendMs, arrivalMs)) seen.push([sendMs, groups.sendDeltaMs, groups.arrivalDeltaMs]);
  }
  assert.deepEqual(seen, [
    [40, 21, 22],
    [60, 26, 18.5],
    [80, 10, 18.5],
  ]);
});

test("three groups in a row before the one sent earlier: the receiver's clock was set, all begins anew", () => {
  const groups = new InterGroup();
  const answers = [0, 20, 40, 60, 80, 100, 120].map((sendMs, i) => groups.handlePacket(sendMs, 1000 - 50 * i));
  assert.deepEqual(answers, [false, false, false, false, false, false, false]);
  assert.equal(groups.handlePacket(140, 5000), false);
});

/** Groups each 20 ms whose queue changes by `slopeMs` each, with noise. */
function usage(slopeMs: number, noiseMs: number, groups: number): Record<string, number> {
  const random = seededRandom(4);
  const trend = new Trendline();
  const counts: Record<string, number> = { normal: 0, overusing: 0, underusing: 0 };
  let nowMs = 0;
  let last = 0;
  for (let i = 0; i < groups; i++) {
    const noise = random.next() * noiseMs;
    const delta = 20 + slopeMs + noise - last;
    last = noise;
    nowMs += delta;
    trend.handleGroup(20, delta, nowMs);
    counts[trend.usage]!++;
  }
  return counts;
}

test('a queue that grows is overuse within a second, one that drains underuse, jitter alone neither', () => {
  const grows = usage(2, 0, 50);
  assert.ok(grows.overusing! > 0 && grows.underusing === 0, JSON.stringify(grows));
  const drains = usage(-2, 0, 50);
  assert.ok(drains.underusing! > 10 && drains.overusing === 0, JSON.stringify(drains));
  const jitter = usage(0, 10, 1000);
  assert.ok(jitter.overusing! < 20, JSON.stringify(jitter));
  assert.deepEqual(usage(0, 0, 1000), { normal: 1000, overusing: 0, underusing: 0 });
});

test('the threshold grows with jitter: even 100 ms of it are overuse in one of eight groups at most', () => {
  const counts = usage(0, 100, 2000);
  assert.ok(counts.overusing! <= 250, JSON.stringify(counts));
});

const RATES = { startBps: 1_000_000, minBps: 30_000, maxBps: 5_000_000 };

test('the rate grows by 8 % a second, never far above what arrives, and falls to 85 % of it less 5 kb/s', () => {
  const rate = new RateControl(RATES);
  for (let ms = 0; ms <= 1000; ms += 100) rate.update('normal', 1_000_000, ms);
  assert.ok(Math.abs(rate.bps - 1_080_000) < 1000, `${rate.bps}`);
  for (let ms = 1100; ms <= 20_000; ms += 100) rate.update('normal', 1_000_000, ms);
  assert.equal(rate.bps, 1_510_000);
  rate.update('overusing', 1_000_000, 20_100);
  assert.equal(rate.bps, 845_000);
  assert.ok(!rate.isTimeToReduce(900_000, 20_300) && rate.isTimeToReduce(900_000, 20_400));
  assert.ok(rate.isTimeToReduce(400_000, 20_150));
});

test('after a decrease the rate holds until normal, then grows by about half a packet per response time', () => {
  const rate = new RateControl(RATES);
  rate.rttMs = 100;
  rate.update('overusing', 1_000_000, 0);
  rate.update('underusing', 1_000_000, 100);
  assert.equal(rate.bps, 845_000);
  for (let ms = 200; ms <= 1200; ms += 100) rate.update('normal', 1_000_000, ms);
  const grownBps = rate.bps - 845_000;
  assert.ok(grownBps > 20_000 - 1 && grownBps < 26_000, `${grownBps}`);
});

test('more than the line was known to carry: its limit is forgotten; an overuse right after a probe trusts it', () => {
  const rate = new RateControl(RATES);
  rate.update('overusing', 500_000, 0);
  rate.update('normal', 500_000, 100);
  rate.update('normal', 510_000, 200);
  assert.equal(rate.hasOutgrown, false);
  rate.update('normal', 600_000, 300);
  assert.equal(rate.hasOutgrown, true);
  rate.handleProbe(2_000_000, 400);
  rate.update('overusing', 100_000, 500);
  assert.equal(rate.bps, 1_695_000);
  rate.update('overusing', 100_000, 1100);
  assert.equal(rate.bps, 80_000);
});

test('what arrives is measured within half a second, then smoothed, and followed fast where a change is expected', () => {
  const acked = new AckedBitrate();
  let nowMs = 0;
  const feed = (bps: number, ms: number) => {
    for (const end = nowMs + ms; nowMs < end; nowMs += 10) acked.handleArrival(bps / 800, nowMs);
  };
  feed(400_000, 490);
  assert.equal(acked.bps, undefined);
  feed(400_000, 500);
  assert.ok(Math.abs(acked.bps! - 400_000) < 10_000, `${acked.bps}`);
  feed(800_000, 300);
  assert.ok(acked.bps! < 700_000);
  acked.expectFastChange();
  feed(800_000, 600);
  assert.ok(acked.bps! > 760_000, `${acked.bps}`);
});

test('a source that sends half of what it may is application limited, one that sends nearly all is not', () => {
  const run = (bps: number) => {
    const alr = new Alr();
    for (let ms = 0; ms < 3000; ms += 10) alr.handleSent(bps / 800, 1_000_000, ms);
    return alr.sinceMs !== undefined;
  };
  assert.deepEqual([run(300_000), run(500_000), run(800_000)], [true, true, false]);
});
