import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createRequest, createResponse, type SipMessage } from '@offhook/core';
import { ANSWER, DOMAIN, established, last, OFFER, stage, VIDEO } from './test-kit.ts';

test('a call: INVITE, 180, 200, ACK, BYE (RFC 3665 3.1) with the description rewritten by the relay both ways', () => {
  const s = stage();
  const [alice, bob] = [s.phone('alice'), s.phone('bob')];
  bob.register();
  alice.request('INVITE', { sdp: OFFER });
  assert.deepEqual(alice.seen(), ['100 INVITE']);
  const [invite] = bob.take() as [SipMessage];
  assert.equal(invite.uri, bob.contact.slice(1, -1));
  assert.equal(invite.bodyText, `${OFFER}a=via-relay:offer\r\n`);
  assert.equal(invite.from.displayName, 'ALICE');
  assert.equal(invite.from.uri.toString(), `sip:alice@${DOMAIN}`);
  assert.notEqual(invite.callId, 'call-of-alice', 'each leg is a dialog of its own');
  assert.equal(invite.maxForwards, 69);
  assert.equal(s.ng[0]?.['transport-protocol'], 'UDP/TLS/RTP/SAVPF');
  bob.answer(invite, 180);
  assert.deepEqual(alice.seen(), ['180 INVITE']);
  bob.answer(invite, 200, ANSWER);
  const [ack] = bob.take();
  assert.equal(ack?.method, 'ACK');
  const [ok] = alice.take() as [SipMessage];
  assert.equal(ok.bodyText, `${ANSWER}a=via-relay:answer\r\n`);
  alice.within(ok, 'ACK', { cseq: 1 });
  assert.deepEqual(
    s.core.calls.calls().map((c) => [c.from, c.to, c.state, c.media]),
    [['alice', 'bob', 'answered', 'opaque']],
  );
  s.advance(60_000);
  assert.deepEqual([alice.seen(), bob.seen()], [[], []], 'nothing is repeated after the ACK');
  bob.within(invite, 'BYE', { cseq: 1 });
  assert.deepEqual(bob.seen(), ['200 BYE']);
  const [bye] = alice.take() as [SipMessage];
  assert.equal(bye.method, 'BYE');
  alice.answer(bye, 200);
  assert.deepEqual(s.ended, ['200 ended by bob']);
  s.assertNothingLeft();
});

test('the 200 is repeated until it is acknowledged; without an ACK the call ends by BYE after 32 s', () => {
  const s = stage();
  const [alice, bob] = [s.phone('alice'), s.phone('bob')];
  bob.register();
  alice.request('INVITE', { sdp: OFFER });
  const [invite] = bob.take() as [SipMessage];
  bob.answer(invite, 200, ANSWER);
  bob.seen();
  alice.seen();
  s.advance(31_999);
  assert.deepEqual(
    alice.seen(),
    Array.from({ length: 10 }, () => '200 INVITE'),
  );
  s.advance(2);
  assert.deepEqual([alice.seen(), bob.seen()], [['BYE'], ['BYE']]);
  assert.deepEqual(s.ended, ['408 the answer was never acknowledged']);
  s.assertNothingLeft();
});

test('a repeated 200 of the callee is acknowledged again', () => {
  const s = stage();
  const [alice, bob] = [s.phone('alice'), s.phone('bob')];
  bob.register();
  const { invite, ok } = established(alice, bob);
  bob.answer(invite, 200, ANSWER);
  assert.deepEqual(bob.seen(), ['ACK']);
  alice.within(ok, 'BYE', { cseq: 2 });
  assert.deepEqual(bob.seen(), ['BYE']);
  s.assertNothingLeft();
});

test('nobody there, nobody of that name, nobody signed in: each in words', () => {
  const s = stage();
  const alice = s.phone('alice');
  const refused = (uri: string, branch: string) => {
    alice.request('INVITE', { uri, sdp: OFFER, branch, callId: branch });
    const answer = last(alice.take());
    alice.request('ACK', { uri, branch, callId: branch, to: answer.header('to')! });
    return `${answer.status} ${/text="(.*)"/.exec(answer.header('reason') ?? '')?.[1]}`;
  };
  assert.equal(refused(`sip:bob@${DOMAIN}`, 'a'), '480 bob is not registered: nobody is signed in under that name');
  assert.equal(refused(`sip:zoe@${DOMAIN}`, 'b'), "404 there is no user 'zoe' here");
  assert.equal(refused(`sip:${DOMAIN}`, 'c'), '404 the address names no user');
  assert.equal(
    refused('sip:bob@elsewhere.example', 'd'),
    '404 elsewhere.example is not served here: calls go to users of this server only',
  );
  s.assertNothingLeft();
});

test('busy, declined and unacceptable reach the caller with the callee’s words', () => {
  for (const [status, reason, words] of [
    [486, undefined, 'bob is busy'],
    [603, 'SIP;cause=603;text="in a meeting"', 'in a meeting'],
    [488, undefined, "bob's phone cannot do what was offered"],
  ] as const) {
    const s = stage();
    const [alice, bob] = [s.phone('alice'), s.phone('bob')];
    bob.register();
    alice.request('INVITE', { sdp: OFFER });
    const [invite] = bob.take() as [SipMessage];
    bob.answer(invite, status, undefined, reason === undefined ? [] : [['Reason', reason]]);
    assert.deepEqual(bob.seen(), ['ACK']);
    const final = last(alice.take());
    assert.equal(final.status, status);
    assert.match(final.header('reason') ?? '', new RegExp(words));
    alice.request('ACK', { branch: 'alice1INVITE', to: final.header('to')! });
    s.assertNothingLeft();
  }
});

