import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { test } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { decodeStun, type SocketAddress, StunAttribute, StunClass, StunMethod, StunWriter, utf8 } from '@offhook/core';
import fc from 'fast-check';
import { Verdict } from './server/commands.ts';
import { code, TestClient, transport } from './testkit/client.ts';
import { hasLoopbackIPv6, realSocket, realWorld } from './testkit/real.ts';
import { OnePacket, VirtualWorld } from './testkit/virtual.ts';
import { newClient, virtual } from './testkit/virtual-test.ts';

/** Each has let somebody into a network behind some TURN server (CVE-2020-26262, CVE-2026-27624 and their like). */
const FORBIDDEN_4 = [
  ...['0.0.0.0', '0.0.0.1', '10.0.0.1', '100.64.0.1', '127.0.0.1', '127.1.2.3', '169.254.169.254', '172.16.0.1'],
  ...['192.0.0.1', '192.168.1.1', '198.18.0.1', '224.0.0.1', '240.0.0.1', '255.255.255.255'],
];
const FORBIDDEN_6 = [
  ...['::', '::1', '::127.0.0.1', '::10.0.0.1', '::ffff:127.0.0.1', '::ffff:10.0.0.1', '::ffff:169.254.169.254'],
  ...['::ffff:0:127.0.0.1', '64:ff9b::7f00:1', '64:ff9b::a9fe:a9fe', '64:ff9b:1::a00:1', '2002:7f00:1::1'],
  ...['2002:a00:1::1', '2001::8080:80fe', 'fe80::1', 'fec0::1', 'fc00::1', 'fd00:ec2::254', 'ff02::1', 'ff0e::1'],
];

test('twenty peers that got past other servers are refused, whatever way they are asked for', {
  timeout: 60_000,
}, async () => {
  const world = await realWorld({ peers: { base: 'public', allow: [], deny: [] } });
  const { server } = world.inside;
  const stranger = await world.peer();
  let sent = 0;
  try {
    for (const [family, addresses] of [
      [1, FORBIDDEN_4],
      [2, hasLoopbackIPv6 ? FORBIDDEN_6 : []],
    ] as const) {
      if (addresses.length === 0) continue;
      const alice = new TestClient(await world.client(), world.listener);
      const relayed = await alice.allocate((w) => w.u32(StunAttribute.requestedAddressFamily, family << 24));
      for (const address of addresses) {
        const peer = { address, port: stranger.local.port };
        // where relayed addresses are, some port of it may be reached; this one is nobody's relayed address
        const isRelay = address === relayed.address;
        assert.equal(code(await alice.permit(peer)), isRelay ? 0 : 403, `CreatePermission ${address}`);
        assert.equal(code(await alice.bind(0x4000, peer)), 403, `ChannelBind ${address}`);
        alice.send(peer, utf8('GET / HTTP/1.0'));
        sent++;
      }
      // one good peer beside a bad one opens neither
      const good = family === 1 ? '8.8.8.8' : '2001:4860:4860::8888';
      const both = addresses.map((address) => ({ address, port: 80 }));
      assert.equal(code(await alice.permit({ address: good, port: 80 }, ...both.slice(0, 8))), 403);
      alice.send({ address: good, port: 80 }, utf8('no permission'));
      sent++;
      if (family === 1) stranger.send(utf8('uninvited'), relayed);
      assert.equal(code(await alice.refresh(600)), 0);
    }
    await until(() => server.stats.droppedFromClients === sent && server.stats.droppedFromPeers === 1);
    assert.equal(server.stats.packetsToPeers, 0);
    assert.equal(server.stats.packetsToClients, 0);
  } finally {
    await world.close();
  }
});

