import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isSdpError, parseSdp, type SessionDescription } from '@offhook/core';
import { type CodecChange, changeCodecs, missingCodecs } from './codecs.ts';
import type { RtpInterface } from './interfaces.ts';
import type { DescribeRequest } from './request.ts';
import { allowedSuites, SDES_SUITES } from './sdes.ts';
import { Bench, golden, plainAnswer, WEBRTC, wordsOf } from './test-bench.ts';

const linesOf = (sdp: string, start: string) => sdp.split('\r\n').filter((line) => line.startsWith(start));
const muxed = plainAnswer(4000, ['a=rtcp-mux']);
const parsed = (sdp: string): SessionDescription => {
  const sd = parseSdp(sdp);
  assert.ok(!isSdpError(sd));
  return sd;
};

const INTERFACES: readonly RtpInterface[] = [
  { name: 'pub', address: '192.0.2.2', advertised: '203.0.113.9' },
  { name: 'pub', address: '2001:db8::2' },
  { name: 'priv', address: '10.0.0.2' },
];

test('direction chooses the interface of each leg, SDP says the advertised address, the ports are on the real one', () => {
  const bench = new Bench({ interfaces: INTERFACES });
  const toB = bench.offer('a', plainAnswer(4000), { interfaces: ['priv', 'pub'] });
  assert.deepEqual(linesOf(toB, 'c='), ['c=IN IP4 203.0.113.9']);
  assert.deepEqual(linesOf(toB, 'o=')[0]!.split(' ').slice(3), ['IN', 'IP4', '203.0.113.9']);
  const toA = bench.answer('a', 'b', plainAnswer(5000));
  assert.deepEqual(linesOf(toA, 'c='), ['c=IN IP4 10.0.0.2']);
  const bound = bench.book.find('call')!.legs.map((leg) => leg.sections[0]!.pair!.rtp.local.address);
  assert.deepEqual(bound, ['10.0.0.2', '192.0.2.2']);
  // A leg stays where it is, whichever way round a re-INVITE's script says it.
  const again = bench.offer('b', plainAnswer(5000), { toTag: 'a', interfaces: ['priv', 'pub'] });
  assert.deepEqual(linesOf(again, 'c='), ['c=IN IP4 10.0.0.2']);
  bench.end();
});

test('address-family, and the family of the offer where nobody says one', () => {
  const bench = new Bench({ interfaces: INTERFACES });
  const six = (r: Partial<DescribeRequest>, sdp = plainAnswer(4000)) => {
    const out = bench.offer('a', sdp, r);
    bench.end();
    return linesOf(out, 'c=')[0]!;
  };
  assert.equal(six({ addressFamily: 6 }), 'c=IN IP6 2001:db8::2');
  assert.equal(six({}), 'c=IN IP4 203.0.113.9');
  assert.equal(
    six({}, plainAnswer(4000).replace('c=IN IP4 192.0.2.9', 'c=IN IP6 2001:db8::9')),
    'c=IN IP6 2001:db8::2',
  );
  assert.deepEqual(bench.tryOffer('a', plainAnswer(4000), { addressFamily: 6, interfaces: ['pub', 'priv'] }), {
    error: "address-family: interface 'priv' has no IPv6 address",
  });
  assert.equal(bench.book.size, 0);
});

