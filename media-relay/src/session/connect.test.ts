import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RtcpWriter } from '@offhook/core';
import { liveCipherContexts } from '@offhook/core/node';
import { line, rtp } from '../test-kit.ts';
import type { DescribeRequest } from './request.ts';
import { Bench, golden, PLAIN, plainAnswer, WEBRTC } from './test-bench.ts';

type Options = Partial<DescribeRequest>;

/** A call of two phones; its second leg, b, is the one that moves. */
function calls(bench: Bench, toB: Options, answerOfB: string): void {
  bench.offer('a', golden('baresip-plain-offer'), { callId: 'one', ...toB });
  bench.answer('a', 'b', answerOfB, { callId: 'one' });
}

/** A third phone calls b in a call of its own, where a stand-in is offered what b speaks. */
function called(bench: Bench, toB: Options, callId = 'two'): void {
  bench.offer('c', golden('baresip-plain-offer'), { callId, ...toB });
}

const move = (bench: Bench, callId: string, fromCallId: string, tag = 'b') =>
  bench.book.connect({ callId, fromCallId, tag }, bench.nowMs);
const leg = (bench: Bench, callId: string, tag: string) => bench.book.find(callId)!.leg(tag)!;

const sdesAnswer = plainAnswer(4000, [`a=crypto:2 AES_CM_128_HMAC_SHA1_80 inline:${'A'.repeat(40)}`]).replace(
  'RTP/AVP',
  'RTP/SAVP',
);
const KINDS: [string, Options, string][] = [
  ['plain', PLAIN, plainAnswer(4000)],
  ['SDES', { protocol: 'RTP/SAVP', ice: 'remove' }, sdesAnswer],
  ['DTLS over ICE', WEBRTC, golden('chromium-audio-answer')],
  [
    'DTLS without ICE',
    { protocol: 'UDP/TLS/RTP/SAVPF', ice: 'remove' },
    golden('baresip-dtls-offer').replace('a=setup:actpass', 'a=setup:active'),
  ],
];

for (const [name, toB, answer] of KINDS) {
  test(`a ${name} leg moves with its ports, ICE and keys, and goes back; nothing leaks`, () => {
    const before = liveCipherContexts();
    const bench = new Bench();
    calls(bench, toB, answer);
    called(bench, toB);
    const moved = leg(bench, 'one', 'b');
    const section = moved.sections[0]!;
    const state = () => {
      const { transport, pair, sdes } = section;
      const { rx, tx, dtls, remote, rtcpRemote, secured } = transport!;
      return {
        transport,
        pair,
        sdes,
        rx,
        tx,
        dtls,
        remote,
        rtcpRemote,
        secured,
        ufrag: moved.ice?.current.local.ufrag,
      };
    };
    const kept = state();
    const { size } = bench.transports;
    const keys = bench.senderKeys.length;
    assert.equal(move(bench, 'two', 'one'), undefined);
    assert.equal(leg(bench, 'two', 'b'), moved);
    assert.equal(bench.transports.size, size - 1, 'what stood in for it is gone');
    assert.equal(bench.released.length, toB.ice === 'force' ? 0 : 1);
    assert.deepEqual(
      [section.peer, leg(bench, 'two', 'c').sections[0]!.peer, leg(bench, 'one', 'a').sections[0]!.peer],
      [leg(bench, 'two', 'c').sections[0], section, undefined],
    );
    const toC = bench.answer('c', 'b', answer, { callId: 'two' });
    assert.match(line(toC, 'm='), /^audio [1-9]/);
    const same = state();
    for (const key of Object.keys(kept) as (keyof typeof kept)[]) {
      if (key === 'remote' || key === 'rtcpRemote')
        assert.deepEqual(same[key]?.toSocketAddress(), kept[key]?.toSocketAddress(), key);
      else assert.equal(same[key], kept[key], key);
    }
    assert.equal(bench.senderKeys.length, keys, 'no sending context was made anew');

    assert.equal(move(bench, 'one', 'two'), undefined);
    assert.equal(leg(bench, 'one', 'b'), moved);
    assert.equal(section.peer, leg(bench, 'one', 'a').sections[0]);
    assert.equal(leg(bench, 'two', 'c').sections[0]!.peer, undefined);
    bench.offer('a', golden('baresip-plain-offer'), { callId: 'one' });
    bench.answer('a', 'b', answer, { callId: 'one' });
    assert.equal(section.transport, kept.transport);
    bench.end('two', 'one');
    assert.equal(liveCipherContexts(), before);
  });

  test(`the call that a ${name} leg left can be deleted, the other goes on`, () => {
    const bench = new Bench();
    calls(bench, toB, answer);
    called(bench, toB);
    const { transport } = leg(bench, 'one', 'b').sections[0]!;
    assert.equal(move(bench, 'two', 'one'), undefined);
    assert.equal(bench.book.delete('one', 'b'), false, 'it is no longer of that call');
    assert.ok(bench.book.delete('one', 'a'));
    assert.equal(bench.transports.at(transport!.id), transport);
    assert.equal(bench.transports.size, 2);
    bench.answer('c', 'b', answer, { callId: 'two' });
    bench.end('two');
  });
}