test('all phones ring; the first answer wins, the others are cancelled with a reason (RFC 3326)', () => {
  const s = stage();
  const [alice, bob1, bob2, bob3] = [s.phone('alice'), s.phone('bob'), s.phone('bob'), s.phone('bob')];
  for (const p of [bob1, bob2, bob3]) p.register();
  alice.request('INVITE', { sdp: OFFER });
  const invites = [bob1, bob2, bob3].map((p) => p.take()[0]!);
  assert.equal(new Set(invites.map((i) => i.callId)).size, 3);
  bob1.answer(invites[0]!, 183, ANSWER);
  bob2.answer(invites[1]!, 180);
  assert.deepEqual(
    alice.seen(),
    ['100 INVITE', '180 INVITE'],
    'early media of one of several phones is not passed on; ringing once',
  );
  bob3.answer(invites[2]!, 486);
  bob2.answer(invites[1]!, 200, ANSWER);
  const [cancel] = bob1.take() as [SipMessage];
  assert.equal(cancel.method, 'CANCEL');
  assert.match(cancel.header('reason')!, /cause=200;text="Call completed elsewhere"/);
  bob1.answer(cancel, 200);
  bob1.answer(invites[0]!, 487);
  assert.deepEqual(bob1.seen(), ['ACK']);
  const [ok] = alice.take() as [SipMessage];
  assert.equal(ok.status, 200);
  alice.within(ok, 'ACK', { cseq: 1 });
  alice.within(ok, 'BYE', { cseq: 2 });
  s.assertNothingLeft();
});

test('a phone that rang in vain is out of the call: neither its lost connection nor a BYE of its own ends it', () => {
  const s = stage();
  const [alice, bob1, bob2] = [s.phone('alice'), s.phone('bob'), s.phone('bob')];
  bob1.register();
  bob2.register();
  alice.request('INVITE', { sdp: OFFER });
  const [one, two] = [bob1.take()[0]!, bob2.take()[0]!];
  bob2.answer(two, 180);
  bob1.answer(one, 200, ANSWER);
  const ok = last(alice.take());
  alice.within(ok, 'ACK', { cseq: 1 });
  bob2.answer(two, 487);
  assert.deepEqual(bob2.seen(), ['CANCEL', 'ACK']);
  const bye = createRequest({
    method: 'BYE',
    uri: 'sip:offhook',
    from: two.header('to')!,
    to: two.header('from')!,
    callId: two.callId,
    cseq: 1,
  });
  bob2.send(bye.prepend('via', 'SIP/2.0/WS x.invalid;branch=z9hG4bKstray'));
  assert.deepEqual(bob2.seen(), ['481 BYE']);
  s.core.handleFlowClosed(bob2.flow, s.clock.now);
  s.settle();
  s.advance(60_000);
  assert.deepEqual(alice.seen(), []);
  assert.equal(s.core.calls.calls()[0]?.state, 'answered');
  alice.within(ok, 'BYE', { cseq: 2 });
  s.assertNothingLeft();
});

test('two answer at once: the later one is acknowledged and hung up (RFC 5407 3.1.2 in spirit)', () => {
  const s = stage();
  const [alice, bob1, bob2] = [s.phone('alice'), s.phone('bob'), s.phone('bob')];
  bob1.register();
  bob2.register();
  alice.request('INVITE', { sdp: OFFER });
  const [one, two] = [bob1.take()[0]!, bob2.take()[0]!];
  bob1.answer(one, 180);
  bob2.answer(two, 180);
  bob1.answer(one, 200, ANSWER);
  assert.deepEqual(bob2.seen(), ['CANCEL']);
  bob2.answer(two, 200, ANSWER);
  assert.deepEqual(bob2.seen(), ['ACK', 'BYE']);
  const ok = last(alice.take());
  alice.within(ok, 'ACK', { cseq: 1 });
  assert.equal(s.core.calls.size, 1, 'the call goes on with the first');
  alice.within(ok, 'BYE', { cseq: 2 });
  s.assertNothingLeft();
});

test('one decline ends it for all phones; otherwise the best answer of all is given', () => {
  const s = stage();
  const [alice, bob1, bob2] = [s.phone('alice'), s.phone('bob'), s.phone('bob')];
  bob1.register();
  bob2.register();
  alice.request('INVITE', { sdp: OFFER });
  let [one, two] = [bob1.take()[0]!, bob2.take()[0]!];
  bob2.answer(two, 180);
  bob1.answer(one, 603);
  assert.deepEqual(bob2.seen(), ['CANCEL']);
  bob2.answer(two, 487);
  let final = last(alice.take());
  assert.equal(final.status, 603);
  alice.request('ACK', { branch: 'alice1INVITE', to: final.header('to')! });
  alice.request('INVITE', { sdp: OFFER, branch: 'second', callId: 'second' });
  [one, two] = [last(bob1.take()), last(bob2.take())];
  bob1.answer(one, 480);
  bob2.answer(two, 486);
  final = last(alice.take());
  assert.equal(final.status, 486);
  alice.request('ACK', { branch: 'second', callId: 'second', to: final.header('to')! });
  s.assertNothingLeft();
});

test('the caller cancels: 487 for the caller, CANCEL for the phones, also when the relay is still thinking', () => {
  for (const thinking of [false, true]) {
    const s = stage();
    const [alice, bob] = [s.phone('alice'), s.phone('bob')];
    bob.register();
    if (thinking) s.hold();
    alice.request('INVITE', { sdp: OFFER });
    const [invite] = bob.take();
    if (invite) bob.answer(invite, 180);
    alice.request('CANCEL', { branch: 'alice1INVITE' });
    const seen = alice.seen();
    assert.ok(seen.includes('200 CANCEL') && seen.includes('487 INVITE'), seen.join());
    alice.request('ACK', { branch: 'alice1INVITE' });
    if (thinking) {
      s.release();
      assert.deepEqual(bob.seen(), [], 'a phone that was not called yet is left in peace');
    } else {
      assert.deepEqual(bob.seen(), ['CANCEL']);
      bob.answer(invite!, 487);
    }
    assert.deepEqual(s.ended, ['487 cancelled by the caller']);
    s.assertNothingLeft();
  }
});

