import assert from 'node:assert/strict';
import { test } from 'node:test';
import { seededRandom } from '@offhook/core';
import { liveCipherContexts } from '@offhook/core/node';
import { line } from '../test-kit.ts';
import { queryCall } from './query.ts';
import type { DescribeRequest, DescribeResult } from './request.ts';
import { Bench, golden, OWN_FINGERPRINT, PLAIN, plainAnswer, request, WEBRTC, wordsOf } from './test-bench.ts';

/** As much of a DTLS ClientHello as tells that it is one (RFC 6347 4.3.2). */
const CLIENT_HELLO = Uint8Array.from({ length: 80 }, (_, i) => (i === 0 ? 22 : i === 13 ? 1 : 0));

/** The lines without what is random. */
function stable(sdp: string): string[] {
  return sdp
    .split('\r\n')
    .filter((l) => l !== '')
    .map((l) =>
      l
        .replace(/^o=- \d+/, 'o=- ID')
        .replace(/^a=ice-ufrag:.{8}$/, 'a=ice-ufrag:UFRAG')
        .replace(/^a=ice-pwd:.{24}$/, 'a=ice-pwd:PWD')
        .replace(/inline:.*/, (key) => `inline:${key.length - 7}`),
    );
}

test("Chromium's offer becomes plain RTP without anything a phone does not understand", () => {
  const bench = new Bench();
  assert.deepEqual(stable(bench.offer('a', golden('chromium-audio-offer'), PLAIN)), [
    'v=0',
    'o=- ID 1 IN IP4 192.0.2.2',
    's=-',
    't=0 0',
    'm=audio 20100 RTP/AVP 111 9 0 8 13 110 126',
    'c=IN IP4 192.0.2.2',
    'a=rtpmap:111 opus/48000/2',
    'a=fmtp:111 minptime=10;useinbandfec=1',
    'a=rtpmap:9 G722/8000',
    'a=rtpmap:0 PCMU/8000',
    'a=rtpmap:8 PCMA/8000',
    'a=rtpmap:13 CN/8000',
    'a=rtpmap:110 telephone-event/48000',
    'a=rtpmap:126 telephone-event/8000',
    'a=sendrecv',
    'a=rtcp:20101',
  ]);
  bench.end();
});

test("a phone's answer becomes WebRTC: ICE-lite on every mux address, DTLS passive, BUNDLE with the browser's mid", () => {
  const bench = new Bench();
  bench.offer('a', golden('chromium-audio-offer'), PLAIN);
  assert.deepEqual(stable(bench.answer('a', 'b', plainAnswer(4000), WEBRTC)), [
    'v=0',
    'o=- ID 1 IN IP4 192.0.2.2',
    's=-',
    't=0 0',
    'a=ice-lite',
    'a=group:BUNDLE 0',
    'm=audio 20000 UDP/TLS/RTP/SAVPF 0 126',
    'c=IN IP4 192.0.2.2',
    'a=mid:0',
    'a=rtpmap:126 telephone-event/8000',
    'a=sendrecv',
    'a=rtcp-mux',
    'a=ice-ufrag:UFRAG',
    'a=ice-pwd:PWD',
    'a=candidate:1 1 udp 2130706431 192.0.2.2 20000 typ host',
    'a=candidate:2 1 udp 2130706175 127.0.0.1 20000 typ host',
    'a=end-of-candidates',
    `a=fingerprint:${OWN_FINGERPRINT}`,
    'a=setup:passive',
  ]);
  bench.end();
});

test("baresip's offer becomes WebRTC with actpass, and Chromium's passive answer makes us active", () => {
  const bench = new Bench();
  const toB = bench.offer('a', golden('baresip-plain-offer'), WEBRTC);
  assert.equal(line(toB, 'a=setup:'), 'actpass');
  assert.equal(line(toB, 'a=group:BUNDLE '), '0');
  assert.equal(line(toB, 'm='), 'audio 20000 UDP/TLS/RTP/SAVPF 0 101');
  const toA = bench.answer('a', 'b', golden('chromium-audio-answer').replace('setup:active', 'setup:passive'), PLAIN);
  assert.equal(line(toA, 'm='), 'audio 20100 RTP/AVP 111 9 0 8 13 110 126');
  assert.ok(!/crypto|fingerprint|ice|candidate|extmap|rtcp-fb|a=mid|BUNDLE|ssrc/.test(toA));
  assert.equal(bench.book.find('call')!.legs[1]!.setup, 'active');
  bench.end();
});