test('what belongs to the peers before is forgotten: SSRCs, the mask of an echo, a hold; the phone hears one stream on', () => {
  const bench = new Bench();
  calls(bench, PLAIN, plainAnswer(4000));
  called(bench, PLAIN);
  const moved = leg(bench, 'one', 'b');
  const transport = moved.sections[0]!.transport!;
  transport.ssrcs.set(7, 0);
  transport.ssrcMask = 5;
  moved.holds = true;
  transport.splice!.follow(rtp({ ssrc: 7, sequence: 1 }), 0);
  assert.equal(move(bench, 'two', 'one'), undefined);
  assert.deepEqual(
    [transport.ssrcs.find(7), transport.ssrcMask, moved.holds, transport.splice!.isOn],
    [-1, 0, false, true],
  );
  bench.end('one', 'two');
});

test('where a leg is awaited nothing goes to its phone, which would hear a stranger from another port', () => {
  for (const isAwaited of [false, true]) {
    const bench = new Bench();
    calls(bench, PLAIN, plainAnswer(4000));
    bench.offer('b', plainAnswer(4000), { callId: 'two', ...PLAIN, standIn: isAwaited });
    const { transport } = leg(bench, 'two', 'b').sections[0]!;
    assert.equal(transport!.remote === undefined, isAwaited);
    assert.equal(transport!.rtcpRemote === undefined, isAwaited);
    bench.answer('b', 'c', plainAnswer(5000), { callId: 'two' });
    assert.equal(transport!.remote === undefined, isAwaited, 'also when the new one has answered');
    assert.equal(move(bench, 'two', 'one'), undefined);
    assert.equal(leg(bench, 'two', 'b').sections[0]!.transport!.remote?.toSocketAddress().port, 4000);
    bench.end('one', 'two');
  }
});

test('from an opaque call into a terminated one DTLS becomes ours, and back it is between the peers again', () => {
  const bench = new Bench();
  const opaque = { ...WEBRTC, opaque: true };
  const offer = golden('chromium-audio-offer');
  const answer = golden('chromium-audio-answer');
  bench.offer('a', offer, { callId: 'one', ...opaque });
  bench.answer('a', 'b', answer, { callId: 'one', opaque: true });
  called(bench, WEBRTC);
  const [a, b] = [leg(bench, 'one', 'a').bundle!, leg(bench, 'one', 'b').bundle!];
  assert.deepEqual([a.opaquePeer, b.opaquePeer, b.dtls], [b, a, undefined]);
  assert.equal(move(bench, 'two', 'one'), undefined);
  assert.deepEqual([a.opaquePeer, b.opaquePeer, b.secured, b.dtls?.state], [undefined, undefined, true, 'waiting']);
  assert.ok(b.reports);
  bench.answer('c', 'b', answer, { callId: 'two' });
  assert.equal(leg(bench, 'two', 'b').bundle, b);

  assert.equal(move(bench, 'one', 'two'), undefined);
  assert.deepEqual([a.opaquePeer, b.opaquePeer, b.secured, b.dtls, b.reports], [b, a, false, undefined, undefined]);
  bench.offer('a', offer, { callId: 'one', ...opaque });
  bench.answer('a', 'b', answer, { callId: 'one', opaque: true });
  bench.end('one', 'two');
});

