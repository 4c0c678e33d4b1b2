import assert from 'node:assert/strict';
import { mock, test } from 'node:test';
import { openUdpPort, systemRingProblem, UdpEndpoint, type UdpPort } from './index.ts';

const skip = (await systemRingProblem()) ?? false;

const open = (more: { readonly icmp?: boolean } = {}) =>
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
