import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { SipMessage } from '@offhook/core';
import { askTwice, signUp } from './flow-kit.ts';
import type { CallSnapshot } from './snapshot.ts';
import { ANSWER, established, last, OFFER, type Phone, type Stage, stage, VIDEO } from './test-kit.ts';

const TIMER_F_MS = 32_000;

/** alice, a browser, talks with bob, a phone over UDP; the relay knows them by these names. */
function talking(how: { seed?: number; answers?: [string, string][] } = {}) {
  const s = stage({ tellsEvents: true, seed: how.seed });
  const [alice, bob] = [s.phone('alice'), s.phone('bob', 'udp')];
  signUp(bob);
  const { invite, ok } = established(alice, bob, how);
  const [callId, legs] = [...s.relayLegs][0]!;
  const [alicesTag, bobsTag] = [...legs.keys()] as [string, string];
  return {
    s,
    alice,
    bob,
    invite,
    ok,
    callId,
    alicesTag,
    wish: (tag = bobsTag, of = callId) => s.wishKeyFrame(of, tag),
    /** After the shortest time in which it is asked again. */
    wishLater: () => {
      s.advance(1000);
      s.wishKeyFrame(callId, bobsTag);
    },
    hangUp: (cseq = 9) => {
      alice.within(ok, 'BYE', { cseq });
      assert.deepEqual(alice.seen(), ['200 BYE']);
      bob.answer(last(bob.take()), 200);
      s.assertNothingLeft();
    },
  };
}

/** The one request that the phone has got: an INFO for a picture. */
function asked(phone: Phone): SipMessage {
  const [info, ...others] = phone.take();
  assert.deepEqual(others, []);
  assert.equal(info?.method, 'INFO');
  assert.equal(info.contentType, 'application/media_control+xml');
  assert.match(info.bodyText, /<to_encoder><picture_fast_update\/><\/to_encoder>/);
  return info;
}

test('a wish of the relay becomes an INFO in the dialog of the phone that sends the pictures', () => {
  const { s, alice, bob, invite, wish, hangUp } = talking();
  wish();
  const info = asked(bob);
  assert.equal(info.callId, invite.callId);
  assert.equal(info.from.tag, invite.from.tag);
  assert.equal(info.to.tag, `tag-bob-${bob.flow.id}`);
  assert.equal(info.uri, 'sip:bob@192.0.2.2', 'its contact');
  assert.equal(info.cseq.number, invite.cseq.number + 1);
  bob.answer(info, 200);
  assert.deepEqual(alice.take(), [], 'nobody else hears of it');
  const { picturesAsked, picturesRefused } = s.core.calls.counters;
  assert.deepEqual([picturesAsked, picturesRefused], [1, 0]);
  hangUp();
});

test('a phone that called is asked in its own dialog, once it has acknowledged our answer', () => {
  const s = stage({ tellsEvents: true });
  const [alice, bob] = [s.phone('alice'), s.phone('bob', 'udp')];
  signUp(bob);
  alice.register();
  askTwice(bob, 'INVITE', { uri: 'sip:alice@example.test', to: '<sip:alice@example.test>', sdp: VIDEO, cseq: 1 });
  const invite = last(alice.take());
  const wish = () => {
    const [callId, legs] = [...s.relayLegs][0]!;
    s.wishKeyFrame(callId, [...legs.keys()][0]!);
  };
  alice.answer(invite, 180);
  bob.take();
  wish();
  assert.deepEqual(bob.seen(), [], 'it rings');
  s.hold('answer');
  alice.answer(invite, 200, ANSWER);
  wish();
  assert.deepEqual(bob.seen(), [], 'the relay thinks about the answer');
  s.release();
  const ok = last(bob.take());
  assert.equal(ok.status, 200);
  wish();
  assert.deepEqual(bob.seen(), [], 'not acknowledged');
  bob.within(ok, 'ACK', { cseq: 2 });
  wish();
  const info = asked(bob);
  assert.equal(info.callId, 'call-of-bob');
  assert.equal(info.to.tag, 'tag-bob');
  bob.answer(info, 200);
  bob.within(ok, 'BYE', { cseq: 3 });
  alice.take();
  s.assertNothingLeft();
});

