import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createResponse, type SipMessage } from '@offhook/core';
import { askTwice, sees, seesOne, signUp } from './flow-kit.ts';
import { ANSWER, DOMAIN, established, last, OFFER, type Phone, stage, VIDEO } from './test-kit.ts';

// RFC 5407: races. This server is the callee of alice's phone and the caller of bob's, so each race is played twice: where
// it receives what comes too early or too late, and where it has sent it.

/** alice has called bob, whose 200 has come through to her; she has not acknowledged it. Her INVITE has the CSeq 1. */
function answered(how: { offer?: string; answer?: string } = {}) {
  const s = stage();
  const [alice, bob] = [s.phone('alice'), s.phone('bob')];
  bob.register();
  alice.request('INVITE', { sdp: 'offer' in how ? how.offer : OFFER, branch: 'first' });
  const invite = seesOne(bob, 'INVITE');
  bob.answer(invite, 180);
  bob.answer(invite, 200, how.answer ?? ANSWER);
  const [, ringing, ok] = sees(alice, '100 INVITE', '180 INVITE', '200 INVITE') as [SipMessage, SipMessage, SipMessage];
  return { s, alice, bob, invite, ringing, ok };
}

/** The same call, acknowledged on both sides. */
function talking() {
  const s = stage();
  const [alice, bob] = [s.phone('alice'), s.phone('bob')];
  bob.register();
  return { s, alice, bob, ...established(alice, bob) };
}

/** The same over UDP, where alice's INVITE has the CSeq 2. */
function ringingOverUdp() {
  const s = stage();
  const [alice, bob] = [s.phone('alice', 'udp'), s.phone('bob', 'udp')];
  signUp(bob);
  askTwice(alice, 'INVITE', { sdp: OFFER, cseq: 1 });
  sees(alice, '100 INVITE');
  return { s, alice, bob, invite: seesOne(bob, 'INVITE') };
}

/** Hangs up from that phone and lets the other answer. */
function hangUp(by: Phone, other: Phone, how: { of: SipMessage; cseq: number }): void {
  by.within(how.of, 'BYE', { cseq: how.cseq });
  sees(by, '200 BYE');
  other.answer(seesOne(other, 'BYE'), 200);
}

test('3.1.1 the INVITE comes again after it was answered: no second call, and the 200 goes on being repeated until the ACK', () => {
  const { s, alice, bob, invite } = ringingOverUdp();
  bob.answer(invite, 200, ANSWER);
  sees(bob, 'ACK');
  const ok = seesOne(alice, '200 INVITE');
  // What alice sent is on its way twice.
  alice.request('INVITE', { sdp: OFFER, cseq: 2 });
  sees(alice);
  sees(bob);
  s.advance(500);
  sees(alice, '200 INVITE');
  alice.within(ok, 'ACK', { cseq: 2 });
  s.advance(10_000);
  sees(alice);
  assert.equal(s.core.calls.size, 1);
  hangUp(alice, bob, { of: ok, cseq: 3 });
  s.assertNothingLeft();
});

test('3.1.1 our INVITE crosses bob’s 200: his 200, repeated for it, gets the same ACK again', () => {
  const { s, alice, bob, invite } = ringingOverUdp();
  s.advance(500);
  assert.equal(seesOne(bob, 'INVITE').header('via'), invite.header('via'));
  bob.answer(invite, 200, ANSWER);
  const first = seesOne(bob, 'ACK');
  bob.answer(invite, 200, ANSWER);
  const second = seesOne(bob, 'ACK');
  assert.deepEqual([second.callId, second.to.tag, second.cseq], [first.callId, first.to.tag, first.cseq]);
  s.advance(400);
  sees(bob);
  const ok = seesOne(alice, '200 INVITE');
  alice.within(ok, 'ACK', { cseq: 2 });
  hangUp(alice, bob, { of: ok, cseq: 3 });
  s.assertNothingLeft();
});

