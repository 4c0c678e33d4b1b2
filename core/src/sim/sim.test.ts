import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { drive, hex, type Machine, seededCrypto, VirtualClock, VirtualNetwork } from '../index.ts';
import { nodeCrypto } from '../node/crypto.ts';

const A = { address: '192.0.2.1', port: 5060 };
const B = { address: '192.0.2.2', port: 5060 };

test('events run in order of time, and of asking at the same time', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.nat(20), fc.boolean())), (events) => {
      const clock = new VirtualClock();
      const ran: number[] = [];
      const cancels = events.map(([at], i) => clock.at(at, () => ran.push(i)));
      events.forEach(([, cancelled], i) => {
        if (cancelled) cancels[i]!();
      });
      const expected = events
        .map(([at, cancelled], i) => ({ at, cancelled, i }))
        .filter((e) => !e.cancelled)
        .sort((x, y) => x.at - y.at || x.i - y.i)
        .map((e) => e.i);
      assert.equal(clock.pending, expected.length);
      clock.run(100);
      assert.deepEqual(ran, expected);
      assert.equal(clock.pending, 0);
      assert.equal(clock.nowMs, 100);
    }),
  );
});

test('datagrams arrive after the delay of their own direction, as copies', () => {
  const net = new VirtualNetwork({ seed: 1 });
  const got: string[] = [];
  net.addNode(A, (bytes, from, nowMs) => got.push(`A ${from.address} ${hex(bytes)} ${nowMs}`));
  const removeB = net.addNode(B, (bytes, from, nowMs) => got.push(`B ${from.address} ${hex(bytes)} ${nowMs}`));
  assert.throws(() => net.addNode(A, () => {}), /taken/);
  net.link(A.address, B.address, { delayMs: 10 });
  net.link(B, A, { delayMs: 30 });
  const bytes = new Uint8Array([1]);
  net.send(A, B, bytes);
  bytes[0] = 9;
  net.send(B, A, bytes);
  net.run(100);
  assert.deepEqual(got, ['B 192.0.2.1 01 10', 'A 192.0.2.2 09 30']);
  removeB();
  net.send(A, B, bytes);
  net.run(200);
  assert.deepEqual([net.sent, net.delivered, net.lost, net.unreachable, net.clock.pending], [3, 2, 0, 1, 0]);
});

test('a lossy, reordering, duplicating run happens again with its seed', () => {
  const run = (seed: number) => {
    const net = new VirtualNetwork({
      seed,
      link: { lossProbability: 0.2, delayMs: 5, jitterMs: 50, duplicateProbability: 0.1 },
    });
    const got: number[] = [];
    net.addNode(B, (bytes) => got.push(bytes[0]!));
    for (let i = 0; i < 200; i++) net.at(i * 20, () => net.send(A, B, new Uint8Array([i])));
    net.run(10_000);
    assert.ok(net.lost > 20 && net.lost < 60, `${net.lost}`);
    assert.notDeepEqual(
      got,
      [...got].sort((x, y) => x - y),
    );
    return got;
  };
  assert.deepEqual(run(5), run(5));
  assert.notDeepEqual(run(5), run(6));
});

class Ticker implements Machine<string> {
  readonly #out: string[] = [];
  #at: number | undefined;
  handleStart(nowMs: number): void {
    this.#at = nowMs + 500;
    this.#out.push('start');
  }
  handleTimeout(nowMs: number): void {
    if (this.#at === undefined || nowMs < this.#at) return;
    this.#out.push(`tick ${nowMs}`);
    this.#at = nowMs < 1500 ? nowMs + 500 : undefined;
  }
  nextTimeout(): number | undefined {
    return this.#at;
  }
  poll(): string | undefined {
    return this.#out.shift();
  }
}

test('drive drains commands, arms the timer and stops', () => {
  const clock = new VirtualClock();
  const machine = new Ticker();
  const seen: string[] = [];
  const driver = drive(machine, clock, (command) => {
    seen.push(command);
    driver.settle();
  });
  machine.handleStart(clock.nowMs);
  driver.settle();
  clock.run(10_000);
  assert.deepEqual(seen, ['start', 'tick 500', 'tick 1000', 'tick 1500']);
  assert.equal(clock.pending, 0);
  machine.handleStart(clock.nowMs);
  driver.settle();
  assert.equal(clock.pending, 1);
  driver.stop();
  assert.equal(clock.pending, 0);
});

test('a machine that never comes to rest is a bug that is seen', () => {
  const clock = new VirtualClock();
  const restless: Machine<number> = { handleTimeout: () => {}, nextTimeout: () => clock.nowMs, poll: () => undefined };
  drive(restless, clock, () => {});
  assert.throws(() => clock.run(1), /never comes to rest/);
});

test('seeded crypto hashes for real and repeats its bytes', () => {
  const take = (seed: number) => hex(seededCrypto(seed, nodeCrypto).randomBytes(16));
  assert.equal(take(1), take(1));
  assert.notEqual(take(1), take(2));
  assert.equal(
    hex(seededCrypto(1, nodeCrypto).hash('md5', new Uint8Array())),
    hex(nodeCrypto.hash('md5', new Uint8Array())),
  );
});
