import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MAX_FORKS } from './fork.ts';
import { Bench, golden, PLAIN, plainAnswer, text, WEBRTC } from './test-bench.ts';

const offerSdp = plainAnswer(4000);
const portOf = (sdp: string) => Number(/^m=audio (\d+)/m.exec(sdp)![1]);
const call = (bench: Bench) => bench.book.find('call')!;
/** Whether media of that peer reaches the caller, and the caller's reaches it. */
const isHeard = (bench: Bench, tag: string) => {
  const leg = call(bench).leg(tag)!;
  const caller = call(bench).legs[0]!;
  const [to, back] = [leg.sections[0]!.peer, caller.sections[0]!.peer];
  return to === caller.sections[0] && back === leg.sections[0];
};

test('each branch has ports of its own, the caller the same towards all', () => {
  const bench = new Bench();
  const [b1, b2] = ['b1', 'b2'].map((branch) => portOf(bench.offer('a', offerSdp, { branch })));
  assert.notEqual(b1, b2);
  assert.equal(portOf(bench.offer('a', offerSdp, { branch: 'b1' })), b1, 'said again');
  const a1 = bench.answer('a', 'one', plainAnswer(5000), { branch: 'b1' });
  const a2 = bench.answer('a', 'two', plainAnswer(6000), { branch: 'b2' });
  assert.equal(portOf(a1), portOf(a2));
  const ports = call(bench)
    .everyLeg()
    .map((leg) => [leg.tag, leg.branch, leg.sections[0]!.pair!.rtp.local.port]);
  assert.deepEqual(ports, [
    ['a', undefined, portOf(a1)],
    ['two', 'b2', b2],
    ['one', 'b1', b1],
  ]);
  bench.end();
});

test('who answered last is heard, by branch or by to-tag', () => {
  const bench = new Bench();
  for (const branch of ['b1', 'b2', 'b3']) bench.offer('a', offerSdp, { branch });
  bench.answer('a', 'one', plainAnswer(5000), { branch: 'b1' });
  assert.ok(isHeard(bench, 'one'));
  bench.answer('a', 'two', plainAnswer(6000), { branch: 'b2' });
  assert.ok(isHeard(bench, 'two') && !isHeard(bench, 'one'));
  // Its 200 after the 183 of another: the tag says who it is, though the client names no branch.
  bench.answer('a', 'one', plainAnswer(5000));
  assert.ok(isHeard(bench, 'one') && !isHeard(bench, 'two'));
  bench.end();
});

test('a re-INVITE goes to the peer of its to-tag, whatever its own Via branch is', () => {
  const bench = new Bench();
  for (const branch of ['b1', 'b2']) bench.offer('a', offerSdp, { branch });
  bench.answer('a', 'one', plainAnswer(5000), { branch: 'b1' });
  bench.answer('a', 'two', plainAnswer(6000), { branch: 'b2' });
  const two = call(bench).leg('two')!.sections[0]!.pair!.rtp.local.port;
  assert.equal(portOf(bench.offer('a', plainAnswer(4002), { toTag: 'two', branch: 'b9' })), two);
  bench.answer('a', 'two', plainAnswer(6000), { branch: 'b9' });
  // The called peer offers: the caller has one leg.
  const near = call(bench).legs[0]!.sections[0]!.pair!.rtp.local.port;
  assert.equal(portOf(bench.offer('two', plainAnswer(6002), { toTag: 'a', branch: 'b10' })), near);
  assert.ok(isHeard(bench, 'two'));
  assert.equal(call(bench).everyLeg().length, 3);
  bench.end();
});

test('a client that names no branches has one far leg, and a first branch takes the one that nobody named', () => {
  const bench = new Bench();
  const first = portOf(bench.offer('a', offerSdp));
  assert.equal(portOf(bench.offer('a', offerSdp)), first);
  assert.equal(portOf(bench.offer('a', offerSdp, { branch: 'b1' })), first);
  assert.notEqual(portOf(bench.offer('a', offerSdp, { branch: 'b2' })), first);
  bench.end();
});

test('branches of two kinds: one phone by WebRTC, one plain', () => {
  const bench = new Bench();
  const toBrowser = bench.offer('a', offerSdp, { ...WEBRTC, branch: 'web' });
  const toPhone = bench.offer('a', offerSdp, { ...PLAIN, branch: 'desk' });
  assert.ok(toBrowser.includes('a=ice-lite') && !toPhone.includes('a=ice'));
  assert.match(toPhone, /^m=audio \d+ RTP\/AVP 0 126\r$/m);
  const toA = bench.answer('a', 'desk', plainAnswer(5000), { branch: 'desk' });
  assert.match(toA, /^m=audio \d+ RTP\/AVP/m);
  assert.ok(isHeard(bench, 'desk'));
  bench.end();
});