test('3.1.2 CANCEL comes after the 200: it is answered and changes nothing; alice acknowledges and hangs up', () => {
  const { s, alice, bob, ok } = answered();
  sees(bob, 'ACK');
  alice.request('CANCEL', { branch: 'first' });
  sees(alice, '200 CANCEL');
  sees(bob);
  assert.equal(s.core.calls.calls()[0]?.state, 'answered');
  alice.within(ok, 'ACK', { cseq: 1 });
  hangUp(alice, bob, { of: ok, cseq: 2 });
  s.assertNothingLeft();
  assert.deepEqual(s.ended, ['200 ended by alice']);
});

test('3.1.2 our CANCEL crosses bob’s 200: he is acknowledged and hung up, alice has her 487', () => {
  const s = stage();
  const [alice, bob] = [s.phone('alice'), s.phone('bob')];
  bob.register();
  alice.request('INVITE', { sdp: OFFER, branch: 'first' });
  const invite = seesOne(bob, 'INVITE');
  bob.answer(invite, 180);
  sees(alice, '100 INVITE', '180 INVITE');
  alice.request('CANCEL', { branch: 'first' });
  sees(alice, '200 CANCEL', '487 INVITE');
  alice.request('ACK', { branch: 'first' });
  const cancel = seesOne(bob, 'CANCEL');
  bob.answer(invite, 200, ANSWER);
  const [ack, bye] = sees(bob, 'ACK', 'BYE') as [SipMessage, SipMessage];
  assert.equal(ack.cseq.number, invite.cseq.number);
  assert.ok(bye.cseq.number > ack.cseq.number);
  bob.answer(cancel, 200);
  bob.answer(bye, 200);
  s.assertNothingLeft();
  assert.deepEqual(s.ended, ['487 cancelled by the caller']);
});

test('3.1.3 BYE of the early dialog crosses our 200: it is answered 200 and ends the call; a late ACK is swallowed', () => {
  const { s, alice, bob, ringing, ok } = answered();
  sees(bob, 'ACK');
  alice.within(ringing, 'BYE', { cseq: 2 });
  sees(alice, '200 BYE');
  bob.answer(seesOne(bob, 'BYE'), 200);
  alice.within(ok, 'ACK', { cseq: 1 });
  sees(alice);
  s.assertNothingLeft();
  sees(alice);
  assert.deepEqual(s.ended, ['200 ended by alice']);
});

test('3.1.4 a re-INVITE comes where the ACK was lost: with offer and answer done it is carried out, and stands for the ACK', () => {
  const { s, alice, bob, ok } = answered();
  sees(bob, 'ACK');
  alice.within(ok, 'INVITE', { cseq: 2, sdp: VIDEO });
  sees(alice, '100 INVITE');
  const change = seesOne(bob, 'INVITE');
  bob.answer(change, 200, VIDEO);
  sees(bob, 'ACK');
  const changed = seesOne(alice, '200 INVITE');
  assert.equal(changed.cseq.number, 2);
  alice.within(changed, 'ACK', { cseq: 2 });
  alice.within(ok, 'ACK', { cseq: 1, branch: 'late' });
  s.advance(60_000);
  sees(alice);
  assert.equal(s.core.calls.size, 1);
  hangUp(alice, bob, { of: ok, cseq: 3 });
  s.assertNothingLeft();
});

test('3.1.4 bob changes the call while alice’s ACK is still to come: 491, and the same again once it is there', () => {
  const { s, alice, bob, invite, ok } = answered();
  sees(bob, 'ACK');
  bob.within(invite, 'INVITE', { cseq: 1, sdp: OFFER });
  sees(bob, '491 INVITE');
  bob.within(invite, 'ACK', { cseq: 1, branch: 'bobINVITE1in' });
  alice.within(ok, 'ACK', { cseq: 1 });
  bob.within(invite, 'INVITE', { cseq: 2, sdp: OFFER });
  sees(bob, '100 INVITE');
  alice.answer(seesOne(alice, 'INVITE'), 200, ANSWER);
  sees(alice, 'ACK');
  sees(bob, '200 INVITE');
  bob.within(invite, 'ACK', { cseq: 2 });
  hangUp(bob, alice, { of: invite, cseq: 3 });
  s.assertNothingLeft();
});

