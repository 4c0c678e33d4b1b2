import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hex, StunAttribute, StunMethod, utf8 } from '@offhook/core';
import { code, dataIndication, TestClient, transport } from './client.ts';
import type { MakeWorld, World } from './world.ts';

/** What holds over the pure machine and over real sockets alike. */
export function turnContract(name: string, makeWorld: MakeWorld): void {
  const within = (title: string, run: (world: World) => Promise<void>, options?: Parameters<MakeWorld>[0]) =>
    test(`${name}: ${title}`, async () => {
      const world = await makeWorld(options);
      try {
        await run(world);
      } finally {
        await world.close();
      }
    });
  const client = async (world: World, user?: string) =>
    new TestClient(await world.socket(), world.listener, user === undefined ? {} : { user });

  within('Binding is answered with the source address in 32 bytes', async (world) => {
    const alice = await client(world);
    alice.socket.send(alice.unsigned(StunMethod.binding), world.listener);
    const received = await alice.socket.receive();
    assert.equal(received?.bytes.length, 32);
    const answer = await alice.exchange(alice.unsigned(StunMethod.binding, (writer) => writer.fingerprint()));
    assert.deepEqual(answer.xorAddress(StunAttribute.xorMappedAddress), alice.socket.local);
    assert.ok(answer.verifyFingerprint());
  });

  within('unsigned requests get the smallest answers: 28 and 96 bytes', async (world) => {
    const alice = await client(world);
    const bare = await alice.exchange(alice.unsigned(StunMethod.allocate));
    assert.deepEqual([code(bare), bare.bytes.length], [400, 28]);
    const challenge = await alice.exchange(alice.unsigned(StunMethod.allocate, transport));
    assert.deepEqual([code(challenge), challenge.bytes.length], [401, 96]);
    assert.equal(world.server.allocations, 0);
  });

  within('channels carry data both ways', async (world) => {
    const alice = await client(world);
    const peer = await world.socket();
    const relayed = await alice.allocate();
    assert.equal(code(await alice.bind(0x4001, peer.local)), 0);
    alice.sendChannel(0x4001, utf8('hello'));
    const received = await peer.receive();
    assert.deepEqual(received?.from, relayed);
    assert.equal(hex(received.bytes), hex(utf8('hello')));
    peer.send(utf8('answer'), relayed);
    const back = await alice.socket.receive();
    assert.equal(hex(back!.bytes), `40010006${hex(utf8('answer'))}`);
    assert.equal(code(await alice.refresh(0)), 0);
    assert.equal(world.server.allocations, 0);
    assert.equal(world.relays(), 0);
  });

  within('Send and Data indications carry data of every length both ways', async (world) => {
    const alice = await client(world);
    const peer = await world.socket();
    const relayed = await alice.allocate();
    assert.equal(code(await alice.permit(peer.local)), 0);
    for (const length of [0, 1, 2, 3, 4, 171, 1200]) {
      const data = new Uint8Array(length).fill(length & 255);
      alice.send(peer.local, data);
      const received = await peer.receive();
      assert.deepEqual(received?.from, relayed);
      assert.equal(hex(received.bytes), hex(data));
      peer.send(data, relayed);
      const raw = await alice.socket.receive();
      const indication = dataIndication(raw);
      assert.deepEqual(indication.peer, peer.local);
      assert.equal(hex(indication.data), hex(data));
      const padding = raw!.bytes.subarray(36 + length);
      assert.ok(padding.every((byte) => byte === 0));
    }
  });

  within('two clients talk through their two relayed addresses', async (world) => {
    const alice = await client(world, 'alice');
    const bob = await client(world, 'bob');
    const a = await alice.allocate();
    const b = await bob.allocate();
    assert.equal(code(await alice.bind(0x4000, b)), 0);
    assert.equal(code(await bob.permit(a)), 0);
    alice.sendChannel(0x4000, utf8('one'));
    const got = dataIndication(await bob.socket.receive());
    assert.deepEqual(got.peer, a);
    bob.send(a, utf8('two'));
    assert.equal(hex((await alice.socket.receive())!.bytes), `40000003${hex(utf8('two'))}`);
  });

  within('nothing passes without a permission, and Binding still works', async (world) => {
    const alice = await client(world);
    const peer = await world.socket();
    const relayed = await alice.allocate();
    alice.send(peer.local, utf8('no permission'));
    alice.sendChannel(0x4001, utf8('no channel'));
    peer.send(utf8('uninvited'), relayed);
    assert.equal(code(await alice.exchange(alice.unsigned(StunMethod.binding))), 0);
    peer.send(alice.unsigned(StunMethod.binding), world.listener);
    assert.equal((await peer.receive())?.bytes.length, 32);
    assert.equal(world.server.stats.packetsToPeers, 0);
  });

  within('an Allocate sent again is answered alike, a new one with 437', async (world) => {
    const alice = await client(world);
    await alice.challenge();
    const request = alice.signed(StunMethod.allocate, transport);
    const first = await alice.exchange(request);
    const second = await alice.exchange(request);
    assert.equal(hex(first.bytes), hex(second.bytes));
    assert.equal(world.server.allocations, 1);
    assert.equal(code(await alice.request(StunMethod.allocate, transport)), 437);
  });

  within(
    'quota, transport, attributes and credentials are refused by their codes',
    async (world) => {
      const alice = await client(world);
      assert.equal(code(await alice.refresh(600)), 437);
      const tcp = (writer: Parameters<typeof transport>[0]) => writer.u32(StunAttribute.requestedTransport, 6 << 24);
      assert.equal(code(await alice.request(StunMethod.allocate, tcp)), 442);
      const fragment = await alice.request(StunMethod.allocate, (writer) => {
        transport(writer);
        writer.flag(StunAttribute.dontFragment);
      });
      if (code(fragment) !== 0) {
        // without sockets that can set DF it is an attribute that isn't known (RFC 8656 7.2)
        assert.equal(code(fragment), 420);
        assert.equal(hex(fragment.attribute(StunAttribute.unknownAttributes)!), '001a');
        await alice.allocate();
      }
      const again = await client(world);
      await again.challenge();
      assert.equal(code(await again.request(StunMethod.allocate, transport)), 486);
      const mallory = new TestClient(alice.socket, world.listener, { user: 'mallory' });
      mallory.nonce = alice.nonce;
      assert.equal(code(await mallory.refresh(600)), 441);
      const wrong = new TestClient(alice.socket, world.listener, { secret: 'wrong' });
      wrong.nonce = alice.nonce;
      assert.equal(code(await wrong.refresh(600)), 401);
      const expired = new TestClient(await world.socket(), world.listener, { username: '1000000000:alice' });
      await expired.challenge();
      assert.equal(code(await expired.request(StunMethod.allocate, transport)), 401);
      alice.nonce = 'AAAAAAAAAAAAAAAA';
      assert.equal(code(await alice.refresh(600)), 438);
      assert.equal(world.server.allocations, 1);
    },
    { limits: { allocationsPerUser: 1 } },
  );

  within('a peer outside of the rules is 403, whatever way it is asked for', async (world) => {
    const alice = await client(world);
    await alice.allocate();
    for (const address of ['10.0.0.1', '169.254.169.254', '192.168.1.1', '0.0.0.0', '224.0.0.1', '8.8.8.8']) {
      assert.equal(code(await alice.permit({ address, port: 80 })), 403, address);
      assert.equal(code(await alice.bind(0x4001, { address, port: 80 })), 403, address);
    }
    assert.equal(code(await alice.permit({ address: '2001:db8::9', port: 80 })), 443);
    assert.equal(code(await alice.permit()), 400);
  });

  within(
    'garbage, truncated and oversized datagrams are dropped on every port, and the next request works',
    async (world) => {
      const alice = await client(world);
      const peer = await world.socket();
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
      for (const bytes of bad) alice.socket.send(bytes, world.listener);
      assert.equal(code(await alice.request(StunMethod.refresh)), 0);
      assert.ok(world.server.stats.droppedMalformed > 0);
      assert.equal(world.server.stats.packetsToPeers, 0);
      // Towards the client everything is payload, whatever it looks like.
      peer.send(good, relayed);
      assert.equal(hex((await alice.socket.receive())!.bytes.subarray(4)), hex(good));
      assert.equal(world.server.allocations, 1);
    },
  );
}
