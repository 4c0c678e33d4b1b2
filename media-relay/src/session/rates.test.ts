import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isSdpError, parseSdp, type SessionDescription } from '@offhook/core';
import { ExtensionIds, extensionMap, identifiers, TRANSPORT_SEQUENCE } from './extensions.ts';
import { Bench, golden, PLAIN, plainAnswer, WEBRTC } from './test-bench.ts';

const AUDIO_LEVEL = 'urn:ietf:params:rtp-hdrext:ssrc-audio-level';
const lines = (sdp: string, pattern: RegExp) => sdp.split('\r\n').filter((l) => pattern.test(l));
/** The lines of one section. */
const section = (sdp: string, kind: string) => sdp.slice(sdp.indexOf(`m=${kind}`)).split(/\r\n(?=m=)/)[0]!;
const rates = (bench: Bench) =>
  bench.book.find('call')!.legs.map((leg) => leg.transports().map((t) => t.rates !== undefined));
const parsed = (sdp: string): SessionDescription => {
  const sd = parseSdp(sdp);
  assert.ok(!isSdpError(sd));
  return sd;
};

const pictures = (port: number, extra: string[] = [], protocol = 'RTP/AVP') =>
  plainAnswer(port, [], [`m=video ${port + 2} ${protocol} 96`, 'a=rtpmap:96 VP8/90000', ...extra, 'a=sendrecv']);

test('between two browsers with pictures feedback and numbers are those of each hop, and retransmissions ours', () => {
  const bench = new Bench();
  const toB = bench.offer('a', golden('chromium-av-offer'), WEBRTC);
  assert.deepEqual(lines(section(toB, 'video'), /^a=rtcp-fb:96 (transport-cc|goog-remb)/), [
    'a=rtcp-fb:96 transport-cc',
    'a=rtcp-fb:96 goog-remb',
  ]);
  assert.deepEqual(lines(toB, /transport-wide/), new Array(2).fill(`a=extmap:3 ${TRANSPORT_SEQUENCE}`));
  const toA = bench.answer('a', 'b', golden('chromium-av-answer'));
  assert.deepEqual(lines(toA, /transport-wide/), new Array(2).fill(`a=extmap:3 ${TRANSPORT_SEQUENCE}`));
  assert.equal(lines(section(toA, 'video'), /^a=rtcp-fb:96 transport-cc/).length, 1);
  assert.deepEqual(rates(bench), [[true], [true]]);
  const [a, b] = bench.book.find('call')!.legs;
  assert.deepEqual([a!.bundle!.repair!.sendsRtx, b!.bundle!.repair!.sendsRtx], [true, true]);
  bench.offer('a', golden('chromium-av-offer').replace(/m=video \d+/, 'm=video 0'), WEBRTC);
  bench.answer('a', 'b', golden('chromium-av-answer').replace(/m=video \d+/, 'm=video 0'));
  assert.deepEqual(rates(bench), [[false], [false]], 'pictures are over');
  bench.end();
});

test('what the far browser lacks is still agreed on with the near one; unoffered things are not answered', () => {
  const strip = (sdp: string) => sdp.replaceAll(/a=(extmap:3|rtcp-fb:\d+ (transport-cc|goog-remb)).*\r\n/g, '');
  const bench = new Bench();
  bench.offer('a', golden('chromium-av-offer'), WEBRTC);
  const toA = bench.answer('a', 'b', strip(golden('chromium-av-answer')));
  assert.equal(lines(toA, /transport-wide/).length, 2);
  assert.equal(lines(toA, /^a=rtcp-fb:96 (transport-cc|goog-remb)/).length, 2);
  bench.end();
  const other = new Bench();
  const toB = other.offer('a', strip(golden('chromium-av-offer')), WEBRTC);
  assert.equal(lines(toB, /transport-wide/).length, 2);
  assert.equal(lines(other.answer('a', 'b', golden('chromium-av-answer')), /transport-(wide|cc)|goog-remb/).length, 0);
  other.end();
});

test('without pictures everything passes as it was, and no packet is looked at', () => {
  const bench = new Bench();
  const offer = golden('chromium-audio-offer');
  const toB = bench.offer('a', offer, WEBRTC);
  const all = /^a=(extmap:|rtcp-fb:)/;
  assert.deepEqual(lines(toB, all).sort(), lines(offer, all).sort());
  bench.answer('a', 'b', golden('chromium-audio-answer'));
  assert.deepEqual(rates(bench), [[false], [false]]);
  bench.end();
  const withPhone = new Bench();
  withPhone.offer('a', offer, PLAIN);
  withPhone.answer('a', 'b', plainAnswer(5000));
  assert.deepEqual(rates(withPhone), [[false], [false]]);
  withPhone.end();
});