test('the opaque path replaces only ICE and addresses', () => {
  const bench = new Bench();
  const offer = golden('chromium-av-offer');
  const toB = bench.offer('a', offer, { ...WEBRTC, opaque: true, replaceOrigin: false });
  const hop = /^a=(ice-|candidate|end-of|rtcp:)|^c=|^m=/;
  const kept = (sdp: string) =>
    sdp
      .split('\r\n')
      .filter((l) => l !== '' && !hop.test(l))
      .sort();
  assert.deepEqual(kept(toB), kept(offer));
  assert.ok(toB.includes('a=ice-lite\r\n'));
  for (const m of toB.split('\r\n').filter((l) => l.startsWith('m=')))
    assert.match(m, /^m=\w+ 20000 UDP\/TLS\/RTP\/SAVPF /);
  const answer = golden('chromium-av-answer');
  const toA = bench.answer('a', 'b', answer, { opaque: true, replaceOrigin: false });
  assert.deepEqual(kept(toA), kept(answer));
  assert.equal(bench.transports.size, 2);
  bench.end();
});

test('data channels pass on the opaque path and are rejected on the terminated one', () => {
  const bench = new Bench();
  const opaque = bench.offer('a', golden('chromium-av-data-offer'), { ...WEBRTC, opaque: true });
  assert.match(opaque, /m=application 20000 UDP\/DTLS\/SCTP webrtc-datachannel/);
  bench.end();
  const toB = bench.offer('a', golden('chromium-av-data-offer'), WEBRTC);
  assert.match(toB, /m=application 0 UDP\/DTLS\/SCTP webrtc-datachannel/);
  assert.equal(line(toB, 'a=group:'), 'BUNDLE 0 1');
  bench.end();
});

test('an answer of another protocol than was offered says so, in the answer and in query', () => {
  const bench = new Bench();
  bench.offer('a', plainAnswer(4000), { protocol: 'RTP/SAVP' });
  for (const _ of ['183', '200']) {
    const answered = bench.tryAnswer('a', 'b', plainAnswer(5000));
    assert.equal(wordsOf(answered), 'section 1: the answer is RTP/AVP where RTP/SAVP was offered');
    assert.match('sdp' in answered ? answered.sdp : '', /^m=audio 0 /m);
  }
  const { tags } = queryCall(bench.book.find('call')!, bench.nowMs, 0) as { tags: Record<string, { medias: unknown }> };
  const reason = 'the answer is RTP/AVP where RTP/SAVP was offered';
  for (const tag of ['a', 'b']) {
    assert.deepEqual(tags[tag]!.medias, [{ index: 1, type: 'audio', state: 'rejected', reason }]);
  }
  // A new offer that both can take has no trace of it.
  bench.offer('a', plainAnswer(4000), { toTag: 'b', protocol: 'RTP/AVP' });
  assert.equal(wordsOf(bench.tryAnswer('a', 'b', plainAnswer(5000))), '');
  assert.equal(bench.book.find('call')!.legs[0]!.sections[0]!.rejection, undefined);
  bench.offer('a', plainAnswer(4000), { toTag: 'b' });
  assert.equal(wordsOf(bench.tryAnswer('a', 'b', plainAnswer(0))), '', 'a peer may say no');
  bench.end();
});

test('opaque is refused in words where a leg is not WebRTC, and the call is terminated', () => {
  const bench = new Bench();
  const result = bench.tryOffer('a', golden('chromium-audio-offer'), { ...PLAIN, opaque: true });
  assert.match(wordsOf(result), /needs WebRTC on both legs/);
  bench.end();
});

test('a rejected section is rejected towards the other side and its ports return', () => {
  const bench = new Bench();
  bench.offer('a', golden('chromium-av-offer'), PLAIN);
  assert.equal(bench.attached.size, 2);
  const toA = bench.answer('a', 'b', plainAnswer(4000, [], ['m=video 0 RTP/AVP 96']), WEBRTC);
  assert.equal(bench.attached.size, 1);
  assert.equal(line(toA, 'a=group:'), 'BUNDLE 0');
  const video = toA.slice(toA.indexOf('m=video'));
  assert.deepEqual(video.split('\r\n'), [
    'm=video 0 UDP/TLS/RTP/SAVPF 96',
    'c=IN IP4 0.0.0.0',
    'a=mid:1',
    'a=inactive',
    '',
  ]);
  bench.end();
});

