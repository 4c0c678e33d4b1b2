import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  readVp8,
  rtpSequence,
  rtpSsrc,
  rtpTimestamp,
  seededRandom,
  sequenceDistance,
  vp8Descriptor,
} from '@offhook/core';
import fc from 'fast-check';
import { rtp } from '../test-kit.ts';
import { ForwardedStream } from './forwarded-stream.ts';

const ONE = 0x51;
const vp8 = vp8Descriptor();

interface Frame {
  readonly temporal?: number;
  readonly isSync?: boolean;
  readonly isKey?: boolean;
  readonly packets?: number;
}

interface Packet {
  readonly bytes: Uint8Array;
  readonly isKey: boolean;
  readonly frame: number;
  readonly temporal: number;
}

/** A source of VP8 as Chromium sends it: picture IDs of 15 bits, TL0PICIDX and temporal layers. */
class Source {
  sequence: number;
  timestamp: number;
  pictureId: number;
  tl0: number;
  readonly ssrc: number;
  #frames = 0;

  constructor(ssrc: number, at: { sequence: number; timestamp: number; pictureId: number; tl0: number }) {
    this.ssrc = ssrc;
    this.sequence = at.sequence;
    this.timestamp = at.timestamp;
    this.pictureId = at.pictureId;
    this.tl0 = at.tl0;
  }

  frame({ temporal = 0, isSync = false, isKey = false, packets = 1 }: Frame = {}): Packet[] {
    this.timestamp = (this.timestamp + 3000) >>> 0;
    this.pictureId = (this.pictureId + 1) & 0x7fff;
    if (temporal === 0) this.tl0 = (this.tl0 + 1) & 0xff;
    const frame = this.#frames++;
    return Array.from({ length: packets }, (_, i) => {
      this.sequence = (this.sequence + 1) & 0xffff;
      const { ssrc, sequence, timestamp, pictureId, tl0 } = this;
      const bytes = rtp({ ssrc, sequence, timestamp, payloadType: 96, length: 20, fill: frame & 0xff });
      const head = [
        i === 0 ? 0x90 : 0x80,
        0xe0,
        0x80 | (pictureId >> 8),
        pictureId,
        tl0,
        (temporal << 6) | (isSync ? 0x20 : 0),
      ];
      bytes.set([...head, isKey && i === 0 ? 0 : 1], 12);
      return { bytes, isKey: isKey && i === 0, frame, temporal };
    });
  }
}

interface Sent {
  readonly sequence: number;
  readonly timestamp: number;
  readonly pictureId: number;
  readonly tl0: number;
  readonly packet: Packet;
}

/** What of a packet is sent; the caller's bytes stay. */
function follow(stream: ForwardedStream, packet: Packet, nowMs = 0): Sent | undefined {
  const bytes = packet.bytes.slice();
  assert.ok(readVp8(bytes, 12, bytes.length, vp8));
  if (!stream.follow(bytes, 0, vp8, bytes.length - 12, nowMs)) return undefined;
  assert.equal(rtpSsrc(bytes, 0), ONE);
  assert.ok(readVp8(bytes, 12, bytes.length, vp8));
  assert.deepEqual([...bytes.subarray(18)], [...packet.bytes.subarray(18)], 'the payload stays');
  const { pictureId, tl0 } = vp8;
  return { sequence: rtpSequence(bytes, 0), timestamp: rtpTimestamp(bytes, 0), pictureId, tl0, packet };
}

function begin(stream: ForwardedStream, { bytes }: Packet, timestampShift = 0): void {
  assert.ok(readVp8(bytes, 12, bytes.length, vp8));
  stream.begin(bytes, 0, vp8, timestampShift);
}

const place = fc.record({
  sequence: fc.nat(0xffff),
  timestamp: fc.nat(0xffffffff),
  pictureId: fc.nat(0x7fff),
  tl0: fc.nat(0xff),
});
/** Where everything is about to wrap. */
const EDGE = { sequence: 0xfffd, timestamp: 0xfffff000, pictureId: 0x7ffd, tl0: 0xfd };

