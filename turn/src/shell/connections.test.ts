import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { test } from 'node:test';
import { connect as connectTls } from 'node:tls';
import { StunAttribute, StunClass, StunMethod, StunWriter } from '@offhook/core';
import { DEFAULT_LIMITS } from '../limits.ts';
import { code, TestClient } from '../testkit/client.ts';
import { dialShell, openStreamShell } from '../testkit/stream-shell.ts';
import { streamSocket } from '../testkit/stream-socket.ts';
import { type ConnectionEvents, Connections } from './connections.ts';
import { STREAM_LIMITS } from './stream-limits.ts';
import { StreamWriter, WritePool } from './stream-writer.ts';

const turn = () => new Promise((resolve) => setImmediate(resolve));
const CHANNEL = new Uint8Array([0x4f, 0xff, 0, 4, 1, 2, 3, 4]);
const INDICATION = new StunWriter(new Uint8Array(100))
  .start(StunClass.indication, StunMethod.send, new Uint8Array(12))
  .xorAddress(StunAttribute.xorPeerAddress, { address: '127.0.0.1', port: 9 })
  .message()
  .slice();
/** With a nonce that isn't ours. */
const REFRESH = new StunWriter(new Uint8Array(200))
  .start(StunClass.request, StunMethod.refresh, new Uint8Array(12))
  .text(StunAttribute.username, '2100000000:alice')
  .text(StunAttribute.realm, 'turn.example.org')
  .text(StunAttribute.nonce, 'n'.repeat(20))
  .bytes(StunAttribute.messageIntegrity, new Uint8Array(20))
  .message()
  .slice();

function times(bytes: Uint8Array, count: number): Uint8Array {
  const all = new Uint8Array(bytes.length * count);
  for (let i = 0; i < count; i++) all.set(bytes, i * bytes.length);
  return all;
}

/** Its end, be it a reset. */
function ended(socket: Socket): Promise<unknown> {
  socket.on('error', () => {}).resume();
  return new Promise((resolve) => socket.once('close', resolve));
}

/** Until as many connections as that are open. */
async function connected(ports: { readonly connections: { readonly size: number } }, count: number): Promise<void> {
  while (ports.connections.size !== count) await turn();
}

for (const kind of ['tcp', 'tls'] as const) {
  test(`over ${kind}: a client with an allocation has ${STREAM_LIMITS.messagesPerTurn} messages handled per turn, whatever it sends, in order`, async () => {
    const shell = await openStreamShell(kind);
    const socket = await dialShell(shell, kind);
    const alice = new TestClient(streamSocket(socket), shell.listeners.addresses[0]!);
    await alice.allocate();
    const { stats } = shell.server;
    const count = 5000;
    socket.write(times(CHANNEL, count));
    alice.socket.send(alice.signed(StunMethod.refresh), alice.server);
    let most = 0;
    for (let before = 0; before < count; ) {
      await turn();
      most = Math.max(most, stats.droppedFromClients - before);
      before = stats.droppedFromClients;
    }
    // a turn of reading and what is left over from it may lie between two looks
    assert.ok(most <= 2 * STREAM_LIMITS.messagesPerTurn, `${most} between two turns`);
    assert.ok(await alice.socket.receive(), 'the request behind them is answered');
    assert.equal(shell.server.allocations, 1);
    assert.equal(shell.connections.cutOff, 0);
    shell.close();
    await ended(socket);
  });
}

