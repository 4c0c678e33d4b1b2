import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  isFeedback,
  isRtcpCompound,
  PayloadFeedback,
  RtcpType,
  RtcpWriter,
  readFir,
  readNack,
  rtcpEnd,
  rtcpMediaSsrc,
  rtcpType,
  rtpSequence,
  rtpSsrc,
} from '@offhook/core';
import { rtp } from '../test-kit.ts';
import type { KeyFrameSupport } from './key-frame-requests.ts';
import { VideoRepair } from './video-repair.ts';

const PLI: KeyFrameSupport = { pli: true, fir: false, info: false };
const OURS = 0xabcd;

function repair(nack: boolean, keyFrames = PLI): VideoRepair {
  const made = new VideoRepair();
  made.configure({ payloadTypes: [96], nack, keyFrames });
  return made;
}

const picture = (ssrc: number, sequence: number, payloadType = 96) =>
  rtp({ ssrc, sequence, payloadType, fill: sequence });
const feed = (to: VideoRepair, sequence: number, nowMs: number) => to.received(picture(5, sequence), 0, nowMs);

/** What is asked for, in words. */
function asked(from: VideoRepair, nowMs: number): string[] {
  const to = new Uint8Array(1500);
  const length = from.write(to, OURS, { nowMs, rttMs: 40 });
  if (length === 0) return [];
  assert.ok(isRtcpCompound(to, 0, length));
  assert.equal(rtcpType(to, 0), RtcpType.receiverReport);
  const words: string[] = [];
  for (let at = rtcpEnd(to, 0); at < length; at = rtcpEnd(to, at)) {
    if (rtcpType(to, at) === RtcpType.transportFeedback)
      words.push(`nack ${rtcpMediaSsrc(to, at)} ${readNack(to, at)}`);
    else if (isFeedback(to, at, RtcpType.payloadFeedback, PayloadFeedback.pli))
      words.push(`pli ${rtcpMediaSsrc(to, at)}`);
    else words.push(...readFir(to, at).map((f) => `fir ${f.ssrc} ${f.command}`));
  }
  return words;
}

function take(at: VideoRepair, write: (w: RtcpWriter) => RtcpWriter, nowMs: number): boolean {
  return at.handleFeedback(write(new RtcpWriter(new Uint8Array(200))).bytes, 0, nowMs);
}

test('what a peer asks for is sent as it was sent, once a round trip; what it names of others passes', () => {
  const peer = repair(true);
  for (let i = 0; i < 10; i++) {
    const bytes = picture(7, i);
    peer.sent(bytes, 0, bytes.length, 0);
  }
  peer.sent(picture(9, 1, 111), 0, 172, 0); // sound
  assert.equal(
    take(peer, (w) => w.nack(1, 9, [1]), 10),
    true,
  );
  assert.equal(
    take(peer, (w) => w.nack(1, 7, [3, 8, 20]), 10),
    false,
  );
  const to = new Uint8Array(1500);
  const drain = (nowMs: number) => {
    const all: number[] = [];
    for (let n = peer.resend(to, { nowMs, rttMs: 40 }); n > 0; n = peer.resend(to, { nowMs, rttMs: 40 })) {
      all.push(to[3]!);
      assert.deepEqual(to.slice(0, n), picture(7, to[3]!));
    }
    return all.sort();
  };
  assert.deepEqual(drain(10), [3, 8]);
  take(peer, (w) => w.nack(1, 7, [3]), 30);
  assert.deepEqual(drain(30), []);
  take(peer, (w) => w.nack(1, 7, [3]), 50);
  assert.deepEqual(drain(50), [3]);
  const other = picture(8, 4);
  peer.sent(other, 0, other.length, 60);
  assert.equal(
    take(peer, (w) => w.nack(1, 7, [3]), 100),
    true,
    'of a stream that is no more',
  );
  take(peer, (w) => w.nack(1, 8, [3, 4]), 100);
  assert.equal(peer.resend(to, { nowMs: 100, rttMs: 40 }), other.length);
  assert.equal(peer.resend(to, { nowMs: 100, rttMs: 40 }), 0);
  peer.configure({ payloadTypes: [96], nack: false, keyFrames: PLI });
  assert.equal(
    take(peer, (w) => w.nack(1, 7, [3]), 100),
    true,
    'no longer ours',
  );
});

