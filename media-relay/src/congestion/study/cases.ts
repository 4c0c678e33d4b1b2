import type { CapacityStep } from '@offhook/core';
import { MediaFlow } from './media-flow.ts';
import { TcpFlow } from './tcp-flow.ts';
import { type Bottleneck, fairness, meanBps, queueP95, secondsUntil, World } from './world.ts';

/** One figure beside what it has to reach. */
export interface Check {
  readonly what: string;
  readonly figure: number;
  readonly aim: string;
  readonly isMet: boolean;
}

export interface Case {
  readonly title: string;
  readonly seconds: number;
  run(seed: number): World;
  checks(world: World): Check[];
}

const MBPS = 1e6;
const STANDING_QUEUE_MS = 150;

function line(capacity: number | readonly CapacityStep[], queueMs = 300): Bottleneck['forward'] {
  return { capacity, delayMs: 50, queueMs };
}

function steps(...pairs: readonly (readonly [number, number])[]): CapacityStep[] {
  return pairs.map(([s, mbps]) => ({ atMs: s * 1000, bps: mbps * MBPS }));
}

function atMost(what: string, figure: number, limit: number): Check {
  return { what, figure: rounded(figure), aim: `at most ${limit}`, isMet: figure <= limit };
}

function atLeast(what: string, figure: number, limit: number): Check {
  return { what, figure: rounded(figure), aim: `at least ${limit}`, isMet: figure >= limit };
}

function rounded(figure: number): number {
  return Number.isFinite(figure) ? Math.round(figure * 1000) / 1000 : figure;
}

/** Received of what fits, both directions apart. */
function utilization(world: World, spans: readonly (readonly [number, number, number])[], isForward = true): number {
  let received = 0;
  let room = 0;
  for (const [from, to, mbps] of spans) {
    for (const curve of world.curves)
      if (curve.isForward === isForward) received += meanBps(curve.receivedBps, from, to) * (to - from);
    room += mbps * MBPS * (to - from);
  }
  return received / room;
}

/** Jain's index of what all media flows received between two times. */
function shares(world: World, fromS: number, toS: number): number {
  return fairness(world.curves.map(({ receivedBps }) => meanBps(receivedBps, fromS, toS)));
}

/** Users with pauses and sizes drawn anew each time (RFC 8867 5.7), seen as one. */
function shortFlows(world: World, users: number): void {
  const flows: TcpFlow[] = [];
  const sum = (pick: (flow: TcpFlow) => number) => flows.reduce((total, flow) => total + pick(flow), 0);
  world.watch({
    name: 'short TCP flows',
    isForward: true,
    targetBps: undefined,
    get sentBytes() {
      return sum((flow) => flow.sentBytes);
    },
    get receivedBytes() {
      return sum((flow) => flow.receivedBytes);
    },
  });
  const next = (nowMs: number) => {
    const pauseMs = -Math.log(1 - world.random.next()) * 10_000;
    const bytes = 100_000 + world.random.next() * 900_000;
    flows.push(new TcpFlow(world, { startMs: nowMs + pauseMs, bytes, onDone: next }));
  };
  for (let user = 0; user < users; user++) next(0);
}

