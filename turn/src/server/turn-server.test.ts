import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hex, StunAttribute, StunClass, StunMethod, StunWriter, utf8 } from '@offhook/core';
import fc from 'fast-check';
import { code, dataIndication, TestClient, transport } from '../testkit/client.ts';
import { LISTENER_V6, OnePacket, RELAY, RELAY_V6, VirtualWorld, WALL_MS } from '../testkit/virtual.ts';
import { newClient, virtual } from '../testkit/virtual-test.ts';
import { Verdict } from './commands.ts';

virtual('an allocation lives 600 s unless refreshed, at least 600 s and at most 3600 s', async (world) => {
  const alice = await newClient(world);
  await alice.allocate();
  world.advance(590_000);
  alice.nonce = '';
  assert.equal((await alice.refresh(30)).u32(StunAttribute.lifetime), 600);
  world.advance(599_000);
  assert.equal(world.server.allocations, 1);
  alice.nonce = '';
  assert.equal((await alice.refresh(86_400)).u32(StunAttribute.lifetime), 3600);
  world.advance(3_599_000);
  assert.equal(world.server.allocations, 1);
  world.advance(1_000);
  assert.equal(world.server.allocations, 0);
  assert.equal(world.relays(), 0);
  assert.equal(world.server.stats.allocationsExpired, 1);
});

virtual('a permission lives 300 s and is refreshed by asking again', async (world) => {
  const alice = await newClient(world);
  const peer = await world.socket();
  const relayed = await alice.allocate();
  await alice.permit(peer.local);
  const pass = async () => {
    alice.send(peer.local, utf8('x'));
    const out = (await peer.receive()) !== undefined;
    peer.send(utf8('y'), relayed);
    const back = (await alice.socket.receive()) !== undefined;
    assert.equal(out, back);
    return out;
  };
  assert.ok(await pass());
  world.advance(200_000);
  assert.equal(code(await alice.permit(peer.local)), 0);
  world.advance(299_000);
  assert.ok(await pass());
  world.advance(2_000);
  assert.equal(await pass(), false);
});

virtual('a channel lives 600 s, its permission 300 s, and binding again refreshes both', async (world) => {
  const alice = await newClient(world);
  const peer = await world.socket();
  const relayed = await alice.allocate((writer) => writer.u32(StunAttribute.lifetime, 3600));
  await alice.bind(0x4005, peer.local);
  world.advance(301_000);
  alice.sendChannel(0x4005, utf8('out'));
  assert.ok(await peer.receive(), 'the channel is still there');
  peer.send(utf8('in'), relayed);
  assert.equal(await alice.socket.receive(), undefined, 'the permission isn’t');
  assert.equal(code(await alice.bind(0x4005, peer.local)), 0);
  peer.send(utf8('in'), relayed);
  assert.equal((await alice.socket.receive())?.bytes[0], 0x40);
  world.advance(600_000);
  alice.sendChannel(0x4005, utf8('out'));
  assert.equal(await peer.receive(), undefined, 'expired');
  const other = await world.socket();
  alice.nonce = '';
  assert.equal(code(await alice.bind(0x4005, other.local)), 0, 'an expired number is free again');
  assert.equal(code(await alice.bind(0x4006, peer.local)), 0);
});

virtual('a channel is bound to one peer and a peer to one channel', async (world) => {
  const alice = await newClient(world);
  await alice.allocate();
  const one = { address: '198.51.100.200', port: 1000 };
  const two = { address: '198.51.100.201', port: 1000 };
  assert.equal(code(await alice.bind(0x4001, one)), 0);
  assert.equal(code(await alice.bind(0x4001, one)), 0);
  assert.equal(code(await alice.bind(0x4001, two)), 400);
  assert.equal(code(await alice.bind(0x4002, one)), 400);
  assert.equal(code(await alice.bind(0x3fff, two)), 400);
  assert.equal(code(await alice.bind(0x8000, two)), 400);
  assert.equal(code(await alice.bind(0x7fff, two)), 0);
});

