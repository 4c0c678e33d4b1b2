import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { TurnConfig } from './config.ts';
import { resourceWarnings, withinDescriptors } from './resources.ts';

const LIMITS = { allocations: 1000, connections: 1000 };

function warnings(files: number, portMax: number, addresses = ['192.0.2.1']): string[] {
  const relay = { addresses: addresses.map((address) => ({ address })), portMin: 50_000, portMax };
  return resourceWarnings({ relay, limits: LIMITS } as unknown as TurnConfig, files);
}

test('connections leave half of the descriptors to relay sockets, and there is always one', () => {
  const of = (files: number | undefined) => withinDescriptors(LIMITS, files).connections;
  assert.deepEqual([2100, 2099, 1100, 100, 10].map(of), [1000, 999, 500, 1, 1]);
  assert.equal(withinDescriptors(LIMITS, 1100).allocations, 1000);
});

test('too few descriptors and ports are told', () => {
  assert.deepEqual(warnings(2100, 50_999), []);
  assert.deepEqual(warnings(1100, 50_999), [
    '2100 descriptors may be needed and 1100 are allowed (ulimit -n): no more than 500 connections are taken, and allocations are refused when they run out',
  ]);
  assert.deepEqual(warnings(2100, 50_499, ['192.0.2.1', '192.0.2.2']), []);
  assert.match(warnings(2100, 50_099, ['192.0.2.1', '192.0.2.2'])[0]!, /are 100 ports on each of 2 addresses, fewer/);
});