test('SDES towards a phone offers three suites; baresip gets its own tag back with another key', () => {
  const bench = new Bench();
  const toB = bench.offer('a', golden('chromium-audio-offer'), { protocol: 'RTP/SAVP', ice: 'remove' });
  assert.deepEqual(
    stable(toB).filter((l) => l.startsWith('a=crypto')),
    [
      'a=crypto:1 AEAD_AES_128_GCM inline:40',
      'a=crypto:2 AES_CM_128_HMAC_SHA1_80 inline:40',
      'a=crypto:3 AES_CM_128_HMAC_SHA1_32 inline:40',
    ],
  );
  const bad = plainAnswer(4000, ['a=crypto:9 AES_CM_128_HMAC_SHA1_80 inline:x']).replace('RTP/AVP', 'RTP/SAVP');
  const refused = bench.book.answer(request('a', 'b', bad, {}), 0);
  assert.ok('error' in refused && /a=crypto/.test(refused.error));
  bench.end();

  const offer = golden('baresip-sdes-offer');
  bench.offer('a', offer, WEBRTC);
  const toA = bench.answer('a', 'b', golden('chromium-audio-answer'));
  assert.equal(line(toA, 'm=').split(' ')[2], 'RTP/SAVPF');
  const own = line(toA, 'a=crypto:');
  assert.match(own, /^1 AES_CM_128_HMAC_SHA1_80 inline:/);
  assert.notEqual(own, line(offer, 'a=crypto:'));
  bench.end();
});

test('a key of ours has one sending context for the whole call, whatever device or suite answers', () => {
  const before = liveCipherContexts();
  const bench = new Bench();
  const answer = (to: string, tag: number, suite: string, length: number) => {
    const key = Buffer.alloc(length, `${to}${suite}`).toString('base64');
    const sdp = plainAnswer(4000, [`a=crypto:${tag} ${suite} inline:${key}`]).replace('RTP/AVP', 'RTP/SAVP');
    bench.answer('a', to, sdp);
  };
  bench.offer('a', golden('baresip-plain-offer'), { protocol: 'RTP/SAVP' });
  const b = () => bench.book.find('call')!.legs[1]!.sections[0]!.transport!;
  answer('b', 2, 'AES_CM_128_HMAC_SHA1_80', 30);
  const first = b().tx;
  answer('another device', 2, 'AES_CM_128_HMAC_SHA1_80', 30);
  assert.equal(b().tx, first);
  answer('another device', 1, 'AEAD_AES_128_GCM', 28);
  assert.notEqual(b().tx, first);
  answer('another device', 2, 'AES_CM_128_HMAC_SHA1_80', 30);
  assert.equal(b().tx, first);
  assert.deepEqual([bench.senderKeys.length, new Set(bench.senderKeys).size], [2, 2]);
  bench.end();
  assert.equal(liveCipherContexts(), before);
});

test('RTP/SAVPF with forced ICE, or SDES off, means DTLS, but a leg that has SDES keeps it', () => {
  const cases: [Partial<DescribeRequest>, string][] = [
    [{ protocol: 'RTP/SAVPF', ice: 'force' }, 'dtls ice'],
    [{ protocol: 'RTP/SAVPF', ice: 'force', dtlsOff: true }, 'sdes ice'],
    [{ protocol: 'RTP/SAVP', ice: 'force' }, 'sdes ice'],
    [{ protocol: 'RTP/SAVP', ice: 'remove', sdesOff: true }, 'dtls'],
    [{ protocol: 'RTP/SAVPF', ice: 'remove' }, 'sdes'],
  ];
  for (const [options, expected] of cases) {
    const bench = new Bench();
    bench.offer('a', golden('baresip-plain-offer'), options);
    const { kind } = bench.book.find('call')!.legs[1]!;
    assert.equal(`${kind.security}${kind.ice ? ' ice' : ''}`, expected);
    bench.end();
  }
  const bench = new Bench();
  bench.offer('a', golden('baresip-plain-offer'), { protocol: 'RTP/SAVP', ice: 'force' });
  bench.offer('a', golden('baresip-plain-offer'), { protocol: 'RTP/SAVPF', ice: 'force' });
  assert.equal(bench.book.find('call')!.legs[1]!.kind.security, 'sdes');
  bench.end();
});