virtual('replies to strangers are never much longer than what was asked', async (world) => {
  const plain = new VirtualWorld({ sha256: false });
  const size = async (from: VirtualWorld, method: number, write?: (writer: StunWriter) => unknown) => {
    const alice = await newClient(from);
    const request = alice.unsigned(method, write);
    return [request.length, (await alice.exchange(request)).bytes.length];
  };
  const { binding, allocate, refresh, createPermission, channelBind } = StunMethod;
  assert.deepEqual(await size(world, binding), [20, 32]);
  assert.deepEqual(await size(world, binding, (w) => w.fingerprint()), [28, 40]);
  assert.deepEqual(await size(world, binding, (w) => w.flag(0x7ffe)), [24, 36], '420');
  assert.deepEqual(await size(world, allocate), [20, 28]);
  assert.deepEqual(await size(world, allocate, transport), [28, 96]);
  assert.deepEqual(await size(plain, allocate, transport), [28, 68]);
  for (const method of [refresh, createPermission, channelBind]) assert.deepEqual(await size(world, method), [20, 28]);
  // A nonce that isn't ours: the shortest request that is answered by 438.
  const stale = (w: StunWriter) =>
    w
      .text(StunAttribute.username, 'u')
      .text(StunAttribute.realm, 'r')
      .text(StunAttribute.nonce, 'n')
      .bytes(StunAttribute.messageIntegrity, new Uint8Array(20));
  assert.deepEqual(await size(world, refresh, stale), [68, 96]);
  await plain.close();
});

test('nothing but a request is ever answered: not a byte for indications, responses and garbage', async () => {
  const world = new VirtualWorld();
  const packet = new OnePacket();
  const isRequest = (bytes: Uint8Array) => (bytes[0]! & 0xc1) === 0 && (bytes[1]! & 0x10) === 0;
  const check = (bytes: Uint8Array, from: SocketAddress) => {
    const verdict = world.server.handleClient(0, packet.fill(bytes, from), 0, 0);
    if (!isRequest(bytes)) assert.notEqual(verdict, Verdict.reply);
    assert.equal(world.server.poll(), undefined);
  };
  const source = fc.record({ address: fc.constant('203.0.113.7'), port: fc.integer({ min: 1, max: 65_535 }) });
  fc.assert(fc.property(fc.uint8Array({ maxLength: 300 }), source, check), { numRuns: 1000 });
  const message = fc.tuple(
    fc.constantFrom(1 as const, 2 as const, 3 as const),
    fc.nat(0xfff),
    fc.uint8Array({ maxLength: 60 }),
  );
  fc.assert(
    fc.property(message, source, ([cls, method, data], from) => {
      const writer = new StunWriter(new Uint8Array(200)).start(cls, method, new Uint8Array(12));
      check(writer.bytes(StunAttribute.data, data).message(), from);
    }),
    { numRuns: 1000 },
  );
  const allocate = new StunWriter(new Uint8Array(100)).start(
    StunClass.request,
    StunMethod.allocate,
    new Uint8Array(12),
  );
  packet.fill(allocate.message(), { address: '203.0.113.7', port: 9 });
  assert.equal(world.server.handleClient(0, packet, 0, 0), Verdict.reply, 'a request is');
  await world.close();
});

test('signed requests with any attributes are answered or dropped, never thrown at, and nothing is left over', async () => {
  const world = new VirtualWorld();
  const packet = new OnePacket();
  const alice = await newClient(world);
  await alice.challenge();
  const value = fc.oneof(
    fc.uint8Array({ maxLength: 24 }),
    fc.constantFrom([17, 0, 0, 0], [1, 0, 0, 0], [2, 0, 0, 0], [0x80], [0], [0x40, 0, 0, 0], [0, 0, 0, 0]),
    fc.constantFrom([0, 1, 0x9c, 0x40, 0xe7, 0x23, 0xc0, 0x49], [0, 2, 0, 9, ...new Array(16).fill(1)]),
  );
  const attributes = [
    ...['lifetime', 'requestedTransport', 'requestedAddressFamily', 'additionalAddressFamily', 'evenPort', 'data'],
    ...['reservationToken', 'xorPeerAddress', 'channelNumber', 'dontFragment', 'passwordAlgorithm', 'userhash'],
  ] as (keyof typeof StunAttribute)[];
  const attribute = fc.tuple(
    fc.oneof(fc.constantFrom(...attributes.map((name) => StunAttribute[name])), fc.nat(0xffff)),
    value,
  );
  const { allocate, refresh, createPermission, channelBind } = StunMethod;
  const asked = fc.record({
    method: fc.constantFrom(allocate, refresh, createPermission, channelBind),
    hasTransport: fc.boolean(),
    isModern: fc.boolean(),
    list: fc.array(attribute, { maxLength: 6 }),
  });
  const seen = new Set<number>();
  const run = (
    requests: readonly {
      method: number;
      hasTransport: boolean;
      isModern: boolean;
      list: [number, ArrayLike<number>][];
    }[],
  ) => {
    for (const { method, hasTransport, isModern, list } of requests) {
      alice.algorithm = isModern ? 'sha256' : 'old';
      const request = alice.signed(method, (w) => {
        if (hasTransport) transport(w);
        for (const [type, bytes] of list) w.bytes(type, Uint8Array.from(bytes));
      });
      const verdict = world.server.handleClient(0, packet.fill(request, alice.socket.local), 0, world.net.clock.nowMs);
      if (verdict === Verdict.reply) seen.add(decodeStun(world.server.reply)!.errorCode()?.code ?? 0);
      world.settle();
      world.advance(5);
    }
  };
  fc.assert(fc.property(fc.array(asked, { maxLength: 8 }), run), { numRuns: 400 });
  for (const one of [0, 400, 420, 437]) assert.ok(seen.has(one), `${one} was never the answer`);
  while (await alice.socket.receive()) {
    // answers to Allocates
  }
  await world.close();
});

