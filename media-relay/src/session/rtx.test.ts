import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isSdpError, parseSdp } from '@offhook/core';
import { rtxOf, rtxSourceFor } from './rtx.ts';
import { plainAnswer } from './test-bench.ts';

test('what RTX repeats is found wherever apt stands among the parameters, if it is one of the formats', () => {
  const originalBy = (fmtp: string) => {
    const lines = ['m=video 5002 RTP/AVP 96 97', 'a=rtpmap:96 VP8/90000', 'a=rtpmap:97 rtx/90000', `a=fmtp:97 ${fmtp}`];
    const sd = parseSdp(plainAnswer(5000, [], lines));
    assert.ok(!isSdpError(sd));
    return rtxOf(sd.media[1]!).map(({ payloadType, original }) => [payloadType, original]);
  };
  for (const good of ['apt=96', 'apt=96;rtx-time=3000', 'rtx-time=3000;apt=96', 'rtx-time=3000; apt=96']) {
    assert.deepEqual(originalBy(good), [[97, 96]], good);
  }
  for (const bad of ['apt=98', 'apt=0', 'apt=', 'apt=960', 'apt=1096', 'xapt=96', 'rtx-time=3000', 'x=apt=96']) {
    assert.deepEqual(originalBy(bad), [], bad);
  }
});

test('a phone that names one source gets one of retransmissions beside it, and no other phone does', () => {
  const source = (...lines: string[]) => {
    const sd = parseSdp(plainAnswer(5000, [], ['m=video 5002 RTP/AVP 96', ...lines]));
    assert.ok(!isSdpError(sd));
    return rtxSourceFor(sd.media[1]!, 9);
  };
  const named = { ssrc: 9, original: 5, cname: 'sip:x@y z' };
  assert.deepEqual(source('a=ssrc:5 cname:sip:x@y z'), named);
  assert.deepEqual(source('a=ssrc:5 msid:a b', 'a=ssrc:5 cname:sip:x@y z', 'a=ssrc:5 label:v'), named);
  for (const lines of [
    [],
    ['a=ssrc:5 msid:a b'],
    ['a=ssrc:5 cname:x', 'a=ssrc:6 cname:x'],
    ['a=ssrc:9 cname:x'],
    ['a=ssrc:4294967296 cname:x'],
    ['a=ssrc:x cname:x'],
    ['a=ssrc-group:FID 5 6', 'a=ssrc:5 cname:x'],
  ]) {
    assert.equal(source(...lines), undefined, lines.join());
  }
});
