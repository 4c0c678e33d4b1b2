import assert from 'node:assert/strict';
import { test } from 'node:test';
import { seededCrypto } from '@offhook/core';
import { nodeCrypto } from '@offhook/core/node';
import { type Buckets, SharedTables, sharedMemory } from './shared.ts';

const RESERVATIONS = 1024;

/** Two threads of a server with two relay addresses, and two users who share no bucket. */
function threads() {
  const crypto = seededCrypto(1, nodeCrypto);
  const memory = sharedMemory(2, 2, crypto);
  const first = new SharedTables(memory, 0, crypto);
  const second = new SharedTables(memory, 1, crypto);
  const alice = first.buckets('alice');
  const bob = second.buckets('bob');
  assert.equal(new Set([...alice, ...bob]).size, 4);
  /** What is held now: by alice, by bob, by all, and ports of both addresses. */
  const counts = () => {
    const seen = [first, second].map((one) => [
      one.held(alice),
      one.held(bob),
      one.heldByAll(),
      one.portsTaken(0),
      one.portsTaken(1),
    ]);
    assert.deepEqual(seen[0], seen[1], 'both threads see the same');
    return seen[0];
  };
  const isTaken = (address: number, port: number) => new Uint8Array(memory.ports[address]!)[port] !== 0;
  return { first, second, alice, bob, counts, isTaken };
}

function token(n: number): Uint8Array {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigUint64(0, 0xdead_beef_0000_0000n + BigInt(n));
  return bytes;
}

test('a port is had by one thread at a time, on each address apart, the first and the last too', () => {
  const { first, second, counts, isTaken } = threads();
  for (const port of [0, 1, 50_000, 65_535]) {
    assert.ok(first.takePort(0, port));
    assert.equal(first.takePort(0, port), false);
    assert.equal(second.takePort(0, port), false);
    assert.ok(isTaken(0, port));
    assert.equal(isTaken(1, port), false);
    assert.ok(second.takePort(1, port));
    first.givePort(0, port);
    assert.equal(isTaken(0, port), false);
    assert.ok(second.takePort(0, port));
  }
  assert.deepEqual(counts(), [0, 0, 0, 4, 4]);
});

test('what a user holds is the sum over all threads, and given back where it was taken', () => {
  const { first, second, alice, bob, counts } = threads();
  assert.deepEqual(second.buckets('alice'), alice, 'a user is counted in the same place on all threads');
  first.hold(alice);
  first.hold(alice);
  second.hold(alice);
  second.hold(bob);
  assert.deepEqual(counts(), [3, 1, 4, 0, 0]);
  first.release(alice);
  second.release(bob);
  assert.deepEqual(counts(), [2, 0, 2, 0, 0]);
  second.release(alice);
  first.release(alice);
  assert.deepEqual(counts(), [0, 0, 0, 0, 0]);
});

test('who shares one bucket with somebody is not taken for more; who has twice the same one is counted once', () => {
  const { first, second } = threads();
  const [busy, half, twice]: Buckets[] = [
    [1, 2],
    [2, 3],
    [4, 4],
  ];
  for (let i = 0; i < 5; i++) first.hold(busy!);
  second.hold(half!);
  second.hold(twice!);
  assert.deepEqual([first.held(busy!), first.held(half!), first.held(twice!)], [5, 1, 1]);
  assert.equal(first.heldByAll(), 7);
  second.release(twice!);
  assert.deepEqual([first.held(busy!), first.held(half!), first.held(twice!)], [5, 1, 0]);
});

test('a port that is taken is a relayed address only while its socket is open, for all threads', () => {
  const { first, second } = threads();
  const seen = (port: number) => [first, second].map((one) => one.isPortOpen(0, port));
  for (const port of [0, 50_000, 65_535]) {
    first.takePort(0, port);
    assert.deepEqual(seen(port), [false, false]);
    first.openPort(0, port);
    assert.deepEqual(seen(port), [true, true]);
    assert.equal(second.isPortOpen(1, port), false);
    assert.equal(second.takePort(0, port), false);
    first.givePort(0, port);
    assert.deepEqual(seen(port), [false, false]);
    assert.equal(first.portsTaken(0), 0);
  }
  first.takePort(0, 1);
  first.openPort(0, 1);
  second.forget(0);
  assert.deepEqual([...seen(1), second.portsTaken(0)], [false, false, 0]);
});