test('over ICE direction chooses the candidates; loopback is named last, and to no other network', () => {
  const ice = (interfaces: readonly RtpInterface[] | undefined, r: Partial<DescribeRequest>) => {
    const bench = new Bench(interfaces ? { interfaces } : {});
    const toB = bench.offer('a', plainAnswer(4000), { ...WEBRTC, ...r });
    const answered = bench.answer('a', 'b', golden('chromium-audio-answer'), r);
    assert.match(answered, /^m=audio \d+ RTP\/AVP /m);
    bench.end();
    const named = linesOf(toB, 'a=candidate:').map((line) => line.split(' ')[4]);
    assert.deepEqual(linesOf(toB, 'c='), [`c=IN IP4 ${named[0]}`], 'the default candidate is the best one');
    return named;
  };
  const both: readonly RtpInterface[] = [...INTERFACES, { name: 'lo', address: '127.0.0.1' }];
  assert.deepEqual(ice(undefined, {}), ['192.0.2.2', '127.0.0.1']);
  assert.deepEqual(ice(both, {}), ['203.0.113.9', '192.0.2.2', '127.0.0.1'], 'behind a NAT and in front of it');
  assert.deepEqual(ice(both, { interfaces: ['priv', 'pub'] }), ['203.0.113.9']);
  assert.deepEqual(ice(both, { interfaces: ['pub', 'lo'] }), ['127.0.0.1']);
  assert.deepEqual(ice(both, { interfaces: ['pub', 'priv'] }), ['203.0.113.9', '192.0.2.2'], 'no mux port is there');
  assert.deepEqual(ice(both, { interfaces: ['moon', 'moon'] }), ['203.0.113.9', '192.0.2.2', '127.0.0.1']);
});

test('an interface that is not there is told of; the legacy names only where interfaces are configured', () => {
  const bench = new Bench({ interfaces: INTERFACES });
  const made = bench.tryOffer('a', plainAnswer(4000), { interfaces: ['pub', 'moon'] });
  assert.equal(wordsOf(made), "there is no interface 'moon'; 'pub' is used");
  bench.end();
  const legacy = bench.tryOffer('a', plainAnswer(4000), { interfaces: ['internal', 'external'] });
  assert.equal(
    wordsOf(legacy),
    "there is no interface 'internal'; 'pub' is used; there is no interface 'external'; 'pub' is used",
  );
  bench.end();
  const single = new Bench();
  const silent = single.tryOffer('a', plainAnswer(4000), { interfaces: ['internal', 'external'] });
  assert.equal(wordsOf(silent), '');
  single.end();
});

test('media-address stands in the SDP in place of ours', () => {
  const bench = new Bench();
  const toB = bench.offer('a', plainAnswer(4000), { mediaAddress: '198.51.100.7' });
  assert.deepEqual(linesOf(toB, 'c='), ['c=IN IP4 198.51.100.7']);
  assert.equal(linesOf(toB, 'o=')[0]!.split(' ')[5], '198.51.100.7');
  bench.end();
});

test('single parts of the head are kept, and the version rises with a change only', () => {
  const bench = new Bench();
  const head = (sdp: string) => [linesOf(sdp, 'o=')[0], linesOf(sdp, 's=')[0]];
  const at = (n: number, user: string, name: string) =>
    plainAnswer(4000).replace('o=bob 5 5', `o=${user} 5 ${n}`).replace('s=call', `s=${name}`);
  const ask = (sdp: string, replace: DescribeRequest['replace']) =>
    head(bench.offer('a', sdp, { replaceOrigin: false, replace }));
  assert.deepEqual(ask(at(5, 'bob', 'call'), undefined), ['o=bob 5 5 IN IP4 192.0.2.9', 's=call']);
  const all = new Set(['username', 'session-name', 'SDP-version'] as const);
  const first = ask(at(7, 'carl', 'talk'), all);
  assert.match(first[0]!, /^o=bob 5 \d+ /);
  assert.equal(first[1], 's=call');
  assert.deepEqual(ask(at(9, 'carl', 'talk'), all), first, 'nothing of ours has changed');
  const version = (line: string) => Number(line.split(' ')[2]);
  const forced = ask(at(9, 'carl', 'talk'), new Set([...all, 'force-increment-sdp-ver' as const]));
  assert.equal(version(forced[0]!), version(first[0]!) + 1);
  bench.end();
});

