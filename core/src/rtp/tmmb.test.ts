import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  fromHex,
  hex,
  isRtcpCompound,
  RtcpWriter,
  readRemb,
  readTmmbn,
  readTmmbr,
  writeTmmbn,
  writeTmmbr,
} from '../index.ts';

test('a TMMBR of 500 kb/s with 40 bytes of overhead, laid out as RFC 5104 4.2.1.1 says', () => {
  const bytes = new Uint8Array(40);
  const length = writeTmmbr(bytes, 4, 1, [{ ssrc: 0xa0b0c0d0, bitrateBps: 500_000, overheadBytes: 40 }]);
  // 500,000 = 125,000 · 2²
  assert.equal(hex(bytes.subarray(4, 4 + length)), '83cd00040000000100000000a0b0c0d00bd09028');
  assert.deepEqual(readTmmbr(bytes, 4), [{ ssrc: 0xa0b0c0d0, bitrateBps: 500_000, overheadBytes: 40 }]);
  assert.equal(readTmmbn(bytes, 4), undefined);
  assert.equal(writeTmmbr(bytes, 30, 1, [{ ssrc: 1, bitrateBps: 1, overheadBytes: 1 }]), 0);
});

test('an empty TMMBN is no limit, other packets are none', () => {
  const bytes = new Uint8Array(12);
  assert.equal(writeTmmbn(bytes, 0, 1, []), 12);
  assert.deepEqual(readTmmbn(bytes, 0), []);
  assert.deepEqual(readTmmbr(bytes, 0), []);
  assert.deepEqual(readTmmbr(fromHex('83cd0001 00000001')!, 0), []);
});

test('every rate comes back, at most 1/65536 lower; so does REMB, at most 1/131072', () => {
  const entry = fc.record({
    ssrc: fc.nat(0xffffffff),
    bitrateBps: fc.oneof(fc.nat(1000), fc.integer({ min: 0, max: 2 ** 45 })),
    overheadBytes: fc.nat(511),
  });
  fc.assert(
    fc.property(fc.array(entry, { maxLength: 32 }), (entries) => {
      const bytes = new Uint8Array(300);
      const length = writeTmmbn(bytes, 0, 1, entries);
      assert.ok(isRtcpCompound(bytes, 0, length));
      const read = readTmmbn(bytes, 0)!;
      assert.equal(read.length, entries.length);
      read.forEach((got, i) => {
        const { ssrc, overheadBytes, bitrateBps } = entries[i]!;
        assert.deepEqual([got.ssrc, got.overheadBytes], [ssrc, overheadBytes]);
        assert.ok(got.bitrateBps <= bitrateBps && got.bitrateBps >= bitrateBps * (1 - 2 ** -16));
        const remb = new RtcpWriter(new Uint8Array(40)).remb(1, bitrateBps, [ssrc]);
        const { bitrateBps: again } = readRemb(remb.bytes, 0)!;
        assert.ok(again <= bitrateBps && again >= bitrateBps * (1 - 2 ** -17));
      });
    }),
  );
});

test('no rate and no number of sources is too much for a REMB', () => {
  const writer = new RtcpWriter(new Uint8Array(1200)).remb(1, Number.POSITIVE_INFINITY, new Array(300).fill(7));
  assert.ok(isRtcpCompound(writer.bytes, 0, writer.length));
  const { bitrateBps, ssrcs } = readRemb(writer.bytes, 0)!;
  assert.deepEqual([bitrateBps > 1e15, ssrcs.length], [true, 255]);
});