test('a browser that calls a video phone: its hop has feedback, REMB and RTX; the phone hears nothing of it', () => {
  const bench = new Bench();
  const toB = bench.offer('a', golden('chromium-av-offer'), PLAIN);
  assert.equal(lines(toB, /extmap|rtcp-fb|rtx/).length, 0);
  const toA = section(bench.answer('a', 'b', pictures(5000)), 'video');
  assert.deepEqual(lines(toA, /^a=extmap/), [`a=extmap:3 ${TRANSPORT_SEQUENCE}`]);
  assert.deepEqual(lines(toA, /^a=(rtcp-fb|fmtp|rtpmap):/), [
    'a=rtpmap:96 VP8/90000',
    'a=rtcp-fb:96 nack',
    'a=rtcp-fb:96 nack pli',
    'a=rtcp-fb:96 transport-cc',
    'a=rtcp-fb:96 goog-remb',
    'a=rtpmap:97 rtx/90000',
    'a=fmtp:97 apt=96',
  ]);
  assert.match(toA, /^m=video \d+ UDP\/TLS\/RTP\/SAVPF 96 97\r/);
  assert.deepEqual(rates(bench), [[true], [false, true]]);
  const undone = bench.book.find('call')!.legs.map((leg) => leg.transports().at(-1)!.rates!.rtx !== undefined);
  assert.deepEqual(undone, [true, false], 'retransmissions of the browser alone');
  bench.end();
});

test('a video phone that calls a browser: the browser is offered all of it under free numbers', () => {
  const bench = new Bench();
  const toA = section(bench.offer('b', pictures(5000, ['a=extmap:3 urn:x'])), 'video');
  assert.equal(lines(toA, /extmap/).length, 0, 'a phone');
  bench.end();
  const other = new Bench();
  const offered = section(other.offer('b', pictures(5000, ['a=extmap:3 urn:x']), WEBRTC), 'video');
  assert.deepEqual(lines(offered, /^a=extmap/), [`a=extmap:3 ${TRANSPORT_SEQUENCE}`]);
  assert.deepEqual(lines(offered, /rtx|apt/), ['a=rtpmap:127 rtx/90000', 'a=fmtp:127 apt=96']);
  other.end();
});

const NAMED = ['a=ssrc:77 cname:phone'];
/** The repair of pictures towards the browser, which is the leg at that place. */
const repairOf = (bench: Bench, place: number) => bench.book.find('call')!.legs[place]!.bundle!.repair!;

test('what a phone sends a browser is repaired by RTX, from a source that is announced with that of the phone', () => {
  for (const answersRtx of [true, false]) {
    const bench = new Bench();
    const offered = section(bench.offer('b', pictures(5000, NAMED), WEBRTC), 'video');
    const [, rtx] = /^a=ssrc-group:FID 77 (\d+)\r$/m.exec(offered)!;
    assert.deepEqual(lines(offered, /^a=ssrc:/), ['a=ssrc:77 cname:phone', `a=ssrc:${rtx} cname:phone`]);
    const rtxLines = answersRtx ? ['a=rtpmap:127 rtx/90000', 'a=fmtp:127 apt=96'] : [];
    const answer = golden('chromium-av-answer')
      .replaceAll(/a=(rtpmap|rtcp-fb|fmtp):(97|127) .*\r\n/g, '')
      .replace(/(m=video \d+ \S+) .*\r\n/, ['$1 96', ...(answersRtx ? [' 127'] : []), '\r\n'].join(''))
      .replace('a=mid:1\r\n', ['a=mid:1', ...rtxLines, ''].join('\r\n'));
    bench.answer('b', 'a', answer);
    assert.equal(repairOf(bench, 1).sendsRtx, answersRtx);
    // Said again, it is the same source.
    assert.match(bench.offer('b', pictures(5000, NAMED), WEBRTC), new RegExp(`FID 77 ${rtx}\r`));
    bench.end();
  }
});

test('a browser that calls a phone is sent RTX too, if the phone names its source', () => {
  for (const names of [true, false]) {
    const bench = new Bench();
    bench.offer('a', golden('chromium-av-offer'), PLAIN);
    const toA = bench.answer('a', 'b', pictures(5000, names ? NAMED : []));
    assert.equal(/^a=ssrc-group:FID 77 \d+\r$/m.test(toA), names);
    assert.equal(repairOf(bench, 0).sendsRtx, names);
    bench.end();
  }
});

