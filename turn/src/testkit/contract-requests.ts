import assert from 'node:assert/strict';
import { hex, StunAttribute, StunClass, StunMethod, StunWriter, utf8 } from '@offhook/core';
import { code, transport } from './client.ts';
import { allocate, evenPort, family, type Write, within } from './contract-case.ts';

const MAX_PAIRS = 4;

within('Binding is answered with the source address in 32 bytes, by FINGERPRINT where it was asked so', async (s) => {
  const alice = await s.client();
  alice.socket.send(alice.unsigned(StunMethod.binding), alice.server);
  const received = await alice.socket.receive();
  assert.equal(received?.bytes.length, 32);
  const answer = await alice.exchange(alice.unsigned(StunMethod.binding, (writer) => writer.fingerprint()));
  assert.deepEqual(answer.xorAddress(StunAttribute.xorMappedAddress), alice.socket.local);
  assert.ok(answer.verifyFingerprint());
});

within('an Allocate that nobody has signed is answered 401 with realm and nonce', async (s) => {
  const alice = await s.client();
  const challenge = await alice.exchange(alice.unsigned(StunMethod.allocate, transport));
  assert.equal(code(challenge), 401);
  assert.equal(challenge.text(StunAttribute.realm), 'turn.example.org');
  assert.ok(challenge.attribute(StunAttribute.nonce)!.length <= 128);
  assert.equal(challenge.hasIntegrity, false);
  if (s.world.inside) assert.equal(s.world.inside.server.allocations, 0);
});

within('unsigned requests get the smallest answers: 28 and 96 bytes', async (s) => {
  const alice = await s.client();
  const bare = await alice.exchange(alice.unsigned(StunMethod.allocate));
  assert.deepEqual([code(bare), bare.bytes.length], [400, 28]);
  const challenge = await alice.exchange(alice.unsigned(StunMethod.allocate, transport));
  assert.deepEqual([code(challenge), challenge.bytes.length], [401, 96]);
});

within('an Allocate sent again is answered alike, a new one with 437', async (s) => {
  const alice = await s.client();
  await alice.challenge();
  const request = alice.signed(StunMethod.allocate, transport);
  const first = await alice.exchange(request);
  const second = await alice.exchange(request);
  const relayed = first.xorAddress(StunAttribute.xorRelayedAddress);
  assert.ok(relayed);
  assert.deepEqual(second.xorAddress(StunAttribute.xorRelayedAddress), relayed);
  assert.equal(code(await allocate(alice)), 437);
  if (s.world.inside) assert.equal(s.world.inside.server.allocations, 1);
});

within('a success has mapped and relayed address, lifetime and integrity', async (s) => {
  const alice = await s.client();
  const answer = await allocate(alice, (w) => w.u32(StunAttribute.lifetime, 1200));
  assert.equal(code(answer), 0);
  assert.deepEqual(answer.xorAddress(StunAttribute.xorMappedAddress), alice.socket.local);
  assert.ok(answer.xorAddress(StunAttribute.xorRelayedAddress));
  assert.equal(answer.u32(StunAttribute.lifetime), 1200);
  assert.ok(answer.hasIntegrity);
});

within('a lifetime is between 600 and 3600 seconds', async (s) => {
  const alice = await s.client();
  await alice.allocate();
  for (const [asked, given] of [
    [30, 600],
    [700, 700],
    [7200, 3600],
  ] as const) {
    assert.equal((await alice.refresh(asked)).u32(StunAttribute.lifetime), given, `${asked}`);
  }
});

within('Refresh to 0 ends the allocation: 437 for all that follows, and a new one can be had', async (s) => {
  const alice = await s.client();
  const peer = await s.world.peer();
  await alice.allocate();
  assert.equal((await alice.refresh(0)).u32(StunAttribute.lifetime), 0);
  assert.equal(code(await alice.refresh(600)), 437);
  assert.equal(code(await alice.permit(peer.local)), 437);
  assert.equal(code(await alice.bind(0x4000, peer.local)), 437);
  assert.equal(code(await allocate(alice)), 0);
});

within('Refresh without an allocation is 437', async (s) => {
  const alice = await s.client();
  assert.equal(code(await alice.refresh(600)), 437);
});

within('CreatePermission and ChannelBind without an allocation are 437', async (s) => {
  const alice = await s.client();
  const peer = await s.world.peer();
  assert.equal(code(await alice.permit(peer.local)), 437);
  assert.equal(code(await alice.bind(0x4000, peer.local)), 437);
});

within('another transport than UDP is 442, and a missing one 400', async (s) => {
  const alice = await s.client();
  await alice.challenge();
  const tcp: Write = (writer) => writer.u32(StunAttribute.requestedTransport, 6 << 24);
  assert.equal(code(await alice.request(StunMethod.allocate, tcp)), 442);
  assert.equal(code(await alice.request(StunMethod.allocate)), 400);
  assert.equal(code(await allocate(alice)), 0);
});