test('a port that is reserved on one thread is had on another, once, and counts for who reserved it until then', () => {
  const { first, second, alice, bob, counts, isTaken } = threads();
  first.takePort(1, 50_001);
  assert.equal(first.reserve(token(1), { address: 1, port: 50_001 }, alice), 0);
  assert.equal(first.reserve(token(2), { address: 0, port: 50_003 }, bob), 1);
  assert.deepEqual(counts(), [1, 1, 2, 0, 1]);
  assert.deepEqual([second.reservedFor(token(1)), second.reservedFor(token(2))], [alice, bob]);
  assert.equal(second.reservedFor(token(3)), undefined);
  assert.equal(second.redeem(token(3)), undefined);
  assert.deepEqual(second.redeem(token(1)), { address: 1, port: 50_001 });
  assert.deepEqual(counts(), [0, 1, 1, 0, 1], 'it is still taken, and counted by whoever holds it from now on');
  assert.equal(first.redeem(token(1)), undefined);
  assert.equal(first.reservedFor(token(1)), undefined);
  second.hold(bob);
  assert.deepEqual(counts(), [0, 2, 2, 0, 1]);
  first.forget(0);
  assert.ok(isTaken(1, 50_001), 'the thread that reserved it may end');
  assert.deepEqual(counts(), [0, 1, 1, 0, 1]);
  second.forget(1);
  assert.deepEqual(counts(), [0, 0, 0, 0, 0]);
});

test('a reservation is taken back when nobody came for it, by its own token alone', () => {
  const { first, second, alice, bob, counts } = threads();
  const port = { address: 0, port: 50_001 };
  first.takePort(port.address, port.port);
  const place = first.reserve(token(1), port, alice)!;
  assert.equal(first.unreserve(place, token(2)), undefined);
  assert.deepEqual(counts(), [1, 0, 1, 1, 0]);
  assert.deepEqual(first.unreserve(place, token(1)), port);
  assert.equal(first.unreserve(place, token(1)), undefined);
  assert.deepEqual(counts(), [0, 0, 0, 1, 0]);
  // somebody came for it, and the place has another one since
  first.reserve(token(3), port, alice);
  assert.deepEqual(second.redeem(token(3)), port);
  assert.equal(second.reserve(token(4), { address: 1, port: 50_005 }, bob), place);
  assert.equal(first.unreserve(place, token(3)), undefined);
  assert.deepEqual(counts(), [0, 1, 1, 1, 0]);
  assert.deepEqual(first.redeem(token(4)), { address: 1, port: 50_005 });
});

test('so many reservations are kept; one more is refused and counted for nobody, and there is room once one is over', () => {
  const { first, second, alice, bob, counts } = threads();
  for (let i = 0; i < RESERVATIONS; i++) {
    const at = i % 2 === 0 ? first : second;
    assert.equal(at.reserve(token(i), { address: 0, port: 1024 + i }, alice), i);
  }
  assert.equal(second.reserve(token(9999), { address: 0, port: 9999 }, bob), undefined);
  assert.deepEqual(counts(), [RESERVATIONS, 0, RESERVATIONS, 0, 0]);
  assert.deepEqual(first.redeem(token(700)), { address: 0, port: 1724 });
  assert.equal(second.reserve(token(9999), { address: 0, port: 9999 }, bob), 700);
  assert.deepEqual(first.redeem(token(RESERVATIONS - 1)), { address: 0, port: 1024 + RESERVATIONS - 1 });
});

test('what a thread held that has ended is given back, and nothing of the others', () => {
  const { first, second, alice, bob, counts, isTaken } = threads();
  for (const [tables, port] of [
    [first, 1000],
    [second, 2000],
  ] as const) {
    for (const address of [0, 1]) for (let i = 0; i < 3; i++) assert.ok(tables.takePort(address, port + i));
    tables.hold(alice);
    tables.hold(bob);
    tables.reserve(token(port), { address: 0, port: port + 1 }, alice);
  }
  // each has come for a port that the other one has reserved
  for (const [from, to, port] of [
    [first, second, 3000],
    [second, first, 4000],
  ] as const) {
    from.takePort(0, port);
    from.reserve(token(port), { address: 0, port }, bob);
    to.redeem(token(port));
    to.hold(bob);
  }
  assert.deepEqual(counts(), [4, 4, 8, 8, 6]);
  first.forget(1);
  assert.deepEqual(counts(), [2, 2, 4, 4, 3]);
  for (const port of [1000, 1001, 1002, 4000]) assert.ok(isTaken(0, port), `${port}`);
  for (const port of [2000, 2001, 2002, 3000]) assert.equal(isTaken(0, port), false, `${port}`);
  assert.equal(first.reservedFor(token(2000)), undefined);
  assert.deepEqual(first.reservedFor(token(1000)), alice);
  // the thread that follows it begins with nothing, and can have all of it
  assert.ok(second.takePort(0, 2000));
  assert.equal(second.reserve(token(5000), { address: 0, port: 5000 }, bob), 1);
  assert.deepEqual(counts(), [2, 3, 5, 5, 3]);
  first.forget(0);
  second.forget(1);
  assert.deepEqual(counts(), [0, 0, 0, 0, 0]);
});
