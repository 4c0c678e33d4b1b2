import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CASES } from './cases.ts';
import { MediaFlow } from './media-flow.ts';
import { TcpFlow } from './tcp-flow.ts';
import { tracePlot } from './trace.ts';
import { fairness, meanBps, queueP95, secondsUntil, World } from './world.ts';

const line = (bps: number, more = {}) => ({ capacity: bps, delayMs: 50, queueMs: 300, ...more });

test('a flow takes 80 % of a line of 1 Mb/s within 10 s and keeps its queue short, the same with the same seed', () => {
  const run = () => {
    const world = new World(3, { forward: line(1e6) });
    new MediaFlow(world, { name: 'media' });
    return world.run(20);
  };
  const world = run();
  const { receivedBps } = world.curves[0]!;
  assert.ok(secondsUntil(receivedBps, 0, 0.8e6) <= 10);
  assert.ok(meanBps(receivedBps, 10, 20) >= 0.8e6);
  assert.ok(queueP95(world.queueMs, [[3, 20]]) <= 150);
  assert.deepEqual(run().curves, world.curves);
  assert.match(
    tracePlot('a <plot>', world, 20),
    /^<svg [\s\S]*a &lt;plot>[\s\S]*<path d="M[\d.]+ [\d.]+L[\s\S]*<\/svg>\n$/,
  );
});

test('a line that becomes narrower is followed within 3 s, a wider one by 80 % within 10 s', () => {
  const steps = [
    { atMs: 0, bps: 1.5e6 },
    { atMs: 10_000, bps: 0.5e6 },
    { atMs: 20_000, bps: 1.5e6 },
  ];
  const world = new World(2, { forward: { ...line(0), capacity: steps } });
  new MediaFlow(world, { name: 'media' });
  world.run(32);
  assert.ok(queueP95(world.queueMs, [[13, 20]]) <= 150);
  assert.ok(secondsUntil(world.curves[0]!.receivedBps, 20, 1.3e6) <= 10);
});

test('5 % of random loss cost less than 20 % of the rate', () => {
  const rate = (lossProbability: number) => {
    const world = new World(1, { forward: line(1e6, { lossProbability }) });
    new MediaFlow(world, { name: 'media' });
    return meanBps(world.run(20).curves[0]!.sentBps, 5, 20);
  };
  assert.ok(rate(0.05) >= 0.8 * rate(0));
});

test('after an outage of five seconds 80 % of the rate is back within five', () => {
  const world = new World(1, { forward: line(1e6) });
  world.become(10_000, line(1e6, { lossProbability: 1 }));
  world.become(15_000, line(1e6));
  new MediaFlow(world, { name: 'media' });
  assert.ok(secondsUntil(world.run(22).curves[0]!.receivedBps, 15, 0.7e6) <= 5);
});

test('two flows with feedback on the busy way back share their lines', () => {
  const world = new World(1, { forward: line(1e6), backward: line(1e6) });
  for (const name of ['a', 'b']) new MediaFlow(world, { name });
  new MediaFlow(world, { name: 'back', isBackward: true });
  world.run(30);
  const [a, b, back] = world.curves.map(({ receivedBps }) => meanBps(receivedBps, 10, 30)) as [number, number, number];
  assert.ok(fairness([a, b]) >= 0.8 && a + b >= 0.7e6 && back >= 0.7e6, `${a} ${b} ${back}`);
});

test('the TCP-like competitor fills a line and its queue, and delivers all of what it is given', () => {
  const world = new World(1, { forward: line(2e6) });
  const long = new TcpFlow(world, { startMs: 0 });
  world.run(20);
  assert.ok(long.receivedBytes * 8 > 0.9 * 2e6 * 19, `${long.receivedBytes}`);
  assert.ok(Math.max(...world.queueMs) > 250);
  const other = new World(1, { forward: line(2e6, { lossProbability: 0.02 }) });
  let doneAtMs = 0;
  const short = new TcpFlow(other, { startMs: 0, bytes: 600_000, onDone: (nowMs) => (doneAtMs = nowMs) });
  other.run(60);
  assert.ok(doneAtMs > 2400 && doneAtMs < 30_000 && short.receivedBytes >= 600_000, `${doneAtMs}`);
});

test('what was lost in a full queue is forgotten as soon as the line is free: beside short TCP flows, and after heavy loss', () => {
  // Seeds that missed aims: losses held a slow stream for 7.5 s, and took back what a probe had found.
  for (const [name, seed] of [
    ['short-tcp', 3],
    ['short-tcp', 5],
    ['healing', 2],
  ] as const) {
    const { run, checks } = CASES[name]!;
    const missed = checks(run(seed)).filter(({ isMet }) => !isMet);
    assert.deepEqual(missed, [], `${name}, seed ${seed}`);
  }
});
