import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  findRtpExtension,
  fromHex,
  hex,
  readTransportSequence,
  rtpHeaderLength,
  rtpSequence,
  writeTransportSequence,
} from '../index.ts';

/** A packet with room in front. */
function at(offset: number, packet: string): Uint8Array {
  const bytes = fromHex(packet)!;
  const all = new Uint8Array(offset + bytes.length);
  all.set(bytes, offset);
  return all;
}

const FIXED = '8060 0102 00000003 00000004';

function write(packet: string, id: number, sequence: number, room = 8): string | number {
  const bytes = at(room, packet);
  const header = rtpHeaderLength(bytes, room, bytes.length - room);
  const start = writeTransportSequence(bytes, room, header, { id, sequence });
  if (start < 0) {
    assert.equal(hex(bytes.subarray(room)), hex(fromHex(packet)!));
    return start;
  }
  const length = rtpHeaderLength(bytes, start, bytes.length - start);
  assert.equal(readTransportSequence(bytes, start, length, id), sequence);
  return hex(bytes.subarray(start));
}

const clean = (packet: string) => hex(fromHex(packet)!);

test('a header without extension, with one of either form, and with the element already there', () => {
  const rest = '0060 0102 00000003 00000004'.slice(2);
  assert.equal(write(`${FIXED} aabb`, 3, 0x1234), clean(`90${rest} bede0001 31123400 aabb`));
  assert.equal(write(`90${rest} bede0001 10ff0000 aabb`, 3, 1), clean(`90${rest} bede0002 31000100 10ff0000 aabb`));
  assert.equal(write(`90${rest} 10000001 01010500 aabb`, 200, 1), clean(`90${rest} 10000002 c8020001 01010500 aabb`));
  assert.equal(write(`90${rest} bede0001 31ffff00 aabb`, 3, 9), clean(`90${rest} bede0001 31000900 aabb`));
  assert.equal(write(`81${rest} 00000009 aabb`, 14, 7), clean(`91${rest} 00000009 bede0001 e1000700 aabb`));
});

test('no room, an identifier without a form, another profile: nothing is changed', () => {
  const rest = '60 0102 00000003 00000004';
  assert.equal(write(`80${rest} aabb`, 3, 1, 7), -1);
  assert.equal(write(`90${rest} bede0001 10ff0000`, 3, 1, 3), -1);
  assert.equal(write(`80${rest}`, 15, 1), -1);
  assert.equal(write(`80${rest}`, 0, 1), -1);
  assert.equal(write(`90${rest} abcd0001 10ff0000`, 3, 1), -1);
  assert.equal(write(`90${rest} bede0001 30ff0000`, 3, 1), -1); // one byte under that identifier
});

test('whatever extension was there is still found, and the payload is untouched', () => {
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 40 }),
      fc.integer({ min: 1, max: 14 }),
      fc.nat(0xffff),
      (tail, id, sequence) => {
        const words = tail.length >> 2;
        const bytes = new Uint8Array(8 + 16 + words * 4 + 5);
        bytes.set([0x90, 96, 0, 77, 0, 0, 0, 1, 0, 0, 0, 2, 0xbe, 0xde, 0, words], 8);
        bytes.set(tail.subarray(0, words * 4), 24);
        bytes.set([1, 2, 3, 4, 5], bytes.length - 5);
        const header = 16 + words * 4;
        const before = findRtpExtension(bytes, 8, header, (id % 14) + 1);
        const data = before < 0 ? undefined : hex(bytes.subarray(before, before + 1));
        const start = writeTransportSequence(bytes, 8, header, { id, sequence });
        if (start < 0) return;
        const length = rtpHeaderLength(bytes, start, bytes.length - start);
        assert.equal(start + length, bytes.length - 5);
        assert.equal(readTransportSequence(bytes, start, length, id), sequence);
        assert.equal(rtpSequence(bytes, start), 77);
        const after = findRtpExtension(bytes, start, length, (id % 14) + 1);
        assert.equal(after < 0 ? undefined : hex(bytes.subarray(after, after + 1)), data);
        assert.deepEqual([...bytes.subarray(-5)], [1, 2, 3, 4, 5]);
      },
    ),
  );
});