test('retransmissions as RTX go on with their numbers, also when pictures were gone in between', () => {
  const sequences = new Map<number, number>();
  const payloadTypes = new Uint8Array(128);
  payloadTypes[96] = 97;
  const settings = { payloadTypes: [96], nack: true, keyFrames: PLI };
  const to = new Uint8Array(1500);
  const numbers: number[] = [];
  for (const [round, ssrc] of [71, 72, 71].entries()) {
    const peer = new VideoRepair(sequences);
    peer.configure({ ...settings, rtx: { ssrc, payloadTypes } }, 500 * round + 65_535);
    for (let i = 0; i < 3; i++) {
      const bytes = picture(7, i);
      peer.keep(bytes, 0, bytes.length, 0);
    }
    take(peer, (w) => w.nack(1, 7, [1]), 10);
    assert.equal(peer.resend(to, { nowMs: 10, rttMs: 40 }), picture(7, 1).length + 2);
    assert.deepEqual([rtpSsrc(to, 0), to[1]], [ssrc, 97]);
    numbers.push(rtpSequence(to, 0));
    assert.ok(peer.pad(200, to) > 0 && rtpSequence(to, 0) === ((numbers.at(-1)! + 1) & 0xffff));
    peer.close();
    assert.equal(peer.pad(200, to), 0);
  }
  assert.deepEqual(numbers, [65_535, (500 + 65_535) & 0xffff, 1]);
});

test('a source that was not announced with the RTX stream is repaired by plain retransmission', () => {
  const payloadTypes = new Uint8Array(128);
  payloadTypes[96] = 97;
  const peer = new VideoRepair();
  const settings = { payloadTypes: [96], nack: true, keyFrames: PLI, rtx: { ssrc: 71, payloadTypes, original: 7 } };
  peer.configure(settings);
  const send = (ssrc: number, sequence: number) => {
    const bytes = picture(ssrc, sequence);
    peer.keep(bytes, 0, bytes.length, 0);
    peer.sent(bytes, 0, bytes.length, 0);
    return bytes.length;
  };
  const to = new Uint8Array(1500);
  const length = send(7, 1);
  peer.keep(picture(9, 1, 111), 0, 172, 0); // sound is another matter
  take(peer, (w) => w.nack(1, 7, [1]), 10);
  assert.deepEqual([peer.sendsRtx, peer.resend(to, { nowMs: 10, rttMs: 40 })], [true, length + 2]);
  send(8, 2);
  take(peer, (w) => w.nack(1, 8, [2]), 10);
  assert.deepEqual([peer.sendsRtx, peer.resend(to, { nowMs: 10, rttMs: 40 }), rtpSsrc(to, 0)], [false, length, 8]);
  peer.configure(settings);
  assert.equal(peer.sendsRtx, true, 'described anew');
});

test('gaps are asked for with the next packets; a gap beyond hope becomes a wish for a key frame', () => {
  const peer = repair(true);
  assert.equal(feed(peer, 1, 0), false);
  assert.equal(feed(peer, 4, 5), false);
  assert.equal(feed(peer, 5, 16), true);
  assert.deepEqual(asked(peer, 16), ['nack 5 2,3']);
  assert.equal(feed(peer, 2, 30), false);
  assert.equal(feed(peer, 6, 60), true);
  assert.deepEqual(asked(peer, 60), ['nack 5 3']);
  assert.equal(feed(peer, 7, 1100), true);
  assert.deepEqual(asked(peer, 1100), ['pli 5']);
  assert.deepEqual(asked(peer, 1100), []);
  peer.received(picture(6, 40_000), 0, 1200);
  peer.received(picture(5, 9), 0, 1200);
  assert.equal(feed(peer, 10, 1300), false, 'another stream in between begins anew');
  const deaf = repair(false);
  feed(deaf, 1, 0);
  feed(deaf, 9, 5);
  assert.equal(feed(deaf, 10, 100), false);
});

test('all wishes for a key frame become one a second, in the form that the far peer understands', () => {
  for (const [support, word] of [
    [PLI, 'pli 77'],
    [{ ...PLI, pli: false, fir: true }, 'fir 77 0'],
  ] as const) {
    const peer = repair(false);
    const far = repair(false, support);
    peer.aim(far, (ssrc) => ssrc + 7);
    assert.equal(
      take(peer, (w) => w.pli(1, 70), 0),
      false,
    );
    assert.equal(
      take(peer, (w) => w.fir(1, 70, 3), 0),
      false,
    );
    assert.equal(far.isDue(0), true);
    assert.deepEqual(asked(far, 0), [word]);
    take(peer, (w) => w.pli(1, 70), 400);
    assert.deepEqual([far.isDue(400), asked(far, 400)], [false, []]);
    assert.equal(feed(far, 1, 1000), true);
    assert.deepEqual(asked(far, 1000), [word.replace(/ 0$/, ' 1')]);
    assert.equal(
      take(peer, (w) => w.remb(1, 1e6, [70]), 0),
      true,
      'other feedback passes',
    );
    peer.aim(undefined, undefined);
    assert.equal(
      take(peer, (w) => w.pli(1, 70), 0),
      true,
    );
  }
});
