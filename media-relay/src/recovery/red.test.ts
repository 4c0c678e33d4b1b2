import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  hex,
  type Random,
  RedBlocks,
  readRed,
  rtpPayloadType,
  rtpSequence,
  rtpTimestamp,
  seededRandom,
  writeRedHeader,
  writeRedLastHeader,
  writeRtpHeader,
} from '@offhook/core';
import fc from 'fast-check';
import { NO_RED, NOT_DELIVERED, RedDecoder } from './red-decoder.ts';
import { RedEncoder } from './red-encoder.ts';

const FORMAT = { payloadType: 63, audio: 111 };
const SSRC = 0x1234;

/** Packet `i` of a stream of sound, 20 ms each, with room behind it. */
function sound(i: number, options: { first?: number; fill?: number; length?: number; payloadType?: number } = {}) {
  const { first = 0, fill = i & 255, length = 60, payloadType = 111 } = options;
  const bytes = new Uint8Array(1400).fill(fill);
  const header = { payloadType, sequence: (first + i) & 0xffff, timestamp: (i * 960) >>> 0, ssrc: SSRC };
  writeRtpHeader(bytes, 0, header);
  return { bytes, length: 12 + length };
}

function encoder(offsets: readonly number[]): RedEncoder {
  const red = new RedEncoder(FORMAT);
  red.fix(offsets);
  return red;
}

/** Sequence numbers delivered for one packet, each checked to be what was sent. */
function deliver(decoder: RedDecoder, bytes: Uint8Array, length: number, first = 0): number[] {
  const scratch = new Uint8Array(1200);
  const recovered = decoder.receive(bytes, 0, length);
  if (recovered === NOT_DELIVERED) return [];
  const out: number[] = [];
  const look = (b: Uint8Array, n: number) => {
    const i = (rtpSequence(b, 0) - first) & 0xffff;
    assert.equal(rtpTimestamp(b, 0), i * 960);
    assert.equal(rtpPayloadType(b, 0), 111);
    assert.equal(hex(b.subarray(12, n)), hex(new Uint8Array(n - 12).fill(i & 255)), `packet ${i}`);
    out.push(i);
  };
  for (let i = 0; i < recovered; i++) look(scratch, decoder.write(i, bytes, scratch, 0));
  const own = decoder.own(bytes, 0, length);
  if (own > 0) look(bytes, own);
  return out;
}

test('a packet leaves with copies of those at the distances, the oldest first, its own sound last', () => {
  const red = encoder([2, 4]);
  for (let i = 0; i < 4; i++) red.encode(sound(i).bytes, 0, 72);
  const { bytes, length } = sound(4, { length: 5 });
  const out = red.encode(bytes, 0, length);
  assert.equal(out, 12 + 4 + 4 + 1 + 60 + 60 + 5);
  assert.equal(rtpPayloadType(bytes, 0), 63);
  const blocks = new RedBlocks();
  assert.ok(readRed(bytes, 12, out - 12, blocks));
  assert.deepEqual([...blocks.timestampOffset.subarray(0, 3)], [3840, 1920, 0]);
  assert.deepEqual([...blocks.payloadType.subarray(0, 3)], [111, 111, 111]);
  assert.deepEqual(
    [0, 1, 2].map((i) => bytes[blocks.at[i]!]),
    [0, 2, 4],
  );
});

test('off, for other payload types, with padding and for rubbish a packet stays as it is', () => {
  const same = (red: RedEncoder, bytes: Uint8Array, length: number) => {
    const before = bytes.slice();
    assert.equal(red.encode(bytes, 0, length), length);
    assert.deepEqual(bytes, before);
  };
  const off = encoder([]);
  for (let i = 0; i < 5; i++) same(off, sound(i).bytes, 72);
  const red = encoder([1]);
  same(red, sound(0).bytes, 72);
  same(red, sound(1, { payloadType: 126 }).bytes, 16);
  const padded = sound(1);
  padded.bytes[0]! |= 0x20;
  same(red, padded.bytes, padded.length);
  same(red, new Uint8Array(30), 30);
  const next = sound(1);
  assert.ok(red.encode(next.bytes, 0, next.length) > next.length);
});

test('silence (DTX) is not copied, and a word that is too long ago is not either', () => {
  const red = encoder([1]);
  red.encode(sound(0, { length: 1 }).bytes, 0, 13);
  assert.equal(red.encode(sound(1).bytes, 0, 72), 72);
  const late = sound(2);
  writeRtpHeader(late.bytes, 0, { payloadType: 111, sequence: 2, timestamp: 960 + 16_384, ssrc: SSRC });
  assert.equal(red.encode(late.bytes, 0, 72), 72);
  const other = sound(3);
  writeRtpHeader(other.bytes, 0, { payloadType: 111, sequence: 3, timestamp: 20_000, ssrc: 9 });
  assert.equal(red.encode(other.bytes, 0, 72), 72, 'another stream has no past');
});

