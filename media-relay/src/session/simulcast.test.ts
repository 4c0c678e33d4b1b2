import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RtcpType, readNack, rtcpEnd, rtcpMediaSsrc, rtcpType, rtpSsrc, writeNack } from '@offhook/core';
import { rtp } from '../test-kit.ts';
import type { Leg } from './leg.ts';
import { Bench, OWN_FINGERPRINT, PLAIN, WEBRTC } from './test-bench.ts';

const TRANSPORT_CC = 'http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01';
const SDES = 'urn:ietf:params:rtp-hdrext:sdes';
const LAYERS = ['a=rid:l send', 'a=rid:m send', 'a=rid:h send', 'a=simulcast:send l;m;h'];
const CODECS = [
  'a=rtpmap:96 VP8/90000',
  'a=rtcp-fb:96 transport-cc',
  'a=rtcp-fb:96 nack',
  'a=rtcp-fb:96 nack pli',
  'a=rtpmap:97 rtx/90000',
  'a=fmtp:97 apt=96',
];
const EXTENSIONS = [
  `a=extmap:3 ${TRANSPORT_CC}`,
  `a=extmap:4 ${SDES}:mid`,
  `a=extmap:10 ${SDES}:rtp-stream-id`,
  `a=extmap:11 ${SDES}:repaired-rtp-stream-id`,
];

/** A browser's description: sound, and pictures with those lines. */
function browser(
  lines: readonly string[],
  setup = 'actpass',
  codecs: readonly string[] = CODECS,
  formats = '96 97',
): string {
  return [
    'v=0',
    'o=- 1 1 IN IP4 127.0.0.1',
    's=-',
    't=0 0',
    'a=group:BUNDLE 0 1',
    ...[
      ['m=audio 9 UDP/TLS/RTP/SAVPF 111', 'a=mid:0', 'a=rtpmap:111 opus/48000/2', 'a=ssrc:5 cname:me'],
      [`m=video 9 UDP/TLS/RTP/SAVPF ${formats}`, 'a=mid:1', ...codecs, ...lines],
    ].flatMap(([m, ...rest]) => [
      m!,
      'c=IN IP4 0.0.0.0',
      'a=rtcp-mux',
      'a=ice-ufrag:peerUfrag',
      'a=ice-pwd:peerpwdpeerpwdpeerpwd22',
      `a=fingerprint:${OWN_FINGERPRINT}`,
      `a=setup:${setup}`,
      ...rest,
      'a=sendrecv',
    ]),
    '',
  ].join('\r\n');
}

const pictures = (sdp: string) => sdp.slice(sdp.indexOf('m=video')).split('\r\n');
const ofLayers = (sdp: string) => pictures(sdp).filter((line) => /^a=(rid|simulcast):/.test(line));
const sources = (sdp: string) => pictures(sdp).filter((line) => /^a=ssrc/.test(line));
const extensions = (sdp: string) => pictures(sdp).filter((line) => line.startsWith('a=extmap'));
const OFFER = browser([...EXTENSIONS, ...LAYERS]);
const ANSWER = browser(EXTENSIONS.slice(0, 2), 'active');

const RECEIVED = ['a=rid:l recv', 'a=rid:m recv', 'a=rid:h recv', 'a=simulcast:recv l;m;h'];

test('layers that are offered are received here, and the far side is offered one stream', () => {
  const bench = new Bench({ startsDtls: true });
  const toBob = bench.offer('a', OFFER, WEBRTC);
  assert.deepEqual(ofLayers(toBob), []);
  assert.deepEqual(extensions(toBob), EXTENSIONS.slice(0, 2).reverse());
  const [group, one, rtx] = sources(toBob);
  const [, ssrc, rtxSsrc] = /^a=ssrc-group:FID (\d+) (\d+)$/.exec(group!)!;
  assert.deepEqual([one, rtx], [`a=ssrc:${ssrc} cname:me`, `a=ssrc:${rtxSsrc} cname:me`]);
  const toAlice = bench.answer('a', 'b', ANSWER);
  assert.deepEqual(ofLayers(toAlice), RECEIVED);
  assert.deepEqual(
    extensions(toAlice).sort(),
    [...EXTENSIONS].sort(),
    'what the layers are told apart by is between their sender and us',
  );
  const call = bench.book.find('call')!;
  assert.ok(call.legs[0]!.bundle!.simulcast);
  assert.equal(call.legs[1]!.bundle!.simulcast, undefined);
  bench.end();
});