test('CANCEL and 200 cross: the callee is acknowledged and hung up (RFC 5407 3.1.2)', () => {
  const s = stage();
  const [alice, bob] = [s.phone('alice'), s.phone('bob')];
  bob.register();
  alice.request('INVITE', { sdp: OFFER });
  const [invite] = bob.take() as [SipMessage];
  bob.answer(invite, 180);
  alice.request('CANCEL', { branch: 'alice1INVITE' });
  bob.answer(invite, 200, ANSWER);
  assert.deepEqual(bob.seen(), ['CANCEL', 'ACK', 'BYE']);
  alice.request('ACK', { branch: 'alice1INVITE' });
  s.assertNothingLeft();
});

test('nobody answers: after a minute the caller is told, the phones are cancelled', () => {
  const s = stage();
  const [alice, bob] = [s.phone('alice'), s.phone('bob')];
  bob.register();
  alice.request('INVITE', { sdp: OFFER });
  const [invite] = bob.take() as [SipMessage];
  bob.answer(invite, 180);
  alice.seen();
  s.advance(60_000);
  const [still, final] = alice.take() as [SipMessage, SipMessage];
  assert.deepEqual([still.status, final.status], [180, 480]);
  assert.match(final.header('reason')!, /bob does not answer/);
  alice.request('ACK', { branch: 'alice1INVITE' });
  assert.deepEqual(bob.seen(), ['CANCEL']);
  bob.answer(invite, 487);
  s.assertNothingLeft();
  assert.deepEqual(s.ended, ['480 bob does not answer'], 'the record says it too, not that the caller had cancelled');
  const { unanswered, cancelled } = s.core.calls.counters;
  assert.deepEqual({ unanswered, cancelled }, { unanswered: 1, cancelled: 0 });
});

test('early media of a single phone goes to the caller, and the 200 with the same description needs no new answer', () => {
  const s = stage();
  const [alice, bob] = [s.phone('alice'), s.phone('bob')];
  bob.register();
  alice.request('INVITE', { sdp: OFFER });
  const [invite] = bob.take() as [SipMessage];
  bob.answer(invite, 183, ANSWER);
  const early = last(alice.take());
  assert.equal(early.status, 183);
  assert.equal(early.bodyText, `${ANSWER}a=via-relay:answer\r\n`);
  bob.answer(invite, 200, ANSWER);
  const ok = last(alice.take());
  assert.equal(ok.bodyText, early.bodyText);
  assert.equal(s.ng.filter((m) => m.command === 'answer').length, 1);
  alice.within(ok, 'ACK', { cseq: 1 });
  alice.within(ok, 'BYE', { cseq: 2 });
  s.assertNothingLeft();
});

test('offer in the 200, answer in the ACK (RFC 3261 13.2.1)', () => {
  const s = stage();
  const [alice, bob] = [s.phone('alice'), s.phone('bob')];
  bob.register();
  alice.request('INVITE');
  const [invite] = bob.take() as [SipMessage];
  assert.equal(invite.body.length, 0);
  bob.answer(invite, 200, OFFER);
  assert.deepEqual(bob.seen(), [], 'the ACK waits for the answer');
  const ok = last(alice.take());
  assert.equal(ok.bodyText, `${OFFER}a=via-relay:offer\r\n`);
  bob.answer(invite, 200, OFFER);
  alice.within(ok, 'ACK', { cseq: 1, sdp: ANSWER });
  const [ack] = bob.take() as [SipMessage];
  assert.equal(ack.bodyText, `${ANSWER}a=via-relay:answer\r\n`);
  const [offered, answered] = s.ng;
  assert.equal(answered?.['from-tag'], offered?.['from-tag'], 'the callee is the offerer');
  assert.notEqual(answered?.['to-tag'], offered?.['from-tag']);
  for (const tag of [offered?.['from-tag'], answered?.['to-tag']])
    assert.ok(tag !== invite.from.tag && tag !== ok.to.tag, 'the tags of dialogs are not told to the relay');
  alice.within(ok, 'BYE', { cseq: 2 });
  s.assertNothingLeft();
});

test('re-INVITE from either side is carried over; its failure leaves the call as it was', () => {
  const s = stage();
  const [alice, bob] = [s.phone('alice'), s.phone('bob')];
  bob.register();
  const { invite, ok } = established(alice, bob);
  alice.within(ok, 'INVITE', { cseq: 2, sdp: OFFER });
  const [re] = bob.take() as [SipMessage];
  assert.equal(re.method, 'INVITE');
  assert.equal(re.bodyText, `${OFFER}a=via-relay:offer\r\n`);
  bob.answer(re, 200, ANSWER);
  assert.deepEqual(bob.seen(), ['ACK']);
  const answers = alice.take();
  assert.deepEqual(
    answers.map((m) => m.status),
    [100, 200],
  );
  alice.within(last(answers), 'ACK', { cseq: 2 });
  bob.within(invite, 'INVITE', { cseq: 1, sdp: OFFER });
  assert.deepEqual(bob.seen(), ['100 INVITE']);
  const [other] = alice.take() as [SipMessage];
  alice.answer(other, 488);
  assert.deepEqual(alice.seen(), ['ACK']);
  assert.deepEqual(bob.seen(), ['488 INVITE']);
  bob.within(invite, 'ACK', { cseq: 1, branch: 'bobINVITE1in' });
  assert.equal(s.core.calls.size, 1);
  alice.within(ok, 'BYE', { cseq: 3 });
  s.assertNothingLeft();
});