test("baresip's DTLS without ICE ends on a plain port", () => {
  const bench = new Bench();
  bench.offer('a', golden('baresip-dtls-offer'), PLAIN);
  const toA = bench.answer('a', 'b', plainAnswer(4000));
  assert.match(line(toA, 'm='), /^audio \d+ UDP.TLS.RTP.SAVPF 0 126$/);
  assert.equal(line(toA, 'a=setup:'), 'passive');
  assert.ok(!toA.includes('ice'));
  bench.end();
});

test('re-offers keep ports and credentials; the version rises only with a change; a restart renews only its own side', () => {
  const bench = new Bench();
  const offer = golden('chromium-audio-offer');
  const toB = bench.offer('a', offer, PLAIN);
  const toA = bench.answer('a', 'b', plainAnswer(4000), WEBRTC);
  assert.equal(bench.offer('a', offer, PLAIN), toB);
  assert.equal(bench.answer('a', 'b', plainAnswer(4000), WEBRTC), toA);
  const held = bench.offer('a', offer.replace('a=sendrecv', 'a=sendonly'), PLAIN);
  assert.equal(held, toB.replace('a=sendrecv', 'a=sendonly').replace(/^(o=- \d+) 1/m, '$1 2'));
  bench.answer('a', 'b', plainAnswer(4000).replace('a=sendrecv', 'a=recvonly'), WEBRTC);
  const restarted = offer
    .replace(/a=ice-ufrag:.*/, 'a=ice-ufrag:newfrag')
    .replace(/a=ice-pwd:.*/, 'a=ice-pwd:newpwdnewpwdnewpwdnewpwd');
  assert.equal(line(bench.offer('a', restarted, PLAIN), 'm='), line(toB, 'm='));
  const renewed = bench.answer('a', 'b', plainAnswer(4000), WEBRTC);
  assert.notEqual(line(renewed, 'a=ice-ufrag:'), line(toA, 'a=ice-ufrag:'));
  assert.equal(bench.ice.size, 2, 'the old credentials live until the new path is nominated');
  bench.end();
});

test('the callee may offer: the browser is asked, its mid is kept, old-style hold becomes sendonly', () => {
  const bench = new Bench();
  bench.offer('a', golden('chromium-audio-offer'), PLAIN);
  const first = bench.answer('a', 'b', plainAnswer(4000), WEBRTC);
  const hold = plainAnswer(4000).replace('c=IN IP4 192.0.2.9', 'c=IN IP4 0.0.0.0');
  const toA = bench.offer('b', hold);
  assert.equal(line(toA, 'a=mid:'), '0');
  assert.equal(line(toA, 'a=setup:'), 'actpass');
  assert.equal(line(toA, 'a=ice-ufrag:'), line(first, 'a=ice-ufrag:'));
  assert.ok(toA.includes('a=sendonly\r\n'));
  const toB = bench.answer('b', 'a', golden('chromium-audio-answer'));
  assert.equal(line(toB, 'm=').split(' ')[1], '20100');
  bench.end();
});

test('video added later gets ports, and removed gives them back', () => {
  const bench = new Bench();
  bench.offer('a', golden('chromium-audio-offer'), PLAIN);
  bench.answer('a', 'b', plainAnswer(4000), WEBRTC);
  const toB = bench.offer('a', golden('chromium-av-offer'), PLAIN);
  assert.match(toB, /m=audio 20100 .*m=video 20102 RTP\/AVP/s);
  assert.ok(!/rtx|red|ulpfec/.test(toB));
  const video = ['m=video 4002 RTP/AVP 96', 'a=rtpmap:96 VP8/90000'];
  const toA = bench.answer('a', 'b', plainAnswer(4000, [], video), WEBRTC);
  assert.equal(line(toA, 'a=group:'), 'BUNDLE 0 1');
  assert.match(toA, /a=rtcp-fb:96 nack pli/);
  assert.equal(bench.attached.size, 2);
  const removed = golden('chromium-av-offer').replace(/m=video \d+/, 'm=video 0');
  assert.match(bench.offer('a', removed, PLAIN), /m=video 0 /);
  assert.equal(bench.attached.size, 1);
  bench.end();
});