test('the one source stays through offers of both sides, and layers come and go with what their sender says', () => {
  const bench = new Bench({ startsDtls: true });
  const first = sources(bench.offer('a', OFFER, WEBRTC));
  bench.answer('a', 'b', ANSWER);
  // Bob offers: Alice hears that her layers are still wanted, and says which she goes on with.
  const toAlice = bench.offer('b', browser(EXTENSIONS.slice(0, 2)), {});
  assert.deepEqual(ofLayers(toAlice), RECEIVED);
  const fewer = browser([...EXTENSIONS, 'a=rid:l send', 'a=rid:m send', 'a=simulcast:send l;m'], 'passive');
  const toBob = bench.answer('b', 'a', fewer);
  assert.deepEqual([ofLayers(toBob), sources(toBob)], [[], first]);
  const { bundle } = bench.book.find('call')!.legs[0]!;
  assert.ok(bundle!.simulcast);
  // She offers a single stream of her own, and layers again.
  const single = browser([...EXTENSIONS, 'a=ssrc:77 cname:me']);
  assert.deepEqual(sources(bench.offer('a', single, {})), ['a=ssrc:77 cname:me']);
  assert.deepEqual(ofLayers(bench.answer('a', 'b', ANSWER)), []);
  assert.equal(bundle!.simulcast, undefined);
  assert.deepEqual(sources(bench.offer('a', OFFER, {})), first);
  assert.deepEqual(ofLayers(bench.answer('a', 'b', ANSWER)), RECEIVED);
  assert.ok(bundle!.simulcast);
  bench.end();
});

test('what counts packets or frames of all layers is between nobody: FEC, the dependency descriptor', () => {
  const bench = new Bench({ startsDtls: true });
  const frames = 'a=extmap:13 https://aomediacodec.github.io/av1-rtp-spec/#dependency-descriptor-rtp-header-extension';
  const fec = ['a=rtpmap:118 red/90000', 'a=rtpmap:119 rtx/90000', 'a=fmtp:119 apt=118', 'a=rtpmap:120 ulpfec/90000'];
  const all = [[...CODECS, ...fec], '96 97 118 119 120'] as const;
  const formats = (sdp: string) => pictures(sdp)[0]!.split(' ').slice(3).join(' ');
  const toBob = bench.offer('a', browser([...EXTENSIONS, frames, ...LAYERS], 'actpass', ...all), WEBRTC);
  assert.deepEqual([formats(toBob), extensions(toBob).includes(frames)], ['96 97', false]);
  const toAlice = bench.answer('a', 'b', browser([...EXTENSIONS, frames], 'active', ...all));
  assert.deepEqual([formats(toAlice), extensions(toAlice).includes(frames)], ['96 97', false]);
  const again = bench.offer('b', browser([...EXTENSIONS, frames], 'actpass', ...all), {});
  assert.deepEqual([formats(again), extensions(again).includes(frames), ofLayers(again)], ['96 97', false, RECEIVED]);
  bench.end();
});