test('nobody is told what the downlink of who was there before takes, which is in another call now', () => {
  const bench = new Bench();
  const video = golden('chromium-av-offer');
  const answer = golden('chromium-av-answer');
  bench.offer('a', video, { callId: 'one', ...WEBRTC });
  bench.answer('a', 'b', answer, { callId: 'one' });
  bench.offer('c', video.replace(/m=video \d+/, 'm=video 0'), { callId: 'two', ...WEBRTC });
  const rates = (callId: string, tag: string) => leg(bench, callId, tag).bundle!.rates!;
  const [a, b] = [rates('one', 'a'), rates('one', 'b')];
  const bytes = new Uint8Array(1200);
  for (const [peer, ssrc] of [[a, 7] as const, [b, 8] as const]) {
    peer.received(rtp({ ssrc, sequence: 1, payloadType: 96 }), 0, 112, 0);
  }
  /** What `to` is told when `from`'s peer says by REMB what it takes. */
  const told = (from: typeof a, to: typeof a, bps: number, nowMs: number) => {
    from.handleFeedback(bytes.subarray(0, new RtcpWriter(bytes).remb(9, bps, [7]).length), 0, nowMs);
    to.handleTimeout(nowMs, true);
    to.write(bytes, 0, nowMs);
    return to.requests.toldBps;
  };
  assert.deepEqual([told(b, a, 300_000, 10), told(a, b, 400_000, 10)], [300_000, 400_000]);
  assert.equal(move(bench, 'two', 'one'), undefined);
  assert.equal(rates('two', 'b'), b);
  assert.equal(told(b, a, 100_000, 2000), 300_000, 'who is left behind');
  assert.equal(told(a, b, 100_000, 2000), 400_000, 'who has gone to a call without pictures');
  bench.end('one', 'two');
});

test('who can not be moved is refused in words, and everything stays as it was', () => {
  const bench = new Bench();
  calls(bench, PLAIN, plainAnswer(4000));
  bench.offer('c', golden('baresip-plain-offer'), { callId: 'other kind', ...WEBRTC });
  const video = plainAnswer(4000, [], ['m=video 4002 RTP/AVP 96', 'a=rtpmap:96 VP8/90000']);
  bench.offer('c', video, { callId: 'two sections' });
  bench.offer('c', golden('baresip-plain-offer'), { callId: 'full' });
  bench.answer('c', 'd', plainAnswer(4000), { callId: 'full' });
  const left = () => [bench.transports.size, bench.ice.size, bench.attached.size, bench.claims.length];
  const before = left();
  const cases: [string, string, string, string, RegExp][] = [
    ['no such call', 'gone', 'one', 'b', /^Unknown call-id$/],
    ['no such call to take it from', 'full', 'gone', 'b', /^Unknown call-id$/],
    ['the same call', 'one', 'one', 'b', /^Unknown call-id$/],
    ['no such tag', 'other kind', 'one', 'x', /from-tag is not one of the call/],
    ['nobody stands for it', 'full', 'one', 'b', /nobody stands for that peer/],
    ['another kind', 'other kind', 'one', 'b', /speaks something else/],
    ['another number of sections', 'two sections', 'one', 'b', /another number of media sections/],
  ];
  for (const [name, callId, fromCallId, tag, why] of cases) {
    assert.match(move(bench, callId, fromCallId, tag)?.error ?? '', why, name);
    assert.deepEqual(left(), before, name);
    assert.equal(leg(bench, 'one', 'b').sections[0]!.peer, leg(bench, 'one', 'a').sections[0], name);
  }
  bench.end('one', 'other kind', 'two sections', 'full');
});

test('a leg whose peer has not described itself stays where it is', () => {
  const bench = new Bench();
  bench.offer('a', golden('baresip-plain-offer'), { callId: 'one', toTag: 'b', ...PLAIN });
  bench.offer('b', plainAnswer(4000), { callId: 'two', ...PLAIN });
  assert.match(move(bench, 'two', 'one')?.error ?? '', /has not described itself/);
  assert.match(bench.answer('b', 'c', plainAnswer(4002), { callId: 'two' }), /m=audio/);
  bench.end('one', 'two');
});