test('with copies a stream takes at most three times the bytes, and no packet is too long', () => {
  for (const payload of [20, 60, 160, 400, 1000]) {
    const red = encoder([2, 4, 6]);
    let plain = 0;
    let sent = 0;
    let longest = 0;
    for (let i = 0; i < 1000; i++) {
      const { bytes, length } = sound(i, { length: payload });
      const out = red.encode(bytes, 0, length);
      plain += length - 12 + 56;
      sent += out - 12 + 56;
      longest = Math.max(longest, out);
    }
    assert.ok(sent <= 3 * plain + 1200, `${payload}: ${sent / plain}`);
    assert.ok(longest <= 1200);
    if (payload <= 60) assert.ok(red.copies > 2900, `${red.copies} copies of ${payload} bytes`);
  }
});

test('without loss every packet is delivered once and in order, copies are known', () => {
  for (const offsets of [[], [1], [1, 2], [2, 4], [2, 4, 6]]) {
    const red = encoder(offsets);
    const decoder = new RedDecoder(FORMAT);
    const out: number[] = [];
    for (let i = 0; i < 300; i++) {
      const { bytes, length } = sound(i, { first: 65_400 });
      out.push(...deliver(decoder, bytes, red.encode(bytes, 0, length), 65_400));
    }
    assert.deepEqual(
      out,
      Array.from({ length: 300 }, (_, i) => i),
    );
    assert.deepEqual([decoder.recovered, decoder.unplaced, decoder.malformed], [0, 0, 0]);
  }
});

test('gaps are filled with the right number and time, before the packet that brought the copies; a late original is known', () => {
  const red = encoder([1, 2]);
  const decoder = new RedDecoder(FORMAT);
  const packets = Array.from({ length: 10 }, (_, i) => {
    const { bytes, length } = sound(i, { first: 65_533 });
    return { bytes, length: red.encode(bytes, 0, length) };
  });
  const come = (i: number) => deliver(decoder, packets[i]!.bytes.slice(), packets[i]!.length, 65_533);
  assert.deepEqual(come(0), [0]);
  assert.deepEqual(come(3), [1, 2, 3]);
  assert.deepEqual(come(2), []);
  assert.deepEqual(come(3), []);
  assert.deepEqual(come(8), [6, 7, 8]);
  assert.deepEqual(come(5), [4, 5], 'late itself, with the copy of one that is missing');
});

test('one packet fills ten gaps at most, however many copies it brings', () => {
  const decoder = new RedDecoder(FORMAT);
  deliver(decoder, sound(1).bytes, 72);
  const bytes = new Uint8Array(400);
  writeRtpHeader(bytes, 0, { payloadType: 63, sequence: 18, timestamp: 18 * 960, ssrc: SSRC });
  let at = 12;
  for (let i = 17; i >= 1; i--)
    at = writeRedHeader(bytes, at, { payloadType: 111, timestampOffset: i * 960, length: 3 });
  at = writeRedLastHeader(bytes, at, 111);
  assert.equal(decoder.receive(bytes, 0, at + 17 * 3 + 5), 10);
});

test('any loss, reordering and duplication: nothing is delivered twice or as something else', () => {
  fc.assert(
    fc.property(
      fc.integer(),
      fc.constantFrom([1], [1, 2], [2, 4], [2, 4, 6]),
      fc.constantFrom(0, 0.1, 0.4),
      fc.nat(0xffff),
      (seed, offsets, loss, first) => {
        const random = seededRandom(seed);
        const red = encoder(offsets);
        const decoder = new RedDecoder(FORMAT);
        const arriving: { at: number; bytes: Uint8Array; length: number }[] = [];
        for (let i = 0; i < 150; i++) {
          const { bytes, length } = sound(i, { first });
          const packet = { bytes, length: red.encode(bytes, 0, length) };
          if (i > 0 && random.next() < loss) continue;
          for (let copies = random.next() < 0.1 ? 2 : 1; copies > 0; copies--) {
            arriving.push({
              at: i === 0 ? -1 : i + random.next() * 4,
              bytes: packet.bytes.slice(),
              length: packet.length,
            });
          }
        }
        arriving.sort((a, b) => a.at - b.at);
        const out = arriving.flatMap(({ bytes, length }) => deliver(decoder, bytes, length, first));
        assert.equal(new Set(out).size, out.length, 'once each');
        if (loss === 0) assert.equal(out.length, 150);
      },
    ),
    { numRuns: 200 },
  );
});

