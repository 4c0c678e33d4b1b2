import assert from 'node:assert/strict';
import { test } from 'node:test';
import { seededRandom } from '@offhook/core';
import { nodeCrypto, UdpEndpoint } from '@offhook/core/node';
import { PortPool } from './port-pool.ts';
import type { RelayAddress } from './relay-address.ts';
import { SharedTables, sharedMemory } from './shared.ts';

const AT: RelayAddress = { address: '192.0.2.1' };

/** A pool on one address of a server with one thread. */
function pool(portMin: number, portMax: number, at = AT): PortPool {
  const shared = new SharedTables(sharedMemory(1, 1, nodeCrypto), 0, nodeCrypto);
  return new PortPool({ at, index: 0, portMin, portMax, random: seededRandom(1), shared });
}

/** The pools of two threads on the same address. */
function poolsOfThreads(portMin: number, portMax: number): readonly [PortPool, PortPool] {
  const memory = sharedMemory(2, 1, nodeCrypto);
  const of = (worker: number) => {
    const shared = new SharedTables(memory, worker, nodeCrypto);
    return new PortPool({ at: AT, index: 0, portMin, portMax, random: seededRandom(worker), shared });
  };
  return [of(0), of(1)];
}

test('ports: each once, even ones and pairs, exhaustion, given back', () => {
  const ports = pool(49_153, 49_160);
  const pair = ports.take('even-with-next')!;
  assert.equal(pair % 2, 0);
  assert.equal(ports.taken, 2);
  const rest = Array.from({ length: 6 }, () => ports.take('any'));
  assert.equal(new Set([...rest, pair, pair + 1]).size, 8);
  assert.equal(ports.take('any'), undefined);
  ports.give(pair + 1);
  assert.equal(ports.take('even'), undefined);
  assert.equal(ports.take('any'), pair + 1);
  const any = pool(0, 0);
  assert.equal(any.take('any'), 0);
  const even = any.take('even')!;
  assert.ok(even % 2 === 0 && even >= 49_152);
});

test('a port is had once, whichever thread asks, and all of them are had', () => {
  const [first, second] = poolsOfThreads(50_000, 50_019);
  const got = Array.from({ length: 20 }, (_, i) => (i % 3 === 0 ? first : second).take('any')!);
  assert.deepEqual(
    got.sort(),
    Array.from({ length: 20 }, (_, i) => 50_000 + i),
  );
  assert.deepEqual([first.take('any'), second.take('even')], [undefined, undefined]);
  second.give(got[7]!);
  assert.equal(first.take('any'), got[7]);
});

test('a pair ends within the range, and where its odd port is taken the even one stays free', () => {
  const [ports, others] = poolsOfThreads(50_000, 50_004);
  others.note(50_001);
  assert.equal(ports.take('even-with-next'), 50_002);
  assert.equal(ports.take('even-with-next'), undefined, '50000 has no neighbour, 50004 none in the range');
  assert.deepEqual(
    [50_000, 50_001, 50_002, 50_003, 50_004].map((port) => ports.isOpen(port)),
    [false, false, false, false, false],
    'none of them has a socket',
  );
  assert.equal(ports.taken, 3);
  assert.deepEqual([ports.take('even'), ports.take('even')].sort(), [50_000, 50_004]);
});

test('a port that the system has chosen is noted; that it chooses takes nothing, and 0 gives nothing back', () => {
  const ports = pool(0, 0);
  assert.equal(ports.take('any'), 0);
  assert.equal(ports.taken, 0);
  ports.note(40_000);
  assert.equal(ports.isOpen(40_000), false);
  ports.opened(40_000);
  assert.ok(ports.isOpen(40_000));
  ports.give(0);
  assert.equal(ports.taken, 1);
  ports.give(40_000);
  assert.deepEqual([ports.taken, ports.isOpen(40_000)], [0, false]);
});

test('behind one-to-one NAT the outer address is told, and both are known', () => {
  const words = ({ a, b, c, d }: UdpEndpoint) => [0, a, b, c, d];
  const inner = UdpEndpoint.from({ address: '10.0.0.5', port: 0 })!;
  const outer = UdpEndpoint.from({ address: '198.51.100.7', port: 0 })!;
  const ports = pool(0, 0, { address: '10.0.0.5', external: '198.51.100.7' });
  assert.deepEqual(ports.told(40_000).toSocketAddress(), { address: '198.51.100.7', port: 40_000 });
  assert.deepEqual([ports.isLocal(words(inner), 1), ports.isLocal(words(outer), 1)], [true, false]);
  assert.deepEqual([ports.isExternal(words(inner), 1), ports.isExternal(words(outer), 1)], [false, true]);
  const six = pool(0, 0, { address: '2001:db8::5' });
  assert.deepEqual([six.family, ports.family], [6, 4]);
  assert.deepEqual(six.told(1).toSocketAddress(), { address: '2001:db8::5', port: 1 });
  const others = UdpEndpoint.from({ address: '2001:db8::6', port: 0 })!;
  assert.deepEqual([six.isLocal(words(six.local), 1), six.isLocal(words(others), 1)], [true, false]);
  assert.equal(six.isExternal(words(six.local), 1), false);
});
