import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  copyAsRtx,
  fromHex,
  hex,
  isRtcpCompound,
  MAX_RED_BLOCKS,
  RedBlocks,
  RtcpWriter,
  readNack,
  readNackInto,
  readRed,
  restoreFromRtx,
  rtpHeaderLength,
  rtpSequence,
  rtpSsrc,
  writeNack,
  writeRedHeader,
  writeRedLastHeader,
} from '../index.ts';

const bytesOf = (digits: string) => fromHex(digits)!;

/** What `readRed` found, the data as text; undefined when it refused. */
function red(digits: string): [number, number, string][] | undefined {
  const bytes = bytesOf(digits);
  const blocks = new RedBlocks();
  if (!readRed(bytes, 0, bytes.length, blocks)) {
    assert.equal(blocks.count, 0);
    return undefined;
  }
  return Array.from({ length: blocks.count }, (_, i) => [
    blocks.payloadType[i]!,
    blocks.timestampOffset[i]!,
    hex(bytes.subarray(blocks.at[i]!, blocks.at[i]! + blocks.length[i]!)),
  ]);
}

test('a RED payload of two copies and its own block is taken apart; its truncated twins are not', () => {
  // 1|111, offset 1920, 3 bytes · 1|111, offset 960, 2 bytes · 0|111
  const whole = 'ef1e0003 ef0f0002 6f aabbcc ddee f1f2f3f4';
  assert.deepEqual(red(whole), [
    [111, 1920, 'aabbcc'],
    [111, 960, 'ddee'],
    [111, 0, 'f1f2f3f4'],
  ]);
  const all = bytesOf(whole);
  for (let length = 0; length < 14; length++) assert.equal(red(hex(all.subarray(0, length))), undefined, `${length}`);
  assert.deepEqual(red(hex(all.subarray(0, 14)))?.at(-1), [111, 0, ''], 'an own block may be empty');
  assert.deepEqual(red('6f'), [[111, 0, '']]);
  assert.deepEqual(red('ef000000 6f 01'), [
    [111, 0, ''],
    [111, 0, '01'],
  ]);
});

test('RED with too many blocks, or a length that lies, is refused', () => {
  const copies = (n: number) => `${'ef0f0000'.repeat(n)}6f00`;
  assert.equal(red(copies(MAX_RED_BLOCKS - 1))?.length, MAX_RED_BLOCKS);
  assert.equal(red(copies(MAX_RED_BLOCKS)), undefined);
  assert.equal(red('ef0f03ff 6f 0102'), undefined, '1023 bytes that are not there');
  assert.equal(red('ef0f0003 6f 0102'), undefined);
  assert.equal(red('ffffffff'), undefined, 'headers without end');
});

test('headers of RED are read as they were written; offsets and lengths beyond their bits are refused', () => {
  fc.assert(
    fc.property(
      fc.array(fc.record({ offset: fc.nat(16383), data: fc.uint8Array({ maxLength: 1023 }) }), { maxLength: 6 }),
      fc.uint8Array({ maxLength: 200 }),
      fc.nat(127),
      (copies, own, payloadType) => {
        const bytes = new Uint8Array(8000);
        let at = 3;
        for (const { offset, data } of copies) {
          at = writeRedHeader(bytes, at, { payloadType, timestampOffset: offset, length: data.length });
        }
        at = writeRedLastHeader(bytes, at, payloadType);
        for (const data of [...copies.map((c) => c.data), own]) {
          bytes.set(data, at);
          at += data.length;
        }
        const blocks = new RedBlocks();
        assert.ok(readRed(bytes, 3, at - 3, blocks));
        assert.equal(blocks.count, copies.length + 1);
        for (const [i, { offset, data }] of [...copies, { offset: 0, data: own }].entries()) {
          assert.deepEqual(
            [blocks.payloadType[i], blocks.timestampOffset[i], blocks.length[i]],
            [payloadType, offset, data.length],
          );
          assert.deepEqual(bytes.subarray(blocks.at[i]!, blocks.at[i]! + data.length), data);
        }
      },
    ),
  );
  const bytes = new Uint8Array(8);
  const write = (timestampOffset: number, length: number, at = 0) =>
    writeRedHeader(bytes, at, { payloadType: 1, timestampOffset, length });
  assert.deepEqual(
    [write(16383, 1023), write(16384, 0), write(-1, 0), write(0, 1024), write(0, 0, 5)],
    [4, -1, -1, -1, -1],
  );
  assert.equal(writeRedLastHeader(bytes, 8, 1), -1);
});

test('no bytes make the readers of RED, RTX and NACK throw or look beyond what they were given', () => {
  const blocks = new RedBlocks();
  const numbers = new Uint16Array(40);
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 1, maxLength: 120 }), fc.nat(20), (bytes, front) => {
      const offset = Math.min(front, bytes.length);
      const length = bytes.length - offset;
      if (readRed(bytes, offset, length, blocks)) {
        for (let i = 0; i < blocks.count; i++) assert.ok(blocks.at[i]! + blocks.length[i]! <= bytes.length);
      }
      if (isRtcpCompound(bytes, offset, length)) readNackInto(bytes, offset, numbers);
      const restored = restoreFromRtx(bytes.slice(), offset, length, { payloadType: 96, ssrc: 1 });
      assert.ok(restored >= -1 && restored <= length);
      copyAsRtx({ bytes, offset, length }, new Uint8Array(200), 0, { payloadType: 97, ssrc: 2, sequence: 3 });
    }),
    { numRuns: 2000 },
  );
});

