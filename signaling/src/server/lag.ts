import { performance } from 'node:perf_hooks';
import { monotonicMs } from '@offhook/core/node';
import type { Tick } from '../auth/index.ts';

const TICK_MS = 50;
/** The loop is this late: more comes in than is done. */
const LATE_MS = 100;

/**
 * Tells of each tick of the event loop whether it came late and by how much, and how busy the loop was since the one before: a flood of
 * datagrams makes no timer late, because the loop turns after every few of them. Answers what ends it.
 * @param sleptMs how long the thread has slept within the loop, in all: that is no work
 */
export function watchLag(
  onTick: (tick: Tick & { readonly lagMs: number }, nowMs: number) => void,
  sleptMs: () => number = () => 0,
): () => void {
  let dueMs = monotonicMs() + TICK_MS;
  let before = performance.eventLoopUtilization();
  let sleptBeforeMs = sleptMs();
  const timer = setInterval(() => {
    const nowMs = monotonicMs();
    const now = performance.eventLoopUtilization();
    const { active, idle } = performance.eventLoopUtilization(now, before);
    before = now;
    const slept = sleptMs();
    const busy = active + idle > 0 ? Math.max(0, active - (slept - sleptBeforeMs)) / (active + idle) : 0;
    sleptBeforeMs = slept;
    const lagMs = Math.max(0, nowMs - dueMs);
    onTick({ isLate: lagMs > LATE_MS, busy, lagMs }, nowMs);
    dueMs = nowMs + TICK_MS;
  }, TICK_MS).unref();
  return () => clearInterval(timer);
}