/** What a decoder of one stream relies on: packets without a gap, frames one after the other, layer 0 counted. */
function assertOneStream(sent: readonly Sent[]): void {
  for (const [i, one] of sent.entries()) {
    const last = sent[i - 1];
    if (!last) continue;
    const isSameFrame = last.packet.frame === one.packet.frame && last.timestamp === one.timestamp;
    assert.equal((one.sequence - last.sequence) & 0xffff, 1, 'sequence numbers');
    assert.equal((one.pictureId - last.pictureId) & 0x7fff, isSameFrame ? 0 : 1, 'picture IDs');
    const isLayer0 = !isSameFrame && one.packet.temporal === 0;
    assert.equal((one.tl0 - last.tl0) & 0xff, isLayer0 ? 1 : 0, 'TL0PICIDX');
    const later = (one.timestamp - last.timestamp) | 0;
    assert.ok(isSameFrame ? later === 0 : later > 0, `timestamps: ${later}`);
  }
}

test('layers one after the other are one stream, wherever their counters stand, and through all wraps', () => {
  fc.assert(
    fc.property(
      fc.array(
        fc.record({
          at: fc.oneof(place, fc.constant(EDGE)),
          frames: fc.integer({ min: 1, max: 12 }),
          packets: fc.integer({ min: 1, max: 3 }),
        }),
        {
          minLength: 1,
          maxLength: 6,
        },
      ),
      (layers) => {
        const stream = new ForwardedStream(ONE);
        const sent: Sent[] = [];
        for (const [n, { at, frames, packets }] of layers.entries()) {
          const source = new Source(100 + n, at);
          for (let i = 0; i < frames; i++) {
            const frame = source.frame({ isKey: i === 0, packets });
            if (i === 0) begin(stream, frame[0]!, n === 0 ? 0 : stream.timestamp + 2990 - source.timestamp);
            for (const packet of frame) sent.push(follow(stream, packet)!);
          }
        }
        assert.ok(sent.every(Boolean));
        assertOneStream(sent);
        assert.equal(stream.packets, sent.length);
        assert.equal(stream.octets, sent.length * 20);
      },
    ),
  );
});

test('a clock that would go backwards goes on by a tick', () => {
  const stream = new ForwardedStream(ONE);
  const [one, other] = [new Source(1, EDGE), new Source(2, { ...EDGE, timestamp: 5 })];
  const [key] = one.frame({ isKey: true });
  begin(stream, key!);
  const first = follow(stream, key!)!;
  const [next] = other.frame({ isKey: true });
  begin(stream, next!, stream.timestamp - other.timestamp - 90_000);
  assert.equal((follow(stream, next!)!.timestamp - first.timestamp) | 0, 1);
});

/** Chromium's pattern of three temporal layers: 0 2 1 2, the first of each higher one after a key frame a sync. */
const PATTERN: readonly Frame[] = [
  { temporal: 0, packets: 2 },
  { temporal: 2, isSync: true },
  { temporal: 1, isSync: true },
  { temporal: 2, packets: 2 },
];

test('temporal layers that are left out close up, down at once, up with a frame from which decoding can begin', () => {
  fc.assert(
    fc.property(
      place,
      fc.array(fc.tuple(fc.integer({ min: 1, max: 9 }), fc.nat(3)), { maxLength: 8 }),
      (at, wishes) => {
        const stream = new ForwardedStream(ONE);
        const source = new Source(1, at);
        const sent: Sent[] = [];
        const first = source.frame({ isKey: true });
        begin(stream, first[0]!);
        sent.push(follow(stream, first[0]!)!);
        let frame = 0;
        let limit = 3;
        for (const [frames, wanted] of wishes) {
          stream.wantTemporal(wanted);
          limit = Math.min(limit, wanted);
          for (let i = 0; i < frames; i++) {
            const shape = PATTERN[frame++ % PATTERN.length]!;
            if (shape.isSync && shape.temporal! <= wanted) limit = Math.max(limit, shape.temporal!);
            for (const packet of source.frame(shape)) {
              const one = follow(stream, packet);
              assert.equal(one !== undefined, packet.temporal <= limit);
              if (one) sent.push(one);
            }
          }
        }
        assertOneStream(sent);
      },
    ),
  );
});