test('one INFO at a time, and one a second', () => {
  const { s, bob, wish, wishLater, hangUp } = talking();
  wish();
  const first = asked(bob);
  wishLater();
  wishLater();
  const numbers = new Set(bob.take().map((m) => m.cseq.number));
  assert.deepEqual([...numbers], [first.cseq.number], 'the first is not answered, but repeated');
  bob.answer(first, 200);
  wish();
  bob.answer(asked(bob), 200);
  s.advance(900);
  wish();
  assert.deepEqual(bob.seen(), [], 'too soon');
  wishLater();
  bob.answer(asked(bob), 200);
  hangUp();
});

test('nor before an answer to a late offer is there, nor while its connection is gone', () => {
  const s = stage({ tellsEvents: true });
  const [alice, bob] = [s.phone('alice'), s.phone('bob', 'udp')];
  signUp(bob);
  alice.request('INVITE', {});
  const invite = last(bob.take());
  bob.answer(invite, 200, OFFER);
  const ok = last(alice.take());
  assert.equal(ok.status, 200);
  const [callId, legs] = [...s.relayLegs][0]!;
  const wish = (tag: string) => s.wishKeyFrame(callId, tag);
  for (const tag of legs.keys()) wish(tag);
  assert.deepEqual(bob.seen(), [], 'its 2xx is not acknowledged');
  alice.within(ok, 'ACK', { cseq: 1, sdp: ANSWER });
  assert.deepEqual(bob.seen(), ['ACK']);
  for (const tag of legs.keys()) wish(tag);
  bob.answer(asked(bob), 200);
  s.advance(1000);
  s.core.handleFlowClosed(bob.flow, s.clock.now);
  for (const tag of legs.keys()) wish(tag);
  assert.deepEqual(bob.seen(), [], 'it is away');
  assert.equal(s.core.calls.counters.picturesAsked, 1);
});

test('browsers are not asked, nor who names other methods in Allow', () => {
  const { alice, bob, alicesTag, wish, hangUp } = talking({ answers: [['Allow', 'INVITE, ACK, BYE, CANCEL, UPDATE']] });
  wish(alicesTag);
  wish();
  assert.deepEqual([alice.seen(), bob.seen()], [[], []]);
  hangUp();
});

test('a phone that would not have it is not asked again in that call, by whatever status; another call is another thing', () => {
  for (const status of [415, 501, 405, 403, 488, 603]) {
    const { s, bob, wish, wishLater, hangUp } = talking();
    wish();
    bob.answer(asked(bob), status);
    wishLater();
    s.advance(60_000);
    wish();
    assert.deepEqual(bob.seen(), [], String(status));
    assert.equal(s.core.calls.counters.picturesRefused, 1);
    hangUp();
  }
});

test('what is only of the moment is no refusal', () => {
  for (const status of [480, 491, 500, 503]) {
    const { s, bob, wish, wishLater, hangUp } = talking();
    wish();
    bob.answer(asked(bob), status);
    wishLater();
    bob.answer(asked(bob), 200);
    assert.equal(s.core.calls.counters.picturesRefused, 0);
    hangUp();
  }
});

test('a phone that says nothing is not asked again, and its call goes on', () => {
  const { s, bob, wish, wishLater, hangUp } = talking();
  wish();
  asked(bob);
  s.advance(TIMER_F_MS);
  assert.ok(
    bob.seen().every((what) => what === 'INFO'),
    'repeated',
  );
  wishLater();
  assert.deepEqual(bob.seen(), []);
  hangUp();
});

test('a phone that says nothing but that it is at work is one that says nothing', () => {
  const { s, bob, wish, wishLater, hangUp } = talking();
  wish();
  const info = asked(bob);
  for (let second = 0; second < 31; second++) {
    for (let i = 0; i < 5; i++) bob.answer(info, i % 2 === 0 ? 100 : 183);
    wishLater();
  }
  const numbers = new Set(bob.take().map((m) => m.cseq.number));
  assert.deepEqual([...numbers], [info.cseq.number]);
  s.advance(1000);
  bob.take();
  assert.equal(s.core.calls.counters.picturesRefused, 1);
  bob.answer(info, 200);
  wishLater();
  assert.deepEqual(bob.seen(), []);
  hangUp();
});