test('on the opaque path only the branch that is heard reaches the caller', () => {
  const bench = new Bench();
  const offer = golden('chromium-audio-offer');
  for (const branch of ['b1', 'b2']) bench.offer('a', offer, { ...WEBRTC, opaque: true, branch });
  bench.answer('a', 'one', golden('chromium-audio-answer'), { branch: 'b1' });
  bench.answer('a', 'two', golden('chromium-audio-answer'), { branch: 'b2' });
  const [a, one, two] = ['a', 'one', 'two'].map((tag) => call(bench).leg(tag)!.bundle!);
  assert.deepEqual([a!.opaquePeer === two, two!.opaquePeer === a, one!.opaquePeer], [true, true, undefined]);
  bench.end();
});

test('a branch whose answer is refused leaves nobody behind who is heard or whose rate counts', () => {
  const bench = new Bench();
  for (const branch of ['b1', 'b2']) bench.offer('a', golden('chromium-av-offer'), { ...WEBRTC, branch });
  bench.answer('a', 'one', golden('chromium-av-answer'), { branch: 'b1' });
  const [caller, one] = call(bench).legs.map((leg) => leg.bundle!);
  assert.ok(caller!.rates!.far === one!.rates && one!.rates!.far === caller!.rates);
  const unusable = golden('chromium-av-answer').replaceAll(/a=fingerprint.*\r\n/g, '');
  const refused = bench.tryAnswer('a', 'two', unusable, { branch: 'b2' });
  assert.deepEqual(refused, { error: 'the SDP has no usable a=fingerprint' });
  assert.deepEqual([caller!.rates!.far, one!.rates!.far], [undefined, undefined]);
  assert.deepEqual(
    call(bench)
      .everyLeg()
      .flatMap((leg) => leg.sections.flatMap(({ peer }) => peer ?? [])),
    [],
  );
  bench.answer('a', 'two', golden('chromium-av-answer'), { branch: 'b2' });
  assert.ok(isHeard(bench, 'two') && caller!.rates!.far === call(bench).leg('two')!.bundle!.rates);
  bench.end();
});

test('there is a limit to the branches of a call', () => {
  const bench = new Bench();
  for (let i = 0; i <= MAX_FORKS; i++) bench.offer('a', offerSdp, { branch: `b${i}` });
  const more = bench.tryOffer('a', offerSdp, { branch: 'one-more' });
  assert.deepEqual(more, { error: 'this call has too many fork branches' });
  text(bench.tryOffer('a', offerSdp, { branch: 'b3' }));
  bench.end();
});

test('a branch that ends gives back its ports; the last one ends the call', () => {
  const bench = new Bench();
  for (const branch of ['b1', 'b2']) bench.offer('a', offerSdp, { branch });
  const one = call(bench).legs[1]!;
  bench.book.end(call(bench), one, 0, bench.nowMs);
  assert.deepEqual([bench.released.length, call(bench).everyLeg().length, call(bench).legs[1]!.branch], [1, 2, 'b2']);
  bench.answer('a', 'two', plainAnswer(6000), { branch: 'b2' });
  assert.ok(isHeard(bench, 'two'));
  bench.book.end(call(bench), call(bench).legs[1], 0, bench.nowMs);
  assert.deepEqual([bench.released.length, bench.book.size, bench.attached.size], [3, 0, 0]);
});

test('a delayed end comes in time, and not when the call is offered anew', () => {
  const bench = new Bench();
  const after = (ms: number) => {
    bench.nowMs += ms;
    bench.book.handleTimeout(bench.nowMs);
  };
  bench.offer('a', offerSdp);
  bench.answer('a', 'b', plainAnswer(5000));
  bench.book.end(call(bench), undefined, 2000, bench.nowMs);
  after(1999);
  assert.equal(bench.book.size, 1);
  bench.offer('a', offerSdp, { toTag: 'b' });
  after(5000);
  assert.equal(bench.book.size, 1, 'it was offered anew');
  bench.book.end(call(bench), undefined, 2000, bench.nowMs);
  after(2000);
  assert.deepEqual([bench.book.size, bench.attached.size, bench.book.nextTimeout()], [0, 0, undefined]);
});
