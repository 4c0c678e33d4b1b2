import assert from 'node:assert/strict';
import { hex, StunAttribute, StunMethod, type StunWriter, utf8 } from '@offhook/core';
import { code, TestClient, transport } from '../testkit/client.ts';
import { OnePacket, RELAY, WALL_MS } from '../testkit/virtual.ts';
import { newClient, virtual } from '../testkit/virtual-test.ts';
import { SECRET } from '../testkit/world.ts';
import { Verdict } from './commands.ts';

const only = (address: string, portMin?: number) => {
  const rule = portMin === undefined ? { address } : { address, portMin, portMax: portMin };
  return { base: 'none', allow: [rule], deny: [] } as const;
};
const rules = (peers: ReturnType<typeof only>) => ({ secrets: [SECRET], users: [], peers });

virtual('a reload that forbids a port ends its channel, and what was sent to it without one', async (world) => {
  const alice = await newClient(world);
  const bound = await world.socket();
  const loose = await world.socket();
  const relayed = await alice.allocate();
  await alice.bind(0x4000, bound.local);
  await alice.permit(loose.local);
  alice.send(loose.local, utf8('before'));
  assert.ok(await loose.receive());
  world.server.apply(rules(only('198.51.100.0/24', 1)));
  await alice.permit(bound.local, loose.local);
  for (const peer of [bound, loose]) {
    alice.send(peer.local, utf8('after'));
    assert.equal(await peer.receive(), undefined, 'Send');
    peer.send(utf8('after'), relayed);
    assert.equal(await alice.socket.receive(), undefined, 'from the peer');
  }
  alice.sendChannel(0x4000, utf8('after'));
  assert.equal(await bound.receive(), undefined, 'channel');
});

virtual(
  'a reload that forbids a port of our own address ends it too, relayed addresses there go on',
  async (world) => {
    const media = await world.socket({ address: RELAY, port: 5000 });
    const alice = await newClient(world);
    const bob = await newClient(world, 'bob');
    const relayed = await alice.allocate();
    const other = await bob.allocate();
    await alice.bind(0x4000, media.local);
    await alice.bind(0x4001, other);
    await bob.permit(relayed);
    alice.sendChannel(0x4000, utf8('media'));
    assert.ok(await media.receive());
    world.server.apply(rules(only('198.51.100.0/24')));
    alice.sendChannel(0x4000, utf8('media'));
    await alice.permit(media.local);
    alice.send(media.local, utf8('media'));
    assert.equal(await media.receive(), undefined);
    alice.sendChannel(0x4001, utf8('bob'));
    assert.ok(await bob.socket.receive());
  },
  { peers: only(RELAY, 5000) },
);

virtual('a port that is only reserved, or a relayed address no longer, is no way to what runs there', async (world) => {
  const pair = (w: StunWriter) => w.bytes(StunAttribute.evenPort, new Uint8Array([0x80]));
  const alice = await newClient(world);
  const helper = await newClient(world, 'helper');
  await alice.allocate();
  const even = await helper.allocate(pair);
  const service = await world.socket({ address: RELAY, port: even.port + 1 });
  assert.equal(code(await alice.bind(0x4000, service.local)), 403, 'reserved');
  await alice.permit(service.local);
  alice.send(service.local, utf8('x'));
  assert.equal(await service.receive(), undefined);
  // a relayed address that ends, and whose port another program takes
  assert.equal(code(await alice.bind(0x4001, even)), 0);
  alice.send(even, utf8('x'));
  await helper.refresh(0);
  const next = await world.socket(even);
  alice.sendChannel(0x4001, utf8('x'));
  alice.send(even, utf8('x'));
  assert.equal(await next.receive(), undefined);
});

virtual('who is no longer known is cut off: a secret that is gone, a user that is removed', async (world) => {
  const alice = await newClient(world);
  const old = new TestClient(await world.socket(), world.listener, { secret: 'old', user: 'bob' });
  world.server.apply({ ...rules(only('198.51.100.0/24')), secrets: [SECRET, 'old'] });
  await alice.allocate();
  await old.allocate();
  world.server.apply(rules(only('198.51.100.0/24')));
  assert.equal(world.server.allocations, 1);
  assert.equal(code(await alice.refresh(600)), 0);
  assert.equal(code(await old.refresh(600)), 401);
});

virtual('with strict expiry a time-limited name that has expired refreshes nothing any more', async (world) => {
  world.server.apply({ ...rules(only('198.51.100.0/24')), strictExpiry: true });
  const soon = `${Math.floor(WALL_MS / 1000) + 60}:alice`;
  const alice = new TestClient(await world.socket(), world.listener, { username: soon });
  await alice.allocate();
  assert.equal(code(await alice.refresh(600)), 0);
  world.advance(500_000);
  alice.nonce = '';
  assert.equal(code(await alice.refresh(600)), 401);
});

virtual(
  'a forged flood in a client’s name takes no answer from it: 438 with the key is no stranger’s',
  async (world) => {
    const alice = await newClient(world);
    await alice.allocate((w) => w.u32(StunAttribute.lifetime, 3600));
    world.advance(700_000);
    const packet = new OnePacket();
    const forge = (bytes: Uint8Array) => {
      packet.fill(bytes, { address: alice.socket.local.address, port: 9 });
      return world.server.handleClient(0, packet, 0, world.net.clock.nowMs);
    };
    let bindings = 0;
    for (let i = 0; i < 300; i++) if (forge(alice.unsigned(StunMethod.binding)) === Verdict.reply) bindings++;
    assert.equal(bindings, 100);
    assert.equal(
      forge(alice.unsigned(StunMethod.allocate, transport)),
      Verdict.reply,
      'Binding has a limit of its own',
    );
    for (let i = 0; i < 300; i++) forge(alice.unsigned(StunMethod.allocate, transport));
    const stale = await alice.refresh(600);
    assert.equal(code(stale), 438);
    alice.nonce = stale.text(StunAttribute.nonce)!;
    assert.equal(code(await alice.refresh(600)), 0);
  },
);