test('re-INVITE without a description asks the other side for the offer', () => {
  const s = stage();
  const [alice, bob] = [s.phone('alice'), s.phone('bob')];
  bob.register();
  const { ok } = established(alice, bob);
  alice.within(ok, 'INVITE', { cseq: 2 });
  const [re] = bob.take() as [SipMessage];
  assert.equal(re.body.length, 0);
  bob.answer(re, 200, OFFER);
  assert.deepEqual(bob.seen(), []);
  const answer = last(alice.take());
  assert.equal(answer.bodyText, `${OFFER}a=via-relay:offer\r\n`);
  alice.within(answer, 'ACK', { cseq: 2, sdp: ANSWER });
  assert.equal(bob.take()[0]?.bodyText, `${ANSWER}a=via-relay:answer\r\n`);
  alice.within(ok, 'BYE', { cseq: 3 });
  s.assertNothingLeft();
});

test('glare: a re-INVITE that meets one from the other side gets 491, a second from the same side 500 (14.2)', () => {
  const s = stage();
  const [alice, bob] = [s.phone('alice'), s.phone('bob')];
  bob.register();
  const { invite, ok } = established(alice, bob);
  alice.within(ok, 'INVITE', { cseq: 2, sdp: OFFER });
  bob.within(invite, 'INVITE', { cseq: 1, sdp: OFFER });
  assert.deepEqual(bob.seen(), ['INVITE', '491 INVITE']);
  alice.within(ok, 'INVITE', { cseq: 3, sdp: OFFER });
  assert.deepEqual(alice.seen(), ['100 INVITE', '500 INVITE']);
  alice.within(ok, 'BYE', { cseq: 4 });
  const seen = alice.seen();
  assert.ok(seen.includes('487 INVITE') && seen.includes('200 BYE'), seen.join());
  s.assertNothingLeft();
});

test('a re-INVITE can be cancelled; one that is never answered ends the call', () => {
  const s = stage();
  const [alice, bob] = [s.phone('alice'), s.phone('bob')];
  bob.register();
  const { ok } = established(alice, bob);
  alice.within(ok, 'INVITE', { cseq: 2, sdp: OFFER, branch: 're' });
  const re = last(bob.take());
  bob.answer(re, 180);
  alice.within(ok, 'CANCEL', { cseq: 2, branch: 're' });
  assert.deepEqual(bob.seen(), ['CANCEL']);
  bob.answer(re, 487);
  assert.deepEqual(alice.seen().slice(-1), ['487 INVITE']);
  alice.within(ok, 'ACK', { cseq: 2, branch: 're' });
  assert.equal(s.core.calls.size, 1);
  alice.within(ok, 'INVITE', { cseq: 3, sdp: OFFER });
  alice.seen();
  s.advance(32_000);
  assert.deepEqual(alice.seen(), ['408 INVITE', 'BYE']);
  s.assertNothingLeft();
});

test('600: the relay answers itself; hold and the end work like in any call', () => {
  const s = stage();
  const alice = s.phone('alice');
  alice.request('INVITE', { uri: `sip:600@${DOMAIN}`, sdp: OFFER });
  const answers = alice.take();
  assert.deepEqual(
    answers.map((m) => m.status),
    [100, 200],
  );
  assert.equal(last(answers).bodyText, `${OFFER}a=via-relay:echo\r\n`);
  alice.within(last(answers), 'ACK', { cseq: 1 });
  alice.within(last(answers), 'INVITE', { cseq: 2, sdp: OFFER });
  const again = last(alice.take());
  assert.equal(again.status, 200);
  alice.within(again, 'ACK', { cseq: 2 });
  alice.within(last(answers), 'BYE', { cseq: 3 });
  assert.deepEqual(alice.seen(), ['200 BYE']);
  s.assertNothingLeft();
});

test('a relay that is down: 503 in words, for the echo and for people', () => {
  const s = stage({ relayIsDown: true });
  const [alice, bob] = [s.phone('alice'), s.phone('bob')];
  bob.register();
  alice.request('INVITE', { sdp: OFFER });
  s.advance(5000);
  const final = last(alice.take());
  assert.equal(final.status, 503);
  assert.match(final.header('reason')!, /media relay/);
  alice.request('ACK', { branch: 'alice1INVITE', to: final.header('to')! });
  alice.request('INVITE', { uri: `sip:600@${DOMAIN}`, sdp: OFFER, branch: 'e', callId: 'e' });
  assert.equal(last(alice.take()).status, 503);
  alice.request('ACK', { uri: `sip:600@${DOMAIN}`, branch: 'e', callId: 'e' });
  s.advance(100_000);
  assert.equal(s.core.calls.size, 0);
  assert.equal(s.core.transactions.size, 0);
});

test('a description the relay can’t use is refused, and so are bodies of other kinds and INVITEs without Contact', () => {
  const s = stage();
  const alice = s.phone('alice');
  alice.request('INVITE', { uri: `sip:600@${DOMAIN}`, sdp: `${OFFER}a=unusable\r\n` });
  const final = last(alice.take());
  assert.equal(final.status, 488);
  assert.match(final.header('reason')!, /no common ground/);
  alice.request('ACK', { uri: `sip:600@${DOMAIN}`, branch: 'alice1INVITE' });
  alice.request('INVITE', { uri: `sip:600@${DOMAIN}`, sdp: 'rubbish', branch: 'x', callId: 'x' });
  assert.equal(last(alice.take()).status, 488);
  alice.request('ACK', { uri: `sip:600@${DOMAIN}`, branch: 'x', callId: 'x' });
  s.assertNothingLeft();
});

