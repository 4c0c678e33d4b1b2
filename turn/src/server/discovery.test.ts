import assert from 'node:assert/strict';
import { decodeStun, StunAttribute, StunMethod, type StunWriter } from '@offhook/core';
import { code } from '../testkit/client.ts';
import { DISCOVERY, LISTENER } from '../testkit/virtual.ts';
import { newClient, virtual } from '../testkit/virtual-test.ts';

const change = (bits: number) => (w: StunWriter) => w.u32(StunAttribute.changeRequest, bits);

virtual(
  'NAT behaviour discovery: CHANGE-REQUEST is answered from the other address, the other port, and both',
  async (world) => {
    const alice = await newClient(world);
    const [otherPort, otherAddress, both] = DISCOVERY;
    for (const [bits, from] of [
      [0, LISTENER],
      [2, otherPort],
      [4, otherAddress],
      [6, both],
    ] as const) {
      alice.socket.send(alice.unsigned(StunMethod.binding, change(bits)), LISTENER);
      const received = await alice.socket.receive();
      assert.deepEqual(received?.from, from);
      const answer = decodeStun(received!.bytes)!;
      assert.deepEqual(answer.xorAddress(StunAttribute.xorMappedAddress), alice.socket.local);
      assert.deepEqual(answer.address(StunAttribute.responseOrigin), from);
      assert.deepEqual(answer.address(StunAttribute.otherAddress), both);
    }
  },
  { natDiscovery: true },
);

virtual(
  'RESPONSE-PORT and PADDING: never more bytes than asked with, and not both at once',
  async (world) => {
    const alice = await newClient(world);
    const other = await world.socket({ address: alice.socket.local.address, port: 41_000 });
    const toOther = (w: StunWriter) => w.bytes(StunAttribute.responsePort, new Uint8Array([41_000 >> 8, 41_000 & 255]));
    alice.socket.send(alice.unsigned(StunMethod.binding, toOther), LISTENER);
    assert.ok(decodeStun((await other.receive())!.bytes));
    const padding = (w: StunWriter) => w.bytes(StunAttribute.padding, new Uint8Array(1200).fill(7));
    for (const length of [1200, 1700, 9, 4]) {
      const question = alice.unsigned(StunMethod.binding, (w) =>
        w.bytes(StunAttribute.padding, new Uint8Array(length)),
      );
      const answer = await alice.exchange(question);
      if (length > 100) assert.equal(answer.bytes.length, question.length & ~3, 'as long as the question');
      else assert.equal(answer.bytes.length, 68, 'the four addresses');
      assert.ok((answer.attribute(StunAttribute.padding) ?? []).every((byte) => byte === 0));
    }
    const both = alice.unsigned(StunMethod.binding, (w) => {
      toOther(w);
      padding(w);
    });
    assert.equal(code(await alice.exchange(both)), 400);
    const zero = (w: StunWriter) => w.bytes(StunAttribute.responsePort, new Uint8Array([0, 0]));
    assert.equal(code(await alice.exchange(alice.unsigned(StunMethod.binding, zero))), 400);
  },
  { natDiscovery: true },
);

virtual('where it isn’t served, what it needs is 420', async (world) => {
  const alice = await newClient(world);
  assert.equal(code(await alice.exchange(alice.unsigned(StunMethod.binding, change(6)))), 420);
});