test('pauses of speech (DTX) between packets: copies find their place by their neighbours or are left out', () => {
  const scratch = new Uint8Array(1200);
  for (let seed = 1; seed <= 50; seed++) {
    const random: Random = seededRandom(seed);
    const red = encoder([1, 2]);
    const decoder = new RedDecoder(FORMAT);
    const sent = new Map<number, number>();
    let timestamp = 0;
    let wrong = 0;
    for (let i = 0; i < 400; i++) {
      timestamp += random.next() < 0.2 ? 960 * (1 + Math.floor(random.next() * 16)) : 960;
      sent.set(i, timestamp);
      const bytes = new Uint8Array(1400).fill(i & 255);
      writeRtpHeader(bytes, 0, { payloadType: 111, sequence: i, timestamp, ssrc: SSRC });
      const length = red.encode(bytes, 0, 72);
      if (i > 0 && random.next() < 0.2) continue;
      const recovered = decoder.receive(bytes, 0, length);
      for (let r = 0; r < recovered; r++) {
        decoder.write(r, bytes, scratch, 0);
        if (sent.get(rtpSequence(scratch, 0)) !== rtpTimestamp(scratch, 0)) wrong++;
      }
      assert.ok(decoder.own(bytes, 0, length) > 0);
    }
    assert.ok(decoder.recovered > 40, `${decoder.recovered} recovered, ${decoder.unplaced} not placed`);
    // A pause right behind a gap of two can't be told from a longer gap.
    assert.ok(wrong <= decoder.recovered * 0.02 + 1, `${wrong} of ${decoder.recovered} misplaced`);
  }
});

test('what is in the primary block passes whatever its type; nested, malformed and foreign packets', () => {
  const decoder = new RedDecoder(FORMAT);
  const packet = (write: (b: Uint8Array, at: number) => number, sequence: number) => {
    const bytes = new Uint8Array(200);
    writeRtpHeader(bytes, 0, { payloadType: 63, sequence, timestamp: sequence * 960, ssrc: SSRC });
    return { bytes, length: write(bytes, 12) };
  };
  const digit = packet((b, at) => writeRedLastHeader(b, at, 126) + 4, 1);
  assert.equal(decoder.receive(digit.bytes, 0, digit.length), 0);
  assert.equal(decoder.own(digit.bytes, 0, digit.length), 16);
  assert.equal(rtpPayloadType(digit.bytes, 0), 126);
  const nested = packet((b, at) => writeRedLastHeader(b, at, 63) + 4, 2);
  assert.equal(decoder.receive(nested.bytes, 0, nested.length), NO_RED);
  const lies = packet((b, at) => writeRedHeader(b, at, { payloadType: 111, timestampOffset: 960, length: 900 }) + 9, 3);
  assert.equal(decoder.receive(lies.bytes, 0, lies.length), NO_RED);
  assert.equal(decoder.malformed, 2);
  const video = sound(4, { payloadType: 96 });
  writeRtpHeader(video.bytes, 0, { payloadType: 96, sequence: 4, timestamp: 5, ssrc: 77 });
  const before = video.bytes.slice();
  assert.equal(decoder.receive(video.bytes, 0, 72), 0);
  assert.equal(decoder.own(video.bytes, 0, 72), 72);
  assert.deepEqual(video.bytes, before);
});

test('no bytes make the decoder throw, deliver more than came, or write beyond a buffer', () => {
  const decoder = new RedDecoder(FORMAT);
  const scratch = new Uint8Array(300);
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 12, maxLength: 200 }), fc.nat(70), (random, sequence) => {
      const bytes = random.slice();
      bytes[0] = 0x80 | (bytes[0]! & 0x3f);
      bytes[1] = 63;
      bytes.set([0, sequence, 0, 0, sequence, 0, 0, 0, 0, 1], 2);
      const recovered = decoder.receive(bytes, 0, bytes.length);
      for (let i = 0; i < recovered; i++) assert.ok(decoder.write(i, bytes, scratch, 0) <= bytes.length);
      if (recovered >= 0) assert.ok(decoder.own(bytes, 0, bytes.length) <= bytes.length);
    }),
    { numRuns: 3000 },
  );
});

test('a stream that starts again lower is taken up with its second packet', () => {
  const decoder = new RedDecoder(FORMAT);
  for (let i = 500; i < 510; i++) deliver(decoder, sound(i).bytes, 72);
  assert.deepEqual(deliver(decoder, sound(10).bytes, 72), []);
  assert.deepEqual(deliver(decoder, sound(11).bytes, 72), [11]);
  assert.deepEqual(deliver(decoder, sound(12).bytes, 72), [12]);
});
