import assert from 'node:assert/strict';
import { hex, StunAttribute, StunClass, StunMethod, StunWriter, utf8, writeChannelHeader } from '@offhook/core';
import { code, dataIndication, type TestClient, transport } from '../testkit/client.ts';
import { RELAY } from '../testkit/virtual.ts';
import { newClient, virtual } from '../testkit/virtual-test.ts';

type Write = (writer: StunWriter) => unknown;

const raw =
  (type: number, ...bytes: number[]): Write =>
  (w) =>
    w.bytes(type, new Uint8Array(bytes));

function allocating(client: TestClient, ...more: readonly Write[]) {
  return client.request(StunMethod.allocate, (w) => {
    transport(w);
    for (const write of more) write(w);
  });
}

virtual('a malformed attribute in Allocate or Refresh is 400', async (world) => {
  const alice = await newClient(world);
  for (const write of [
    raw(StunAttribute.requestedTransport, 17),
    raw(StunAttribute.requestedTransport, 17, 0, 0, 0, 0),
  ]) {
    assert.equal(code(await alice.request(StunMethod.allocate, write)), 400);
  }
  for (const write of [
    raw(StunAttribute.lifetime, 1, 2),
    raw(StunAttribute.evenPort),
    raw(StunAttribute.requestedAddressFamily, 1),
    raw(StunAttribute.reservationToken, 1, 2, 3, 4),
  ]) {
    assert.equal(code(await allocating(alice, write)), 400);
  }
  assert.equal(world.server.allocations, 0);
  await alice.allocate();
  for (const write of [raw(StunAttribute.lifetime, 1, 2), raw(StunAttribute.requestedAddressFamily, 1)]) {
    assert.equal(code(await alice.request(StunMethod.refresh, write)), 400);
  }
});

virtual('RESERVATION-TOKEN with EVEN-PORT or an address family is 400', async (world) => {
  const alice = await newClient(world);
  const token = raw(StunAttribute.reservationToken, 1, 2, 3, 4, 5, 6, 7, 8);
  for (const other of [
    raw(StunAttribute.evenPort, 0),
    raw(StunAttribute.requestedAddressFamily, 1, 0, 0, 0),
    raw(StunAttribute.additionalAddressFamily, 2, 0, 0, 0),
  ]) {
    assert.equal(code(await allocating(alice, token, other)), 400);
  }
});

virtual(
  'EVEN-PORT where no even port, or no pair, is left is 508',
  async (world) => {
    const alice = await newClient(world);
    assert.equal(code(await allocating(alice, raw(StunAttribute.evenPort, 0x80))), 508, 'no pair');
    assert.equal(code(await allocating(alice, raw(StunAttribute.evenPort, 0))), 0);
    const again = await newClient(world);
    assert.equal(code(await allocating(again, raw(StunAttribute.evenPort, 0))), 508, 'no even one');
    assert.equal((await again.allocate()).port, 50_001);
  },
  { relay: { addresses: [{ address: RELAY }], portMin: 50_001, portMax: 50_002 } },
);

virtual(
  'relayed ports are those that are configured, in no order that can be told, and each once',
  async (world) => {
    const ports: number[] = [];
    for (let n = 0; n < 16; n++) ports.push((await (await newClient(world)).allocate()).port);
    assert.equal(new Set(ports).size, 16);
    assert.ok(ports.every((port) => port >= 50_000 && port <= 50_031));
    const steps = new Set(ports.slice(1).map((port, i) => port - ports[i]!));
    assert.ok(steps.size > 3, ports.join(' '));
  },
  { relay: { addresses: [{ address: RELAY }], portMin: 50_000, portMax: 50_031 } },
);

virtual('a new allocation begins without permissions and channels, whatever the last one had', async (world) => {
  const alice = await newClient(world);
  const peer = await world.socket();
  await alice.allocate();
  assert.equal(code(await alice.bind(0x4000, peer.local)), 0);
  await alice.refresh(0);
  const relayed = await alice.allocate();
  alice.sendChannel(0x4000, utf8('x'));
  alice.send(peer.local, utf8('x'));
  peer.send(utf8('x'), relayed);
  assert.equal(await peer.receive(), undefined);
  assert.equal(await alice.socket.receive(), undefined);
});

virtual('a permission is of one allocation alone', async (world) => {
  const alice = await newClient(world);
  const bob = await newClient(world, 'bob');
  const peer = await world.socket();
  await alice.allocate();
  const relayed = await bob.allocate();
  assert.equal(code(await alice.permit(peer.local)), 0);
  bob.send(peer.local, utf8('x'));
  peer.send(utf8('x'), relayed);
  assert.equal(await peer.receive(), undefined);
  assert.equal(await bob.socket.receive(), undefined);
});