/** rtcp-mux as rtpengine 10.5 has it between phones: offered by A?, flags, accepted by B? → offered to B, accepted to A. */
const RTCP_MUX: readonly (readonly [boolean, readonly string[], boolean, boolean, boolean])[] = [
  [true, [], true, true, true],
  [true, [], false, true, false],
  [false, [], true, false, false],
  [true, ['demux'], false, false, true],
  [true, ['accept'], false, true, true],
  [true, ['reject'], true, true, false],
  [false, ['offer'], true, true, false],
  [false, ['offer', 'reject'], true, true, false],
  [true, ['offer'], false, true, false],
];
for (const [offered, rtcpMux, accepted, toB, toA] of RTCP_MUX) {
  test(`rtcp-mux ${offered ? '' : 'not '}offered, ${rtcpMux.join(' ') || 'no flag'}, ${accepted ? '' : 'not '}accepted`, () => {
    const bench = new Bench();
    const says = (sdp: string) => linesOf(sdp, 'a=rtcp-mux').length > 0;
    const offer = bench.offer('a', offered ? muxed : plainAnswer(4000), { rtcpMux });
    const b = plainAnswer(5000, accepted && says(offer) ? ['a=rtcp-mux'] : []);
    const answer = bench.answer('a', 'b', b, { rtcpMux });
    assert.deepEqual([says(offer), says(answer)], [toB, toA]);
    assert.equal(linesOf(offer, 'a=rtcp:').length, 1, 'the port of its own stays on offer');
    bench.end();
  });
}

test('rtcp-mux require names no RTCP port', () => {
  const bench = new Bench();
  const offer = bench.offer('a', plainAnswer(4000), { rtcpMux: ['require'] });
  assert.deepEqual([linesOf(offer, 'a=rtcp-mux').length, linesOf(offer, 'a=rtcp:').length], [1, 0]);
  bench.end();
});

test('SDES: suites that are left out, alone, first, and not added', () => {
  const none = { only: [], not: [], order: [], addsNone: false, preferred: [] };
  const [gcm, sha80, sha32] = SDES_SUITES as [string, string, string];
  assert.deepEqual(allowedSuites(undefined, []), SDES_SUITES);
  assert.deepEqual(allowedSuites({ ...none, not: [gcm] }, []), [sha80, sha32]);
  assert.deepEqual(allowedSuites({ ...none, only: [sha32], not: [sha32] }, []), [sha32]);
  assert.deepEqual(allowedSuites({ ...none, order: [sha32, gcm] }, []), [sha32, gcm, sha80]);
  assert.deepEqual(allowedSuites({ ...none, addsNone: true }, [sha80, 'F8_128_HMAC_SHA1_80']), [sha80]);
  assert.deepEqual(allowedSuites({ ...none, addsNone: true }, []), SDES_SUITES);
  assert.deepEqual(allowedSuites({ ...none, only: ['NULL_HMAC_SHA1_32'] }, []), SDES_SUITES, 'none would be left');
  const bench = new Bench();
  const offer = bench.offer('a', plainAnswer(4000), {
    protocol: 'RTP/SAVP',
    dtlsOff: true,
    sdes: { ...none, order: [sha32], not: [gcm] },
  });
  const tags = linesOf(offer, 'a=crypto:').map((line) => line.slice(9).split(' ').slice(0, 2));
  assert.deepEqual(tags, [
    ['3', sha32],
    ['2', sha80],
  ]);
  bench.end();
});

test("SDES: the offerer's suite that is preferred is taken", () => {
  const suite = 'AES_CM_128_HMAC_SHA1_32';
  const offer = golden('baresip-sdes-offer').replace(
    /^a=crypto:1 \S+ (.*)$/m,
    (line, key) => `${line}\r\na=crypto:2 ${suite} ${key}`,
  );
  for (const preferred of [[], [suite]]) {
    const bench = new Bench();
    const sdes = { only: [], not: [], order: [], addsNone: false, preferred };
    bench.offer('a', offer, { protocol: 'RTP/AVP', sdes });
    const answer = bench.answer('a', 'b', plainAnswer(5000));
    assert.equal(linesOf(answer, 'a=crypto:')[0]!.includes(suite), preferred.length > 0);
    bench.end();
  }
});

test('DTLS-reverse=active: we say hello to an offerer who leaves it to us', () => {
  for (const dtlsReverse of [undefined, 'active'] as const) {
    const bench = new Bench({ startsDtls: true });
    bench.offer('a', golden('chromium-audio-offer'), { protocol: 'RTP/AVP', ice: 'remove', dtlsReverse });
    const answer = bench.answer('a', 'b', plainAnswer(5000));
    assert.deepEqual(linesOf(answer, 'a=setup:'), [`a=setup:${dtlsReverse ?? 'passive'}`]);
    bench.end();
  }
});

