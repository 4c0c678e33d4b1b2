import assert from 'node:assert/strict';
import { hex, StunAttribute, StunMethod, type StunWriter, utf8 } from '@offhook/core';
import { code, dataIndication, transport } from '../testkit/client.ts';
import { RELAY, RELAY_V6 } from '../testkit/virtual.ts';
import { newClient, virtual } from '../testkit/virtual-test.ts';

const BOTH = { base: 'none', allow: [{ address: '198.51.100.0/24' }, { address: '2001:db8::/32' }], deny: [] } as const;
const additional = (value: number) => (w: StunWriter) => w.u32(StunAttribute.additionalAddressFamily, value << 24);
const requested = (value: number) => (w: StunWriter) => w.u32(StunAttribute.requestedAddressFamily, value << 24);
const with6 =
  (...more: readonly ((w: StunWriter) => unknown)[]) =>
  (w: StunWriter) => {
    transport(w);
    additional(2)(w);
    for (const write of more) write(w);
  };

virtual(
  'ADDITIONAL-ADDRESS-FAMILY: one Allocate, two relayed addresses, each with its peers, permissions and lifetime',
  async (world) => {
    const alice = await newClient(world);
    const four = await world.socket();
    const six = await world.socket({ address: '2001:db8::77', port: 7 });
    const answer = await alice.request(StunMethod.allocate, with6());
    assert.equal(code(answer), 0);
    const relayed = answer.allXorAddresses(StunAttribute.xorRelayedAddress);
    assert.deepEqual(
      relayed.map(({ address }) => address),
      [RELAY, RELAY_V6],
    );
    assert.equal(world.server.allocations, 1);
    assert.equal(world.relays(), 2);
    assert.equal(code(await alice.permit(four.local, six.local)), 0, 'peers of both families in one request');
    for (const [peer, at] of [
      [four, relayed[0]!],
      [six, relayed[1]!],
    ] as const) {
      alice.send(peer.local, utf8('out'));
      assert.deepEqual((await peer.receive())?.from, at);
      peer.send(utf8('in'), at);
      assert.deepEqual(dataIndication(await alice.socket.receive()).peer, peer.local);
    }
    assert.equal(code(await alice.bind(0x4000, six.local)), 0);
    assert.equal(code(await alice.bind(0x4000, four.local)), 400, 'a channel number is one of the allocation');
    assert.equal(code(await alice.bind(0x4001, four.local)), 0);
    alice.sendChannel(0x4000, utf8('six'));
    assert.equal(hex((await six.receive())!.bytes), hex(utf8('six')));
    // Refresh of one family, then its end; the other one goes on
    const refreshed = await alice.request(StunMethod.refresh, (w) => {
      w.u32(StunAttribute.lifetime, 1200);
      requested(1)(w);
    });
    assert.equal(refreshed.u32(StunAttribute.lifetime), 1200);
    world.advance(601_000);
    assert.equal(world.relays(), 1, 'IPv6 was not refreshed');
    alice.nonce = '';
    assert.equal(code(await alice.permit(six.local)), 443);
    assert.equal(code(await alice.permit(four.local)), 0);
    assert.equal(
      code(await alice.request(StunMethod.refresh, requested(2))),
      443,
      'a family that the allocation no longer has',
    );
    const ended = await alice.request(StunMethod.refresh, (w) => {
      w.u32(StunAttribute.lifetime, 0);
      requested(1)(w);
    });
    assert.equal(code(ended), 0);
    assert.equal(world.server.allocations, 0);
  },
  { peers: BOTH },
);

virtual(
  'Refresh with lifetime 0 and no family ends both relayed addresses',
  async (world) => {
    const alice = await newClient(world);
    assert.equal(code(await alice.request(StunMethod.allocate, with6())), 0);
    assert.equal(code(await alice.refresh(0)), 0);
    assert.equal(world.relays(), 0);
    assert.equal(code(await alice.refresh(0)), 437, 'there is none any more');
  },
  { peers: BOTH },
);

virtual('ADDITIONAL-ADDRESS-FAMILY with what forbids it is 400', async (world) => {
  const alice = await newClient(world);
  const token = (w: StunWriter) => w.bytes(StunAttribute.reservationToken, new Uint8Array(8));
  const pair = (w: StunWriter) => w.bytes(StunAttribute.evenPort, new Uint8Array([0x80]));
  const even = (w: StunWriter) => w.bytes(StunAttribute.evenPort, new Uint8Array([0]));
  for (const write of [with6(requested(1)), with6(token), with6(pair)]) {
    assert.equal(code(await alice.request(StunMethod.allocate, write)), 400);
  }
  for (const value of [0, 1, 3]) {
    const wrong = await alice.request(StunMethod.allocate, (w) => {
      transport(w);
      additional(value)(w);
    });
    assert.equal(code(wrong), 400, `family ${value}`);
  }
  const answer = await alice.request(StunMethod.allocate, with6(even));
  assert.equal(code(answer), 0);
  for (const { port } of answer.allXorAddresses(StunAttribute.xorRelayedAddress)) assert.equal(port % 2, 0);
});

virtual(
  'of two families one that can’t be had is told by ADDRESS-ERROR-CODE, 440 when there is none',
  async (world) => {
    const alice = await newClient(world);
    const answer = await alice.request(StunMethod.allocate, with6());
    assert.equal(code(answer), 0);
    assert.deepEqual(
      answer.allXorAddresses(StunAttribute.xorRelayedAddress).map(({ address }) => address),
      [RELAY],
    );
    assert.equal(hex(answer.attribute(StunAttribute.addressErrorCode)!), '02000428', 'IPv6, 440');
  },
  { relay: { addresses: [{ address: RELAY }], portMin: 0, portMax: 0 } },
);

virtual('of two families one whose socket can’t be opened is told by ADDRESS-ERROR-CODE 508', async (world) => {
  world.refuse = (at) => (at.address === RELAY_V6 ? 'other' : undefined);
  const alice = await newClient(world);
  const answer = await alice.request(StunMethod.allocate, with6());
  assert.equal(code(answer), 0);
  assert.equal(hex(answer.attribute(StunAttribute.addressErrorCode)!), '02000508');
  assert.equal(world.relays(), 1);
  world.refuse = () => 'other';
  const bob = await newClient(world, 'bob');
  assert.equal(code(await bob.request(StunMethod.allocate, with6())), 508, 'neither');
  assert.equal(world.server.allocations, 1);
});

virtual(
  'a server without IPv4 answers 440 unless IPv6 is asked for',
  async (world) => {
    const alice = await newClient(world);
    assert.equal(code(await alice.request(StunMethod.allocate, transport)), 440);
    const six = await alice.request(StunMethod.allocate, (w) => {
      transport(w);
      requested(2)(w);
    });
    assert.equal(code(six), 0);
    await alice.refresh(0);
    const both = await alice.request(StunMethod.allocate, with6());
    assert.equal(hex(both.attribute(StunAttribute.addressErrorCode)!), '01000428', 'IPv4, 440');
  },
  { relay: { addresses: [{ address: RELAY_V6 }], portMin: 0, portMax: 0 } },
);

virtual(
  'two relayed addresses count twice for the quota',
  async (world) => {
    const alice = await newClient(world);
    assert.equal(code(await alice.request(StunMethod.allocate, with6())), 0);
    const again = await newClient(world);
    assert.equal(code(await again.request(StunMethod.allocate, with6())), 486);
    assert.equal(code(await again.request(StunMethod.allocate, transport)), 0);
  },
  { limits: { allocationsPerUser: 3 } },
);
