import assert from 'node:assert/strict';
import { test } from 'node:test';
import { copyAsRtx, rtpPayloadType, rtpSequence, rtpSsrc } from '@offhook/core';
import { rtp } from '../test-kit.ts';
import { RtxReceiver } from './rtx-receiver.ts';

const SSRC = 0xfedc0001;
const RTX = 0x99;

function receiver(sources: ReadonlyMap<number, number> = new Map([[RTX, SSRC]])): RtxReceiver {
  const originals = new Uint8Array(128);
  const pictures = new Uint8Array(128);
  originals[97] = 96;
  pictures[96] = 1;
  return new RtxReceiver({ originals, pictures, sources });
}

const original = (sequence: number, ssrc = SSRC) => rtp({ ssrc, sequence, payloadType: 96, fill: sequence & 255 });
const feed = (to: RtxReceiver, sequence: number, ssrc = SSRC) => {
  const bytes = original(sequence, ssrc);
  assert.equal(to.restore(bytes, 0, bytes.length), bytes.length);
};
/** What comes out of a retransmission of that packet. */
function again(to: RtxReceiver, sequence: number, rtxSequence = 5): Uint8Array | number {
  const bytes = original(sequence);
  const room = new Uint8Array(300);
  const header = { payloadType: 97, ssrc: RTX, sequence: rtxSequence };
  const length = copyAsRtx({ bytes, offset: 0, length: bytes.length }, room, 0, header);
  const out = to.restore(room, 0, length);
  return out > 0 ? room.slice(0, out) : out;
}

test('a retransmission becomes its original, once, and only what never came', () => {
  for (const sources of [new Map([[RTX, SSRC]]), new Map<number, number>()]) {
    const to = receiver(sources);
    for (const sequence of [65_533, 65_534, 1, 2]) feed(to, sequence);
    assert.equal(again(to, 65_534), 0, 'it came');
    assert.deepEqual(again(to, 65_535), original(65_535));
    assert.equal(again(to, 65_535), 0, 'it came as RTX');
    assert.deepEqual(again(to, 0), original(0));
    assert.deepEqual(again(to, 3), original(3), 'sooner than the original');
    assert.equal(again(to, 3), 0);
    assert.equal(again(to, 65_000), 0, 'before the first');
    feed(to, 3000);
    assert.equal(again(to, 2), 0, 'out of the window');
    assert.ok(again(to, 2999) instanceof Uint8Array);
  }
});

test('padding and rubbish bring nothing, nor does what belongs to nobody known', () => {
  const to = receiver(new Map());
  assert.equal(again(to, 5), 0);
  feed(to, 10);
  const padding = rtp({ ssrc: RTX, sequence: 1, payloadType: 97, length: 20, fill: 0 });
  padding[0]! |= 0x20;
  padding[padding.length - 1] = 20;
  assert.equal(to.restore(padding, 0, padding.length), 0);
  const short = rtp({ ssrc: RTX, sequence: 2, payloadType: 97, length: 1 });
  assert.equal(to.restore(short, 0, short.length), -1);
  const sound = rtp({ ssrc: 3, sequence: 2, payloadType: 111 });
  assert.equal(to.restore(sound, 0, sound.length), sound.length);
});

test('another source and a new start begin anew', () => {
  const to = receiver(new Map());
  feed(to, 10);
  feed(to, 40_000);
  assert.equal(again(to, 39_999), 0, 'one packet proves nothing');
  feed(to, 40_001);
  feed(to, 40_003);
  const out = again(to, 40_002) as Uint8Array;
  assert.deepEqual([rtpSequence(out, 0), rtpPayloadType(out, 0), rtpSsrc(out, 0)], [40_002, 96, SSRC]);
  feed(to, 7, 4);
  assert.equal(again(to, 6), 0);
});