virtual('CreatePermission or ChannelBind with a malformed peer address or channel is 400', async (world) => {
  const alice = await newClient(world);
  await alice.allocate();
  const peer: Write = (w) => w.xorAddress(StunAttribute.xorPeerAddress, { address: '198.51.100.9', port: 9 });
  const malformed = [[], [0, 1, 2, 3], [0, 3, 0, 9, 1, 2, 3, 4], [0, 2, 0, 9, 1, 2, 3, 4]];
  for (const bytes of malformed) {
    const bad = raw(StunAttribute.xorPeerAddress, ...bytes);
    const both: Write = (w) => {
      peer(w);
      bad(w);
    };
    assert.equal(code(await alice.request(StunMethod.createPermission, bad)), 400);
    assert.equal(code(await alice.request(StunMethod.createPermission, both)), 400, 'one of two');
    const bind: Write = (w) => bad(w.u32(StunAttribute.channelNumber, 0x40000000));
    assert.equal(code(await alice.request(StunMethod.channelBind, bind)), 400);
  }
  const short: Write = (w) => peer(w.bytes(StunAttribute.channelNumber, new Uint8Array([0x40, 0])));
  assert.equal(code(await alice.request(StunMethod.channelBind, short)), 400);
  assert.equal(code(await alice.request(StunMethod.channelBind, peer)), 400, 'no channel');
  assert.equal(world.server.describe(0)[0]!.permissions, 0);
});

virtual(
  'a Send indication without peer or data, or with what isn’t understood, is discarded without an answer',
  async (world) => {
    const alice = await newClient(world);
    const peer = await world.socket();
    const send = (...writes: readonly Write[]) => {
      const writer = new StunWriter(new Uint8Array(200)).start(
        StunClass.indication,
        StunMethod.send,
        alice.transactionId(),
      );
      for (const write of writes) write(writer);
      alice.socket.send(writer.message(), alice.server);
    };
    const to: Write = (w) => w.xorAddress(StunAttribute.xorPeerAddress, peer.local);
    const data: Write = (w) => w.bytes(StunAttribute.data, utf8('x'));
    send(to, data); // no allocation
    await alice.allocate();
    await alice.permit(peer.local);
    send(to);
    send(data);
    send();
    send(raw(StunAttribute.xorPeerAddress, 0, 1, 2), data);
    send(to, data, (w) => w.u32(0x7ffe, 1));
    assert.equal(await peer.receive(), undefined);
    assert.equal(await alice.socket.receive(), undefined);
    send(to, data, (w) => w.u32(0xfffe, 1)); // this one may be ignored
    assert.ok(await peer.receive());
  },
);

virtual(
  'DONT-FRAGMENT where it can’t be had: 420 in Allocate, discarded in Send',
  async (world) => {
    const alice = await newClient(world);
    const peer = await world.socket();
    const flag: Write = (w) => w.flag(StunAttribute.dontFragment);
    const answer = await allocating(alice, flag);
    assert.equal(code(answer), 420);
    assert.equal(hex(answer.attribute(StunAttribute.unknownAttributes)!), '001a');
    await alice.allocate();
    await alice.permit(peer.local);
    alice.send(peer.local, utf8('x'), flag);
    assert.equal(await peer.receive(), undefined);
    alice.send(peer.local, utf8('x'));
    assert.ok(await peer.receive());
  },
  { isDontFragment: false },
);

virtual(
  'ChannelData over UDP may be padded; one that is shorter than it says, or of a channel that isn’t bound, is discarded',
  async (world) => {
    const alice = await newClient(world);
    const peer = await world.socket();
    await alice.allocate();
    await alice.bind(0x4000, peer.local);
    const channelData = (channel: number, says: number, has: number) => {
      const bytes = new Uint8Array(4 + has).fill(7);
      writeChannelHeader(bytes, 0, channel, says);
      alice.socket.send(bytes, alice.server);
    };
    channelData(0x4000, 5, 8);
    assert.equal((await peer.receive())?.bytes.length, 5);
    channelData(0x4000, 8, 5);
    channelData(0x4001, 5, 5);
    channelData(0x5000, 5, 5);
    assert.equal(await peer.receive(), undefined);
    assert.equal(await alice.socket.receive(), undefined);
  },
);

virtual('a peer whose channel has run out is told of by Data indications again', async (world) => {
  const alice = await newClient(world);
  const peer = await world.socket();
  const relayed = await alice.allocate((w) => w.u32(StunAttribute.lifetime, 3600));
  await alice.bind(0x4000, peer.local);
  world.advance(601_000);
  alice.nonce = '';
  assert.equal(code(await alice.permit(peer.local)), 0);
  peer.send(utf8('x'), relayed);
  assert.deepEqual(dataIndication(await alice.socket.receive()).peer, peer.local);
});

virtual('ChannelBind to a peer of a family that the allocation has not is 443', async (world) => {
  const alice = await newClient(world);
  await alice.allocate();
  assert.equal(code(await alice.bind(0x4000, { address: '2001:db8:77::1', port: 9 })), 443);
});