test('a phone whose connection is lost keeps its call when it registers again in time, and loses it otherwise', () => {
  const s = stage();
  const [alice, bob] = [s.phone('alice'), s.phone('bob')];
  bob.register();
  const { ok } = established(alice, bob);
  s.core.handleFlowClosed(bob.flow, s.clock.now);
  s.settle();
  s.advance(20_000);
  assert.deepEqual(alice.seen(), []);
  const back = s.phone('bob');
  back.contact = bob.contact;
  back.register();
  s.advance(60_000);
  assert.equal(s.core.calls.size, 1);
  alice.within(ok, 'BYE', { cseq: 2 });
  assert.deepEqual(back.seen(), ['BYE'], 'the BYE takes the new connection');
  s.assertNothingLeft();
  alice.seen();
  established(alice, back);
  s.core.handleFlowClosed(back.flow, s.clock.now);
  s.settle();
  s.advance(30_000);
  assert.deepEqual(alice.seen(), ['BYE']);
  s.assertNothingLeft();
});

test('the caller’s connection is lost while it rings: the phones stop ringing', () => {
  const s = stage();
  const [alice, bob] = [s.phone('alice'), s.phone('bob')];
  bob.register();
  alice.request('INVITE', { sdp: OFFER });
  const [invite] = bob.take() as [SipMessage];
  bob.answer(invite, 180);
  s.core.handleFlowClosed(alice.flow, s.clock.now);
  s.settle();
  assert.deepEqual(bob.seen(), ['CANCEL']);
  bob.answer(invite, 487);
  s.assertNothingLeft();
});

test('requests for calls that don’t exist get 481, old ones 500; INFO goes to the other side', () => {
  const s = stage();
  const [alice, bob] = [s.phone('alice'), s.phone('bob')];
  bob.register();
  const { ok } = established(alice, bob);
  alice.request('BYE', { to: `<sip:bob@${DOMAIN}>;tag=wrong`, branch: 'wrong' });
  assert.deepEqual(alice.seen(), ['481 BYE']);
  alice.within(ok, 'INFO', { cseq: 2 });
  const [info] = bob.take() as [SipMessage];
  assert.equal(info.method, 'INFO');
  bob.answer(info, 200);
  assert.deepEqual(alice.seen(), ['200 INFO']);
  alice.within(ok, 'INFO', { cseq: 2, branch: 'again' });
  assert.deepEqual(alice.seen(), ['500 INFO']);
  alice.within(ok, 'BYE', { cseq: 9 });
  s.assertNothingLeft();
});

test('a phone that asks for a picture by INFO is helped by the relay; where that can’t, the INFO passes', () => {
  const words =
    '<media_control><vc_primitive><to_encoder><picture_fast_update/></to_encoder></vc_primitive></media_control>';
  const body = { type: 'application/media_control+xml', bytes: words };
  for (const sendsNoPictures of [false, true]) {
    const s = stage({ sendsNoPictures });
    const [alice, bob] = [s.phone('alice'), s.phone('bob')];
    bob.register();
    const { ok } = established(alice, bob);
    s.ng.length = 0;
    alice.within(ok, 'INFO', { cseq: 2, body });
    const asked = s.ng.filter((m) => m.command === 'key-frame');
    assert.equal(asked.length, 1);
    const passed = bob.take();
    if (sendsNoPictures) bob.answer(passed[0]!, 415);
    else assert.deepEqual(passed, []);
    assert.deepEqual(alice.seen(), [sendsNoPictures ? '415 INFO' : '200 INFO']);
    alice.within(ok, 'INFO', { cseq: 3, body: { ...body, bytes: '<media_control/>' } });
    assert.equal(bob.take().length, 1, 'something else');
    alice.within(ok, 'BYE', { cseq: 9 });
    bob.take();
  }
});

test('who may speak for whom: the session’s own account only', () => {
  const s = stage();
  const alice = s.phone('alice');
  alice.send(
    createRequest({
      method: 'INVITE',
      uri: `sip:600@${DOMAIN}`,
      from: `<sip:bob@${DOMAIN}>;tag=1`,
      to: `<sip:600@${DOMAIN}>`,
      callId: 'x',
      cseq: 1,
      headers: [['Contact', alice.contact]],
    }).prepend('via', 'SIP/2.0/WS x;branch=z9hG4bKx'),
  );
  const [answer] = alice.take() as [SipMessage];
  assert.equal(answer.status, 403);
  assert.match(answer.header('reason')!, /signed in as alice, but the request is from sip:bob/);
  for (const [method, status] of [
    ['REFER', 405],
    ['SUBSCRIBE', 489],
    ['FOO', 501],
    ['OPTIONS', 200],
    ['BYE', 481],
  ] as const) {
    alice.request(method, { uri: `sip:${DOMAIN}` });
    assert.equal(last(alice.take()).status, status, method);
  }
  alice.request('OPTIONS', { uri: 'tel:123', branch: 't' });
  assert.equal(last(alice.take()).status, 416);
  alice.request('OPTIONS', { uri: `sip:${DOMAIN}`, branch: 'r', headers: [['Require', 'precondition']] });
  const bad = last(alice.take());
  assert.equal(bad.status, 420);
  assert.equal(bad.header('unsupported'), 'precondition');
  s.assertNothingLeft();
});