test('all connections together have a share of a turn, and each its own of that', async () => {
  const handled: number[] = [];
  const connections = new Connections({ limits: DEFAULT_LIMITS, seed: 1, nowMs: () => 0 });
  connections.events = {
    message: ({ id }) => {
      handled.push(id);
      return true;
    },
    settled: () => {},
    closed: () => {},
    isUsed: () => true,
  } satisfies ConnectionEvents;
  const server = createServer((socket) => {
    connections.admit(socket);
    connections.add(socket, 0);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  const sockets: Socket[] = [];
  for (let i = 0; i < 10; i++) {
    const socket = connect(port, '127.0.0.1');
    await once(socket, 'connect');
    sockets.push(socket);
  }
  await connected({ connections }, sockets.length);
  for (const socket of sockets) socket.write(times(INDICATION, 640));
  let looked = 0;
  while (handled.length < 6400) {
    await turn();
    assert.ok(handled.length - looked <= 2 * STREAM_LIMITS.allMessagesPerTurn, `${handled.length - looked} in a turn`);
    looked = handled.length;
  }
  // each has been served while the others had something waiting
  const half = new Map<number, number>();
  for (const id of handled.slice(0, 3200)) half.set(id, (half.get(id) ?? 0) + 1);
  assert.equal(half.size, 10);
  connections.close();
  server.close();
  await Promise.all(sockets.map(ended));
});

for (const [name, bytes] of Object.entries({ CHANNEL, INDICATION, REFRESH })) {
  test(`a connection without an allocation that sends only what comes to nothing is cut off: ${name}`, async () => {
    const shell = await openStreamShell('tcp', { unauthenticatedPerS: 1, unauthenticatedBurst: 1 });
    const socket = await dialShell(shell, 'tcp');
    const closed = ended(socket);
    const timer = setInterval(() => socket.write(times(bytes, 40)), 1);
    await closed;
    clearInterval(timer);
    assert.equal(shell.connections.cutOff, 1);
    const { droppedFromClients, errors } = shell.server.stats;
    const toNothing = [...errors.values()].reduce((sum, n) => sum + n, droppedFromClients);
    assert.equal(toNothing, STREAM_LIMITS.worthlessMessages + 1);
    shell.close();
  });
}

test('a client that gives its allocation back after a long time is not cut off at once', async () => {
  let nowMs = 0;
  let isUsed = true;
  const connections = new Connections({ limits: DEFAULT_LIMITS, seed: 1, nowMs: () => nowMs });
  connections.events = { message: () => true, settled: () => {}, closed: () => {}, isUsed: () => isUsed };
  let held: Socket | undefined;
  const server = createServer((socket) => {
    held = socket;
    connections.admit(socket);
    connections.add(socket, 0);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const socket = connect((server.address() as { port: number }).port, '127.0.0.1');
  await once(socket, 'connect');
  await connected({ connections }, 1);
  nowMs = 3_600_000;
  connections.sweep();
  isUsed = false;
  nowMs += DEFAULT_LIMITS.connectionIdleS * 1000;
  connections.sweep();
  assert.equal(held?.destroyed, false);
  nowMs++;
  connections.sweep();
  assert.equal(held?.destroyed, true);
  await ended(socket);
  await connected({ connections }, 0);
  connections.close();
  server.close();
});

test('TLS handshakes are limited in rate per network, and refused before TLS costs anything', async () => {
  const shell = await openStreamShell('tls', {}, { handshakesPerS: 0.001, handshakeBurst: 3 });
  const { address: host, port } = shell.listeners.addresses[0]!;
  for (let i = 0; i < 3; i++) (await dialShell(shell, 'tls')).destroy();
  for (let i = 0; i < 5; i++) {
    const refused = connect({ host, port });
    await ended(refused); // without a byte of a handshake from either side
    assert.equal(refused.bytesRead, 0);
  }
  assert.equal(shell.connections.refused, 5);
  const other = connectTls({ socket: connect({ host, port, localAddress: '127.0.0.2' }), rejectUnauthorized: false });
  await once(other, 'secureConnect');
  other.destroy();
  shell.close();
});

test('what is gathered in a turn comes as it was sent', async () => {
  const shell = await openStreamShell('tcp', { packetsPerS: 1e9, bytesPerS: 1e9 });
  const socket = await dialShell(shell, 'tcp');
  const alice = new TestClient(streamSocket(socket), shell.listeners.addresses[0]!);
  const relayed = await alice.allocate();
  const peer = createSocket('udp4');
  peer.bind(0, '127.0.0.1');
  await once(peer, 'listening');
  assert.equal(code(await alice.bind(0x4000, { address: '127.0.0.1', port: peer.address().port })), 0);
  for (let i = 0; i < 200; i++) {
    await new Promise((sent) => peer.send(new Uint8Array(1 + (i % 50)).fill(i), relayed.port, relayed.address, sent));
    if (i % 20 !== 19) continue;
    for (let n = i - 19; n <= i; n++) {
      const { bytes } = (await alice.socket.receive())!;
      assert.deepEqual([...bytes.subarray(4)], new Array(1 + (n % 50)).fill(n));
    }
  }
  peer.close();
  shell.close();
});

test('a turn’s packets are gathered, buffers come back, and a slow reader is dropped for and counted', () => {
  const written: { readonly bytes: Uint8Array; readonly done: (() => void) | undefined }[] = [];
  const socket = {
    writable: true,
    writableLength: 0,
    write(bytes: Uint8Array, done?: () => void) {
      written.push({ bytes, done });
      this.writableLength += bytes.length;
    },
  };
  const pool = new WritePool();
  const writer = new StreamWriter(socket as unknown as Socket, pool);
  for (let i = 0; i < 10; i++) assert.ok(writer.add(new Uint8Array(100).fill(i)));
  assert.equal(written.length, 0);
  writer.flush();
  assert.deepEqual(
    written.map(({ bytes }) => bytes.length),
    [1000],
  );
  assert.deepEqual([...written[0]!.bytes.subarray(899, 901)], [8, 9]);
  // the system has not taken it: what follows leaves its buffer alone, and is as long as it is
  assert.ok(writer.add(new Uint8Array(100).fill(77)));
  writer.flush();
  assert.equal(written[1]!.bytes.length, 100);
  assert.notEqual(written[1]!.bytes.buffer, written[0]!.bytes.buffer);
  assert.equal(written[0]!.bytes[0], 0);
  let taken = 0;
  while (writer.add(new Uint8Array(1000))) taken++;
  assert.equal(taken, Math.ceil((256 * 1024 + 1 - 1100) / 1000), 'what is gathered counts for what waits');
  writer.flush();
  // and once it has, its buffer is used again
  const [{ bytes, done }] = written as [(typeof written)[0]];
  socket.writableLength = 0;
  const rest = pool.take();
  done!();
  assert.equal(pool.take().buffer, bytes.buffer);
  assert.notEqual(rest.buffer, bytes.buffer);
});

test('what relay sockets could not send is counted on when they are closed', async () => {
  const shell = await openStreamShell('tcp');
  const socket = await dialShell(shell, 'tcp');
  const alice = new TestClient(streamSocket(socket), shell.listeners.addresses[0]!);
  const relayed = await alice.allocate();
  const peer = createSocket('udp4');
  peer.bind(0, '127.0.0.1');
  await once(peer, 'listening');
  await new Promise((sent) => peer.send(new Uint8Array(3000), relayed.port, relayed.address, sent));
  while (shell.oversize === 0) await turn();
  assert.equal(code(await alice.refresh(0)), 0);
  while (shell.relays > 0) await turn();
  assert.equal(shell.oversize, 1);
  peer.close();
  shell.close();
});