virtual('64 permissions and 64 channels, then 508; expired ones make room', async (world) => {
  const alice = await newClient(world);
  await alice.allocate((writer) => writer.u32(StunAttribute.lifetime, 3600));
  const host = (n: number) => ({ address: `198.51.100.${n}`, port: 5000 + n });
  for (let n = 100; n < 164; n++) assert.equal(code(await alice.bind(0x4000 + n, host(n))), 0);
  assert.equal(code(await alice.bind(0x4000 + 99, host(99))), 508);
  assert.equal(code(await alice.permit(host(99))), 508);
  assert.equal(code(await alice.bind(0x4000 + 99, { ...host(100), port: 6000 })), 508, 'channels alone');
  assert.equal(code(await alice.bind(0x4000 + 100, host(100))), 0);
  world.advance(601_000);
  alice.nonce = '';
  assert.equal(code(await alice.bind(0x4000 + 99, host(99))), 0);
  assert.deepEqual(
    world.server.describe(world.net.clock.nowMs).map(({ permissions, channels }) => [permissions, channels]),
    [[1, 1]],
  );
});

virtual('CreatePermission is all or nothing', async (world) => {
  const alice = await newClient(world);
  await alice.allocate();
  const good = { address: '198.51.100.50', port: 1 };
  assert.equal(code(await alice.permit(good, { address: '10.0.0.1', port: 1 })), 403);
  assert.equal(world.server.describe(0)[0]!.permissions, 0);
  assert.equal(code(await alice.permit(good, { address: '198.51.100.51', port: 1 })), 0);
  assert.equal(world.server.describe(0)[0]!.permissions, 2);
});

virtual(
  'what comes in from a permitted address is checked against the rule’s ports too',
  async (world) => {
    const alice = await newClient(world);
    const allowed = await world.socket({ address: '198.51.100.90', port: 2000 });
    const refused = await world.socket({ address: '198.51.100.90', port: 2001 });
    const relayed = await alice.allocate();
    assert.equal(code(await alice.permit(refused.local)), 0, 'a permission is by address');
    refused.send(utf8('x'), relayed);
    assert.equal(await alice.socket.receive(), undefined);
    alice.send(refused.local, utf8('x'));
    assert.equal(await refused.receive(), undefined);
    assert.equal(code(await alice.bind(0x4001, refused.local)), 403);
    allowed.send(utf8('y'), relayed);
    assert.deepEqual(dataIndication(await alice.socket.receive()).peer, allowed.local);
  },
  { peers: { base: 'none', allow: [{ address: '198.51.100.90', portMin: 2000, portMax: 2000 }], deny: [] } },
);

virtual('sending to very many ports of one peer keeps a bounded number of them', async (world) => {
  const alice = await newClient(world);
  await alice.allocate();
  const channelPeer = await world.socket({ address: '198.51.100.77', port: 9 });
  await alice.bind(0x4000, channelPeer.local);
  for (let port = 1000; port < 1300; port++) alice.send({ address: '198.51.100.77', port }, utf8('x'));
  alice.sendChannel(0x4000, utf8('still here'));
  assert.equal(hex((await channelPeer.receive())!.bytes), hex(utf8('still here')));
  assert.equal(world.server.stats.packetsToPeers, 301);
});

virtual(
  'EVEN-PORT with a reserved sibling, RESERVATION-TOKEN once and for 30 s',
  async (world) => {
    const pair = (writer: StunWriter) => writer.bytes(StunAttribute.evenPort, new Uint8Array([0x80]));
    const alice = await newClient(world);
    await alice.challenge();
    const first = await alice.request(StunMethod.allocate, (w) => {
      transport(w);
      pair(w);
    });
    const port = first.xorAddress(StunAttribute.xorRelayedAddress)!.port;
    assert.equal(port % 2, 0);
    const token = first.attribute(StunAttribute.reservationToken)!;
    const withToken = (w: StunWriter) => w.bytes(StunAttribute.reservationToken, token);
    const thief = await newClient(world, 'thief');
    await thief.challenge();
    const stolen = await thief.request(StunMethod.allocate, (w) => {
      transport(w);
      withToken(w);
    });
    assert.equal(code(stolen), 508, 'it is kept for its user');
    const rtcp = await newClient(world);
    assert.equal((await rtcp.allocate(withToken)).port, port + 1);
    const late = await newClient(world);
    const again = await late.request(StunMethod.allocate, (w) => {
      transport(w);
      withToken(w);
    });
    assert.equal(code(again), 508);
    const both = await late.request(StunMethod.allocate, (w) => {
      transport(w);
      withToken(w);
      pair(w);
    });
    assert.equal(code(both), 400);
    const other = await newClient(world);
    await other.allocate(pair);
    assert.equal(world.server.portsTaken, 4);
    world.advance(30_000);
    assert.equal(world.server.portsTaken, 3, 'nobody came for the sibling');
  },
  { relay: { addresses: [{ address: RELAY }], portMin: 50_000, portMax: 50_009 } },
);

