import assert from 'node:assert/strict';
import { test } from 'node:test';
import { restoreFromRtx, rtpPayloadType, rtpSequence, rtpSsrc, seededRandom, sequenceDistance } from '@offhook/core';
import fc from 'fast-check';
import { rtp } from '../test-kit.ts';
import { AUDIO_NACK, MAX_MISSING, NackGenerator, VIDEO_NACK } from './nack-generator.ts';
import { RetransmissionBuffer } from './retransmission-buffer.ts';

const OPTIONS = { packets: 64, bytes: 8000, maxAgeMs: 1000 };
const video = (sequence: number, length = 100) =>
  rtp({ ssrc: 7, sequence: sequence & 0xffff, payloadType: 96, fill: sequence & 255, length });

function keep(buffer: RetransmissionBuffer, sequence: number, nowMs: number, length = 100): void {
  const bytes = video(sequence, length);
  buffer.sent(bytes, 0, bytes.length, nowMs);
}

test('a packet asked for is sent as it was; not within a round trip of the last time, and not for ever', () => {
  const buffer = new RetransmissionBuffer(OPTIONS);
  for (let i = 65_530; i < 65_550; i++) keep(buffer, i, 0);
  const to = new Uint8Array(200);
  const ask = (sequence: number, nowMs: number, rttMs = 50) => buffer.take(sequence & 0xffff, to, 3, { nowMs, rttMs });
  assert.equal(ask(65_540, 0), 112);
  assert.deepEqual(to.subarray(3, 115), video(65_540));
  assert.deepEqual([ask(65_540, 49), ask(65_540, 50), ask(65_540, 149, 0), ask(65_540, 150, 0)], [0, 112, 0, 112]);
  for (let i = 0; i < 7; i++) assert.equal(ask(65_540, 300 + i * 50), 112);
  assert.equal(ask(65_540, 900), 0);
  assert.deepEqual([buffer.resent, buffer.tooSoon, buffer.tooOften, buffer.gone], [10, 2, 1, 0]);
  assert.equal(ask(65_529, 0), 0, 'never sent');
  assert.equal(ask(65_541, 1001), 0, 'too old');
  assert.equal(buffer.take(65_542 & 0xffff, new Uint8Array(50), 0, { nowMs: 0, rttMs: 50 }), 0, 'no room');
  assert.equal(buffer.gone, 3);
});

test('as RTX it is sent under its own SSRC, type and numbers, and the original comes out of it', () => {
  const payloadTypes = new Uint8Array(128);
  payloadTypes[96] = 97;
  const buffer = new RetransmissionBuffer(OPTIONS, { ssrc: 8, payloadTypes }, 65_535);
  for (let i = 0; i < 5; i++) keep(buffer, i, 0);
  const to = new Uint8Array(200);
  for (const [i, wanted] of [3, 1].entries()) {
    const length = buffer.take(wanted, to, 0, { nowMs: 10, rttMs: 20 });
    assert.equal(length, 114);
    assert.deepEqual([rtpSsrc(to, 0), rtpPayloadType(to, 0), rtpSequence(to, 0)], [8, 97, (65_535 + i) & 0xffff]);
    const restored = restoreFromRtx(to, 0, length, { payloadType: 96, ssrc: 7 });
    assert.deepEqual(to.subarray(0, restored), video(wanted));
  }
  const other = rtp({ ssrc: 7, sequence: 9, payloadType: 100 });
  buffer.sent(other, 0, other.length, 0);
  assert.equal(buffer.take(9, to, 0, { nowMs: 10, rttMs: 20 }), 0, 'a type without RTX');
});

test('the buffer holds what fits into its bytes and its count, and gives out nothing that was overwritten', () => {
  fc.assert(
    fc.property(fc.integer(), fc.integer({ min: 1, max: 400 }), (seed, packets) => {
      const random = seededRandom(seed);
      const buffer = new RetransmissionBuffer({ packets: 32, bytes: 5000, maxAgeMs: 1000 });
      const lengths: number[] = [];
      for (let i = 0; i < packets; i++) {
        lengths[i] = Math.floor(random.next() * 900);
        keep(buffer, i, 0, lengths[i]);
      }
      const to = new Uint8Array(1000);
      let bytes = 0;
      for (let i = packets - 1; i >= 0; i--) {
        const length = buffer.take(i, to, 0, { nowMs: 1, rttMs: 5 });
        if (length === 0) continue;
        assert.deepEqual(to.subarray(0, length), video(i, lengths[i]));
        assert.ok(packets - i <= 32);
        bytes += length;
      }
      assert.ok(bytes <= 5000);
      assert.ok(buffer.resent > 0, 'the newest is there');
    }),
  );
  const buffer = new RetransmissionBuffer(OPTIONS);
  keep(buffer, 1, 0, 8001);
  assert.equal(buffer.take(1, new Uint8Array(9000), 0, { nowMs: 0, rttMs: 1 }), 0, 'longer than all there is');
});

