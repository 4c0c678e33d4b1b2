import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { beginsH264Key, fromHex, hex, readVp8, setVp8PictureId, setVp8Tl0, vp8Descriptor } from '../index.ts';

function read(words: string) {
  const bytes = fromHex(words)!;
  const into = vp8Descriptor();
  const isGood = readVp8(bytes, 0, bytes.length, into);
  const { isStart, isKey, pictureId, isLong, tl0, temporal, isSync } = into;
  return { isGood, isStart, isKey, pictureId, isLong, tl0, temporal, isSync };
}

const NOTHING = { isStart: false, isKey: false, pictureId: -1, isLong: false, tl0: -1, temporal: 0, isSync: false };

test('what stands in front of VP8 is read: key frames, picture IDs of 7 and 15 bits, temporal layers', () => {
  assert.deepEqual(read('10 00'), { isGood: true, ...NOTHING, isStart: true, isKey: true });
  assert.deepEqual(read('10 01'), { isGood: true, ...NOTHING, isStart: true });
  assert.deepEqual(read('00 00'), { isGood: true, ...NOTHING }, 'the middle of a frame');
  assert.deepEqual(read('11 00'), { isGood: true, ...NOTHING }, 'another partition');
  // As Chromium sends it: I, L, T and K.
  assert.deepEqual(read('90 f0 ffff fe 60 00'), {
    isGood: true,
    isStart: true,
    isKey: true,
    pictureId: 0x7fff,
    isLong: true,
    tl0: 0xfe,
    temporal: 1,
    isSync: true,
  });
  assert.deepEqual(read('90 80 11 01'), { isGood: true, ...NOTHING, isStart: true, pictureId: 0x11 });
  assert.deepEqual(read('90 60 07 80 01'), { isGood: true, ...NOTHING, isStart: true, tl0: 7, temporal: 2 });
  assert.deepEqual(read('90 10 80 01').temporal, 0, 'KEYIDX alone names no layer');
});

test('a descriptor that is cut says nothing, and no bytes throw', () => {
  for (const cut of ['', '10', '90', '90 80', '90 80 81', '90 f0 ffff', '90 f0 ffff fe', '90 f0 ffff fe 60']) {
    assert.equal(read(cut).isGood, false, cut);
    assert.equal(read(cut).isKey, false, cut);
  }
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 12 }), (bytes) => {
      const into = vp8Descriptor();
      readVp8(bytes, 0, bytes.length, into);
      beginsH264Key(bytes, 0, bytes.length);
      assert.ok(into.pictureIdAt < bytes.length && into.tl0At < bytes.length);
    }),
  );
});

test('picture ID and TL0PICIDX are rewritten in their own width, and nothing else changes', () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 8, maxLength: 8 }), fc.nat(0x7fff), fc.nat(255), (bytes, id, tl0) => {
      const before = hex(bytes);
      const into = vp8Descriptor();
      if (!readVp8(bytes, 0, bytes.length, into)) return;
      const { pictureId, tl0: old, isLong } = into;
      setVp8PictureId(bytes, into, id);
      setVp8Tl0(bytes, into, tl0);
      const again = vp8Descriptor();
      assert.ok(readVp8(bytes, 0, bytes.length, again));
      assert.equal(again.pictureId, pictureId < 0 ? -1 : isLong ? id : id & 0x7f);
      assert.equal(again.tl0, old < 0 ? -1 : tl0);
      setVp8PictureId(bytes, again, pictureId);
      setVp8Tl0(bytes, again, old);
      assert.equal(hex(bytes), before);
    }),
  );
});

test('H.264 can be decoded from where its parameter sets begin', () => {
  const begins = (words: string) => {
    const bytes = fromHex(words)!;
    return beginsH264Key(bytes, 0, bytes.length);
  };
  assert.deepEqual(
    ['67 42', '78 0004 6742c01f', '65 88', '68 ce', '7c 85', '78 0004 68ce', '78', '78 0004', ''].map(begins),
    [true, true, false, false, false, false, false, false, false],
  );
  // hardware encoders put a delimiter in front
  assert.deepEqual(
    ['78 0002 0910 0004 6742c01f', '78 0002 0910 0002 6588', '78 0002 0910', '78 0000 09', '78 ffff 09', '09 10'].map(
      begins,
    ),
    [true, false, false, false, false, false],
  );
});
