import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PacketCopy } from './copy.ts';

const numbers = (length: number, first: number) => Uint8Array.from({ length }, (_, i) => first + i);

test('what is put is what is taken, at any place, of any length, and of packets that share a memory', () => {
  const copy = new PacketCopy(64);
  const memory = new Uint8Array(100);
  for (const offset of [0, 1, 2, 3]) {
    for (const length of [0, 1, 3, 4, 7, 20]) {
      const packet = memory.subarray(offset + 8);
      packet.set(numbers(length, 1), offset);
      copy.put(packet, offset, 12, length);
      const to = new Uint8Array(40);
      copy.take(to, offset, 12, length);
      assert.deepEqual([...to.subarray(offset, offset + length)], [...numbers(length, 1)], `${offset}, ${length}`);
      assert.ok(to.every((one, i) => one === 0 || (i >= offset && i < offset + length)));
    }
  }
});

test('packets that are put from one memory and taken to another make nothing anew', (t) => {
  let made = 0;
  const Plain = globalThis.DataView;
  globalThis.DataView = class<B extends ArrayBufferLike> extends Plain<B> {
    constructor(buffer: B) {
      super(buffer);
      made++;
    }
  } as typeof DataView;
  t.after(() => {
    globalThis.DataView = Plain;
  });
  const [arena, scratch] = [new Uint8Array(64), new Uint8Array(64)];
  const copies = [new PacketCopy(64), new PacketCopy(64)];
  for (let i = 0; i < 100; i++) {
    for (const copy of copies) {
      copy.put(arena, 0, 0, 30);
      copy.take(scratch, 0, 0, 30);
    }
  }
  assert.equal(made, 4, 'two stores, and the two memories once for all');
});