test('echo answers Chromium with masked SSRCs, no simulcast and mirrored directions', () => {
  const bench = new Bench();
  const offer = golden('chromium-av-offer');
  const answer = bench.echo(offer);
  const ssrcs = (sdp: string) => new Set([...sdp.matchAll(/a=ssrc:(\d+)/g)].map((m) => Number(m[1])));
  const own = ssrcs(answer);
  const far = ssrcs(offer);
  assert.equal(own.size, far.size);
  for (const ssrc of own) assert.ok(!far.has(ssrc));
  const mask = bench.book.find('call')!.legs[0]!.bundle!.ssrcMask;
  for (const ssrc of far) assert.ok(own.has((ssrc ^ mask) >>> 0));
  bench.end();
  assert.ok(bench.echo(offer.replaceAll('a=sendrecv', 'a=sendonly')).includes('a=recvonly'));
  bench.end();
});

test('ICE, certificate and sources of a stand-in do not count: those of what its phone says next do, and ours stay', () => {
  const bench = new Bench();
  const offer = golden('chromium-audio-offer');
  const next = offer.replace(/a=ice-ufrag:.*/, 'a=ice-ufrag:next');
  const ufrag = (sdp: string) => /a=ice-ufrag:(\S+)/.exec(sdp)![1];
  const toEcho = bench.echo(offer, { standIn: true });
  assert.doesNotMatch(toEcho, /a=ssrc/);
  const echoed = bench.echo(next);
  assert.equal(ufrag(echoed), ufrag(toEcho));
  assert.match(echoed, /a=ssrc/);
  assert.equal(bench.book.find('call')!.legs[0]!.ice!.current.remote?.ufrag, 'next');
  bench.end();

  // A handshake that begins meanwhile waits for the certificate that its phone names.
  const early = new Bench({ startsDtls: true });
  early.echo(offer, { standIn: true });
  const { dtls } = early.book.find('call')!.legs[0]!.sections[0]!.transport!;
  dtls!.handlePacket(CLIENT_HELLO, early.nowMs);
  assert.equal(dtls!.state, 'handshake');
  early.echo(next.replace(/a=fingerprint:.*/, `a=fingerprint:sha-256 ${Array(32).fill('AB').join(':')}`));
  assert.equal(dtls!.state, 'handshake');
  early.end();

  // Both phones describe themselves anew after the stand-in.
  assert.doesNotMatch(bench.offer('a', offer, { ...WEBRTC, standIn: true }), /a=ssrc/);
  bench.end();
  bench.offer('a', offer, { ...PLAIN, standIn: true });
  bench.answer('a', 'b', plainAnswer(4000));
  const toA = bench.offer('b', plainAnswer(4000), WEBRTC);
  bench.answer('b', 'a', next.replace('a=setup:actpass', 'a=setup:active'));
  const { ice } = bench.book.find('call')!.legs[0]!;
  assert.deepEqual([ice!.current.local.ufrag, ice!.current.remote?.ufrag], [ufrag(toA), 'next']);
  bench.end();
});

test('a silent echo answers, sends nothing back, and is waited for as one on hold', () => {
  const bench = new Bench();
  assert.match(bench.echo(golden('chromium-audio-offer'), { silent: true }), /^m=audio [1-9]/m);
  const [section] = bench.book.find('call')!.legs[0]!.sections;
  assert.deepEqual([section!.active, section!.peer], [true, undefined]);
  bench.nowMs += 120_000;
  bench.book.handleTimeout(bench.nowMs);
  assert.ok(bench.book.find('call'), 'a minute of silence would have ended any other');
  bench.end();
});

test('rtcp-mux is offered to a phone when asked for, and falls back when it is not accepted', () => {
  const bench = new Bench();
  const toB = bench.offer('a', golden('chromium-audio-offer'), { ...PLAIN, rtcpMux: ['offer'] });
  assert.ok(toB.includes('a=rtcp-mux\r\n') && toB.includes('a=rtcp:20101\r\n'));
  bench.answer('a', 'b', plainAnswer(4000), WEBRTC);
  const b = () => bench.book.find('call')!.legs[1]!.sections[0]!.transport!;
  assert.deepEqual([b().rtcpMux, b().rtcpRemote?.port], [false, 4001]);
  bench.answer('a', 'b', plainAnswer(4000, ['a=rtcp:4555']), WEBRTC);
  assert.equal(b().rtcpRemote?.port, 4555);
  bench.end();
});

