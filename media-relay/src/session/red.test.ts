import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Bench, golden, PLAIN, plainAnswer, WEBRTC } from './test-bench.ts';

const OPUS = ['a=rtpmap:111 opus/48000/2', 'a=fmtp:111 useinbandfec=1'];
const opusAnswer = (formats = '111 0', lines = OPUS) =>
  plainAnswer(5000, lines).replace('RTP/AVP 0 126', `RTP/AVP ${formats} 126`);
const lines = (sdp: string, pattern: RegExp) => sdp.split('\r\n').filter((l) => pattern.test(l));
const formats = (sdp: string) =>
  lines(sdp, /^m=audio/)[0]!
    .split(' ')
    .slice(3)
    .join(' ');
const recoveries = (bench: Bench) =>
  bench.book
    .find('call')!
    .legs.flatMap((leg) => leg.transports())
    .map((t) => t.recovery?.format);

test('a browser that offered RED gets it in front when the phone takes Opus, and nothing of it reaches the phone', () => {
  const bench = new Bench();
  const toB = bench.offer('a', golden('chromium-audio-offer'), PLAIN);
  assert.equal(lines(toB, / red\//).length, 0);
  const toA = bench.answer('a', 'b', opusAnswer());
  assert.equal(formats(toA), '63 111 0 126');
  assert.deepEqual(lines(toA, /^a=(rtpmap|fmtp):63/), ['a=rtpmap:63 red/48000/2', 'a=fmtp:63 111/111']);
  assert.deepEqual(recoveries(bench), [{ payloadType: 63, audio: 111 }, undefined]);
  const kept = bench.book.find('call')!.legs[0]!.bundle!.recovery;
  assert.equal(bench.answer('a', 'b', opusAnswer()), toA, 'the same again');
  assert.equal(bench.book.find('call')!.legs[0]!.bundle!.recovery, kept);
  bench.answer('a', 'b', opusAnswer('0'));
  assert.deepEqual(recoveries(bench), [undefined, undefined], 'another phone answered, without Opus');
  bench.end();
});

test('no RED in front of what the phone likes better than Opus, for another format than its own, or unoffered', () => {
  const answers: [string, string, string][] = [
    ['PCMU first', golden('chromium-audio-offer'), opusAnswer('0 111')],
    ['another number', golden('chromium-audio-offer'), opusAnswer('96', ['a=rtpmap:96 opus/48000/2'])],
    ['mono by name', golden('chromium-audio-offer'), opusAnswer('111', ['a=rtpmap:111 opus/48000'])],
    ['the number is in use', golden('chromium-audio-offer'), opusAnswer('111 63', [...OPUS, 'a=rtpmap:63 L16/8000'])],
    ['RED of something else', golden('chromium-audio-offer').replace('63 111/111', '63 111/0'), opusAnswer()],
    ['no RED', golden('chromium-audio-offer').replace('a=rtpmap:63 red/48000/2\r\n', ''), opusAnswer()],
  ];
  for (const [name, offer, answer] of answers) {
    const bench = new Bench();
    bench.offer('a', offer, PLAIN);
    assert.equal(lines(bench.answer('a', 'b', answer), / red\//).length, 0, name);
    assert.deepEqual(recoveries(bench), [undefined, undefined], name);
    bench.end();
  }
});

const phoneOffer = (kinds = '107 0') => opusAnswer(kinds, ['a=rtpmap:107 opus/48000/2']);
const browserAnswer = (chosen: string) =>
  golden('chromium-audio-answer')
    .replace(/UDP\/TLS\/RTP\/SAVPF .*/, `UDP/TLS/RTP/SAVPF ${chosen}`)
    .replaceAll(':111 ', ':107 ')
    .replace('111/111', '107/107');

test('a browser is offered RED for the Opus of a phone, and it is used when the browser takes it', () => {
  const bench = new Bench();
  const toA = bench.offer('b', phoneOffer(), WEBRTC);
  assert.equal(formats(toA), '63 107 0 126');
  assert.ok(toA.includes('a=fmtp:63 107/107\r\n'));
  assert.deepEqual(recoveries(bench), [undefined, undefined], 'not before it is answered');
  const toB = bench.answer('b', 'a', browserAnswer('63 107'));
  assert.equal(lines(toB, / red\//).length, 0);
  assert.equal(formats(toB), '107');
  assert.deepEqual(recoveries(bench), [undefined, { payloadType: 63, audio: 107 }]);
  // The phone offers again: the same number, and what is in use stays in use.
  const kept = bench.book.find('call')!.legs[1]!.bundle!.recovery;
  assert.equal(formats(bench.offer('b', phoneOffer(), { toTag: 'a' })), '63 107 0 126');
  assert.equal(bench.book.find('call')!.legs[1]!.bundle!.recovery, kept);
  bench.answer('b', 'a', browserAnswer('107'));
  assert.deepEqual(recoveries(bench), [undefined, undefined], 'declined this time');
  bench.end();
});

test('a number that a phone uses for itself is not taken for RED', () => {
  const bench = new Bench();
  const toA = bench.offer('b', phoneOffer('107 63 127'), WEBRTC);
  assert.equal(formats(toA), '125 107 63 127 126');
  bench.end();
});

test('between two browsers, opaque or not, and in an echo RED is their own', () => {
  for (const options of [WEBRTC, { ...WEBRTC, opaque: true }]) {
    const bench = new Bench();
    const toB = bench.offer('a', golden('chromium-audio-offer'), options);
    assert.equal(formats(toB), '111 63 9 0 8 13 110 126');
    const toA = bench.answer('a', 'b', golden('chromium-audio-answer'));
    assert.equal(formats(toA), '111 63 9 0 8 13 110 126');
    assert.deepEqual(recoveries(bench), [undefined, undefined]);
    bench.end();
  }
  const bench = new Bench();
  assert.equal(formats(bench.echo(golden('chromium-audio-offer'))), '111 63 9 0 8 13 110 126');
  assert.deepEqual(recoveries(bench), [undefined]);
  bench.end();
});