test('a refused change is taken back at the relay too, and its sections stay between us and the relay', () => {
  const s = stage();
  const [alice, bob] = [s.phone('alice'), s.phone('bob')];
  bob.register();
  const { ok } = established(alice, bob);
  s.ng.length = 0;
  alice.within(ok, 'INVITE', { cseq: 2, sdp: VIDEO });
  bob.answer(last(bob.take()), 488);
  assert.deepEqual(alice.seen().slice(-1), ['488 INVITE']);
  alice.within(ok, 'ACK', { cseq: 2, branch: 'aliceINVITE2in' });
  const rejected = 'm=video 0 RTP/AVP 96\r\n';
  assert.deepEqual(
    s.ng.map((m) => [m.command, m.sdp]),
    [
      ['offer', VIDEO],
      ['offer', OFFER + rejected],
      ['answer', ANSWER + rejected],
    ],
  );
  bob.take();
  s.ng.length = 0;
  alice.within(ok, 'INVITE', { cseq: 3, sdp: OFFER });
  const re = last(bob.take());
  assert.equal(re.bodyText.includes('m=video'), false, 'the phones never had it');
  bob.answer(re, 200, ANSWER);
  assert.equal(last(alice.take()).bodyText.includes('m=video'), false);
  assert.deepEqual(
    s.ng.map((m) => m.sdp),
    [OFFER + rejected, ANSWER + rejected],
  );
  alice.within(ok, 'ACK', { cseq: 3 });
  alice.within(ok, 'BYE', { cseq: 4 });
  s.assertNothingLeft();
});

test('both hang up at the same moment: each BYE gets 200, and one after that 481', () => {
  const s = stage();
  const [alice, bob] = [s.phone('alice'), s.phone('bob')];
  bob.register();
  const { invite, ok } = established(alice, bob);
  alice.within(ok, 'BYE', { cseq: 2 });
  bob.within(invite, 'BYE', { cseq: 1 });
  assert.deepEqual(alice.seen(), ['200 BYE']);
  const seen = bob.take();
  assert.deepEqual(
    seen.map((m) => (m.kind === 'request' ? m.method : m.status)),
    ['BYE', 200],
  );
  bob.answer(seen[0]!, 200);
  bob.within(invite, 'BYE', { cseq: 2 });
  assert.deepEqual(bob.seen(), ['481 BYE']);
  s.assertNothingLeft();
});

test('a phone that was away when the other side hung up gets its BYE when it comes back, or never', () => {
  for (const comesBack of [true, false]) {
    const s = stage();
    const [alice, bob] = [s.phone('alice'), s.phone('bob')];
    bob.register();
    const { ok } = established(alice, bob);
    s.core.handleFlowClosed(bob.flow, s.clock.now);
    s.settle();
    alice.within(ok, 'BYE', { cseq: 2 });
    assert.deepEqual(alice.seen(), ['200 BYE']);
    assert.deepEqual(bob.seen(), []);
    assert.equal(s.core.calls.size, 0);
    if (comesBack) {
      s.advance(5000);
      const again = s.phone('bob');
      again.contact = bob.contact;
      again.request('REGISTER', { uri: `sip:${DOMAIN}`, to: `<sip:bob@${DOMAIN}>`, callId: 'again', cseq: 1 });
      const [first, second] = again.take();
      assert.deepEqual([first?.status, second?.method].sort(), [200, 'BYE'].sort());
    }
    s.assertNothingLeft();
  }
});

test('between the callee’s answer and ours: the callee hangs up, or the caller cancels, hangs up or vanishes', () => {
  for (const what of ['callee', 'CANCEL', 'BYE', 'vanishes'] as const) {
    const s = stage();
    const [alice, bob] = [s.phone('alice'), s.phone('bob')];
    bob.register();
    alice.request('INVITE', { sdp: OFFER, branch: 'first' });
    const [invite] = bob.take() as [SipMessage];
    bob.answer(invite, 180);
    const ringing = last(alice.take());
    s.hold();
    bob.answer(invite, 200, ANSWER);
    assert.deepEqual(bob.seen(), ['ACK']);
    if (what === 'callee') {
      bob.within(invite, 'BYE', { cseq: 1 });
      assert.deepEqual(bob.seen(), ['200 BYE']);
      assert.deepEqual(alice.seen(), ['480 INVITE']);
    } else if (what === 'vanishes') {
      s.core.handleFlowClosed(alice.flow, s.clock.now);
      s.settle();
      assert.deepEqual(bob.seen(), ['BYE']);
    } else {
      if (what === 'CANCEL') alice.request('CANCEL', { branch: 'first' });
      else alice.within(ringing, 'BYE', { cseq: 2 });
      assert.deepEqual(alice.seen().sort(), [`200 ${what}`, '487 INVITE']);
      assert.deepEqual(bob.seen(), ['BYE']);
    }
    s.release();
    assert.deepEqual(
      alice.seen().filter((m) => m.startsWith('200 INVITE')),
      [],
    );
    s.assertNothingLeft();
  }
});

test('a second answer from behind the same contact is acknowledged, each time it comes, and hung up once', () => {
  const s = stage();
  const [alice, bob] = [s.phone('alice'), s.phone('bob')];
  bob.register();
  const { invite } = established(alice, bob);
  const other = createResponse(invite, 200, undefined, {
    toTag: 'another-phone',
    headers: [['Contact', '<sip:other@phone.invalid;transport=ws>']],
    body: { type: 'application/sdp', bytes: ANSWER },
  });
  bob.send(other);
  const [ack, bye] = bob.take();
  assert.equal(ack?.method, 'ACK');
  assert.equal(bye?.method, 'BYE');
  assert.equal(bye?.to.tag, 'another-phone');
  assert.equal(bye?.uri, 'sip:other@phone.invalid;transport=ws');
  bob.send(other);
  assert.deepEqual(bob.seen(), ['ACK']);
  assert.equal(s.core.calls.size, 1);
  s.core.hangUpAll('enough', s.clock.now);
  s.settle();
  s.assertNothingLeft();
});