test('layers are left alone where they cannot be told apart, or their sender has no feedback of ours', () => {
  const cases: [string, string][] = [
    ['no extension of layers', browser([...EXTENSIONS.slice(0, 2), ...LAYERS])],
    ['no transport-wide feedback', browser([...EXTENSIONS.slice(1), ...LAYERS])],
    [
      'a codec that nobody looks into',
      browser([...EXTENSIONS, ...LAYERS], 'actpass', ['a=rtpmap:96 VP9/90000', 'a=rtcp-fb:96 transport-cc'], '96'),
    ],
    ['one layer', browser([...EXTENSIONS, 'a=rid:l send', 'a=simulcast:send l'])],
    ['layers that no line describes', browser([...EXTENSIONS, 'a=simulcast:send l;m'])],
  ];
  for (const [name, offer] of cases) {
    const bench = new Bench({ startsDtls: true });
    assert.deepEqual(ofLayers(bench.offer('a', offer, WEBRTC)), ofLayers(offer), name);
    assert.deepEqual(ofLayers(bench.answer('a', 'b', ANSWER)), [], name);
    assert.equal(bench.book.find('call')!.legs[0]!.bundle!.simulcast, undefined, name);
    bench.end();
  }
  const opaque = new Bench();
  assert.deepEqual(ofLayers(opaque.offer('a', OFFER, { opaque: true })), LAYERS, 'end to end nothing changes');
  opaque.end();
});

test('of what is offered at most four layers are taken, the first alternative of each, with formats that are there', () => {
  const bench = new Bench({ startsDtls: true });
  const lines = ['1 send', '2 send pt=96;max-width=640', '3 send pt=98', '4 send', '5 send', '6 send'].map(
    (r) => `a=rid:${r}`,
  );
  bench.offer('a', browser([...EXTENSIONS, ...lines, 'a=simulcast:send ~1,6;2;3;4;5 recv 7']), WEBRTC);
  assert.deepEqual(ofLayers(bench.answer('a', 'b', ANSWER)), [
    'a=rid:1 recv',
    'a=rid:2 recv pt=96;max-width=640',
    'a=rid:4 recv',
    'a=simulcast:recv 1;2;4',
  ]);
  bench.end();
});

test('where the far side likes another codec best one stream is asked for, and comes under the source that it was told', () => {
  const bench = new Bench({ startsDtls: true });
  const both = [...CODECS, 'a=rtpmap:98 VP9/90000'];
  bench.offer('a', browser([...EXTENSIONS, ...LAYERS], 'actpass', both, '96 97 98'), WEBRTC);
  assert.deepEqual(ofLayers(bench.answer('a', 'b', browser([], 'active', both, '98 96 97'))), []);
  assert.ok(bench.book.find('call')!.legs[0]!.bundle!.simulcast);
  bench.end();
});

test('one stream that is asked for instead of layers is limited by what the far side takes', () => {
  const bench = new Bench({ startsDtls: true });
  const both = [...CODECS, 'a=rtpmap:98 VP9/90000'];
  const answers = { layers: browser(EXTENSIONS.slice(0, 2), 'active', both, '96 97 98') };
  const one = browser(EXTENSIONS.slice(0, 2), 'active', both, '98 96 97');
  bench.offer('a', browser([...EXTENSIONS, ...LAYERS], 'actpass', both, '96 97 98'), WEBRTC);
  bench.answer('a', 'b', answers.layers);
  const [alice, bob] = bench.book.find('call')!.legs.map((leg) => leg.bundle!.rates!);
  assert.deepEqual([alice!.far, bob!.far], [undefined, alice]);
  bench.offer('a', browser([...EXTENSIONS, ...LAYERS], 'actpass', both, '96 97 98'), {});
  bench.answer('a', 'b', one);
  assert.deepEqual([alice!.far, bob!.far], [bob, alice]);
  bench.end();
});

test('where no description names it the one stream has one name all the same', () => {
  const bench = new Bench({ startsDtls: true });
  const nameless = OFFER.replace('a=ssrc:5 cname:me\r\n', '');
  const first = bench.offer('a', nameless, WEBRTC);
  assert.match(sources(first)[1]!, /^a=ssrc:\d+ cname:\S{16}$/);
  bench.answer('a', 'b', ANSWER);
  assert.equal(bench.offer('a', nameless, {}), first);
  bench.end();
});