test('a phone that knows the call no more ends it (481, 408)', () => {
  for (const status of [481, 408]) {
    const { s, alice, bob, wish } = talking();
    wish();
    bob.answer(asked(bob), status);
    const byes = [alice.take(), bob.take()].map(([bye]) => bye!);
    assert.deepEqual(
      byes.map((m) => m.method),
      ['BYE', 'BYE'],
    );
    alice.answer(byes[0]!, 200);
    bob.answer(byes[1]!, 481);
    assert.match(s.ended.join(), /^408 bob's phone is gone/);
    s.assertNothingLeft();
  }
});

test('an answer after the call has ended changes nothing', () => {
  for (const status of [200, 481, 415]) {
    const { s, alice, bob, ok, wish } = talking();
    wish();
    const info = asked(bob);
    alice.within(ok, 'BYE', { cseq: 9 });
    const [bye] = bob.take();
    bob.answer(info, status);
    bob.answer(bye!, 200);
    assert.deepEqual(s.ended, ['200 ended by alice']);
    assert.deepEqual([alice.seen(), bob.seen()], [['200 BYE'], []], String(status));
    s.assertNothingLeft();
  }
});

test('of several calls the one is meant that the relay names; a leg is looked for in its own call only', () => {
  const s = stage({ tellsEvents: true });
  const [alice, bob, carol, dave] = [s.phone('alice'), s.phone('bob', 'udp'), s.phone('carol'), s.phone('dave', 'udp')];
  for (const phone of [bob, dave]) signUp(phone);
  established(alice, bob);
  carol.request('INVITE', { uri: 'sip:dave@example.test', to: '<sip:dave@example.test>', sdp: OFFER });
  dave.answer(last(dave.take()), 200, ANSWER);
  dave.take();
  carol.within(last(carol.take()), 'ACK', { cseq: 1 });
  const [[first], [second, legs]] = [...s.relayLegs] as [[string, Map<string, number>], [string, Map<string, number>]];
  const davesTag = [...legs.keys()][1]!;
  s.wishKeyFrame(first, davesTag);
  s.wishKeyFrame(second, 'nobody');
  s.wishKeyFrame('a call of Kamailio’s', davesTag);
  assert.deepEqual([bob.seen(), dave.seen()], [[], []]);
  assert.equal(s.core.media.counters.strayEvents, 1);
  s.wishKeyFrame(second, davesTag);
  asked(dave);
  assert.deepEqual(bob.seen(), []);
});

test('the numbers of many INFOs are noted, so that the next process goes on above them', () => {
  const { s, bob, wishLater, callId } = talking();
  let number = 0;
  for (let i = 0; i < 350; i++) {
    wishLater();
    const infos = bob.take().filter((m) => m.method === 'INFO');
    for (const info of infos) {
      number = info.cseq.number;
      bob.answer(info, 200);
    }
  }
  assert.ok(number > 300);
  const noted = [...s.snapshots.values()].map((text) => JSON.parse(text) as CallSnapshot);
  const { b } = noted.find(({ ngCallId }) => ngCallId === callId) as { b: { localCSeq: number } };
  assert.ok(number - b.localCSeq < 101, `${number} used, ${b.localCSeq} noted`);
});

test('who was moved into another call is found there', () => {
  const { s, alice, bob, ok } = talking();
  const carol = s.phone('carol');
  carol.register();
  alice.within(ok, 'REFER', { cseq: 2, headers: [['Refer-To', '<sip:carol@example.test>']] });
  finishTransfer(s, alice, bob, carol);
  const [callId, legs] = [...s.relayLegs].at(-1)!;
  const bobsTag = [...legs.keys()].find((tag) => legs.get(tag) === 1)!;
  s.wishKeyFrame(callId, bobsTag);
  asked(bob);
});

/** carol answers, and bob takes what he is offered then. */
function finishTransfer(s: Stage, alice: Phone, bob: Phone, carol: Phone): void {
  carol.answer(last(carol.take()), 200, ANSWER);
  carol.take();
  bob.answer(last(bob.take()), 200, ANSWER);
  s.advance(10);
  for (const m of alice.take()) if (m.kind === 'request') alice.answer(m, 200);
  bob.take();
  carol.take();
}