const NONE: CodecChange = { strip: [], except: [], offer: [], transcode: [] };
const CODECS: readonly (readonly [Partial<CodecChange>, string])[] = [
  [{ strip: ['opus', '9'] }, '0 8 13 110 126'],
  [{ strip: ['OPUS/48000/2'] }, '9 0 8 13 110 126'],
  [{ strip: ['opus/48000'], offer: ['PCMA'] }, '8 9 0 13 110 126'],
  [{ strip: ['all'], except: ['PCMU', 'telephone-event/8000'] }, '0 126'],
  [{ strip: ['all'], offer: ['PCMA', 'PCMU'] }, '8 0'],
  [{ offer: ['PCMA', 'G722'] }, '8 9 111 0 13 110 126'],
  [{ strip: ['all'] }, '111 9 0 8 13 110 126'],
  [{ strip: ['all'], transcode: ['opus'] }, '111'],
  [{ strip: ['nothing-of-this'] }, '111 9 0 8 13 110 126'],
  [{ strip: ['PCMA/8000/1', 'opus/48000/1'] }, '111 9 0 13 110 126'],
  [{ strip: ['all'], except: ['pcma/8000/1'] }, '8'],
  [{ strip: ['PCMA/8000/2'] }, '111 9 0 8 13 110 126'],
];
test('codecs are taken out, kept and put first by name, rate or payload type', () => {
  const offer = parsed(golden('chromium-audio-offer'));
  const before = offer.media[0]!.formats.join(' ');
  for (const [change, expected] of CODECS) {
    const media = changeCodecs(offer, { ...NONE, ...change }).media[0]!;
    const unwanted = new Set(['63']); // red: taken out for phones that know nothing of WebRTC
    assert.equal(media.formats.filter((f) => !unwanted.has(f)).join(' '), expected, JSON.stringify(change));
    const mapped = media.attributes.filter((a) => a.name === 'rtpmap').map((a) => a.value!.split(' ')[0]!);
    assert.ok(mapped.every((format) => media.formats.includes(format)));
  }
  assert.equal(offer.media[0]!.formats.join(' '), before, 'the offer itself stays');
  assert.deepEqual(missingCodecs(offer, { ...NONE, transcode: ['G729', 'opus'] }), ['G729']);
});

test('what repairs a codec goes with it', () => {
  const offer = parsed(golden('chromium-av-offer'));
  const video = changeCodecs(offer, { ...NONE, strip: ['VP8'] }).media[1]!;
  const values = video.attributes.filter((a) => a.name === 'fmtp').map((a) => a.value!);
  const left = new Set(video.formats);
  for (const value of values) {
    const apt = /apt=(\d+)/.exec(value)?.[1];
    if (apt !== undefined) assert.ok(left.has(apt), value);
  }
  assert.ok(video.formats.length < offer.media[1]!.formats.length - 1);
});

test('a codec that would have to be made refuses the offer in words; ptime is written', () => {
  const bench = new Bench();
  assert.deepEqual(bench.tryOffer('a', plainAnswer(4000), { codecs: { ...NONE, transcode: ['G729'] } }), {
    error: "codec transcode: 'G729' is not in the offer, and this relay makes no audio",
  });
  assert.equal(bench.book.size, 0);
  const offer = bench.offer('a', plainAnswer(4000, ['a=ptime:20']), { ptimeMs: 40 });
  assert.deepEqual(linesOf(offer, 'a=ptime'), ['a=ptime:40']);
  bench.end();
});

test('a stripped codec is not offered over WebRTC either', () => {
  const bench = new Bench();
  const toB = bench.offer('a', golden('chromium-audio-offer'), { ...WEBRTC, codecs: { ...NONE, strip: ['G722'] } });
  assert.ok(!/^m=audio .*\b9\b/m.test(toB.replace(/^m=audio \d+/m, 'm=audio x')) && !toB.includes('G722'));
  bench.end();
});
