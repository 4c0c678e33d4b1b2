import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  fromHex,
  hex,
  isRtcpCompound,
  readTransportCc,
  rtcpEnd,
  TRANSPORT_CC_LIMIT,
  TransportCcReport,
  writeTransportCc,
} from '../index.ts';

const report = new TransportCcReport();

function arrivals(): (number | 'lost')[] {
  return [...report.arrivalMs.subarray(0, report.count)].map((ms) => (Number.isNaN(ms) ? 'lost' : ms));
}

function write(arrivalMs: readonly number[], room = 1200, baseSequence = 0, offset = 0) {
  const bytes = new Uint8Array(offset + room);
  const { length, count } = writeTransportCc(bytes, offset, {
    ...{ sender: 1, media: 2, baseSequence, feedbackCount: 7, first: 0, mask: 0xffff },
    arrivalMs: Float64Array.from(arrivalMs),
    count: arrivalMs.length,
  });
  return { bytes: bytes.subarray(offset, offset + length), count };
}

test('a packet is read as the draft lays it out: run, one-bit and two-bit vectors, both sizes of deltas', () => {
  const bytes = fromHex(`
    afcd 0008 00000001 00000002
    fffe 0018 000002 05
    2003 a801 d800
    04 08 0c 10 14 18 1c ff38 01`)!;
  assert.ok(isRtcpCompound(bytes, 0, bytes.length));
  assert.ok(readTransportCc(bytes, 0, report));
  assert.deepEqual([report.baseSequence, report.count, report.reference, report.feedbackCount], [0xfffe, 24, 2, 5]);
  const lost = (n: number) => Array.from({ length: n }, () => 'lost');
  assert.deepEqual(arrivals(), [1, 3, 6, 10, ...lost(1), 15, ...lost(10), 21, 28, -22, ...lost(5)]);
});

test('what the draft allows and nobody sends is read too; what runs over is refused', () => {
  const head = 'cd00060000000100000002';
  const packet = (rest: string) => fromHex(`8f${head}${rest}`)!;
  assert.ok(readTransportCc(packet('0000 0001 ffffff 00 2005 0400 0000'), 0, report));
  assert.deepEqual([arrivals(), report.reference], [[1], -1]);
  for (const bad of [
    '0000 0000 000000 00 2005 0400 0000', // covers nothing
    '0000 0001 000000 00 2000 0400 0000', // a run of none
    '0000 0fff 000000 00 2005 0400 0000', // chunks end early
    '0000 0009 000000 00 2009 0400 0000', // deltas end early
    '0000 1001 000000 00 1fff 1fff 0000', // more than are read
    '0000 0001 000000 00 6001 0400 0000', // reserved symbol
  ])
    assert.equal(readTransportCc(packet(bad), 0, report), false, bad);
});

const statuses = fc.array(
  fc.oneof(
    {
      weight: 5,
      arbitrary: fc.record({ gap: fc.nat(400), lost: fc.constant(false), run: fc.integer({ min: 1, max: 30 }) }),
    },
    {
      weight: 1,
      arbitrary: fc.record({
        gap: fc.integer({ min: -32_000, max: 32_000 }),
        lost: fc.constant(false),
        run: fc.constant(1),
      }),
    },
    {
      weight: 2,
      arbitrary: fc.record({ gap: fc.constant(0), lost: fc.constant(true), run: fc.integer({ min: 1, max: 40 }) }),
    },
  ),
  { minLength: 1, maxLength: 60 },
);

test('what is written is read again, to a quarter of a millisecond, in as many packets as it takes', () => {
  fc.assert(
    fc.property(
      statuses,
      fc.integer({ min: 1000, max: 2 ** 40 }),
      fc.integer({ min: 60, max: 400 }),
      (runs, start, room) => {
        const times: number[] = [];
        let ticks = start * 4;
        for (const { gap, lost, run } of runs)
          for (let i = 0; i < run; i++) {
            if (!lost) ticks += gap;
            times.push(lost ? Number.NaN : ticks / 4);
          }
        while (Number.isNaN(times.at(-1))) times.pop();
        let done = 0;
        while (done < times.length) {
          const { bytes, count } = write(times.slice(done), room, (done + 65_500) & 0xffff, 3);
          assert.ok(count > 0 && bytes.length <= room && bytes.length % 4 === 0);
          assert.ok(isRtcpCompound(bytes, 0, bytes.length) && rtcpEnd(bytes, 0) === bytes.length);
          assert.ok(readTransportCc(bytes, 0, report));
          assert.deepEqual([report.count, report.baseSequence], [count, (done + 65_500) & 0xffff]);
          const first = times.slice(done).find((ms) => !Number.isNaN(ms))!;
          const reference = Math.floor(first / 64);
          assert.equal(report.reference & 0xffffff, reference & 0xffffff);
          assert.deepEqual(
            arrivals(),
            times.slice(done, done + count).map((ms) => (Number.isNaN(ms) ? 'lost' : ms - reference * 64)),
          );
          done += count;
        }
      },
    ),
    { numRuns: 300 },
  );
});

test('200 lost ones take one chunk, even arrivals one more', () => {
  const lost = Array.from({ length: 200 }, () => Number.NaN);
  const { bytes, count } = write([0, ...lost, ...Array.from({ length: 100 }, (_, i) => 1000 + i)]);
  assert.equal(count, 301);
  // 1 + 13 lost; 187 lost; a large delta and six small ones; 93 small ones
  assert.equal(hex(bytes.subarray(20, 28)), 'a00000bbe555205d');
});

test('nothing received writes nothing; no bytes ever make the reader throw', () => {
  assert.equal(write([Number.NaN, Number.NaN]).bytes.length, 0);
  assert.equal(write([5], 20).bytes.length, 0);
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 12, maxLength: 80 }), (tail) => {
      const bytes = new Uint8Array(4 + (tail.length & ~3));
      bytes.set(tail.subarray(0, tail.length & ~3), 4);
      bytes.set([0x8f, 205, 0, bytes.length / 4 - 1]);
      if (readTransportCc(bytes, 0, report)) assert.ok(report.count > 0 && report.count <= TRANSPORT_CC_LIMIT);
    }),
    { numRuns: 2000 },
  );
});