test('3.1.5 a re-INVITE comes where the ACK with the answer was lost: 491, for an offer is open; the ACK comes with the next 200', () => {
  const { s, alice, bob, ok } = answered({ offer: undefined, answer: OFFER });
  sees(bob);
  alice.within(ok, 'INVITE', { cseq: 2, sdp: OFFER });
  sees(alice, '491 INVITE');
  alice.within(ok, 'ACK', { cseq: 2, branch: 'aliceINVITE2in' });
  s.advance(500);
  sees(alice, '200 INVITE');
  alice.within(ok, 'ACK', { cseq: 1, sdp: ANSWER });
  assert.equal(seesOne(bob, 'ACK').bodyText, `${ANSWER}a=via-relay:answer\r\n`);
  alice.within(ok, 'INVITE', { cseq: 3, sdp: OFFER });
  sees(alice, '100 INVITE');
  bob.answer(seesOne(bob, 'INVITE'), 200, ANSWER);
  sees(bob, 'ACK');
  alice.within(seesOne(alice, '200 INVITE'), 'ACK', { cseq: 3 });
  hangUp(alice, bob, { of: ok, cseq: 4 });
  s.assertNothingLeft();
});

test('3.1.6 BYE comes where the ACK was lost: the call ends, the 200 of the INVITE is repeated no more', () => {
  const { s, alice, bob, ok } = answered();
  sees(bob, 'ACK');
  hangUp(alice, bob, { of: ok, cseq: 2 });
  s.assertNothingLeft();
  sees(alice);
  assert.deepEqual(s.ended, ['200 ended by alice']);
});

test('3.1.6 our ACK is lost and our BYE comes first: bob’s 200, repeated, is still acknowledged', () => {
  const { s, alice, bob, invite, ok } = talking();
  hangUp(alice, bob, { of: ok, cseq: 2 });
  bob.answer(invite, 200, ANSWER);
  sees(bob, 'ACK');
  s.assertNothingLeft();
});

test('3.1.6 bob hangs up before alice’s ACK: she gets her BYE only after it (RFC 3261 15), or when none comes', () => {
  for (const comes of [true, false]) {
    const { s, alice, bob, invite, ok } = answered();
    sees(bob, 'ACK');
    bob.within(invite, 'BYE', { cseq: 1 });
    sees(bob, '200 BYE');
    sees(alice);
    s.advance(500);
    sees(alice, '200 INVITE');
    if (comes) alice.within(ok, 'ACK', { cseq: 1 });
    else {
      s.advance(31_499);
      assert.ok(alice.seen().every((m) => m === '200 INVITE'));
      s.advance(1);
    }
    const bye = seesOne(alice, 'BYE');
    alice.answer(bye, 200);
    s.assertNothingLeft();
    sees(alice);
    assert.deepEqual(s.ended, ['200 ended by bob']);
  }
});

test('3.2.1 both hang up: each BYE is answered 200', () => {
  const { s, alice, bob, invite, ok } = talking();
  alice.within(ok, 'BYE', { cseq: 2 });
  bob.within(invite, 'BYE', { cseq: 1 });
  sees(alice, '200 BYE');
  const [bye] = sees(bob, 'BYE', '200 BYE') as [SipMessage];
  bob.answer(bye, 200);
  s.assertNothingLeft();
  assert.deepEqual(s.ended, ['200 ended by alice']);
});

