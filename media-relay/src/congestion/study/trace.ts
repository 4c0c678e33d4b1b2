import type { CapacityStep } from '@offhook/core';
import { type Line, type Panel, plot } from './plot.ts';
import { type Curve, SPAN_MS, type World } from './world.ts';

const QUEUE_SPAN_S = 0.02;

/** What a run looked like: rates of all beside the line's capacity, and how long packets waited for the line. */
export function tracePlot(title: string, world: World, seconds: number): string {
  const directions = world.curves.some(({ isForward }) => !isForward) ? [true, false] : [true];
  const panels: Panel[] = [];
  for (const isForward of directions) {
    const where = directions.length > 1 ? (isForward ? ', forward' : ', backward') : '';
    const curves = world.curves.filter((curve) => curve.isForward === isForward);
    panels.push({
      title: `rate sent${where}`,
      unit: 'Mb/s',
      lines: [...curves.map(rateLine), capacityLine(world, isForward, seconds)],
    });
    const queue = isForward ? world.queueMs : world.backwardQueueMs;
    panels.push({ title: `wait for the line${where}`, unit: 'ms', lines: [{ name: 'queue', points: spaced(queue) }] });
  }
  return plot(title, seconds, panels);
}

function rateLine({ name, sentBps }: Curve): Line {
  return { name, points: sentBps.map((bps, i) => [((i + 1) * SPAN_MS) / 1000, bps / 1e6] as const) };
}

function capacityLine(world: World, isForward: boolean, seconds: number): Line {
  const { forward, backward } = world.bottleneck;
  const capacity = (isForward ? forward : backward)?.capacity ?? 0;
  const steps: readonly CapacityStep[] = typeof capacity === 'number' ? [{ atMs: 0, bps: capacity }] : capacity;
  const points = steps.map(({ atMs, bps }) => [atMs / 1000, bps / 1e6] as const);
  return { name: 'capacity', isStep: true, points: [...points, [seconds, points.at(-1)![1]]] };
}

/** One point per 100 ms, the longest wait in it: 20 ms are finer than a pixel. */
function spaced(queueMs: readonly number[]): (readonly [number, number])[] {
  const points: (readonly [number, number])[] = [];
  for (let i = 0; i + 5 <= queueMs.length; i += 5) {
    points.push([(i + 5) * QUEUE_SPAN_S, Math.max(...queueMs.slice(i, i + 5))]);
  }
  return points;
}