test('a phone that names feedback other than NACK is repaired by us, one that names NACK by itself', () => {
  for (const [feedback, isOurs] of [
    ['* nack pli', true],
    ['96 nack', false],
  ] as const) {
    const bench = new Bench();
    bench.offer('a', golden('chromium-av-offer'), PLAIN);
    const toA = section(bench.answer('a', 'b', pictures(5000, [...NAMED, `a=rtcp-fb:${feedback}`])), 'video');
    assert.equal(lines(toA, /^a=rtcp-fb:(96|\*) nack$/).length, 1);
    assert.equal(repairOf(bench, 0).sendsRtx, isOurs);
    bench.end();
  }
});

test('another phone behind the same browser is repaired plainly until its own source was announced', () => {
  const bench = new Bench();
  bench.offer('a', golden('chromium-av-offer'), PLAIN);
  bench.answer('a', 'b', pictures(5000, NAMED));
  const offer = pictures(5000, ['a=ssrc:78 cname:other']);
  const toA = bench.offer('b', offer, { ...WEBRTC, toTag: 'a' });
  assert.equal(repairOf(bench, 0).sendsRtx, false);
  assert.match(toA, /a=ssrc-group:FID 78 /);
  bench.answer('b', 'a', golden('chromium-av-answer'));
  assert.equal(repairOf(bench, 0).sendsRtx, true);
  bench.end();
});

test('a phone with feedback in its protocol is offered TMMBR, and answered it when it offers it', () => {
  const avpf = { protocol: 'RTP/AVPF', ice: 'remove' } as const;
  const bench = new Bench();
  const toB = bench.offer('a', golden('chromium-av-offer'), avpf);
  assert.ok(lines(toB, /^a=rtcp-fb:96 ccm tmmbr$/).length === 1);
  assert.equal(lines(toB, /transport-cc|extmap/).length, 0);
  bench.answer('a', 'b', pictures(5000, ['a=rtcp-fb:96 ccm tmmbr'], 'RTP/AVPF').replace('RTP/AVP 0', 'RTP/AVPF 0'));
  assert.deepEqual(rates(bench), [[true], [false, true]]);
  bench.end();
});

test('identifiers of a leg: the peer rules, a number is given one meaning only, and there is an end to numbers', () => {
  const ids = new ExtensionIds();
  assert.equal(ids.give('urn:a', 5), 5);
  assert.equal(ids.give('urn:b', 5), 1);
  assert.equal(ids.give('urn:a', 9), 5);
  ids.learn(
    parsed(pictures(5000, ['a=extmap:1 urn:a', 'a=extmap:5/recvonly urn:c', 'a=extmap:0 urn:z', 'a=extmap:x'])),
  );
  assert.equal(ids.give('urn:a', 9), 1);
  assert.equal(ids.give('urn:c', 9), 5);
  assert.equal(ids.give('urn:b', 5), 2, 'its number was given to something else');
  for (let i = 0; i < 11; i++) assert.ok(ids.give(`urn:more:${i}`, 5));
  assert.equal(ids.give('urn:last', 5), undefined);
});

test('the map between two legs: the same meaning, another number; what is unknown there is taken out', () => {
  const of = (...extmaps: string[]) =>
    identifiers(
      parsed(
        pictures(
          5000,
          extmaps.map((x) => `a=extmap:${x}`),
        ),
      ).media,
    );
  const same = of(`1 ${AUDIO_LEVEL}`, `3 ${TRANSPORT_SEQUENCE}`);
  assert.equal(extensionMap(same, same, true), undefined);
  assert.equal(extensionMap(same, new Map(), true), undefined);
  const map = extensionMap(same, of(`3 ${AUDIO_LEVEL}`, '1 urn:other'), true)!;
  assert.deepEqual([map[1], map[3], map[2]], [3, 0, 0]);
  const mids = of('4 urn:ietf:params:rtp-hdrext:sdes:mid');
  assert.equal(extensionMap(mids, mids, true), undefined);
  assert.equal(extensionMap(mids, mids, false)![4], 0);
  // The first line of a number and of a meaning counts.
  const twice = of(`3 ${AUDIO_LEVEL}`, `3 ${TRANSPORT_SEQUENCE}`, `4 ${AUDIO_LEVEL}`);
  assert.deepEqual([...twice], [[AUDIO_LEVEL, 3]]);
});