test('3.2.2 a re-INVITE crosses our BYE: 481; one that we have sent on is answered 487 to who asked and cancelled', () => {
  const first = talking();
  first.bob.within(first.invite, 'BYE', { cseq: 1 });
  sees(first.bob, '200 BYE');
  first.alice.within(first.ok, 'INVITE', { cseq: 2, sdp: OFFER });
  const [bye] = sees(first.alice, 'BYE', '481 INVITE') as [SipMessage];
  first.alice.within(first.ok, 'ACK', { cseq: 2, branch: 'aliceINVITE2in' });
  first.alice.answer(bye, 200);
  first.s.assertNothingLeft();

  const { s, alice, bob, invite, ok } = talking();
  alice.within(ok, 'INVITE', { cseq: 2, sdp: OFFER });
  sees(alice, '100 INVITE');
  const change = seesOne(bob, 'INVITE');
  bob.answer(change, 100);
  bob.within(invite, 'BYE', { cseq: 1 });
  const [, cancel] = sees(bob, '200 BYE', 'CANCEL') as [SipMessage, SipMessage];
  bob.answer(cancel, 200);
  bob.answer(change, 487);
  sees(bob, 'ACK');
  const end = sees(alice, 'BYE', '487 INVITE');
  alice.within(ok, 'ACK', { cseq: 2, branch: 'aliceINVITE2in' });
  alice.answer(end[0]!, 200);
  s.assertNothingLeft();
  assert.deepEqual(s.ended, ['200 ended by bob']);
});

test('3.2.3 the 200 of a re-INVITE comes after the BYE: it is acknowledged all the same', () => {
  const { s, alice, bob, ok } = talking();
  alice.within(ok, 'INVITE', { cseq: 2, sdp: OFFER });
  sees(alice, '100 INVITE');
  const change = seesOne(bob, 'INVITE');
  alice.within(ok, 'BYE', { cseq: 3 });
  sees(alice, '200 BYE', '487 INVITE');
  alice.within(ok, 'ACK', { cseq: 2, branch: 'aliceINVITE2in' });
  const bye = seesOne(bob, 'BYE');
  for (let i = 0; i < 2; i++) {
    bob.answer(change, 200, ANSWER);
    assert.equal(seesOne(bob, 'ACK').cseq.number, change.cseq.number);
  }
  bob.answer(bye, 200);
  s.assertNothingLeft();
});

test('3.2.4 ACK comes after the BYE that overtook it: nothing happens', () => {
  const { s, alice, bob, ok } = answered();
  sees(bob, 'ACK');
  hangUp(alice, bob, { of: ok, cseq: 2 });
  alice.within(ok, 'ACK', { cseq: 1 });
  sees(alice);
  sees(bob);
  s.assertNothingLeft();
});

test('3.3.1 re-INVITEs cross: each side gets 491, the call stays as it was, and who tries again first succeeds', () => {
  const { s, alice, bob, invite, ok } = talking();
  alice.within(ok, 'INVITE', { cseq: 2, sdp: VIDEO });
  sees(alice, '100 INVITE');
  bob.within(invite, 'INVITE', { cseq: 1, sdp: OFFER });
  const [change] = sees(bob, 'INVITE', '491 INVITE') as [SipMessage];
  bob.within(invite, 'ACK', { cseq: 1, branch: 'bobINVITE1in' });
  // bob has one of his own under way, so he refuses ours by the same rule.
  bob.answer(change, 491);
  sees(bob, 'ACK');
  sees(alice, '491 INVITE');
  alice.within(ok, 'ACK', { cseq: 2, branch: 'aliceINVITE2in' });
  const played = s.ng.slice(-2).map((m) => [m.command, String(m.sdp).slice(0, OFFER.length)]);
  assert.deepEqual(
    played,
    [
      ['offer', OFFER],
      ['answer', ANSWER],
    ],
    'the relay is led back to what was agreed on',
  );
  s.advance(2000);
  bob.within(invite, 'INVITE', { cseq: 2, sdp: OFFER });
  sees(bob, '100 INVITE');
  alice.answer(seesOne(alice, 'INVITE'), 200, ANSWER);
  sees(alice, 'ACK');
  bob.within(seesOne(bob, '200 INVITE'), 'ACK', { cseq: 2, branch: 'x' });
  bob.within(invite, 'ACK', { cseq: 2, branch: 'y' });
  s.advance(2000);
  alice.within(ok, 'INVITE', { cseq: 3, sdp: VIDEO });
  sees(alice, '100 INVITE');
  bob.answer(seesOne(bob, 'INVITE'), 200, VIDEO);
  sees(bob, 'ACK');
  alice.within(seesOne(alice, '200 INVITE'), 'ACK', { cseq: 3 });
  hangUp(alice, bob, { of: ok, cseq: 4 });
  s.assertNothingLeft();
});

