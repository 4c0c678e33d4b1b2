import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Link, type LinkOptions, seededRandom } from '../index.ts';

function run(seed: number, options: LinkOptions, packets: number): (number | 'lost')[] {
  const link = new Link({ ...options, random: seededRandom(seed) });
  return Array.from({ length: packets }, (_, i) => {
    const decision = link.decide(i * 20, 172);
    return decision === 'lost' ? 'lost' : decision.deliverAtMs - i * 20;
  });
}

test('a perfect link delivers at once', () => {
  assert.deepEqual(run(1, {}, 3), [0, 0, 0]);
});

test('loss and jitter are those asked for, and the same with the same seed', () => {
  const options = { lossProbability: 0.1, delayMs: 40, jitterMs: 20 };
  const outcome = run(3, options, 20_000);
  const lost = outcome.filter((d) => d === 'lost').length;
  assert.ok(lost > 1900 && lost < 2100, `${lost}`);
  const delays = outcome.filter((d) => d !== 'lost');
  assert.ok(Math.min(...delays) >= 40 && Math.max(...delays) < 60);
  assert.deepEqual(run(3, options, 20_000), outcome);
  assert.notDeepEqual(run(4, options, 20_000), outcome);
});

test('loss of 1 loses all, duplicates arrive on their own', () => {
  assert.ok(run(1, { lossProbability: 1 }, 50).every((d) => d === 'lost'));
  const link = new Link({ duplicateProbability: 1, delayMs: 5, random: seededRandom(1) });
  assert.deepEqual(link.decide(100, 10), { deliverAtMs: 105, duplicateAtMs: 105 });
  assert.deepEqual([link.packets, link.packetBytes, link.lost], [1, 10, 0]);
});

test('loss in bursts has the share and the mean length that were asked for', () => {
  for (const [share, burst] of [
    [0.05, 2],
    [0.1, 3],
    [0.2, 5],
  ] as const) {
    const outcome = run(5, { lossProbability: share, meanLossBurst: burst }, 200_000);
    const lost = outcome.filter((d) => d === 'lost').length;
    const bursts = outcome.filter((d, i) => d === 'lost' && outcome[i - 1] !== 'lost').length;
    assert.ok(Math.abs(lost / outcome.length - share) < share * 0.05, `${lost} lost of ${outcome.length}`);
    assert.ok(Math.abs(lost / bursts - burst) < burst * 0.05, `${lost / bursts} in a row`);
  }
});

test('packets wait for the line, as long as it takes through every change of its rate', () => {
  const capacity = [
    { atMs: 0, bps: 8000 },
    { atMs: 1000, bps: 80_000 },
  ];
  const link = new Link({ capacity, delayMs: 5, queueMs: 2000, random: seededRandom(1) });
  const arrival = (nowMs: number, bytes: number) => {
    const decision = link.decide(nowMs, bytes);
    return decision === 'lost' ? 'lost' : decision.deliverAtMs;
  };
  assert.equal(arrival(0, 500), 505); // 4,000 bits at 8 kb/s
  assert.equal(arrival(0, 1000), 1055); // half a second at 8, 4,000 bits at 80 kb/s
  assert.equal(link.waitMs(50), 1000);
  assert.equal(arrival(3000, 1000), 3105);
});

test('a full queue loses what comes, an outage ends, jitter never changes the order', () => {
  const link = new Link({ capacity: 8000, queueMs: 300, random: seededRandom(1) });
  const outcome = [0, 0, 0, 0].map((nowMs) => link.decide(nowMs, 200) === 'lost');
  assert.deepEqual([outcome, link.lost], [[false, false, true, true], 2]);
  const steps = [
    { atMs: 0, bps: 0 },
    { atMs: 500, bps: 8000 },
  ];
  const out = new Link({ capacity: steps, queueMs: 1000, random: seededRandom(1) });
  assert.deepEqual(out.decide(100, 100), { deliverAtMs: 600, duplicateAtMs: undefined });
  const jittery = new Link({ capacity: 1e6, jitterMs: 50, random: seededRandom(2) });
  let last = 0;
  for (let i = 0; i < 1000; i++) {
    const decision = jittery.decide(i * 10, 100);
    assert.ok(decision !== 'lost' && decision.deliverAtMs >= last && decision.deliverAtMs < i * 10 + 60);
    last = decision.deliverAtMs;
  }
});