/** A packet of a layer, which says so. */
function layered(rid: string, ssrc: number, sequence: number, isKey = false): Uint8Array {
  const plain = rtp({ ssrc, sequence, payloadType: 96, length: 100 });
  const extension = [0xbe, 0xde, 0, 1, 10 << 4, rid.charCodeAt(0), 0, 0];
  const bytes = new Uint8Array([...plain.subarray(0, 12), ...extension, 0x10, isKey ? 0 : 1, ...plain.subarray(14)]);
  bytes[0]! |= 0x10;
  return bytes;
}

/** Alice's legs after her layers were heard, the lowest first. */
function heard(bench: Bench) {
  const { bundle } = bench.book.find('call')!.legs[0]!;
  const { rates, simulcast, repair } = bundle!;
  const receive = (...of: Parameters<typeof layered>) => {
    const bytes = layered(...of);
    rates!.received(bytes, 0, bytes.length, bench.nowMs);
    return simulcast!.received(bytes, 0, bytes.length, bench.nowMs) > 0;
  };
  assert.ok(receive('l', 0xa1, 1, true));
  assert.ok(!receive('h', 0xa3, 1, true));
  /** RTCP to Alice: kind, source, and numbers of a NACK. */
  const asked = () => {
    const bytes = new Uint8Array(500);
    const length = repair!.write(bytes, 1, { nowMs: bench.nowMs, rttMs: 20 });
    const found: number[][] = [];
    for (let at = 0; at < length; at = rtcpEnd(bytes, at)) {
      if (rtcpType(bytes, at) !== RtcpType.receiverReport)
        found.push([rtcpType(bytes, at), rtcpMediaSsrc(bytes, at), ...readNack(bytes, at)]);
    }
    return found;
  };
  return { bundle: bundle!, receive, asked };
}

test('sources of layers belong to their section after offers too: their reports go to the right port', () => {
  const bench = new Bench({ startsDtls: true });
  bench.offer('a', OFFER, WEBRTC);
  bench.answer('a', 'b', ANSWER);
  const { bundle } = heard(bench);
  const mediaOf = (ssrc: number) => (bundle.sectionOfRtcp(ssrc, 0) as { media?: string }).media;
  assert.deepEqual([mediaOf(0xa1), mediaOf(0xa3)], ['video', 'video']);
  bench.offer('b', browser(EXTENSIONS.slice(0, 2)), {});
  bench.answer('b', 'a', browser([...EXTENSIONS, ...LAYERS], 'passive'));
  assert.deepEqual([mediaOf(0xa1), mediaOf(0xa3)], ['video', 'video']);
  bench.end();
});

const SINGLE = browser([...EXTENSIONS, 'a=ssrc:77 cname:me', 'a=ssrc:78 cname:me', 'a=ssrc-group:FID 77 78']);
const CHANGES: [string, string][] = [
  ['one stream', SINGLE],
  ['no extension of layers', browser([...EXTENSIONS.slice(0, 2), 'a=ssrc:77 cname:me'])],
  ['fewer layers', browser([...EXTENSIONS, 'a=rid:l send', 'a=rid:m send', 'a=simulcast:send l;m'])],
  ['other layers', browser([...EXTENSIONS, 'a=rid:x send', 'a=rid:y send', 'a=simulcast:send x;y'])],
];

/** The source of what a leg's peer is sent again as RTX. */
function repeatedAs(leg: Leg, ssrc: number): number {
  const repair = leg.bundle!.repair!;
  const bytes = rtp({ ssrc, sequence: 500, payloadType: 96, length: 100 });
  repair.keep(bytes, 0, bytes.length, 0);
  const nack = new Uint8Array(100);
  writeNack(nack, 0, { sender: 9, media: ssrc, sequences: Uint16Array.of(500), count: 1 });
  repair.handleFeedback(nack, 0, 0);
  const again = new Uint8Array(500);
  return repair.resend(again, { nowMs: 1000, rttMs: 20 }) > 0 ? rtpSsrc(again, 0) : 0;
}

