import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { fromHex, hex, mapRtpExtensions, rtpHeaderLength } from '../index.ts';

const FIXED = '9060 0102 00000003 00000004';
const ids = (...pairs: [number, number][]) => {
  const map = new Uint8Array(256);
  for (const [from, to] of pairs) map[from] = to;
  return map;
};

function mapped(extension: string, map: Uint8Array): string {
  const bytes = fromHex(`${FIXED} ${extension} 7777`)!;
  mapRtpExtensions(bytes, 0, rtpHeaderLength(bytes, 0, bytes.length), map);
  assert.equal(hex(bytes.subarray(-2)), '7777');
  return hex(bytes.subarray(12, -2));
}

const clean = (words: string) => hex(fromHex(words)!);

test('elements get the numbers of the other leg; those without one become padding, in either form', () => {
  // RFC 8285 4.2: identifiers 1 (one byte), 3 (two bytes), padding, 5 (three bytes).
  const one = 'bede 0003 10aa 31bbbb 00 52cccccc 0000';
  assert.equal(mapped(one, ids([1, 3], [3, 1], [5, 5])), clean('bede 0003 30aa 11bbbb 00 52cccccc 0000'));
  assert.equal(mapped(one, ids([3, 7])), clean('bede 0003 0000 71bbbb 00 00000000 0000'));
  assert.equal(mapped(one, ids([1, 15], [3, 200], [5, 14])), clean('bede 0003 0000 000000 00 e2cccccc 0000'));
  // 4.3: two bytes of head, lengths of 0 too.
  const two = '1000 0002 0100 0302bbbb 0000';
  assert.equal(mapped(two, ids([1, 200], [3, 1])), clean('1000 0002 c800 0102bbbb 0000'));
  assert.equal(mapped(two, ids([1, 1])), clean('1000 0002 0100 00000000 0000'));
});

test('what is no extension that is known stays as it is: other profiles, the end mark, elements cut off', () => {
  for (const other of ['abcd 0001 10aa0000', 'bede 0001 f0aa10aa', 'bede 0001 13aaaaaa', '1000 0001 0105aaaa']) {
    assert.equal(mapped(other, ids()), clean(other));
  }
});

test('never throws, and touches nothing beside the extension, whatever it holds', () => {
  fc.assert(
    fc.property(
      fc.uint8Array({ minLength: 8, maxLength: 64 }),
      fc.uint8Array({ minLength: 256, maxLength: 256 }),
      (rest, map) => {
        const bytes = new Uint8Array([
          0x90,
          96,
          0,
          1,
          0,
          0,
          0,
          0,
          0,
          0,
          0,
          9,
          0xbe,
          0xde,
          0,
          rest.length >> 3,
          ...rest,
        ]);
        const header = rtpHeaderLength(bytes, 0, bytes.length);
        assert.ok(header > 0);
        const before = bytes.slice();
        mapRtpExtensions(bytes, 0, header, map);
        assert.deepEqual(bytes.slice(0, 16), before.slice(0, 16));
        assert.deepEqual(bytes.slice(header), before.slice(header));
      },
    ),
  );
});