test('answers to its INVITE that come after a call are acknowledged still, and those of other phones hung up', () => {
  const s = stage();
  const [alice, bob] = [s.phone('alice'), s.phone('bob')];
  bob.register();
  const { invite } = established(alice, bob);
  const answer = (toTag: string) =>
    createResponse(invite, 200, undefined, {
      toTag,
      headers: [['Contact', `<sip:${toTag}@phone.invalid;transport=ws>`]],
      body: { type: 'application/sdp', bytes: ANSWER },
    });
  s.core.hangUpAll('enough', s.clock.now);
  s.settle();
  const [bye] = bob.take();
  assert.equal(bye?.method, 'BYE');
  bob.send(answer(bye.to.tag!));
  const [again] = bob.take();
  assert.deepEqual([again?.method, again?.cseq.number, again?.to.tag], ['ACK', invite.cseq.number, bye.to.tag]);
  for (const expected of [['ACK', 'BYE'], ['ACK']]) {
    bob.send(answer('another-phone'));
    assert.deepEqual(bob.seen(), expected);
  }
  s.assertNothingLeft();
});

test('a relay that lost the call, or gave it up for want of media, ends it within a minute', () => {
  const s = stage();
  const [alice, bob] = [s.phone('alice'), s.phone('bob')];
  bob.register();
  established(alice, bob);
  s.advance(125_000);
  assert.deepEqual([alice.seen(), bob.seen()], [[], []]);
  s.alive.clear();
  s.advance(60_000);
  assert.deepEqual([alice.seen(), bob.seen()], [['BYE'], ['BYE']]);
  assert.deepEqual(s.ended, ['480 no media came for too long, or the media relay was restarted']);
  s.assertNothingLeft();
});

test('late offer: a caller that never acknowledges costs the callee neither its ACK nor its BYE', () => {
  const s = stage();
  const [alice, bob] = [s.phone('alice'), s.phone('bob')];
  bob.register();
  alice.request('INVITE');
  bob.answer(last(bob.take()), 200, OFFER);
  assert.deepEqual(alice.seen(), ['100 INVITE', '200 INVITE']);
  assert.deepEqual(bob.seen(), []);
  s.advance(33_000);
  assert.deepEqual(bob.seen(), ['ACK', 'BYE']);
  assert.deepEqual(alice.seen().slice(-1), ['BYE']);
  s.assertNothingLeft();
});

test('late offer: a callee that hangs up before the answer has come gets its ACK all the same', () => {
  const s = stage();
  const [alice, bob] = [s.phone('alice'), s.phone('bob')];
  bob.register();
  alice.request('INVITE');
  const invite = last(bob.take());
  bob.answer(invite, 200, OFFER);
  const ok = last(alice.take());
  bob.within(invite, 'BYE', { cseq: 1 });
  assert.deepEqual(bob.seen(), ['200 BYE', 'ACK']);
  alice.within(ok, 'ACK', { cseq: 1, sdp: ANSWER });
  assert.deepEqual(alice.seen(), ['BYE']);
  s.assertNothingLeft();
});

test('a change that the other side never finishes is cancelled after a minute; the call goes on', () => {
  const s = stage();
  const [alice, bob] = [s.phone('alice'), s.phone('bob')];
  bob.register();
  const { ok } = established(alice, bob);
  alice.within(ok, 'INVITE', { cseq: 2, sdp: OFFER });
  const re = last(bob.take());
  bob.answer(re, 180);
  s.advance(61_000);
  assert.deepEqual(bob.seen(), ['CANCEL']);
  bob.answer(re, 487);
  assert.deepEqual(alice.seen().slice(-1), ['487 INVITE']);
  assert.equal(s.core.calls.size, 1);
  alice.within(ok, 'BYE', { cseq: 3 });
  s.assertNothingLeft();
});

test('who calls the own name reaches the own other phones only', () => {
  const s = stage();
  const [desk, tab] = [s.phone('alice'), s.phone('alice')];
  desk.register();
  const call = (branch: string) =>
    desk.request('INVITE', {
      uri: `sip:alice@${DOMAIN}`,
      to: `<sip:alice@${DOMAIN}>`,
      sdp: OFFER,
      branch,
      callId: branch,
    });
  call('alone');
  const refused = last(desk.take());
  assert.equal(refused.status, 480);
  assert.match(refused.header('reason') ?? '', /no other phone/);
  tab.register();
  call('both');
  assert.deepEqual(tab.seen(), ['INVITE']);
  assert.deepEqual(desk.seen(), ['100 INVITE']);
  s.assertNothingLeft();
});

test('a change of a call to the echo that is still at the relay when the call ends leaves nothing', () => {
  const s = stage();
  const alice = s.phone('alice');
  alice.request('INVITE', { uri: `sip:600@${DOMAIN}`, to: `<sip:600@${DOMAIN}>`, sdp: OFFER });
  const ok = last(alice.take());
  alice.within(ok, 'ACK', { cseq: 1 });
  s.hold();
  alice.within(ok, 'INVITE', { cseq: 2, sdp: OFFER });
  alice.within(ok, 'INVITE', { cseq: 3, sdp: OFFER });
  assert.deepEqual(alice.seen(), ['100 INVITE', '500 INVITE']);
  alice.within(ok, 'BYE', { cseq: 4 });
  assert.deepEqual(alice.seen().sort(), ['200 BYE', '487 INVITE']);
  s.release();
  s.assertNothingLeft();
});

