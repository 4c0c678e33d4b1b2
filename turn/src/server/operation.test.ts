import assert from 'node:assert/strict';
import { decodeStun, hex, StunAttribute, StunMethod, utf8 } from '@offhook/core';
import { UdpEndpoint } from '@offhook/core/node';
import { code, dataIndication, TestClient, transport } from '../testkit/client.ts';
import { LISTENER_V6, RELAY } from '../testkit/virtual.ts';
import { newClient, virtual } from '../testkit/virtual-test.ts';
import { SECRET } from '../testkit/world.ts';

const PEERS = { base: 'none', allow: [{ address: '198.51.100.0/24' }], deny: [] } as const;

virtual(
  'draining sends new clients elsewhere by a signed 300, those that are here go on; and back',
  async (world) => {
    const alice = await newClient(world);
    await alice.allocate();
    world.server.drain();
    const bob = await newClient(world, 'bob');
    const answer = await bob.request(StunMethod.allocate, transport);
    assert.equal(code(answer), 300);
    assert.ok(answer.hasIntegrity);
    assert.deepEqual(answer.address(StunAttribute.alternateServer), { address: '192.0.2.50', port: 3478 });
    const unsigned = await bob.exchange(bob.unsigned(StunMethod.allocate, transport));
    assert.equal(code(unsigned), 401, 'never to somebody who has not signed');
    const six = new TestClient(await world.socket({ address: '2001:db8::99', port: 4 }), LISTENER_V6);
    assert.equal(
      code(await six.request(StunMethod.allocate, transport)),
      508,
      'an address of another family is no help',
    );
    assert.equal(code(await alice.refresh(600)), 0);
    world.server.undrain();
    await bob.allocate();
  },
  { alternateServer: { address: '192.0.2.50', port: 3478 } },
);

virtual(
  'the server named for draining stays until another or the end, whatever the rules say meanwhile',
  async (world) => {
    const other = { address: '192.0.2.50', port: 3478 };
    const further = { address: '192.0.2.51', port: 3478 };
    const bob = await newClient(world, 'bob');
    const sentTo = async () =>
      (await bob.request(StunMethod.allocate, transport)).address(StunAttribute.alternateServer);
    world.server.drain(other);
    world.server.drain();
    assert.deepEqual(await sentTo(), other);
    world.server.apply({
      secrets: [SECRET],
      users: [],
      peers: PEERS,
      alternateServer: { address: '192.0.2.99', port: 3478 },
    });
    assert.deepEqual(await sentTo(), other);
    world.server.drain(further);
    assert.deepEqual(await sentTo(), further);
    world.server.undrain();
    world.server.drain();
    assert.deepEqual(await sentTo(), { address: '192.0.2.99', port: 3478 });
  },
);

virtual('secrets, users, peers and limits change while it runs; who is no longer allowed is cut off', async (world) => {
  const alice = await newClient(world);
  const peer = await world.socket();
  const relayed = await alice.allocate();
  assert.equal(code(await alice.bind(0x4000, peer.local)), 0);
  alice.sendChannel(0x4000, utf8('before'));
  assert.ok(await peer.receive());
  world.server.apply({ secrets: ['next', SECRET], users: [], peers: PEERS });
  alice.sendChannel(0x4000, utf8('the same peers'));
  assert.ok(await peer.receive());
  world.server.apply({
    secrets: ['next'],
    users: [],
    peers: { base: 'none', allow: [{ address: '198.51.100.250' }], deny: [] },
    limits: { allocationsPerUser: 1 },
  });
  alice.sendChannel(0x4000, utf8('after'));
  peer.send(utf8('after'), relayed);
  assert.equal(await peer.receive(), undefined);
  assert.equal(await alice.socket.receive(), undefined);
  assert.equal(code(await alice.permit(peer.local)), 401);
  assert.equal(world.server.allocations, 0, 'whose secret is gone is gone too');
  assert.equal(world.relays(), 0);
  const late = await newClient(world, 'late');
  assert.equal(code(await late.request(StunMethod.allocate, transport)), 401, 'the old secret is gone');
  const next = new TestClient(await world.socket(), world.listener, { secret: 'next', user: 'alice' });
  await next.allocate();
  const more = new TestClient(await world.socket(), world.listener, { secret: 'next', user: 'alice' });
  assert.equal(code(await more.request(StunMethod.allocate, transport)), 486, 'and the quota is smaller');
  assert.equal(code(await next.permit(peer.local)), 403);
});