for (const [name, change] of CHANGES) {
  test(`layers go on while an offer of ${name} waits for its answer, and when it is refused`, () => {
    const bench = new Bench({ startsDtls: true });
    const [, ssrc, rtxSsrc] = /FID (\d+) (\d+)$/.exec(sources(bench.offer('a', OFFER, WEBRTC))[0]!)!.map(Number);
    bench.answer('a', 'b', ANSWER);
    const { bundle, receive, asked } = heard(bench);
    const [, bob] = bench.book.find('call')!.legs;
    let sequence = 2;
    const assertLayers = (when: string) => {
      assert.ok(receive('', 0xa1, sequence), `${when}: the lowest layer`);
      assert.ok(!receive('', 0xa3, sequence, true), `${when}: the highest one`);
      sequence++;
      const section = bundle.sectionOfRtcp(0xa3, 0) as { media?: string };
      assert.deepEqual([section.media, bundle.rates!.far, bundle.rates!.rtx], ['video', undefined, undefined], when);
      assert.equal(repeatedAs(bob!, ssrc!), rtxSsrc, when);
      assert.deepEqual(asked(), [], when);
    };
    assertLayers('as agreed');
    bench.offer('a', change, {});
    assertLayers('while it waits');
    // Signalling leads back by both descriptions that were agreed on.
    const again = bench.offer('a', OFFER, {});
    assert.deepEqual(sources(again)[0], `a=ssrc-group:FID ${ssrc} ${rtxSsrc}`);
    assertLayers('between both');
    assert.deepEqual(ofLayers(bench.answer('a', 'b', ANSWER)), RECEIVED);
    assertLayers('as before');
    // Another controller says nothing of it: the next offer does.
    bench.offer('a', change, {});
    const toAlice = bench.offer('b', browser(EXTENSIONS.slice(0, 2)), {});
    assert.deepEqual(ofLayers(toAlice), RECEIVED);
    assert.match(toAlice, /^a=extmap:.*rtp-stream-id/m);
    assertLayers('with an offer of the far side');
    const toBob = bench.answer('b', 'a', browser([...EXTENSIONS, ...LAYERS], 'passive'));
    assert.deepEqual(sources(toBob)[0], `a=ssrc-group:FID ${ssrc} ${rtxSsrc}`);
    assertLayers('as she answers');
    bench.end();
  });
}

test('what an answer said of layers is led back to, though an offer of others was answered since', () => {
  const bench = new Bench({ startsDtls: true });
  bench.offer('a', OFFER, WEBRTC);
  bench.answer('a', 'b', ANSWER);
  const { receive } = heard(bench);
  bench.offer('a', CHANGES[3]![1], {});
  bench.answer('a', 'b', ANSWER);
  assert.ok(!receive('l', 0xa1, 2), 'nobody agreed on that layer');
  bench.offer('b', browser(EXTENSIONS.slice(0, 2)), {});
  bench.answer('b', 'a', browser([...EXTENSIONS, ...LAYERS], 'passive'));
  bench.nowMs += 200;
  assert.ok(receive('l', 0xa1, 3, true));
  bench.end();
});