test('3.3.2 UPDATE and re-INVITE cross: who is second gets 491, whichever of the two it sent', () => {
  for (const [mine, theirs] of [
    ['UPDATE', 'INVITE'],
    ['INVITE', 'UPDATE'],
  ] as const) {
    const { s, alice, bob, invite, ok } = talking();
    alice.within(ok, mine, { cseq: 2, sdp: OFFER });
    bob.within(invite, theirs, { cseq: 1, sdp: OFFER });
    const [change] = sees(bob, 'INVITE', `491 ${theirs}`) as [SipMessage];
    if (theirs === 'INVITE') bob.within(invite, 'ACK', { cseq: 1, branch: 'bobINVITE1in' });
    bob.answer(change, 491);
    sees(bob, 'ACK');
    sees(alice, ...(mine === 'INVITE' ? ['100 INVITE'] : []), `491 ${mine}`);
    if (mine === 'INVITE') alice.within(ok, 'ACK', { cseq: 2, branch: 'aliceINVITE2in' });
    assert.equal(s.core.calls.size, 1);
    hangUp(alice, bob, { of: ok, cseq: 3 });
    s.assertNothingLeft();
  }
});

test('3.3.3 REFER crosses our BYE: 481, and nobody is called', () => {
  const { s, alice, bob, invite, ok } = talking();
  const carol = s.phone('carol');
  carol.register();
  bob.within(invite, 'BYE', { cseq: 1 });
  sees(bob, '200 BYE');
  alice.within(ok, 'REFER', { cseq: 2, headers: [['Refer-To', `<sip:carol@${DOMAIN}>`]] });
  const [bye] = sees(alice, 'BYE', '481 REFER') as [SipMessage];
  alice.answer(bye, 200);
  sees(carol);
  s.assertNothingLeft();
});

test('appendix A: BYE in the early dialog ends the INVITE by 487 and cancels bob; bob may not be sent one', () => {
  const s = stage();
  const [alice, bob] = [s.phone('alice'), s.phone('bob')];
  bob.register();
  alice.request('INVITE', { sdp: OFFER, branch: 'first' });
  const invite = seesOne(bob, 'INVITE');
  bob.answer(invite, 180);
  const ringing = sees(alice, '100 INVITE', '180 INVITE')[1]!;
  alice.within(ringing, 'BYE', { cseq: 2 });
  sees(alice, '200 BYE', '487 INVITE');
  alice.request('ACK', { branch: 'first' });
  const cancel = seesOne(bob, 'CANCEL');
  bob.answer(cancel, 200);
  bob.answer(invite, 487);
  sees(bob, 'ACK');
  s.assertNothingLeft();
  assert.deepEqual(s.ended, ['487 ended by the caller']);
});

