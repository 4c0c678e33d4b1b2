import assert from 'node:assert/strict';
import { mock, test } from 'node:test';
import { BATCH, batchedUdpProblem, openUdpPort, systemRingProblem, UdpEndpoint } from './index.ts';
import { ReceiveSize } from './receive-size.ts';

/** Bursts of so many packets, `restPasses` passes apart; what was asked for in each pass that found some. */
function asked(bursts: readonly number[], restPasses = 5): number[][] {
  const size = new ReceiveSize();
  let pass = 0;
  return bursts.map((packets) => {
    pass += restPasses;
    const sizes: number[] = [];
    for (let left = packets; left > 0; pass++) {
      const wanted = size.in(pass);
      const received = Math.min(left, wanted);
      size.observe(received, wanted, pass);
      left -= received;
      sizes.push(wanted);
    }
    return sizes;
  });
}

test('a socket with one packet at a time is asked for one', () => {
  assert.deepEqual(asked([1, 1, 1]), [[1], [1], [1]]);
});

test('what is asked for follows the bursts, up at once and down after some small ones', () => {
  const bursts = asked([1, 10, 10, 8, 1, 1, 1, 1, 8, ...Array<number>(16).fill(1)]);
  assert.deepEqual(bursts.slice(0, 9), [[1], [1, 4, 16], [16], [16], [16], [16], [16], [16], [8]]);
  assert.deepEqual(bursts.at(-1), [1]);
});

test('a socket that is ready and has nothing, again and again, is still asked for one', () => {
  const size = new ReceiveSize();
  for (let pass = 0; pass < 10; pass++) size.observe(-1, size.in(pass), pass);
  assert.equal(size.in(20), 1);
});

test('a flood is read by whole batches', () => {
  assert.deepEqual(asked([1000])[0]!.slice(0, 5), [1, 4, 16, BATCH, BATCH]);
});

test('who is asked for less than its size, because many others are ready, and gives that, may have more', () => {
  const size = new ReceiveSize();
  for (let pass = 0; pass < 3; pass++) size.observe(size.in(pass), size.packets, pass);
  assert.equal(size.packets, 16);
  assert.equal(size.observe(2, 2, 3), true);
  assert.equal(size.in(4), BATCH);
  assert.equal(size.observe(1, 2, 4), false);
});

test('more sockets than one look at them takes are still read in a few system calls each', {
  skip: (await batchedUdpProblem()) ?? false,
}, async () => {
  const source = await openUdpPort({ address: '127.0.0.1', port: 0 });
  const sockets = await Promise.all(
    Array.from({ length: 300 }, () => openUdpPort({ address: '127.0.0.1', port: 0, burst: 'few' })),
  );
  const each = 20;
  for (const socket of sockets) {
    const to = UdpEndpoint.from(socket.local)!;
    for (let i = 0; i < each; i++) source.send(new Uint8Array(10), to);
  }
  source.flush();
  const { libc } = await import('./libc.ts');
  const counted = [mock.method(libc, 'recvmmsg'), mock.method(libc, 'syscall')];
  let got = 0;
  await new Promise<void>((resolve) => {
    for (const socket of sockets)
      socket.onReadable = () => {
        got += socket.fill();
        if (got === each * sockets.length) resolve();
      };
  });
  const calls = counted.reduce((sum, { mock }) => sum + mock.callCount(), 0);
  for (const { mock } of counted) mock.restore();
  // 1, 4 and 16 packets; by the ring 1 and then 2 of each of a hundred sockets
  const most = (await systemRingProblem()) === undefined ? sockets.length / 2 : 4 * sockets.length;
  assert.ok(calls <= most, `${calls} calls`);
  for (const port of [source, ...sockets]) port.close();
});