test('packets that come late keep their place, those of a frame that is left out and of the layer before have none', () => {
  const stream = new ForwardedStream(ONE);
  const source = new Source(1, EDGE);
  const [key] = source.frame({ isKey: true });
  begin(stream, key!);
  follow(stream, key!);
  stream.wantTemporal(0);
  const [a, b] = source.frame({ packets: 2 });
  const [c, d, e] = source.frame({ temporal: 1, packets: 3 });
  const [f] = source.frame();
  const [g] = source.frame({ temporal: 1 });
  const [h] = source.frame();
  const first = follow(stream, a!)!;
  assert.equal(follow(stream, c!), undefined);
  assert.equal(follow(stream, e!), undefined);
  assert.equal(follow(stream, d!), undefined, 'it was lost in the middle of what is left out');
  const sixth = follow(stream, f!)!;
  const eighth = follow(stream, h!)!;
  const second = follow(stream, b!)!;
  // Nobody knew what `g` was when its number was missing: there is a place, and it is filled.
  const seventh = follow(stream, g!)!;
  assert.deepEqual(
    [second, sixth, seventh, eighth].map(({ sequence }) => sequenceDistance(sequence, first.sequence)),
    [1, 2, 3, 4],
  );
  assert.deepEqual(
    [first, second, sixth, seventh, eighth].map(({ pictureId }) => (pictureId - first.pictureId) & 0x7fff),
    [0, 0, 1, 2, 3],
  );
  assert.equal(follow(stream, b!), undefined, 'a second time, as a retransmission and as itself');
  const other = new Source(2, EDGE);
  const [again] = other.frame({ isKey: true });
  begin(stream, again!);
  assert.equal(sequenceDistance(follow(stream, again!)!.sequence, eighth.sequence), 1);
  const [late] = new Source(2, { ...EDGE, sequence: EDGE.sequence - 3 }).frame();
  assert.equal(follow(stream, late!), undefined, 'from before the key frame');
});

test('another layer begins behind what came late, though the frame after that is left out', () => {
  const stream = new ForwardedStream(ONE);
  const source = new Source(1, EDGE);
  const [key] = source.frame({ isKey: true });
  begin(stream, key!);
  follow(stream, key!);
  stream.wantTemporal(0);
  const [a] = source.frame();
  const [b] = source.frame({ temporal: 1 });
  assert.equal(follow(stream, b!), undefined);
  const late = follow(stream, a!)!;
  const [other] = new Source(2, EDGE).frame({ isKey: true });
  begin(stream, other!);
  assert.equal(sequenceDistance(follow(stream, other!)!.sequence, late.sequence), 1);
});

test('whatever is lost and overtaken, no number goes out twice', () => {
  const random = seededRandom(3);
  for (let round = 0; round < 50; round++) {
    const stream = new ForwardedStream(ONE);
    const source = new Source(1, { ...EDGE, sequence: Math.floor(random.next() * 0x10000) });
    const frames = Array.from({ length: 60 }, (_, i) => source.frame({ ...PATTERN[i % 4], isKey: i === 0 }));
    begin(stream, frames[0]![0]!);
    const packets = frames.flat().map((packet, i) => ({ packet, at: i + random.next() * 6 }));
    packets[0]!.at = -1;
    packets.sort((x, y) => x.at - y.at);
    const numbers = new Set<number>();
    for (const { packet } of packets) {
      if (random.next() < 0.1) continue;
      if (random.next() < 0.1) stream.wantTemporal(Math.floor(random.next() * 4));
      const sent = follow(stream, packet);
      if (!sent) continue;
      assert.ok(!numbers.has(sent.sequence), `round ${round}: ${sent.sequence} twice`);
      numbers.add(sent.sequence);
    }
    assert.ok(numbers.size > 10);
  }
});