within('DONT-FRAGMENT is granted, or 420 where the sockets can’t set it', async (s) => {
  const alice = await s.client();
  const answer = await allocate(alice, (writer) => writer.flag(StunAttribute.dontFragment));
  if (code(answer) === 0) return;
  // an attribute that isn't known (RFC 8656 7.2)
  assert.equal(code(answer), 420);
  assert.equal(hex(answer.attribute(StunAttribute.unknownAttributes)!.subarray(0, 2)), '001a');
  assert.equal(code(await allocate(alice)), 0);
});

within('an attribute that has to be understood and isn’t is 420 and named', async (s) => {
  const alice = await s.client();
  const answer = await allocate(alice, (writer) => writer.u32(0x7ffe, 1).u32(0xfffe, 1));
  assert.equal(code(answer), 420);
  assert.equal(hex(answer.attribute(StunAttribute.unknownAttributes)!.subarray(0, 2)), '7ffe');
});

within(
  'one allocation more than a user may have is 486, for another user it isn’t',
  async (s) => {
    await (await s.client()).allocate();
    assert.equal(code(await allocate(await s.client())), 486);
    assert.equal(code(await allocate(await s.client('bob'))), 0);
  },
  { limits: { allocationsPerUser: 1 } },
);

within(
  'an allocation that has ended makes room in the quota at once',
  async (s) => {
    const alice = await s.client();
    await alice.allocate();
    const again = await s.client();
    assert.equal(code(await allocate(again)), 486);
    assert.equal(code(await alice.refresh(0)), 0);
    assert.equal(code(await allocate(again)), 0);
  },
  { limits: { allocationsPerUser: 1 } },
);

within('requests of another user on the same 5-tuple are 441', async (s) => {
  const alice = await s.client();
  await alice.allocate();
  const mallory = s.at(alice.socket, 'mallory');
  mallory.nonce = alice.nonce;
  assert.equal(code(await mallory.refresh(600)), 441);
  assert.equal(code(await alice.refresh(600)), 0);
});

within('a wrong secret and an expired name are 401', async (s) => {
  const wrong = await s.client('alice', { secret: 'wrong' });
  await wrong.challenge();
  assert.equal(code(await wrong.request(StunMethod.allocate, transport)), 401);
  const expired = await s.client('alice', { username: '1000000000:alice' });
  await expired.challenge();
  assert.equal(code(await expired.request(StunMethod.allocate, transport)), 401);
});

within('a stale nonce is 438 with a fresh one, and that one is good', async (s) => {
  const alice = await s.client();
  await alice.allocate();
  alice.nonce = 'AAAAAAAAAAAAAAAA';
  const stale = await alice.refresh(600);
  assert.equal(code(stale), 438);
  assert.equal(stale.text(StunAttribute.realm), 'turn.example.org');
  alice.nonce = stale.text(StunAttribute.nonce)!;
  assert.equal(code(await alice.refresh(600)), 0);
});

within('EVEN-PORT: an even port, and its odd sibling once by RESERVATION-TOKEN', async (s) => {
  const alice = await s.client();
  const even = await allocate(alice, evenPort(0));
  assert.equal(even.xorAddress(StunAttribute.xorRelayedAddress)!.port % 2, 0);
  assert.equal(even.has(StunAttribute.reservationToken), false);
  // a reserved port is kept from other clients, not from other programs of the machine: then it is 508
  for (let tries = 1; ; tries++) {
    const pair = await allocate(await s.client(), evenPort(0x80));
    const { port } = pair.xorAddress(StunAttribute.xorRelayedAddress)!;
    assert.equal(port % 2, 0);
    const token = pair.attribute(StunAttribute.reservationToken)!;
    assert.equal(token.length, 8);
    const withToken: Write = (w) => w.bytes(StunAttribute.reservationToken, token);
    const rtcp = await s.client();
    assert.equal(code(await allocate(rtcp, withToken, evenPort(0x80))), 400, 'both at once');
    const sibling = await allocate(rtcp, withToken);
    if (tries < MAX_PAIRS && code(sibling) === 508) continue;
    assert.equal(sibling.xorAddress(StunAttribute.xorRelayedAddress)?.port, port + 1);
    assert.notEqual(code(await allocate(await s.client(), withToken)), 0, 'twice');
    return;
  }
});

within('a RESERVATION-TOKEN that nobody was given is 508', async (s) => {
  const alice = await s.client();
  const token: Write = (w) => w.bytes(StunAttribute.reservationToken, new Uint8Array(8).fill(1));
  assert.equal(code(await allocate(alice, token)), 508);
});

within('REQUESTED-ADDRESS-FAMILY: IPv6 carries data, and a peer of the other family is 443', async (s) => {
  if (!s.world.hasIPv6) return s.test.skip('this machine has no ::1');
  const alice = await s.client();
  const peer = await s.world.peer(6);
  const relayed = await alice.allocate(family(2));
  assert.ok(relayed.address.includes(':'));
  assert.equal(code(await alice.permit((await s.world.peer()).local)), 443);
  assert.equal(code(await alice.bind(0x4000, peer.local)), 0);
  alice.sendChannel(0x4000, utf8('six'));
  const received = await peer.receive();
  assert.deepEqual(received?.from, relayed);
  peer.send(utf8('back'), relayed);
  assert.equal(hex((await alice.socket.receive())!.bytes), `40000004${hex(utf8('back'))}`);
});