virtual(
  'reserved ports count for the quota of their user: EVEN-PORT and Refresh 0 in a loop take no more than that',
  async (world) => {
    const pair = (w: StunWriter) => {
      transport(w);
      w.bytes(StunAttribute.evenPort, new Uint8Array([0x80]));
    };
    const alice = await newClient(world);
    await alice.challenge();
    const codes: number[] = [];
    const tokens: Uint8Array[] = [];
    for (let i = 0; i < 6; i++) {
      const answer = await alice.request(StunMethod.allocate, pair);
      codes.push(code(answer));
      if (code(answer) === 0) tokens.push(answer.attribute(StunAttribute.reservationToken)!);
      await alice.refresh(0);
    }
    assert.deepEqual(codes, [0, 0, 0, 486, 486, 486], 'two places each, one is kept');
    assert.equal(world.server.portsTaken, 3);
    assert.equal(code(await (await newClient(world, 'bob')).request(StunMethod.allocate, pair)), 0, 'others go on');
    const rtcp = await newClient(world);
    await rtcp.allocate((w) => w.bytes(StunAttribute.reservationToken, tokens[0]!));
    assert.equal(world.server.portsTaken, 5, 'a reserved port that is redeemed takes no place more');
    world.advance(30_000);
    assert.equal(world.server.portsTaken, 2, 'the time of all others is over');
    assert.equal(code(await alice.request(StunMethod.allocate, pair)), 0);
    for (const client of [alice, rtcp]) await client.refresh(0);
  },
  { relay: { addresses: [{ address: RELAY }], portMin: 50_000, portMax: 50_019 }, limits: { allocationsPerUser: 4 } },
);

virtual(
  'no port left is 508, and a port that is in use elsewhere is skipped',
  async (world) => {
    world.refuse = (at) => (at.port === 50_000 ? 'in-use' : undefined);
    const first = await newClient(world);
    assert.equal((await first.allocate()).port, 50_001);
    const second = await newClient(world);
    assert.equal(code(await second.request(StunMethod.allocate, transport)), 508);
    world.refuse = () => 'other';
    await first.refresh(0);
    assert.equal(code(await second.request(StunMethod.allocate, transport)), 508);
    assert.equal(world.server.allocations, 0);
  },
  { relay: { addresses: [{ address: RELAY }], portMin: 50_000, portMax: 50_001 } },
);

virtual('a retransmission while the socket is being opened is answered once', async (world) => {
  world.openDelayMs = 60;
  const alice = await newClient(world);
  await alice.challenge();
  const request = alice.signed(StunMethod.allocate, transport);
  for (let i = 0; i < 3; i++) alice.socket.send(request, world.listener);
  assert.ok(await alice.socket.receive());
  assert.equal(await alice.socket.receive(), undefined);
  assert.equal(world.server.allocations, 1);
});

virtual(
  'address families: IPv6 on request, 440 when there is none, 443 for a peer of the other',
  async (world) => {
    const family = (value: number) => (w: StunWriter) => w.u32(StunAttribute.requestedAddressFamily, value << 24);
    const alice = await newClient(world);
    assert.equal((await alice.allocate(family(2))).address, RELAY_V6);
    const peer = await world.socket({ address: '2001:db8::77', port: 7 });
    assert.equal(code(await alice.permit({ address: '198.51.100.9', port: 1 })), 443);
    assert.equal(code(await alice.permit(peer.local)), 0);
    for (let length = 0; length < 6; length++) {
      const data = new Uint8Array(length).fill(9);
      alice.send(peer.local, data);
      const got = await peer.receive();
      assert.equal(hex(got!.bytes), hex(data));
      peer.send(data, got!.from);
      const back = dataIndication(await alice.socket.receive());
      assert.deepEqual(back.peer, peer.local);
      assert.equal(hex(back.data), hex(data));
    }
    const bob = await newClient(world);
    const wrong = await bob.request(StunMethod.allocate, (w) => {
      transport(w);
      family(3)(w);
    });
    assert.equal(code(wrong), 440);
    const six = new TestClient(await world.socket({ address: '2001:db8::99', port: 4 }), LISTENER_V6);
    assert.equal((await six.allocate()).address, RELAY, 'IPv4 unless asked otherwise');
  },
  { peers: { base: 'none', allow: [{ address: '198.51.100.0/24' }, { address: '2001:db8::/32' }], deny: [] } },
);

