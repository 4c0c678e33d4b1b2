import assert from 'node:assert/strict';
import { mock, test } from 'node:test';
import { batchedUdpProblem, openUdpPort, UdpEndpoint, type UdpPort } from './index.ts';

const problem = await batchedUdpProblem();
const skip = problem ?? false;

/** Where the system can't send groups, only what arrives counts. */
const hasGroups = (port: UdpPort) => (port as UdpPort & { isGrouping?: boolean }).isGrouping === true;

interface Packet {
  readonly length: number;
  /** Which of the receivers. */
  readonly to: number;
}

/** Messages given to the system from now on, by socket. */
async function countMessages(): Promise<{ readonly messages: () => number; stop(): void }> {
  const { libc } = await import('./libc.ts');
  const counted = mock.method(libc, 'sendmmsg');
  return {
    messages: () => counted.mock.calls.reduce((sum, call) => sum + Math.max(0, Number(call.result)), 0),
    stop: () => counted.mock.restore(),
  };
}

/** Stages the packets, packet i filled with i; what each receiver got: length and number of each packet, in order. */
async function exchange(from: UdpPort, receivers: readonly UdpPort[], packets: readonly Packet[]): Promise<string[][]> {
  const endpoints = receivers.map((port) => UdpEndpoint.from(port.local)!);
  for (const [i, { length, to }] of packets.entries()) from.send(new Uint8Array(length).fill(i), endpoints[to]!);
  from.flush();
  await new Promise(setImmediate);
  return receivers.map((port) => {
    const got: string[] = [];
    for (let n = port.fill(); n > 0; n = port.fill())
      for (let i = 0; i < n; i++) {
        const { bytes, offset, length } = port.rx;
        const packet = bytes.subarray(offset[i]!, offset[i]! + length[i]!);
        assert.ok(packet.every((byte) => byte === packet[0]));
        got.push(`${length[i]} ${packet[0] ?? '-'}`);
      }
    return got;
  });
}

function expected(packets: readonly Packet[], receivers: number): string[][] {
  return Array.from({ length: receivers }, (_, to) =>
    packets.flatMap((packet, i) =>
      packet.to === to ? [`${packet.length} ${packet.length === 0 ? '-' : i & 0xff}`] : [],
    ),
  );
}

for (const address of ['127.0.0.1', '::1']) {
  for (const burst of ['few', 'many'] as const) {
    const open = () => openUdpPort({ address, port: 0, receiveBuffer: 4 << 20, implementation: 'mmsg', burst });

    test(`${address} ${burst}: runs of one length to one destination arrive as they were sent, in fewer messages`, {
      skip,
    }, async () => {
      const from = await open();
      const to = await open();
      const counter = await countMessages();
      const lengths = [100, ...Array<number>(20).fill(1200), 700, 1200, 1200, 0, 1200, 1300, 10, 10, 1856, 1856, 1];
      const packets = lengths.map((length) => ({ length, to: 0 }));
      assert.deepEqual(await exchange(from, [to], packets), expected(packets, 1));
      counter.stop();
      assert.equal(from.stats.sent, packets.length);
      assert.equal(
        from.stats.sentBytes,
        lengths.reduce((sum, length) => sum + length, 0),
      );
      assert.equal(from.stats.sendErrors, 0);
      // A chunk for few ends after eight packets, and so does a group in it.
      if (hasGroups(from)) assert.equal(counter.messages(), burst === 'many' ? 10 : 11);
      from.close();
      to.close();
    });

    test(`${address} ${burst}: mixed lengths and destinations arrive in order`, { skip }, async () => {
      const from = await open();
      const receivers = [await open(), await open(), await open()];
      let seed = 7;
      const random = (below: number) => {
        seed = (Math.imul(seed, 1103515245) + 12345) & 0x7fffffff;
        return (seed >> 8) % below;
      };
      for (let round = 0; round < 30; round++) {
        const packets: Packet[] = [];
        while (packets.length < 200) {
          const length = [0, 1, 100, 172, 1200, 1472, 1473, 1800][random(8)]!;
          const to = random(3);
          for (let run = 1 + random(random(4) === 0 ? 90 : 5); run > 0 && packets.length < 200; run--)
            packets.push({ length, to });
        }
        assert.deepEqual(await exchange(from, receivers, packets), expected(packets, 3));
      }
      assert.equal(from.stats.sent, 6000);
      assert.equal(from.stats.sendErrors, 0);
      for (const port of [from, ...receivers]) port.close();
    });
  }
}

test('a group that the system refuses goes out packet by packet, and a socket that can’t send groups stops trying', {
  skip,
}, async () => {
  const { addressOf, libc } = await import('./libc.ts');
  const setsockopt = mock.method(libc, 'setsockopt');
  const from = await openUdpPort({ address: '127.0.0.1', port: 0, implementation: 'mmsg' });
  const fd = Number(setsockopt.mock.calls[0]!.arguments[0]);
  setsockopt.mock.restore();
  const on = new Int32Array([1]);
  // SO_NO_CHECK: segments need a checksum each, so the system refuses them without.
  assert.equal(libc.setsockopt(fd, 1, 11, addressOf(new Uint8Array(on.buffer)), 4), 0);
  const to = await openUdpPort({ address: '127.0.0.1', port: 0, implementation: 'mmsg' });
  const packets = [200, 200, 200, 50, 172].map((length) => ({ length, to: 0 }));
  const counter = await countMessages();
  assert.deepEqual(await exchange(from, [to], packets), expected(packets, 1));
  assert.deepEqual(await exchange(from, [to], packets), expected(packets, 1));
  counter.stop();
  assert.equal(counter.messages(), 10);
  assert.equal(hasGroups(from), false);
  assert.equal(from.stats.sent, 10);
  assert.equal(from.stats.sendErrors, 0);
  from.close();
  to.close();
});

test('a group to nowhere is counted as its packets, and the groups around it arrive', { skip }, async () => {
  const from = await openUdpPort({ address: '127.0.0.1', port: 0, implementation: 'mmsg' });
  const to = await openUdpPort({ address: '127.0.0.1', port: 0, implementation: 'mmsg' });
  const receiver = UdpEndpoint.from(to.local)!;
  const nowhere = UdpEndpoint.from({ address: '127.0.0.1', port: 0 })!;
  for (const endpoint of [receiver, nowhere, receiver])
    for (let i = 0; i < 5; i++) from.send(new Uint8Array(300), endpoint);
  assert.equal(from.flush(), 10);
  assert.equal(from.stats.sendErrors, 5);
  const counter = await countMessages();
  for (let i = 0; i < 5; i++) from.send(new Uint8Array(300), receiver);
  assert.equal(from.flush(), 5);
  counter.stop();
  if (hasGroups(from)) assert.equal(counter.messages(), 1, 'grouping goes on');
  await new Promise(setImmediate);
  assert.equal(to.fill(), 15);
  from.close();
  to.close();
});