virtual('connections have no limit of replies: their source is known', async (world) => {
  const alice = await newClient(world);
  world.connection = 3;
  for (let i = 0; i < 150; i++) {
    assert.equal(code(await alice.exchange(alice.unsigned(StunMethod.allocate, transport))), 401);
  }
});

virtual(
  'a user has so many signed requests a second',
  async (world) => {
    const alice = await newClient(world);
    await alice.allocate();
    world.advance(1000);
    let answered = 0;
    for (let i = 0; i < 30; i++) alice.socket.send(alice.signed(StunMethod.refresh), world.listener);
    while (await alice.socket.receive()) answered++;
    assert.equal(answered, 20);
    world.advance(1000);
    assert.equal(code(await alice.refresh(600)), 0);
  },
  { limits: { userRequestsPerS: 20 } },
);

virtual('draining to a server that was named outlives a reload', async (world) => {
  world.server.drain({ address: '192.0.2.77', port: 3478 });
  world.server.apply(rules(only('198.51.100.0/24')));
  const alice = await newClient(world);
  const answer = await alice.request(StunMethod.allocate, transport);
  assert.deepEqual(answer.address(StunAttribute.alternateServer), { address: '192.0.2.77', port: 3478 });
});

virtual(
  'a pair whose even port is in use elsewhere is given back for another',
  async (world) => {
    world.refuse = (at) => (at.port < 50_004 ? 'in-use' : undefined);
    const alice = await newClient(world);
    const made = await alice.request(StunMethod.allocate, (w) => {
      transport(w);
      w.bytes(StunAttribute.evenPort, new Uint8Array([0x80]));
    });
    assert.equal(made.xorAddress(StunAttribute.xorRelayedAddress)?.port, 50_004);
    assert.equal(world.server.portsTaken, 2);
    const rtcp = await newClient(world);
    const token = made.attribute(StunAttribute.reservationToken)!;
    assert.equal((await rtcp.allocate((w) => w.bytes(StunAttribute.reservationToken, token))).port, 50_005);
  },
  { relay: { addresses: [{ address: RELAY }], portMin: 50_000, portMax: 50_005 } },
);

virtual('a port that the system chooses and somebody has reserved is not taken', async (world) => {
  const pair = (w: StunWriter) => w.bytes(StunAttribute.evenPort, new Uint8Array([0x80]));
  const alice = await newClient(world);
  const even = await alice.allocate(pair);
  world.nextPort = even.port + 1;
  const bob = await newClient(world, 'bob');
  assert.notEqual((await bob.allocate()).port, even.port + 1);
});

virtual('an expired channel of a peer is bound anew by another number, and it stays the same peer', async (world) => {
  const alice = await newClient(world);
  const peer = await world.socket({ address: '198.51.100.77', port: 9 });
  const relayed = await alice.allocate((w) => w.u32(StunAttribute.lifetime, 3600));
  await alice.bind(0x4000, peer.local);
  for (let port = 1000; port < 1070; port++) alice.send({ address: '198.51.100.77', port }, utf8('x'));
  world.advance(601_000);
  alice.nonce = '';
  assert.equal(code(await alice.bind(0x4001, peer.local)), 0);
  assert.equal(code(await alice.bind(0x4002, peer.local)), 400, 'one channel for a peer');
  peer.send(utf8('y'), relayed);
  assert.equal(hex((await alice.socket.receive())!.bytes), `40010001${hex(utf8('y'))}`);
});

virtual('counters: a dual allocation is one, and what the user’s rate drops is nobody’s traffic', async (world) => {
  const alice = await newClient(world);
  const made = await alice.request(StunMethod.allocate, (w) => {
    transport(w);
    w.u32(StunAttribute.additionalAddressFamily, 2 << 24);
  });
  assert.equal(code(made), 0);
  world.advance(601_000);
  const { allocationsMade, allocationsEnded, allocationsExpired } = world.server.stats;
  assert.deepEqual([allocationsMade, allocationsEnded, allocationsExpired], [1, 1, 1]);
});

virtual(
  'a packet that the user may not send counts for none of its allocations',
  async (world) => {
    const alice = await newClient(world);
    const peer = await world.socket();
    await alice.allocate();
    await alice.bind(0x4000, peer.local);
    for (let i = 0; i < 10; i++) alice.sendChannel(0x4000, utf8('x'));
    while (await peer.receive());
    const [one] = world.server.describe(0);
    assert.equal(one!.packetsToPeers, 2);
  },
  { limits: { userPacketsPerS: 2 } },
);

virtual('an Allocate with FINGERPRINT is answered with one', async (world) => {
  const alice = await newClient(world);
  await alice.challenge();
  const request = alice.signed(StunMethod.allocate, transport);
  const answer = await alice.exchange(alice.withFingerprint(request));
  assert.equal(code(answer), 0);
  assert.ok(answer.verifyFingerprint());
});