export const CASES: Readonly<Record<string, Case>> = {
  'variable-capacity': {
    title: '5.1 variable capacity, one flow',
    seconds: 100,
    run: (seed) => {
      const world = new World(seed, { forward: line(steps([0, 1], [40, 2.5], [60, 0.6], [80, 1])) });
      new MediaFlow(world, { name: 'media' });
      return world.run(100);
    },
    checks: (world) => {
      const { receivedBps } = world.curves[0]!;
      return [
        atMost('seconds to 0.8 of 1 Mb/s from the start', secondsUntil(receivedBps, 0, 0.8 * MBPS), 10),
        atMost('seconds to 0.8 of the next 1 Mb/s when there is more', secondsUntil(receivedBps, 40, 1.8 * MBPS), 10),
        atMost('seconds to 0.8 of the step from 0.6 to 1 Mb/s', secondsUntil(receivedBps, 80, 0.92 * MBPS), 10),
        atMost(
          'queue p95 outside transitions, ms',
          queueP95(world.queueMs, [
            [5, 40],
            [45, 60],
            [65, 80],
            [85, 100],
          ]),
          STANDING_QUEUE_MS,
        ),
        atMost('queue p95 from 3 s after the drop, ms', queueP95(world.queueMs, [[63, 68]]), STANDING_QUEUE_MS),
        atLeast(
          'used of the capacity',
          utilization(world, [
            [5, 40, 1],
            [45, 60, 2.5],
            [65, 80, 0.6],
            [85, 100, 1],
          ]),
          0.8,
        ),
      ];
    },
  },
  'multiple-flows': {
    title: '5.2 variable capacity, two flows',
    seconds: 125,
    run: (seed) => {
      const world = new World(seed, { forward: line(steps([0, 4], [25, 2], [50, 3.5], [85, 1], [105, 2])) });
      for (const name of ['media 1', 'media 2']) new MediaFlow(world, { name });
      return world.run(125);
    },
    checks: (world) => [
      atLeast(
        'used of the capacity',
        utilization(world, [
          [5, 25, 4],
          [30, 50, 2],
          [55, 85, 3.5],
          [90, 105, 1],
          [110, 125, 2],
        ]),
        0.75,
      ),
      atMost(
        'queue p95 outside transitions, ms',
        queueP95(world.queueMs, [
          [5, 25],
          [30, 50],
          [55, 85],
          [90, 105],
          [110, 125],
        ]),
        STANDING_QUEUE_MS,
      ),
      atLeast('fairness (Jain) from 10 s on', shares(world, 10, 125), 0.9),
    ],
  },
  'feedback-congestion': {
    title: '5.3 congested feedback link, media both ways',
    seconds: 100,
    run: (seed) => {
      const forward = line(steps([0, 2], [20, 1], [40, 0.5], [60, 2]));
      const world = new World(seed, { forward, backward: line(steps([0, 2], [35, 0.8], [70, 2])) });
      new MediaFlow(world, { name: 'forward' });
      new MediaFlow(world, { name: 'backward', isBackward: true });
      return world.run(100);
    },
    checks: (world) => [
      atLeast(
        'used forward',
        utilization(world, [
          [5, 20, 2],
          [25, 40, 1],
          [45, 60, 0.5],
          [68, 100, 2],
        ]),
        0.75,
      ),
      atLeast(
        'used backward',
        utilization(
          world,
          [
            [5, 35, 2],
            [40, 70, 0.8],
            [78, 100, 2],
          ],
          false,
        ),
        0.75,
      ),
      atMost(
        'queue p95 forward, ms',
        queueP95(world.queueMs, [
          [5, 20],
          [25, 40],
          [45, 60],
          [65, 100],
        ]),
        STANDING_QUEUE_MS,
      ),
      atMost(
        'queue p95 backward, ms',
        queueP95(world.backwardQueueMs, [
          [5, 35],
          [40, 70],
          [75, 100],
        ]),
        STANDING_QUEUE_MS,
      ),
    ],
  },
  'competing-flows': {
    title: '5.4 three media flows that come one after the other',
    seconds: 120,
    run: (seed) => {
      const world = new World(seed, { forward: line(3.5 * MBPS) });
      for (const i of [0, 1, 2]) new MediaFlow(world, { name: `media ${i + 1}`, startMs: i * 20_000 });
      return world.run(120);
    },
    checks: (world) => [
      atLeast('fairness (Jain) in the last 60 s', shares(world, 60, 120), 0.9),
      atLeast('used of the capacity', utilization(world, [[5, 120, 3.5]]), 0.75),
      atMost(
        'queue p95, ms',
        queueP95(world.queueMs, [
          [5, 20],
          [25, 40],
          [45, 120],
        ]),
        STANDING_QUEUE_MS,
      ),
    ],
  },
  'rtt-fairness': {
    title: '5.5 five flows with one-way delays of 10, 25, 50, 100 and 150 ms',
    seconds: 180,
    run: (seed) => {
      const world = new World(seed, { forward: { ...line(4 * MBPS), delayMs: 10 } });
      [10, 25, 50, 100, 150].forEach((delayMs, i) => {
        new MediaFlow(world, { name: `${delayMs} ms`, startMs: i * 10_000, extraDelayMs: delayMs - 10 });
      });
      return world.run(180);
    },
    checks: (world) => {
      const rates = world.curves.map(({ receivedBps }) => meanBps(receivedBps, 80, 180));
      return [
        atLeast('fairness (Jain) in the last 100 s', fairness(rates), 0.8),
        atMost('the most beside the least', Math.max(...rates) / Math.min(...rates), 4),
        atLeast('used of the capacity', utilization(world, [[50, 180, 4]]), 0.75),
        atMost('queue p95, ms', queueP95(world.queueMs, [[50, 180]]), STANDING_QUEUE_MS),
      ];
    },
  },
  'long-tcp': {
    title: '5.6 a media flow beside a long TCP flow',
    seconds: 120,
    run: (seed) => {
      const world = new World(seed, { forward: line(2 * MBPS) });
      const tcp = new TcpFlow(world, { startMs: 0 });
      world.watch(tcp);
      new MediaFlow(world, { name: 'media', startMs: 5000 });
      return world.run(120);
    },
    checks: (world) => {
      const [tcp, media] = world.curves.map(({ receivedBps }) => meanBps(receivedBps, 30, 120)) as [number, number];
      return [
        // Delay-based control gives way to a queue that others keep full; audio is not given up.
        atLeast('media received, Mb/s: at least its audio', media / MBPS, 0.036),
        atLeast('TCP of its fair share', tcp / MBPS, 0.5),
        atLeast('used of the capacity', utilization(world, [[10, 120, 2]]), 0.8),
      ];
    },
  },
  'short-tcp': {
    title: '5.7 a media flow beside short TCP flows',
    seconds: 120,
    run: (seed) => {
      const world = new World(seed, { forward: line(2 * MBPS) });
      new MediaFlow(world, { name: 'media' });
      shortFlows(world, 3);
      return world.run(120);
    },
    checks: (world) => [
      atLeast('media of the capacity', meanBps(world.curves[0]!.receivedBps, 10, 120) / (2 * MBPS), 0.15),
      atLeast('used of the capacity', utilization(world, [[10, 120, 2]]), 0.6),
    ],
  },
  'pause-resume': {
    title: '5.8 three media flows, one pauses from 40 to 60 s',
    seconds: 110,
    run: (seed) => {
      const world = new World(seed, { forward: line(3.5 * MBPS) });
      for (const i of [1, 2, 3]) {
        new MediaFlow(world, { name: `media ${i}`, ...(i === 1 ? { pauseMs: [40_000, 60_000] as const } : {}) });
      }
      return world.run(110);
    },
    checks: (world) => {
      const { receivedBps } = world.curves[0]!;
      return [
        atMost('seconds to half its share after the pause', secondsUntil(receivedBps, 60, (3.5 * MBPS) / 6), 10),
        atLeast('fairness (Jain) in the last 30 s', shares(world, 80, 110), 0.75),
        atMost(
          'queue p95, ms',
          queueP95(world.queueMs, [
            [5, 60],
            [65, 110],
          ]),
          STANDING_QUEUE_MS,
        ),
      ];
    },
  },
  jitter: {
    title: 'jitter of up to 30 ms, in order',
    seconds: 60,
    run: (seed) => {
      const world = new World(seed, { forward: { ...line(MBPS), jitterMs: 30 } });
      new MediaFlow(world, { name: 'media' });
      return world.run(60);
    },
    checks: (world) => [
      atLeast('used of the capacity', utilization(world, [[10, 60, 1]]), 0.75),
      atMost('queue p95, ms', queueP95(world.queueMs, [[5, 60]]), STANDING_QUEUE_MS),
    ],
  },
  'random-loss': {
    title: 'random loss of 5 % between 40 and 80 s',
    seconds: 120,
    run: (seed) => {
      const world = new World(seed, { forward: line(MBPS) });
      world.become(40_000, { ...line(MBPS), lossProbability: 0.05 });
      world.become(80_000, line(MBPS));
      new MediaFlow(world, { name: 'media' });
      return world.run(120);
    },
    checks: (world) => {
      const { sentBps } = world.curves[0]!;
      const before = meanBps(sentBps, 10, 40);
      return [
        atMost('drop of the rate at 5 % loss', 1 - meanBps(sentBps, 40, 80) / before, 0.2),
        atMost('drop of the rate afterwards', 1 - meanBps(sentBps, 85, 120) / before, 0.1),
      ];
    },
  },
  healing: {
    title: 'the network breaks and heals: 30 % loss from 20 to 35 s, nothing from 60 to 70 s',
    seconds: 100,
    run: (seed) => {
      const world = new World(seed, { forward: line(2 * MBPS) });
      world.become(20_000, { ...line(2 * MBPS), lossProbability: 0.3 });
      world.become(35_000, line(2 * MBPS));
      world.become(60_000, { ...line(2 * MBPS), lossProbability: 1 });
      world.become(70_000, line(2 * MBPS));
      new MediaFlow(world, { name: 'media' });
      return world.run(100);
    },
    checks: (world) => {
      const { receivedBps } = world.curves[0]!;
      const before = meanBps(receivedBps, 10, 20);
      return [
        atMost('seconds to 0.8 of what was there, after 30 % loss', secondsUntil(receivedBps, 35, 0.8 * before), 10),
        atMost('seconds to 0.8 of what was there, after an outage', secondsUntil(receivedBps, 70, 0.8 * before), 10),
        atMost(
          'queue p95, ms',
          queueP95(world.queueMs, [
            [5, 20],
            [40, 60],
            [75, 100],
          ]),
          STANDING_QUEUE_MS,
        ),
      ];
    },
  },
};