test('a phone whose connection goes while it changes the call may change it again when it is back', () => {
  const s = stage();
  const [alice, bob] = [s.phone('alice'), s.phone('bob')];
  alice.register();
  bob.register();
  const { ok } = established(alice, bob);
  alice.within(ok, 'INVITE', { cseq: 2, sdp: OFFER });
  const change = last(bob.take());
  s.core.handleFlowClosed(alice.flow, s.clock.now);
  s.settle();
  assert.deepEqual(bob.seen(), [], 'CANCEL waits for a provisional answer (RFC 3261 9.1)');
  // The answer crosses the CANCEL: nobody is there to take it, and nobody is blamed for not acknowledging it.
  bob.answer(change, 200, ANSWER);
  assert.deepEqual(bob.seen(), ['ACK']);
  const back = s.phone('alice');
  back.contact = alice.contact;
  back.register();
  s.advance(500);
  back.within(ok, 'INVITE', { cseq: 3, sdp: OFFER });
  const again = last(bob.take());
  assert.equal(again.method, 'INVITE');
  bob.answer(again, 200, ANSWER);
  const answered = last(back.take());
  assert.equal(answered.status, 200);
  back.within(answered, 'ACK', { cseq: 3 });
  s.advance(60_000);
  assert.equal(s.core.calls.size, 1, 'the call goes on');
  back.within(ok, 'BYE', { cseq: 4 });
  s.assertNothingLeft();
});

test('a change for a phone that is away waits until it is back', () => {
  const s = stage();
  const [alice, bob] = [s.phone('alice'), s.phone('bob')];
  bob.register();
  const { ok } = established(alice, bob);
  s.core.handleFlowClosed(bob.flow, s.clock.now);
  s.settle();
  alice.within(ok, 'INVITE', { cseq: 2, sdp: OFFER });
  alice.within(ok, 'INFO', { cseq: 3 });
  assert.deepEqual(alice.seen(), ['100 INVITE', '480 INFO']);
  s.advance(3000);
  const back = s.phone('bob');
  back.contact = bob.contact;
  const [change] = back.register();
  assert.equal(change?.method, 'INVITE');
  back.answer(change!, 200, ANSWER);
  const answered = last(alice.take());
  assert.equal(answered.status, 200);
  alice.within(answered, 'ACK', { cseq: 2 });
  s.advance(60_000);
  assert.equal(s.core.calls.size, 1, 'the call goes on');

  s.core.handleFlowClosed(back.flow, s.clock.now);
  s.settle();
  alice.within(ok, 'INVITE', { cseq: 4, sdp: OFFER, branch: 'taken-back' });
  alice.within(ok, 'CANCEL', { cseq: 4, branch: 'taken-back' });
  assert.deepEqual(alice.seen(), ['100 INVITE', '200 CANCEL', '487 INVITE']);
  s.advance(40_000);
  assert.equal(s.core.calls.size, 0, 'nobody came back');
  s.assertNothingLeft();
});

test('a call stays with its phone when another one of the same user and host registers, and follows its instance', () => {
  const cases: [string, string, string, boolean][] = [
    ['another port is another phone', '<sip:b@192.0.2.9:5070>', '<sip:b@192.0.2.9:5080>', false],
    ['the same contact is the same phone', '<sip:b@192.0.2.9:5070>', '<sip:b@192.0.2.9:5070>', true],
    [
      'the instance wins',
      '<sip:b@192.0.2.9:1>;+sip.instance="<urn:x>"',
      '<sip:c@192.0.2.8:2>;+sip.instance="<urn:x>"',
      true,
    ],
    [
      'and tells apart',
      '<sip:b@192.0.2.9:1>;+sip.instance="<urn:x>"',
      '<sip:b@192.0.2.9:1>;+sip.instance="<urn:y>"',
      false,
    ],
  ];
  for (const [name, first, second, follows] of cases) {
    const s = stage();
    const [alice, bob] = [s.phone('alice'), s.phone('bob')];
    bob.contact = first;
    bob.register();
    const { ok } = established(alice, bob);
    const other = s.phone('bob');
    other.contact = second;
    other.register();
    alice.within(ok, 'BYE', { cseq: 2 });
    const [stays, moved] = [bob.seen(), other.seen()];
    assert.deepEqual(follows ? moved : stays, ['BYE'], name);
    assert.deepEqual(follows ? stays : moved, [], name);
  }
});

test('headers between the phones pass in both directions, those of one hop do not', () => {
  const s = stage();
  const [alice, bob] = [s.phone('alice'), s.phone('bob')];
  bob.register();
  alice.request('INVITE', {
    sdp: OFFER,
    headers: [
      ['X-Order', '4711'],
      ['Subject', 'lunch'],
      ['Alert-Info', '<x>;info=alert-autoanswer'],
      ['Answer-Mode', 'Auto'],
      ['Diversion', '<sip:ceo@example.test>'],
      ['P-Auto-Answer', 'normal'],
      ['User-Agent', 'Desk'],
      ['P-Asserted-Identity', '<sip:ceo@example.test>'],
    ],
  });
  const invite = last(bob.take());
  assert.equal(invite.header('x-order'), '4711');
  assert.equal(invite.header('subject'), 'lunch');
  for (const name of ['alert-info', 'answer-mode', 'diversion', 'p-auto-answer'])
    assert.equal(invite.header(name), undefined, `${name}: no phone does something by itself because a caller says so`);
  assert.equal(invite.header('user-agent'), 'Offhook');
  assert.equal(invite.header('p-asserted-identity'), undefined);
  const answer = createResponse(invite, 200, undefined, {
    toTag: 'b',
    headers: [
      ['Contact', bob.contact],
      ['X-Queue', 'three'],
    ],
    body: { type: 'application/sdp', bytes: ANSWER },
  });
  bob.send(answer);
  assert.equal(last(alice.take()).header('x-queue'), 'three');
});