const out = new Uint16Array(1100);
const collect = (nack: NackGenerator, nowMs: number, rttMs = 50) => [
  ...out.subarray(0, nack.collect(nowMs, rttMs, out)),
];

test('a gap is asked for after the time of reordering, again per round trip, ten times at most', () => {
  const nack = new NackGenerator(VIDEO_NACK);
  nack.received(65_534, 0);
  assert.equal(nack.nextTimeout(), undefined);
  nack.received(1, 5);
  assert.equal(nack.nextTimeout(), 15);
  assert.deepEqual(collect(nack, 14), []);
  assert.deepEqual(collect(nack, 15), [65_535, 0]);
  assert.equal(nack.nextTimeout(), 65);
  assert.deepEqual(collect(nack, 64), []);
  nack.received(65_535, 64);
  nack.received(65_535, 64);
  assert.equal(nack.recovered, 1);
  const times: number[] = [];
  for (let t = 65; t < 900; t++) if (collect(nack, t).length > 0) times.push(t);
  assert.deepEqual(times, [65, 115, 165, 215, 265, 315, 365, 415, 465]);
  assert.deepEqual([nack.missing, nack.givenUp, nack.asked], [0, 1, 11]);
  assert.equal(nack.takeKeyFrameWish(), true);
  assert.equal(nack.takeKeyFrameWish(), false);
  assert.equal(nack.nextTimeout(), undefined);
});

test('a packet that was only overtaken is not asked for; one that comes too late is given up by its age', () => {
  const nack = new NackGenerator(AUDIO_NACK);
  nack.received(10, 0);
  nack.received(12, 20);
  nack.received(11, 25);
  assert.equal(nack.nextTimeout(), undefined);
  nack.received(14, 40);
  assert.deepEqual(collect(nack, 50, 1000), [13]);
  assert.equal(nack.nextTimeout(), 340);
  assert.deepEqual(collect(nack, 340), []);
  assert.deepEqual([nack.missing, nack.givenUp, nack.takeKeyFrameWish()], [0, 1, false], 'sound needs no key frame');
});

test('more than can be asked for, and a new start of the stream, are left to a key frame', () => {
  const nack = new NackGenerator(VIDEO_NACK);
  nack.received(0, 0);
  nack.received(MAX_MISSING + 1, 0);
  assert.equal(nack.missing, MAX_MISSING);
  assert.equal(nack.takeKeyFrameWish(), false);
  nack.received(MAX_MISSING + 3, 0);
  assert.deepEqual([nack.missing, nack.takeKeyFrameWish()], [0, true]);
  nack.received(30_000, 0);
  assert.equal(nack.takeKeyFrameWish(), false, 'one stray packet proves nothing');
  nack.received(MAX_MISSING + 4, 0);
  nack.received(30_000, 0);
  nack.received(30_001, 0);
  assert.deepEqual([nack.missing, nack.takeKeyFrameWish()], [0, true]);
  nack.received(30_003, 0);
  assert.deepEqual(collect(nack, 20), [30_002]);
});

test('one old gap in front of many that were filled leaves room for new ones', () => {
  const nack = new NackGenerator(VIDEO_NACK);
  nack.received(0, 0);
  let newest = 2;
  nack.received(newest, 0); // 1 stays missing
  for (let burst = 0; burst < 5; burst++) {
    const before = newest;
    newest += 401;
    nack.received(newest, 1);
    for (let i = before + 1; i < newest; i++) if (i % 100 !== 50) nack.received(i, 2);
  }
  const left = Array.from({ length: newest }, (_, i) => i).filter((i) => i > 2 && i % 100 === 50);
  assert.equal(nack.missing, left.length + 1);
  assert.deepEqual(collect(nack, 50), [1, ...left]);
});

test('any order of arrival: only what is missing is asked for, ascending, and never more than there is room for', () => {
  fc.assert(
    fc.property(fc.integer(), fc.constantFrom(0.05, 0.3, 0.7), fc.nat(0xffff), (seed, loss, first) => {
      const random = seededRandom(seed);
      const nack = new NackGenerator(VIDEO_NACK);
      const come = new Set<number>();
      const arriving: { at: number; i: number }[] = [{ at: -1, i: 0 }];
      for (let i = 1; i < 600; i++) if (random.next() > loss) arriving.push({ at: i + random.next() * 30, i });
      arriving.sort((a, b) => a.at - b.at);
      let newest = 0;
      for (const { at, i } of arriving) {
        nack.received((first + i) & 0xffff, at);
        come.add(i);
        newest = Math.max(newest, i);
        const asked = collect(nack, at).map((s) => sequenceDistance(s, first));
        for (const [n, s] of asked.entries()) {
          assert.ok(!come.has(s) && s > 0 && s < newest);
          assert.ok(n === 0 || s > asked[n - 1]!);
        }
        assert.ok(nack.missing <= MAX_MISSING);
      }
      collect(nack, 1e6);
      assert.deepEqual([nack.missing, nack.nextTimeout()], [0, undefined]);
    }),
    { numRuns: 60 },
  );
});