test('what can not be done is refused in words and leaves nothing', () => {
  const bench = new Bench({ maxCalls: 1 });
  const why = (result: DescribeResult) => ('error' in result ? result.error : 'no error');
  const offer = golden('chromium-audio-offer');
  const none = offer.replace(/m=audio \d+/, 'm=audio 0');
  assert.equal(why(bench.tryOffer('a', none)), 'no media section of the SDP can be carried here');
  assert.equal(
    why(bench.tryOffer('a', offer.replace(/a=ice-pwd.*\r\n/, ''))),
    'the SDP has no usable ice-ufrag and ice-pwd',
  );
  assert.equal(bench.book.size, 0);
  const noPrint = offer.replace(/a=fingerprint.*\r\n/, '');
  assert.equal(why(bench.tryOffer('a', noPrint)), 'the SDP has no usable a=fingerprint');
  bench.offer('a', offer, PLAIN);
  assert.equal(why(bench.tryOffer('x', offer)), 'from-tag is not one of this call');
  assert.match(why(bench.tryOffer('a', offer, { callId: 'other' })), /no room/);
  const wrong = bench.book.answer(request('b', 'a', plainAnswer(4000), {}), 0);
  assert.match(why(wrong), /offer stands/);
  bench.end();
  const off = new Bench({ dtls: false });
  assert.equal(why(off.tryOffer('a', offer, PLAIN)), 'DTLS is off on this relay: the self-test failed');
  assert.ok('sdp' in off.tryOffer('a', offer, { ...WEBRTC, opaque: true }), 'the opaque path needs no DTLS of ours');
  off.end();
});

test('a call without media times out, ringing has longer, hold longer still', () => {
  const bench = new Bench();
  const runTo = (ms: number) => {
    while ((bench.book.nextTimeout() ?? Number.POSITIVE_INFINITY) <= ms) {
      bench.nowMs = bench.book.nextTimeout()!;
      bench.book.handleTimeout(bench.nowMs);
    }
    bench.nowMs = ms;
  };
  bench.offer('a', golden('baresip-plain-offer'));
  runTo(200_000);
  assert.equal(bench.book.size, 1);
  bench.answer('a', 'b', plainAnswer(4000));
  runTo(255_000);
  assert.equal(bench.book.size, 1);
  bench.attached.values().next().value!.lastInMs = 250_000;
  runTo(300_000);
  assert.equal(bench.book.size, 1);
  bench.offer('b', plainAnswer(4000).replace('sendrecv', 'sendonly'));
  runTo(2_000_000);
  assert.equal(bench.book.size, 1);
  runTo(5_000_000);
  assert.deepEqual([bench.book.size, bench.book.timedOut, bench.attached.size], [0, 1, 0]);
});

test('only a hold makes silence patient: not a one-way call, however often it says so', () => {
  const both = plainAnswer(4000);
  const as = (direction: string) => both.replace('a=sendrecv', `a=${direction}`);
  const zero = both.replace('c=IN IP4 192.0.2.9', 'c=IN IP4 0.0.0.0');
  const session = both.replace('a=sendrecv\r\n', '').replace('t=0 0\r\n', 't=0 0\r\na=inactive\r\n');
  type Step = readonly [offerer: 'a' | 'b', offer: string, answer: string];
  const cases: [string, Step[], boolean][] = [
    ['a door camera', [['a', as('sendonly'), as('recvonly')]], false],
    ['a paging call to a loudspeaker', [['a', both, as('recvonly')]], false],
    ['a door camera with a session timer', new Array<Step>(3).fill(['a', as('sendonly'), as('recvonly')]), false],
    ['both directions', [['a', both, both]], false],
    ['nobody sends', [['a', as('sendonly'), as('inactive')]], true],
    ['both only listen', [['a', as('recvonly'), as('recvonly')]], true],
    ['inactive for the whole session', [['a', session, both]], true],
    [
      'hold',
      [
        ['a', both, both],
        ['a', as('sendonly'), as('recvonly')],
      ],
      true,
    ],
    [
      'hold the old way',
      [
        ['a', both, both],
        ['b', zero, both],
      ],
      true,
    ],
    [
      'hold, refreshed by itself',
      [
        ['a', both, both],
        ['a', as('sendonly'), as('recvonly')],
        ['a', as('sendonly'), as('recvonly')],
      ],
      true,
    ],
    [
      'hold, refreshed by the other side',
      [
        ['a', both, both],
        ['a', as('sendonly'), as('recvonly')],
        ['b', both, as('sendonly')],
      ],
      true,
    ],
    [
      'hold and retrieve',
      [
        ['a', both, both],
        ['a', as('sendonly'), as('recvonly')],
        ['a', both, both],
      ],
      false,
    ],
  ];
  for (const [name, steps, isHeld] of cases) {
    const bench = new Bench();
    for (const [offerer, offer, answer] of steps) {
      bench.offer(offerer, offer);
      bench.answer(offerer, offerer === 'a' ? 'b' : 'a', answer);
    }
    for (let at = bench.book.nextTimeout(); at !== undefined && at < 70_000; at = bench.book.nextTimeout()) {
      bench.book.handleTimeout(at);
    }
    assert.equal(bench.book.size, isHeld ? 1 : 0, name);
  }
});