within(
  'REQUESTED-ADDRESS-FAMILY: IPv6 is 440 where there is none, and a peer of it 443',
  async (s) => {
    const alice = await s.client();
    assert.equal(code(await allocate(alice, family(2))), 440);
    const four = await alice.allocate(family(1));
    assert.equal(four.address.includes(':'), false);
    assert.equal(code(await alice.permit({ address: '2001:db8::9', port: 80 })), 443);
  },
  { isIPv4Only: true },
);

within('a peer outside of the rules is 403, whatever way it is asked for', async (s) => {
  const alice = await s.client();
  await alice.allocate();
  for (const address of ['10.0.0.1', '169.254.169.254', '192.168.1.1', '0.0.0.0', '224.0.0.1', '8.8.8.8']) {
    assert.equal(code(await alice.permit({ address, port: 80 })), 403, address);
    assert.equal(code(await alice.bind(0x4001, { address, port: 80 })), 403, address);
  }
});

within('CreatePermission and ChannelBind without a peer are 400', async (s) => {
  const alice = await s.client();
  await alice.allocate();
  assert.equal(code(await alice.permit()), 400);
  const bare: Write = (w) => w.u32(StunAttribute.channelNumber, 0x40000000);
  assert.equal(code(await alice.request(StunMethod.channelBind, bare)), 400);
});

within('a channel is bound to one peer and a peer to one channel, and numbers begin with 0x4000', async (s) => {
  const alice = await s.client();
  const one = await s.world.peer();
  const two = await s.world.peer();
  await alice.allocate();
  assert.equal(code(await alice.bind(0x4001, one.local)), 0);
  assert.equal(code(await alice.bind(0x4001, one.local)), 0, 'again');
  assert.equal(code(await alice.bind(0x4001, two.local)), 400);
  assert.equal(code(await alice.bind(0x4002, one.local)), 400);
  assert.equal(code(await alice.bind(0x3fff, two.local)), 400);
  assert.equal(code(await alice.bind(0x8000, two.local)), 400);
  assert.equal(code(await alice.bind(0x4fff, two.local)), 0);
});

within('indications and responses are never answered', async (s) => {
  const alice = await s.client();
  for (const cls of [StunClass.indication, StunClass.success, StunClass.error]) {
    const writer = new StunWriter(new Uint8Array(100)).start(cls, StunMethod.binding, alice.transactionId());
    alice.socket.send(writer.message(), alice.server);
  }
  // the answer to a request comes first: `exchange` looks at its transaction id
  assert.equal(code(await alice.exchange(alice.unsigned(StunMethod.binding))), 0);
});

within('a client that chooses SHA-256 is answered with MESSAGE-INTEGRITY-SHA256', async (s) => {
  const alice = await s.client();
  alice.algorithm = 'sha256';
  await alice.allocate();
  const answer = await alice.refresh(600);
  assert.equal(code(answer), 0);
  assert.ok(answer.hasIntegritySha256 && !answer.hasIntegrity);
});

within('attributes behind the integrity don’t exist', async (s) => {
  const alice = await s.client();
  await alice.allocate();
  const signed = alice.signed(StunMethod.refresh);
  const longer = new Uint8Array(signed.length + 8);
  longer.set(signed);
  longer.set([0, StunAttribute.lifetime, 0, 4, 0, 0, 0, 0], signed.length);
  longer[3] = longer.length - 20;
  assert.equal((await alice.exchange(longer)).u32(StunAttribute.lifetime), 600);
});

within(
  'garbage, truncated and oversized datagrams are dropped on every port, and the next request works',
  async (s) => {
    const alice = await s.client();
    const peer = await s.world.peer();
    const relayed = await alice.allocate();
    await alice.bind(0x4001, peer.local);
    const good = alice.signed(StunMethod.refresh);
    const bad = [
      new Uint8Array(0),
      new Uint8Array([0]),
      new Uint8Array(1800).fill(0xff),
      new Uint8Array(1900).fill(0),
      ...[1, 8, 19, 20, 24, good.length - 1].map((length) => good.slice(0, length)),
      new Uint8Array([0x40, 1, 0xff, 0xff, 1]),
      new Uint8Array([0x40, 1]),
      utf8('REGISTER sip:offhook.local SIP/2.0\r\n\r\n'),
    ];
    for (const bytes of bad) alice.socket.send(bytes, alice.server);
    assert.equal(code(await alice.request(StunMethod.refresh)), 0);
    // Towards the client everything is payload, whatever it looks like.
    peer.send(good, relayed);
    assert.equal(hex((await alice.socket.receive())!.bytes.subarray(4)), hex(good));
    if (!s.world.inside) return;
    const { server } = s.world.inside;
    assert.ok(server.stats.droppedMalformed > 0);
    assert.equal(server.stats.packetsToPeers, 0);
    assert.equal(server.allocations, 1);
  },
);