virtual('a nonce goes stale after ten minutes (438) and is another client’s never', async (world) => {
  const alice = await newClient(world);
  await alice.allocate((w) => w.u32(StunAttribute.lifetime, 3600));
  const bob = await newClient(world, 'bob');
  bob.nonce = alice.nonce;
  assert.equal(code(await bob.request(StunMethod.allocate, transport)), 438);
  world.advance(602_000);
  const stale = await alice.refresh(600);
  assert.equal(code(stale), 438);
  alice.nonce = stale.text(StunAttribute.nonce)!;
  assert.equal(code(await alice.refresh(600)), 0);
});

virtual('who has an allocation keeps it beyond the expiry of the credentials', async (world) => {
  const soon = `${Math.floor(WALL_MS / 1000) + 60}:alice`;
  const alice = new TestClient(await world.socket(), world.listener, { username: soon });
  await alice.allocate();
  world.advance(500_000);
  alice.nonce = '';
  assert.equal(code(await alice.refresh(600)), 0);
  await alice.refresh(0);
  assert.equal(code(await alice.request(StunMethod.allocate, transport)), 401);
});

virtual('nobody is flooded: replies to unsigned requests end, signed ones go on', async (world) => {
  const alice = await newClient(world);
  await alice.allocate();
  const request = alice.unsigned(StunMethod.allocate, transport);
  for (let i = 0; i < 200; i++) alice.socket.send(request, world.listener);
  world.advance(10);
  let answers = 0;
  while (await alice.socket.receive()) answers++;
  assert.ok(answers <= 100 && answers > 90, `${answers}`);
  assert.ok(world.server.stats.droppedLimited > 90);
  for (let i = 0; i < 100; i++) assert.equal(code(await alice.refresh(600)), 0);
});

virtual('indications, responses and unknown methods are never answered', async (world) => {
  const alice = await newClient(world);
  await alice.challenge();
  for (const cls of [StunClass.indication, StunClass.success, StunClass.error]) {
    const writer = new StunWriter(new Uint8Array(100)).start(cls, StunMethod.binding, alice.transactionId());
    alice.socket.send(writer.message(), world.listener);
  }
  alice.socket.send(alice.signed(0x0aa), world.listener);
  const broken = alice.unsigned(StunMethod.binding, (w) => w.fingerprint());
  broken[27]! ^= 1;
  alice.socket.send(broken, world.listener);
  assert.equal(await alice.socket.receive(), undefined);
});

virtual('an attribute that has to be understood and isn’t is 420, signed once the request is', async (world) => {
  const alice = await newClient(world);
  const unknown = (w: StunWriter) => w.u32(0x7ffe, 1).u32(0x8fff, 1);
  const binding = await alice.exchange(alice.unsigned(StunMethod.binding, unknown));
  assert.equal(code(binding), 420);
  assert.equal(hex(binding.attribute(StunAttribute.unknownAttributes)!), '7ffe');
  const allocate = await alice.request(StunMethod.allocate, (w) => {
    transport(w);
    unknown(w);
  });
  assert.equal(code(allocate), 420);
  assert.ok(allocate.hasIntegrity);
});

virtual('a signed request without USERNAME, REALM or NONCE is 400', async (world) => {
  const alice = await newClient(world);
  await alice.challenge();
  for (const left of [StunAttribute.username, StunAttribute.realm, StunAttribute.nonce]) {
    const request = alice.unsigned(StunMethod.refresh, (w) => {
      if (left !== StunAttribute.username) w.text(StunAttribute.username, alice.username);
      if (left !== StunAttribute.realm) w.text(StunAttribute.realm, 'r');
      if (left !== StunAttribute.nonce) w.text(StunAttribute.nonce, alice.nonce);
      w.bytes(StunAttribute.messageIntegrity, new Uint8Array(20));
    });
    assert.equal(code(await alice.exchange(request)), 400);
  }
});