test('writing a description changes no way of a packet: what was offered of rtcp-mux stands before, what was accepted too', () => {
  const bench = new Bench();
  const muxed = plainAnswer(4000, ['a=rtcp-mux']);
  const transport = (leg: number) => bench.book.find('call')!.legs[leg]!.sections[0]!.transport!;
  const ways = (leg: number) => [transport(leg).rtcpMux, transport(leg).rtcpRemote?.port];
  assert.match(bench.offer('a', muxed, { rtcpMux: ['offer'] }), /a=rtcp-mux/);
  assert.deepEqual(ways(1), [true, undefined]);
  assert.match(bench.answer('a', 'b', plainAnswer(5000, ['a=rtcp-mux']), {}), /a=rtcp-mux/);
  assert.deepEqual(
    [ways(0), ways(1)],
    [
      [true, 4000],
      [true, 5000],
    ],
  );
  bench.end();
  bench.offer('a', muxed, { rtcpMux: ['offer'] });
  assert.doesNotMatch(bench.answer('a', 'b', plainAnswer(5000), { rtcpMux: ['demux'] }), /a=rtcp-mux/);
  assert.deepEqual(
    [ways(0), ways(1)],
    [
      [false, 4001],
      [false, 5001],
    ],
  );
  bench.end();
  assert.match(bench.echo(muxed), /a=rtcp-mux/);
  assert.deepEqual(ways(0), [true, 4000]);
  bench.end();
});

test('a description that names nobody, or many, gets nothing sent there', () => {
  for (const [i, address] of ['239.1.1.1', '255.255.255.255', '0.1.2.3'].entries()) {
    const bench = new Bench();
    bench.offer('a', golden('baresip-plain-offer'));
    const answer = plainAnswer(4000).replace('c=IN IP4 192.0.2.9', `c=IN IP4 ${address}`);
    assert.match(answer, new RegExp(`c=IN IP4 ${address}`), `${i}`);
    bench.answer('a', 'b', answer);
    const { remote, rtcpRemote } = bench.book.find('call')!.legs[1]!.sections[0]!.transport!;
    assert.deepEqual([remote, rtcpRemote, bench.addressCounters.notUnicast], [undefined, undefined, 1]);
    bench.end();
  }
});

test('a description that names a port of this relay is held, whoever named it and whatever for, and counted', () => {
  const bench = new Bench();
  const at = (port: number, extra: string[] = []) =>
    plainAnswer(port, extra).replace('c=IN IP4 192.0.2.9', 'c=IN IP4 192.0.2.2');
  const toB = bench.offer('a', golden('baresip-plain-offer'));
  const own = Number(line(toB, 'm=').split(' ')[1]);
  const transport = (leg: number) => bench.book.find('call')!.legs[leg]!.sections[0]!.transport!;
  const ways = (leg: number) => [transport(leg).remote?.port, transport(leg).rtcpRemote?.port];
  bench.answer('a', 'b', at(own));
  assert.deepEqual([ways(1), bench.addressCounters.loops], [[undefined, undefined], 1]);
  bench.answer('a', 'b', at(own + 1));
  assert.deepEqual([ways(1), bench.addressCounters.loops], [[undefined, undefined], 2]);
  bench.answer('a', 'b', at(4000, [`a=rtcp:${own + 1}`]));
  assert.deepEqual([ways(1), bench.addressCounters.loops], [[4000, undefined], 3]);
  bench.answer('a', 'b', at(4000));
  assert.deepEqual([ways(1), bench.addressCounters.loops], [[4000, 4001], 3]);
  bench.offer('b', at(own));
  assert.deepEqual(ways(1), [undefined, undefined], 'a call that went well before is held too');
  bench.end();
});

