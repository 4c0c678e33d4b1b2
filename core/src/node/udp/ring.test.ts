import assert from 'node:assert/strict';
import { mock, test } from 'node:test';
import { threadArena } from './arena.ts';
import { openUdpPort, systemRingProblem, UdpEndpoint, type UdpPort } from './index.ts';
import { gathering } from './readiness.ts';
import type { RingReads } from './ring-reads.ts';

const skip = (await systemRingProblem()) ?? false;

/** What a look at all sockets does with a port. */
type Read = UdpPort & {
  readWith(reads: RingReads): void;
  observe(received: number, asked: number, pass: number): void;
};

const open = (more: { readonly icmp?: boolean; readonly address?: string } = {}) =>
  openUdpPort({ address: '127.0.0.1', port: 0, burst: 'few', receiveBuffer: 1 << 20, ...more });
const endpoint = (port: UdpPort) => UdpEndpoint.from(port.local)!;
/** What is staged by now is sent, by the ring when it is of several ports. */
const sent = () => new Promise(setImmediate);

/** The first byte of each packet that has come, by now. */
function drain(port: UdpPort): number[] {
  const got: number[] = [];
  for (let n = port.fill(); n > 0; n = port.fill())
    for (let i = 0; i < n; i++) got.push(port.rx.bytes[port.rx.offset[i]!]!);
  return got;
}

async function libcCalls(work: () => Promise<void>): Promise<Record<'syscall' | 'sendmmsg', number>> {
  const { libc } = await import('./libc.ts');
  const counted = { syscall: mock.method(libc, 'syscall'), sendmmsg: mock.method(libc, 'sendmmsg') };
  await work();
  const calls = { syscall: counted.syscall.mock.callCount(), sendmmsg: counted.sendmmsg.mock.callCount() };
  for (const { mock } of Object.values(counted)) mock.restore();
  return calls;
}

test('what several ports have staged leaves by one system call, groups as groups', { skip }, async () => {
  const ports = await Promise.all(Array.from({ length: 20 }, () => open()));
  const sink = await open();
  const calls = await libcCalls(async () => {
    for (const [i, port] of ports.entries())
      for (let n = 0; n < 3; n++) port.send(new Uint8Array(100).fill(i), endpoint(sink));
    await sent();
  });
  assert.deepEqual(calls, { syscall: 1, sendmmsg: 0 });
  assert.deepEqual(
    drain(sink),
    ports.flatMap((_, i) => [i, i, i]),
  );
  assert.ok(ports.every(({ stats }) => stats.sent === 3 && stats.sentBytes === 300 && stats.sendErrors === 0));
  for (const port of [...ports, sink]) port.close();
});

test('a message that the system refuses costs its own packets alone, whether one or a group', { skip }, async () => {
  const [first, second, sink] = [await open(), await open(), await open()];
  const nowhere = new UdpEndpoint(4, [endpoint(sink).a], 0);
  first.send(new Uint8Array([1]), endpoint(sink));
  first.send(new Uint8Array([2]), nowhere);
  for (let i = 0; i < 3; i++) first.send(new Uint8Array(8).fill(3), nowhere);
  first.send(new Uint8Array([4]), endpoint(sink));
  second.send(new Uint8Array([5]), endpoint(sink));
  await sent();
  assert.deepEqual(drain(sink), [1, 4, 5]);
  assert.equal(first.stats.sent, 2);
  assert.equal(first.stats.sentBytes, 2);
  assert.equal(first.stats.sendErrors, 4);
  assert.equal(second.stats.sent, 1);
  for (const port of [first, second, sink]) port.close();
});

test('an ICMP error that waits on a socket does not cost the next packet', { skip }, async () => {
  const [port, other, sink, gone] = [await open({ icmp: true }), await open(), await open(), await open()];
  const toGone = endpoint(gone);
  gone.close();
  port.send(new Uint8Array([1]), toGone);
  await sent();
  port.send(new Uint8Array([2]), endpoint(sink));
  other.send(new Uint8Array([3]), endpoint(sink));
  await sent();
  assert.deepEqual(drain(sink).sort(), [2, 3]);
  assert.equal(port.stats.sendErrors, 0);
  for (const each of [port, other, sink]) each.close();
});

test('more messages than the ring has places, and one port with more than pays there, lose nothing', {
  skip,
}, async () => {
  const ports = await Promise.all(Array.from({ length: 200 }, () => open()));
  const sinks = await Promise.all(Array.from({ length: 20 }, () => open()));
  const one = ports[0]!.reserve();
  ports[0]!.rx.bytes[one] = 1;
  for (const port of ports) for (const sink of sinks.slice(0, 2)) assert.ok(port.stage(one, 1, endpoint(sink)));
  for (const sink of sinks) ports[0]!.send(new Uint8Array([2]), endpoint(sink));
  await sent();
  for (const sink of sinks.slice(0, 2)) assert.equal(drain(sink).length, 201);
  for (const sink of sinks.slice(2)) assert.deepEqual(drain(sink), [2]);
  assert.ok(ports.every(({ stats }) => stats.sendErrors === 0));
  for (const port of [...ports, ...sinks]) port.close();
});

/** Reads these ports by the ring, asking each for four packets. */
function read(...ports: readonly UdpPort[]): void {
  const reads = threadArena().reads!;
  reads.begin(ports.length);
  for (const port of ports as readonly Read[]) {
    port.observe(1, 1, gathering.pass);
    port.readWith(reads);
  }
  reads.submit();
}

test('what was read behind an error is there', { skip }, async () => {
  const [port, source, gone] = [await open({ icmp: true }), await open(), await open()];
  const toGone = endpoint(gone);
  gone.close();
  for (const value of [1, 2, 3]) source.send(new Uint8Array([value]), endpoint(port));
  port.send(new Uint8Array([9]), toGone);
  await sent();
  read(port);
  assert.deepEqual(drain(port), [1, 2, 3]);
  for (const each of [port, source]) each.close();
});

test('a slot that was read and not taken does not spoil the source of the next packet in it', { skip }, async () => {
  const [four, four2] = [await open(), await open()];
  const [six, six2] = [await open({ address: '::1' }), await open({ address: '::1' })];
  four2.send(new Uint8Array([1]), endpoint(four));
  await sent();
  read(four);
  six2.send(new Uint8Array([2]), endpoint(six));
  await sent();
  read(six);
  assert.equal(six.fill(), 1);
  assert.ok(endpoint(six2).isSource(six.rx, 0));
  for (const each of [four, four2, six, six2]) each.close();
});

// The last one here: the thread is without its ring then.
test('when the system refuses the ring everything goes by the ports themselves, and nothing is lost', {
  skip,
}, async () => {
  const [first, second, sink] = [await open(), await open(), await open()];
  const { libc } = await import('./libc.ts');
  const refused = mock.method(libc, 'syscall', () => -1);
  const both = async () => {
    first.send(new Uint8Array([1]), endpoint(sink));
    second.send(new Uint8Array([2]), endpoint(sink));
    await sent();
  };
  await both();
  refused.mock.restore();
  await both();
  assert.equal(refused.mock.callCount(), 1);
  assert.deepEqual(drain(sink), [1, 2, 1, 2]);
  assert.equal(first.stats.sent + second.stats.sent, 4);
  assert.equal(first.stats.sendErrors + second.stats.sendErrors, 0);
  for (const port of [first, second, sink]) port.close();
});