test('one stream goes on as it is while an offer of layers waits for its answer, and when it is refused', () => {
  const bench = new Bench({ startsDtls: true });
  bench.offer('a', SINGLE, WEBRTC);
  bench.answer('a', 'b', ANSWER);
  const [alice, bob] = bench.book.find('call')!.legs;
  const assertOne = (when: string) => {
    const { simulcast, rates } = alice!.bundle!;
    assert.deepEqual([simulcast, rates!.far, repeatedAs(bob!, 77)], [undefined, bob!.bundle!.rates, 78], when);
  };
  assertOne('as agreed');
  bench.offer('a', OFFER, {});
  assert.equal(alice!.bundle!.simulcast, undefined, 'while it waits');
  bench.offer('a', SINGLE, {});
  bench.answer('a', 'b', ANSWER);
  assertOne('as before');
  bench.offer('a', OFFER, {});
  const toAlice = bench.offer('b', browser(EXTENSIONS.slice(0, 2)), {});
  assert.deepEqual(ofLayers(toAlice), [], 'refused, and no word of it');
  assert.doesNotMatch(toAlice, /rtp-stream-id/);
  bench.answer('b', 'a', SINGLE.replaceAll('actpass', 'passive'));
  assertOne('as she answers');
  bench.end();
});

test('who asks for a key frame through signalling gets one of the layer that is forwarded', () => {
  const bench = new Bench({ startsDtls: true });
  bench.offer('a', OFFER, WEBRTC);
  bench.answer('a', 'b', ANSWER);
  const { asked } = heard(bench);
  assert.equal(bench.book.requestKeyFrame('call', 'a', bench.nowMs), undefined);
  assert.deepEqual(asked(), [[RtcpType.payloadFeedback, 0xa1]]);
  bench.end();
});

test('what is lost of layers is asked for where the far side is a phone that names NACK too', () => {
  const bench = new Bench({ startsDtls: true });
  bench.offer('a', OFFER, { ...PLAIN, protocol: 'RTP/AVPF' });
  const phone = ['v=0', 'o=- 1 1 IN IP4 192.0.2.9', 's=-', 'c=IN IP4 192.0.2.9', 't=0 0', 'm=audio 4000 RTP/AVPF 111']
    .concat('a=rtpmap:111 opus/48000/2', 'm=video 4002 RTP/AVPF 96', 'a=rtpmap:96 VP8/90000', 'a=rtcp-fb:96 nack', '')
    .join('\r\n');
  bench.answer('a', 'b', phone);
  const { receive, asked } = heard(bench);
  receive('l', 0xa1, 4);
  bench.nowMs += 30;
  assert.deepEqual(asked(), [[RtcpType.transportFeedback, 0xa1, 2, 3]]);
  bench.end();
});

test('who is left behind by a transfer counts no more on whom its layers went to', () => {
  const bench = new Bench({ startsDtls: true });
  bench.offer('a', OFFER, WEBRTC);
  bench.answer('a', 'b', ANSWER);
  bench.offer('c', OFFER, { ...WEBRTC, callId: 'two' });
  const { bundle } = bench.book.find('call')!.legs[0]!;
  assert.ok(bundle!.simulcast);
  assert.equal(bench.book.connect({ callId: 'two', fromCallId: 'call', tag: 'b' }, bench.nowMs), undefined);
  assert.equal(bundle!.simulcast, undefined);
  bench.end('call', 'two');
});

test('a plain phone gets one stream of layers too', () => {
  const bench = new Bench({ startsDtls: true });
  const toPhone = bench.offer('a', OFFER, PLAIN);
  assert.deepEqual([ofLayers(toPhone), sources(toPhone), extensions(toPhone)], [[], [], []]);
  const answer = ['v=0', 'o=- 1 1 IN IP4 192.0.2.9', 's=-', 'c=IN IP4 192.0.2.9', 't=0 0', 'm=audio 4000 RTP/AVP 111']
    .concat('a=rtpmap:111 opus/48000/2', 'm=video 4002 RTP/AVP 96', 'a=rtpmap:96 VP8/90000', '')
    .join('\r\n');
  assert.deepEqual(ofLayers(bench.answer('a', 'b', answer)), RECEIVED);
  assert.ok(bench.book.find('call')!.legs[0]!.bundle!.simulcast);
  bench.end();
});