test('a call with a plain leg has four media sections at most, the others are rejected on both sides', () => {
  const bench = new Bench();
  const sections = (count: number, protocol: string) =>
    Array.from({ length: count }, (_, i) => `m=audio ${5000 + 2 * i} ${protocol} 0`);
  const many = (protocol: string) => plainAnswer(4000, [], sections(15, protocol)).replaceAll('RTP/AVP', protocol);
  const ports = (sdp: string) => [...sdp.matchAll(/^m=audio (\d+)/gm)].map((m) => Number(m[1]) > 0);
  const four = Array.from({ length: 16 }, (_, i) => i < 4);
  assert.deepEqual(ports(bench.offer('a', many('RTP/AVP'))), four);
  assert.equal(bench.attached.size, 8);
  assert.deepEqual(ports(bench.answer('a', 'b', many('RTP/AVP'))), four);
  assert.deepEqual(ports(bench.offer('b', many('RTP/AVP'))), four, 'offered again it is as before');
  assert.equal(bench.attached.size, 8);
  bench.end();
  assert.deepEqual(ports(bench.echo(many('RTP/AVP'))), four);
  assert.equal(bench.attached.size, 4);
  bench.end();
  const opened = many('RTP/AVP').replace('m=audio 4000', 'm=audio 0');
  assert.deepEqual(
    ports(bench.offer('a', opened)),
    four.map((_, i) => i > 0 && i < 5),
    'rejected ones do not count',
  );
  bench.end();
});

test('no mutilated SDP throws or leaves anything behind', () => {
  const random = seededRandom(7);
  const names = ['chromium-av-data-offer', 'chromium-av-answer', 'baresip-plain-offer', 'baresip-sdes-offer'];
  for (let round = 0; round < 600; round++) {
    const bench = new Bench();
    const pick = () => golden(names[Math.floor(random.next() * names.length)]!).split('\r\n');
    const mutilate = () => {
      const lines = pick();
      for (let i = Math.floor(random.next() * 4); i >= 0; i--) {
        const at = Math.floor(random.next() * lines.length);
        const kind = Math.floor(random.next() * 4);
        if (kind === 0) lines.splice(at, 1);
        else if (kind === 1) lines[at] = lines[at]!.slice(0, Math.floor(random.next() * lines[at]!.length));
        else if (kind === 2) lines.splice(at, 0, lines[Math.floor(random.next() * lines.length)]!);
        else lines[at] = lines[at]!.replace(/\d+/, String(Math.floor(random.next() * 70_000)));
      }
      return lines.join('\r\n');
    };
    const target = [WEBRTC, PLAIN, { protocol: 'RTP/SAVP' }, {}][round % 4]!;
    for (const opaque of [false, true]) {
      const offered = bench.tryOffer('a', mutilate(), { ...target, opaque });
      if ('sdp' in offered) bench.book.answer(request('a', 'b', mutilate(), { opaque }), bench.nowMs);
      bench.tryOffer('b', mutilate(), { opaque });
      if (bench.book.size > 0) bench.end();
    }
  }
});

test('a fork branch may not offer fewer sections than its far peer has seen of another one', () => {
  const bench = new Bench();
  const [audio, more] = [golden('chromium-audio-offer'), golden('chromium-av-offer')];
  const opaque = { ...WEBRTC, opaque: true };
  for (const branch of ['x', 'y']) bench.offer('a', audio, { ...opaque, branch });
  for (const branch of ['x', 'y']) bench.answer('a', branch, golden('chromium-audio-answer'), { branch });
  bench.offer('y', more, { toTag: 'a' });
  assert.match(JSON.stringify(bench.tryOffer('x', audio, { toTag: 'a' })), /fewer media sections/);
  bench.answer('y', 'a', golden('chromium-av-answer'));
  bench.end();
});