virtual(
  'a retired secret is refused, one of several is accepted',
  async (world) => {
    const old = new TestClient(await world.socket(), world.listener, { secret: 'old' });
    await old.allocate();
    const gone = new TestClient(await world.socket(), world.listener, { secret: 'older' });
    assert.equal(code(await gone.request(StunMethod.allocate, transport)), 401);
  },
  { secrets: ['new', 'old'] },
);

virtual('draining refuses new allocations and keeps the others', async (world) => {
  const alice = await newClient(world);
  await alice.allocate();
  world.server.drain();
  const bob = await newClient(world, 'bob');
  assert.equal(code(await bob.request(StunMethod.allocate, transport)), 508);
  assert.equal(code(await alice.refresh(600)), 0);
});

virtual(
  'the total quota holds for all users together',
  async (world) => {
    await (await newClient(world, 'a')).allocate();
    await (await newClient(world, 'b')).allocate();
    assert.equal(code(await (await newClient(world, 'c')).request(StunMethod.allocate, transport)), 486);
  },
  { limits: { allocations: 2 } },
);

virtual('no state without authentication: ten thousand clients later nothing is held', async (world) => {
  const alice = await newClient(world);
  const request = alice.unsigned(StunMethod.allocate, transport);
  const packet = new OnePacket();
  for (let n = 0; n < 10_000; n++) {
    packet.fill(request, { address: `203.0.${n >> 8}.${n & 255}`, port: 1024 + (n % 60_000) });
    world.server.handleClient(0, packet, 0, 0);
  }
  assert.deepEqual([world.server.allocations, world.server.users, world.server.nextTimeout()], [0, 0, undefined]);
});

test('any datagram is handled or dropped, never thrown at, on both sides, and nothing leaks', async () => {
  const world = new VirtualWorld();
  const alice = await newClient(world);
  const peer = await world.socket();
  await alice.allocate();
  await alice.bind(0x4000, peer.local);
  const packet = new OnePacket();
  const seeds = [
    alice.signed(StunMethod.allocate, transport),
    alice.signed(StunMethod.refresh),
    alice.signed(StunMethod.channelBind, (w) =>
      w.u32(StunAttribute.channelNumber, 0x40010000).xorAddress(StunAttribute.xorPeerAddress, peer.local),
    ),
    new StunWriter(new Uint8Array(100))
      .start(StunClass.indication, StunMethod.send, alice.transactionId())
      .xorAddress(StunAttribute.xorPeerAddress, peer.local)
      .bytes(StunAttribute.data, utf8('data'))
      .message(),
    Uint8Array.from([0x40, 0, 0, 4, 1, 2, 3, 4]),
  ];
  const check = (bytes: Uint8Array, fromClient: boolean) => {
    packet.fill(bytes, fromClient ? alice.socket.local : peer.local);
    const verdict = fromClient
      ? world.server.handleClient(0, packet, 0, world.net.clock.nowMs)
      : world.server.handlePeer(0, packet, 0, world.net.clock.nowMs);
    const { forward, reply } = world.server;
    if (verdict === Verdict.reply) assert.ok(reply.length >= 20);
    if (verdict === Verdict.toPeer) {
      assert.ok(
        forward.offset >= packet.offset[0]! && forward.offset + forward.length <= packet.offset[0]! + bytes.length,
      );
    }
    if (verdict === Verdict.toClient) {
      assert.ok(forward.length <= bytes.length + 64 && forward.offset >= 0);
      const padding = packet.bytes.subarray(packet.offset[0]! + bytes.length, forward.offset + forward.length);
      assert.ok(padding.every((byte) => byte === 0));
    }
  };
  fc.assert(fc.property(fc.uint8Array({ maxLength: 300 }), fc.boolean(), check), { numRuns: 1000 });
  fc.assert(
    fc.property(
      fc.constantFrom(...seeds),
      fc.array(fc.tuple(fc.nat(180), fc.integer({ min: 0, max: 255 })), { maxLength: 4 }),
      fc.nat(200),
      (seed, changes, cut) => {
        const bytes = seed.slice(0, cut > 100 ? seed.length : Math.min(cut, seed.length));
        for (const [at, value] of changes) if (at < bytes.length) bytes[at] = value;
        check(bytes, true);
      },
    ),
    { numRuns: 2000 },
  );
  assert.ok(world.server.allocations <= 1);
  await world.close();
});