test('appendix B: BYE comes while a re-INVITE of the same phone is open: both are answered', () => {
  const { s, alice, bob, ok } = talking();
  alice.within(ok, 'INVITE', { cseq: 2, sdp: OFFER });
  const change = seesOne(bob, 'INVITE');
  bob.answer(change, 180);
  alice.within(ok, 'BYE', { cseq: 3 });
  sees(alice, '100 INVITE', '200 BYE', '487 INVITE');
  alice.within(ok, 'ACK', { cseq: 2, branch: 'aliceINVITE2in' });
  const [bye, cancel] = sees(bob, 'BYE', 'CANCEL') as [SipMessage, SipMessage];
  bob.answer(bye, 200);
  bob.answer(cancel, 200);
  bob.answer(change, 487);
  sees(bob, 'ACK');
  s.assertNothingLeft();
});

test('appendix C: CANCEL before anything has been heard of bob: his waits until he has shown that he got the INVITE', () => {
  const { s, alice, bob, invite } = ringingOverUdp();
  alice.request('CANCEL', { cseq: 2, branch: 'alice2INVITE' });
  sees(alice, '200 CANCEL', '487 INVITE');
  alice.request('ACK', { cseq: 2, branch: 'alice2INVITE' });
  sees(bob);
  s.advance(500);
  sees(bob, 'INVITE');
  bob.answer(invite, 100);
  const cancel = seesOne(bob, 'CANCEL');
  bob.answer(cancel, 200);
  bob.answer(invite, 487);
  sees(bob, 'ACK');
  s.assertNothingLeft();
});

test('appendix C: CANCEL overtakes its INVITE: 481, and the INVITE that follows rings', () => {
  const s = stage();
  const [alice, bob] = [s.phone('alice'), s.phone('bob')];
  bob.register();
  alice.request('CANCEL', { branch: 'first' });
  sees(alice, '481 CANCEL');
  alice.request('INVITE', { sdp: OFFER, branch: 'first' });
  sees(alice, '100 INVITE');
  const invite = seesOne(bob, 'INVITE');
  bob.answer(invite, 180);
  sees(alice, '180 INVITE');
  alice.request('CANCEL', { branch: 'first' });
  sees(alice, '200 CANCEL', '487 INVITE');
  bob.answer(seesOne(bob, 'CANCEL'), 200);
  bob.answer(invite, 487);
  sees(bob, 'ACK');
  alice.request('ACK', { branch: 'first' });
  s.assertNothingLeft();
});

test('appendix E: answers with new To tags from behind bob’s contact: alice has one dialog, further 200s are hung up', () => {
  const s = stage();
  const [alice, bob] = [s.phone('alice'), s.phone('bob')];
  bob.register();
  alice.request('INVITE', { sdp: OFFER });
  const invite = seesOne(bob, 'INVITE');
  const as = (tag: string, status: number) =>
    bob.send(
      createResponse(invite, status, undefined, {
        toTag: tag,
        headers: [['Contact', `<sip:${tag}@phone.invalid;transport=ws>`]],
        body: status === 200 ? { type: 'application/sdp', bytes: ANSWER } : undefined,
      }),
    );
  as('one', 180);
  as('two', 180);
  as('two', 200);
  const ack = seesOne(bob, 'ACK');
  assert.deepEqual([ack.to.tag, ack.uri], ['two', 'sip:two@phone.invalid;transport=ws']);
  const ok = last(sees(alice, '100 INVITE', '180 INVITE', '200 INVITE'));
  alice.within(ok, 'ACK', { cseq: 1 });
  as('one', 200);
  const [other, bye] = sees(bob, 'ACK', 'BYE') as [SipMessage, SipMessage];
  assert.deepEqual([other.to.tag, bye.to.tag, bye.uri], ['one', 'one', 'sip:one@phone.invalid;transport=ws']);
  bob.answer(bye, 200);
  assert.equal(s.core.calls.size, 1);
  alice.within(ok, 'BYE', { cseq: 2 });
  sees(alice, '200 BYE');
  const end = seesOne(bob, 'BYE');
  assert.equal(end.to.tag, 'two');
  bob.answer(end, 200);
  s.assertNothingLeft();
});