// Version 2, one CSRC, a header extension of one word, payload type 96 with marker, sequence 0x1234.
const VIDEO = '91e0 1234 00000abc 11223344 0c0c0c0c bede0001 10aa0000';
const RTX = { payloadType: 97, ssrc: 0x55667788, sequence: 0xfffe };

test('a retransmission has the original number in front of the payload and is restored to the same bytes', () => {
  const packet = bytesOf(`${VIDEO} 0102030405`);
  const to = new Uint8Array(100);
  const length = copyAsRtx({ bytes: packet, offset: 0, length: packet.length }, to, 7, RTX);
  assert.equal(
    hex(to.subarray(7, 7 + length)),
    hex(bytesOf('91e1 fffe 00000abc 55667788 0c0c0c0c bede0001 10aa0000 1234 0102030405')),
  );
  const restored = restoreFromRtx(to, 7, length, { payloadType: 96, ssrc: 0x11223344 });
  assert.deepEqual(to.subarray(7, 7 + restored), packet);
});

test('padding is no part of a retransmission; one of padding alone restores nothing', () => {
  const padded = bytesOf(`${VIDEO.replace('91e0', 'b1e0')} 0102 00000003`);
  const to = new Uint8Array(100);
  const length = copyAsRtx({ bytes: padded, offset: 0, length: padded.length }, to, 0, RTX);
  assert.equal(length, padded.length - 3 + 2);
  assert.equal(hex(to.subarray(length - 5, length)), '1234010200');
  assert.equal(to[0], 0x91);
  const probe = bytesOf(`${VIDEO.replace('91e0', 'b1e0')} 00000004`);
  assert.equal(restoreFromRtx(probe, 0, probe.length, RTX), 0);
  const empty = bytesOf(VIDEO);
  assert.equal(restoreFromRtx(empty, 0, empty.length, RTX), 0);
  const short = bytesOf(`${VIDEO} 01`);
  assert.equal(restoreFromRtx(short, 0, short.length, RTX), -1);
  const lying = bytesOf(`${VIDEO.replace('91e0', 'b1e0')} 0000ff`);
  assert.equal(copyAsRtx({ bytes: lying, offset: 0, length: lying.length }, to, 0, RTX), -1);
  assert.equal(restoreFromRtx(lying, 0, lying.length, RTX), -1);
  assert.equal(copyAsRtx({ bytes: padded, offset: 0, length: padded.length }, to, 80, RTX), -1, 'no room');
});

test('any packet comes back from its retransmission', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), fc.nat(15), fc.nat(0xffff), (payload, csrcs, sequence) => {
      const packet = new Uint8Array(12 + csrcs * 4 + payload.length + 1);
      packet.set([0x80 | csrcs, 96, sequence >> 8, sequence & 255, 1, 2, 3, 4, 0x11, 0x22, 0x33, 0x44]);
      packet.set(payload, 12 + csrcs * 4);
      const to = new Uint8Array(500);
      const length = copyAsRtx({ bytes: packet, offset: 0, length: packet.length }, to, 0, RTX);
      assert.ok(rtpHeaderLength(to, 0, length) > 0);
      assert.deepEqual([rtpSsrc(to, 0), rtpSequence(to, 0)], [RTX.ssrc, RTX.sequence]);
      const restored = restoreFromRtx(to, 0, length, { payloadType: 96, ssrc: 0x11223344 });
      assert.deepEqual(to.subarray(0, restored), packet);
    }),
  );
});

test('NACKs are read as the other reader reads them, and what is written reads back, across the wrap', () => {
  const writer = new RtcpWriter(new Uint8Array(200)).nack(1, 2, [65534, 65535, 3, 100, 116, 117]);
  const out = new Uint16Array(100);
  const count = readNackInto(writer.bytes, 0, out);
  assert.deepEqual([...out.subarray(0, count)], [65534, 65535, 3, 100, 116, 117]);
  const bytes = new Uint8Array(200);
  const length = writeNack(bytes, 0, { sender: 1, media: 2, sequences: out, count });
  assert.deepEqual(bytes.subarray(0, length), writer.bytes.subarray(0, writer.length));
  fc.assert(
    fc.property(fc.nat(65535), fc.array(fc.integer({ min: 1, max: 40 }), { maxLength: 300 }), (first, steps) => {
      const wanted: number[] = [];
      let at = first;
      for (const step of steps) {
        at = (at + step) & 0xffff;
        wanted.push(at);
      }
      const sequences = Uint16Array.from(wanted);
      const packet = new Uint8Array(2000);
      const n = writeNack(packet, 4, { sender: 9, media: 8, sequences, count: wanted.length });
      assert.equal(n > 0, wanted.length > 0);
      if (n === 0) return;
      assert.ok(isRtcpCompound(packet, 4, n));
      assert.deepEqual(readNack(packet, 4), wanted);
      const into = new Uint16Array(1000);
      assert.deepEqual([...into.subarray(0, readNackInto(packet, 4, into))], wanted);
    }),
  );
});

test('a list longer than the array is cut, and one longer than the buffer is sent as far as it goes', () => {
  const sequences = Uint16Array.from({ length: 100 }, (_, i) => i * 20);
  const bytes = new Uint8Array(12 + 4 * 10 + 3);
  assert.equal(writeNack(bytes, 0, { sender: 1, media: 2, sequences, count: 100 }), 52);
  assert.ok(isRtcpCompound(bytes, 0, 52));
  const few = new Uint16Array(4);
  assert.equal(readNackInto(bytes, 0, few), 4);
  assert.equal(writeNack(new Uint8Array(15), 0, { sender: 1, media: 2, sequences, count: 1 }), 0);
  const pli = new RtcpWriter(new Uint8Array(20)).pli(1, 2);
  assert.equal(readNackInto(pli.bytes, 0, few), 0);
});