virtual('Allocates from fifty thousand forged sources leave nothing behind, and clients are served', async (world) => {
  const { server } = world;
  const alice = await newClient(world);
  const request = alice.unsigned(StunMethod.allocate, transport);
  const packet = new OnePacket();
  const flood = () => {
    for (let n = 0; n < 50_000; n++) {
      packet.fill(request, { address: `11.${n >> 16}.${(n >> 8) & 255}.${n & 255}`, port: 1024 + (n % 60_000) });
      server.handleClient(0, packet, 0, world.net.clock.nowMs);
    }
    return heapBytes();
  };
  const first = flood();
  const second = flood();
  // a state of a hundred bytes each would be five megabytes
  assert.ok(second - first < 2_500_000, `${second - first} bytes more after as many again`);
  const left = [server.allocations, server.users, server.portsTaken, server.nextTimeout(), server.poll()];
  assert.deepEqual(left, [0, 0, 0, undefined, undefined]);
  await alice.allocate();
});

test('a flood of unsigned Allocates from one source: few answers, flat tables, and others are served', {
  timeout: 60_000,
}, async () => {
  const world = await realWorld({ limits: { unauthenticatedPerS: 20, unauthenticatedBurst: 50 } });
  const { server } = world.inside;
  const flooder = await realSocket('127.0.0.2');
  const alice = new TestClient(await world.client(), world.listener);
  const request = alice.unsigned(StunMethod.allocate, transport);
  const answered = () => server.stats.errors.get(401) ?? 0;
  try {
    const since = performance.now();
    // so many at a time as a socket's buffer holds for sure
    for (let wanted = 100; wanted <= 5000; wanted += 100) {
      for (let i = 0; i < 100; i++) flooder.send(request, world.listener);
      await until(() => answered() + server.stats.droppedLimited >= wanted);
    }
    const seconds = (performance.now() - since) / 1000;
    assert.ok(answered() <= 50 + 20 * seconds + 1, `${answered()} answers in ${seconds} s`);
    assert.deepEqual([server.allocations, server.users, server.portsTaken], [0, 0, 0]);
    await alice.allocate();
  } finally {
    flooder.close();
    await world.close();
  }
});

test('connections that only cost are closed again, and hold nothing', { timeout: 60_000 }, async () => {
  const world = await realWorld({ transport: 'tcp', limits: { connections: 8, connectionIdleS: 1 } });
  const { address: host, port } = world.listener;
  try {
    for (let round = 0; round < 2; round++) {
      const sockets = Array.from({ length: 20 }, () => connect({ host, port }).on('error', () => {}));
      // bytes that begin a message which never comes to its end
      for (const socket of sockets) socket.write(new Uint8Array([0, 1, 7, 0, 0x21, 0x12]));
      await Promise.all(sockets.map((socket) => new Promise((resolve) => socket.once('close', resolve))));
    }
    assert.deepEqual([world.inside.server.allocations, world.inside.server.users], [0, 0]);
    await new TestClient(await world.client(), world.listener).allocate();
  } finally {
    await world.close();
  }
});

async function until(isSo: () => boolean): Promise<void> {
  while (!isSo()) await new Promise((resolve) => setTimeout(resolve, 1));
}

/** What is in use once everything that can be collected is. */
function heapBytes(): number {
  setFlagsFromString('--expose-gc');
  (runInNewContext('gc') as () => void)();
  return process.memoryUsage().heapUsed;
}
