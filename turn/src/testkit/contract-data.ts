import assert from 'node:assert/strict';
import { hex, utf8 } from '@offhook/core';
import { code, dataIndication } from './client.ts';
import { within } from './contract-case.ts';

within('channels carry data both ways', async (s) => {
  const alice = await s.client();
  const peer = await s.world.peer();
  const relayed = await alice.allocate();
  assert.equal(code(await alice.bind(0x4001, peer.local)), 0);
  for (const words of ['hello', 'four', 'x', 'a little longer than that']) {
    alice.sendChannel(0x4001, utf8(words));
    const received = await peer.receive();
    assert.deepEqual(received?.from, relayed);
    assert.equal(hex(received.bytes), hex(utf8(words)));
    peer.send(utf8(words), relayed);
    const back = (await alice.socket.receive())!.bytes;
    assert.equal(
      hex(back.subarray(0, 4 + words.length)),
      `4001${hex(new Uint8Array([0, words.length]))}${hex(utf8(words))}`,
    );
  }
  assert.equal(code(await alice.refresh(0)), 0);
  if (!s.world.inside) return;
  assert.equal(s.world.inside.server.allocations, 0);
  assert.equal(s.world.inside.relays(), 0);
});

within('Send and Data indications carry data of every length both ways', async (s) => {
  const alice = await s.client();
  const peer = await s.world.peer();
  const relayed = await alice.allocate();
  assert.equal(code(await alice.permit(peer.local)), 0);
  for (const length of [1, 2, 3, 4, 171, 1200]) {
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
  }
});

within('empty datagrams pass both ways, and padding is of zeros', async (s) => {
  const alice = await s.client();
  const peer = await s.world.peer();
  const relayed = await alice.allocate();
  assert.equal(code(await alice.permit(peer.local)), 0);
  for (const length of [0, 1, 2, 3]) {
    const data = new Uint8Array(length).fill(9);
    alice.send(peer.local, data);
    assert.equal(hex((await peer.receive())!.bytes), hex(data));
    peer.send(data, relayed);
    const raw = await alice.socket.receive();
    assert.equal(hex(dataIndication(raw).data), hex(data));
    assert.ok(raw!.bytes.subarray(36 + length).every((byte) => byte === 0));
  }
});

within('two clients talk through their two relayed addresses', async (s) => {
  const alice = await s.client('alice');
  const bob = await s.client('bob');
  const a = await alice.allocate();
  const b = await bob.allocate();
  assert.equal(code(await alice.bind(0x4000, b)), 0);
  assert.equal(code(await bob.permit(a)), 0);
  alice.sendChannel(0x4000, utf8('one'));
  const got = dataIndication(await bob.socket.receive());
  assert.deepEqual(got.peer, a);
  bob.send(a, utf8('two'));
  assert.equal(hex((await alice.socket.receive())!.bytes.subarray(0, 7)), `40000003${hex(utf8('two'))}`);
});

within('nothing passes without a permission, in neither direction', async (s) => {
  const alice = await s.client();
  const stranger = await s.world.peer();
  const peer = await s.world.peer();
  const relayed = await alice.allocate();
  // over loopback both have the same address, and a permission is for all of its ports
  const isSameAddress = stranger.local.address === peer.local.address;
  alice.send(stranger.local, utf8('no permission'));
  alice.sendChannel(0x4005, utf8('no channel'));
  if (!isSameAddress) stranger.send(utf8('uninvited'), relayed);
  assert.equal(code(await alice.bind(0x4001, peer.local)), 0);
  alice.sendChannel(0x4005, utf8('no channel'));
  alice.sendChannel(0x4001, utf8('invited'));
  assert.equal(hex((await peer.receive())!.bytes), hex(utf8('invited')));
  // what was sent before has been seen to by now: nothing of it is in front of this
  peer.send(utf8('first'), stranger.local);
  assert.equal(hex((await stranger.receive())!.bytes), hex(utf8('first')));
  peer.send(utf8('in'), relayed);
  assert.equal(hex((await alice.socket.receive())!.bytes.subarray(0, 6)), `40010002${hex(utf8('in'))}`);
});

within('a permission is for an address whatever the port, and several are had by one request', async (s) => {
  const alice = await s.client();
  const peers = [await s.world.peer(), await s.world.peer(), await s.world.peer()];
  const relayed = await alice.allocate();
  assert.equal(code(await alice.permit(...peers.map(({ local }) => ({ ...local, port: 9 })))), 0);
  for (const peer of peers) {
    alice.send(peer.local, utf8('out'));
    assert.deepEqual((await peer.receive())?.from, relayed);
    peer.send(utf8('in'), relayed);
    assert.deepEqual(dataIndication(await alice.socket.receive()).peer, peer.local);
  }
});