virtual(
  'an allocation passes so many packets and bytes in a second, each way, and its user in all',
  async (world) => {
    const alice = await newClient(world);
    const peer = await world.socket();
    const relayed = await alice.allocate();
    await alice.bind(0x4000, peer.local);
    const received = async (socket: typeof peer) => {
      let n = 0;
      while (await socket.receive()) n++;
      return n;
    };
    world.advance(2000);
    for (let i = 0; i < 20; i++) alice.sendChannel(0x4000, new Uint8Array(10));
    for (let i = 0; i < 20; i++) peer.send(new Uint8Array(10), relayed);
    assert.deepEqual([await received(peer), await received(alice.socket)], [10, 10], 'packets');
    world.advance(2000);
    for (let i = 0; i < 5; i++) alice.sendChannel(0x4000, new Uint8Array(300));
    assert.equal(await received(peer), 3, 'bytes');
    const second = await newClient(world);
    await second.allocate();
    await second.bind(0x4000, peer.local);
    world.advance(2000);
    for (let i = 0; i < 10; i++) alice.sendChannel(0x4000, new Uint8Array(1));
    for (let i = 0; i < 10; i++) second.sendChannel(0x4000, new Uint8Array(1));
    assert.equal(await received(peer), 15, 'the user');
    assert.ok(world.server.stats.droppedByRate > 20);
    const [figures] = world.server.figures();
    assert.deepEqual(
      [figures!.user, figures!.allocations, figures!.packetsToPeers, figures!.packetsToClient],
      ['alice', 2, 28, 10],
    );
  },
  { limits: { packetsPerS: 10, bytesPerS: 1000, userPacketsPerS: 15, userBytesPerS: 10_000 } },
);

virtual(
  'behind one-to-one NAT the external address is told, and two clients talk through it',
  async (world) => {
    const alice = await newClient(world, 'alice');
    const bob = await newClient(world, 'bob');
    const a = await alice.allocate();
    const b = await bob.allocate();
    assert.deepEqual([a.address, b.address], ['203.0.113.5', '203.0.113.5']);
    assert.equal(code(await alice.bind(0x4000, b)), 0);
    assert.equal(code(await bob.permit(a)), 0);
    alice.sendChannel(0x4000, utf8('one'));
    assert.deepEqual(dataIndication(await bob.socket.receive()).peer, a, 'the address that alice was told');
    bob.send(a, utf8('two'));
    assert.equal(hex((await alice.socket.receive())!.bytes), `40000003${hex(utf8('two'))}`);
  },
  { relay: { addresses: [{ address: RELAY, external: '203.0.113.5' }], portMin: 0, portMax: 0 } },
);

virtual(
  'an ICMP message about a permitted peer is told in a Data indication; other types and peers are not',
  async (world) => {
    const alice = await newClient(world);
    const peer = await world.socket();
    await alice.allocate();
    await alice.permit(peer.local);
    const now = world.net.clock.nowMs;
    const icmp = (type: number, code: number, data: number, at = peer.local) => {
      world.server.handleIcmp(0, UdpEndpoint.from(at)!, { type, code, data }, now);
      world.settle();
    };
    icmp(3, 4, 1280);
    const message = decodeStun((await alice.socket.receive())!.bytes)!;
    assert.deepEqual(message.xorAddress(StunAttribute.xorPeerAddress), peer.local);
    assert.equal(message.has(StunAttribute.data), false);
    assert.equal(
      hex(message.attribute(StunAttribute.icmp)!),
      '0000060400000500',
      'type 3 in seven bits, code 4 in nine',
    );
    icmp(8, 0, 0);
    icmp(3, 3, 0, { address: '198.51.100.200', port: 1 });
    assert.equal(await alice.socket.receive(), undefined);
  },
);

virtual('DONT-FRAGMENT is granted where the sockets set it', async (world) => {
  const alice = await newClient(world);
  const peer = await world.socket();
  await alice.allocate((w) => w.flag(StunAttribute.dontFragment));
  await alice.permit(peer.local);
  alice.send(peer.local, utf8('whole'), (w) => w.flag(StunAttribute.dontFragment));
  assert.ok(await peer.receive());
});

virtual('a stream’s client gets padded ChannelData, and its end ends the allocation', async (world) => {
  const alice = await newClient(world);
  const peer = await world.socket();
  world.connection = 7;
  const relayed = await alice.allocate();
  await alice.bind(0x4000, peer.local);
  peer.send(new Uint8Array([1, 2, 3, 4, 5]), relayed);
  const received = await alice.socket.receive();
  assert.equal(hex(received!.bytes), '40000005' + '0102030405' + '000000');
  const at = UdpEndpoint.from(alice.socket.local)!;
  world.server.handleDisconnect(0, at, 6);
  assert.equal(world.server.allocations, 1, 'that was an earlier connection from the same port');
  world.connection = 8;
  assert.equal(code(await alice.refresh(600)), 437, 'a new connection has nothing of the one before');
  await alice.allocate();
  world.server.handleDisconnect(0, at, 8);
  world.settle();
  assert.equal(world.server.allocations, 0);
  assert.equal(world.relays(), 0);
});

virtual('a relay of IPv6 tells IPv6 peers apart from IPv4 ones with the same numbers', async (world) => {
  const alice = await newClient(world);
  const answer = await alice.request(StunMethod.allocate, (w) => {
    transport(w);
    w.u32(StunAttribute.additionalAddressFamily, 2 << 24);
  });
  assert.equal(code(answer), 0);
  // 198.51.100.7 is c633:6407; c633:6407:: has the same first word
  assert.equal(code(await alice.permit({ address: '198.51.100.7', port: 0 })), 0);
  assert.equal(code(await alice.permit({ address: 'c633:6407::', port: 0 })), 403);
  alice.send({ address: 'c633:6407::', port: 9 }, utf8('x'));
  assert.equal(world.server.stats.packetsToPeers, 0);
});
