import assert from 'node:assert/strict';
import { System, waitUntil } from './system.ts';
import type { Sound } from './wav.ts';

const WORKERS = ['media-relay-0', 'media-relay-1'];

/** A system with two media workers. */
export function twoWorkers(
  folder: string,
  { path, settings }: { path?: 'opaque' | 'terminated'; settings?: Readonly<Record<string, unknown>> } = {},
): Promise<System> {
  return System.start({ folder, media: { workers: WORKERS.length, path }, settings });
}

/** Kills the media worker that has the call, and waits until the call has begun anew: at the other one, or at its successor. */
export async function killBusyWorker(system: System): Promise<void> {
  const calls = async (worker: string) => (await system.metrics(worker)).offhook_media_calls ?? 0;
  const counts = await Promise.all(WORKERS.map(calls));
  assert.deepEqual([...counts].sort(), [0, 1]);
  const busy = WORKERS[counts.indexOf(1)]!;
  const begunAnew = async () => (await system.metrics('signaling')).sip_call_reanchored_total ?? 0;
  const before = await begunAnew();
  await system.killPart(busy);
  const anew = async () => (await begunAnew()) > before;
  await waitUntil('the call has begun anew', anew);
  await system.waitForPart(busy);
  assert.deepEqual((await Promise.all(WORKERS.map(calls))).sort(), [0, 1]);
}

export function lengthS({ samples, rate }: Sound): number {
  return samples.length / rate;
}
