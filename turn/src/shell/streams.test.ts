import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { test } from 'node:test';
import { decodeStun, hex, StunAttribute, StunMethod, utf8 } from '@offhook/core';
import { batchedUdpProblem } from '@offhook/core/node';
import { code, TestClient, transport } from '../testkit/client.ts';
import { dialShell, openStreamShell } from '../testkit/stream-shell.ts';
import { streamSocket } from '../testkit/stream-socket.ts';

for (const kind of ['tcp', 'tls'] as const) {
  test(`over ${kind}: channels and indications both ways, and the end of the connection ends the allocation`, async () => {
    const shell = await openStreamShell(kind);
    const peer = createSocket('udp4');
    peer.bind(0, '127.0.0.1');
    await once(peer, 'listening');
    const at = { address: '127.0.0.1', port: peer.address().port };
    const socket = await dialShell(shell, kind);
    const alice = new TestClient(streamSocket(socket), shell.listeners.addresses[0]!);
    const relayed = await alice.allocate();
    assert.equal(code(await alice.bind(0x4001, at)), 0);
    for (const length of [0, 1, 5, 1200]) {
      const data = new Uint8Array(length).fill(length);
      const came = once(peer, 'message');
      alice.sendChannel(0x4001, data);
      const [bytes] = (await came) as [Buffer];
      assert.equal(hex(bytes), hex(data));
      peer.send(data, relayed.port, relayed.address);
      assert.equal(hex((await alice.socket.receive())!.bytes.subarray(4)), hex(data));
    }
    const came = once(peer, 'message');
    alice.send(at, utf8('indicated'));
    await came;
    assert.equal(shell.server.allocations, 1);
    const closed = once(socket, 'close');
    socket.destroy();
    await closed;
    while (shell.server.allocations > 0) await new Promise((resolve) => setImmediate(resolve));
    assert.equal(shell.relays, 0);
    peer.close();
    shell.close();
  });
}

test('what is no STUN, and idle ones are closed', async () => {
  const shell = await openStreamShell('tcp', { connectionIdleS: 1 });
  const socket = await dialShell(shell, 'tcp');
  socket.write('\xff\xff\xff\xff', 'latin1');
  await once(socket, 'close');
  const two = await Promise.all([1, 2].map(() => dialShell(shell, 'tcp')));
  const alice = new TestClient(streamSocket(two[0]!), shell.listeners.addresses[0]!);
  await alice.allocate();
  await once(two[1]!, 'close');
  assert.equal(two[0]!.destroyed, false, 'the one with an allocation stays');
  shell.close();
  await once(two[0]!, 'close');
});

test('where all places are taken, the oldest that has had no allocation gives way; with none of them the new one is refused', async () => {
  const shell = await openStreamShell('tcp', { connections: 3 });
  const allocateOn = (socket: Socket) => new TestClient(streamSocket(socket), shell.listeners.addresses[0]!).allocate();
  const first = await dialShell(shell, 'tcp');
  await allocateOn(first);
  const second = await dialShell(shell, 'tcp');
  const third = await dialShell(shell, 'tcp');
  while (shell.connections.size < 3) await new Promise((resolve) => setImmediate(resolve));
  const secondEnds = once(second, 'close');
  const fourth = await dialShell(shell, 'tcp');
  await secondEnds;
  await Promise.all([allocateOn(third), allocateOn(fourth)]);
  const fifth = await dialShell(shell, 'tcp');
  await once(fifth, 'close');
  assert.equal(shell.connections.refused, 2);
  assert.deepEqual(
    [first, third, fourth].map((socket) => socket.destroyed),
    [false, false, false],
  );
  shell.close();
  await Promise.all([first, third, fourth].map((socket) => once(socket, 'close')));
});

test('a slow reader loses packets, the server keeps none of them', async () => {
  const shell = await openStreamShell('tcp', {
    bytesPerS: 1e9,
    packetsPerS: 1e9,
    userBytesPerS: 1e9,
    userPacketsPerS: 1e9,
  });
  const peer = createSocket('udp4');
  peer.bind(0, '127.0.0.1');
  await once(peer, 'listening');
  const socket = await dialShell(shell, 'tcp');
  const stream = streamSocket(socket);
  const alice = new TestClient(stream, shell.listeners.addresses[0]!);
  const relayed = await alice.allocate();
  await alice.permit({ address: '127.0.0.1', port: peer.address().port });
  socket.pause();
  const packet = new Uint8Array(1200);
  while (shell.connections.dropped === 0) {
    for (let i = 0; i < 50; i++) peer.send(packet, relayed.port, relayed.address);
    await new Promise((resolve) => setImmediate(resolve));
  }
  assert.ok(shell.connections.dropped > 0);
  peer.close();
  shell.close();
});

test('DONT-FRAGMENT over TCP is granted exactly where relay sockets are batched', async () => {
  const shell = await openStreamShell('tcp');
  const socket = await dialShell(shell, 'tcp');
  const alice = new TestClient(streamSocket(socket), shell.listeners.addresses[0]!);
  const answer = await alice.request(StunMethod.allocate, (w) => {
    transport(w);
    w.flag(StunAttribute.dontFragment);
  });
  assert.equal(code(answer), (await batchedUdpProblem()) === undefined ? 0 : 420);
  shell.close();
  await once(socket, 'close');
});

test('Binding over TLS tells the client’s address', async () => {
  const shell = await openStreamShell('tls');
  const socket = await dialShell(shell, 'tls');
  const alice = new TestClient(streamSocket(socket), shell.listeners.addresses[0]!);
  alice.socket.send(alice.unsigned(StunMethod.binding), alice.server);
  const answer = decodeStun((await alice.socket.receive())!.bytes)!;
  assert.deepEqual(answer.xorAddress(StunAttribute.xorMappedAddress), alice.socket.local);
  shell.close();
  await once(socket, 'close');
});

test('of very many TLS handshakes the oldest give way, and one that is meant gets through', async () => {
  const shell = await openStreamShell('tls', { connections: 2000 }, { handshakesPerS: 1000, handshakeBurst: 1000 });
  const { address: host, port } = shell.listeners.addresses[0]!;
  const silent = Array.from({ length: 300 }, () => connect({ host, port }));
  const closed = silent.map((socket) => once(socket, 'close'));
  await Promise.all(silent.map((socket) => once(socket, 'connect')));
  await Promise.race(closed);
  const socket = await dialShell(shell, 'tls');
  const alice = new TestClient(streamSocket(socket), shell.listeners.addresses[0]!);
  await alice.allocate();
  assert.ok(shell.connections.size <= 258, `${shell.connections.size}`);
  assert.ok(shell.connections.refused >= 44);
  for (const one of silent) one.destroy();
  await Promise.all(closed);
  shell.close();
});
