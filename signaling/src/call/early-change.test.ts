import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createResponse, type SipMessage } from '@offhook/core';
import { ANSWER, last, OFFER, rackFor, reliably, stage } from './test-kit.ts';

const ALLOW = 'INVITE, ACK, CANCEL, BYE, PRACK, UPDATE';
const HOLD = `${OFFER}a=sendonly\r\n`;
const HELD = `${ANSWER}a=recvonly\r\n`;

/** alice calls bob, who has answered the offer by a 183; `withPrack`: she has acknowledged that. */
function early(o: { caller?: [string, string][]; callee?: [string, string][]; withPrack?: boolean } = {}) {
  const s = stage();
  const [alice, bob] = [s.phone('alice'), s.phone('bob')];
  bob.register();
  const headers = o.caller ?? [
    ['Supported', '100rel'],
    ['Allow', ALLOW],
  ];
  alice.request('INVITE', { sdp: OFFER, headers });
  const invite = last(bob.take());
  bob.answer(invite, 183, ANSWER, o.callee ?? reliably(1));
  for (const prack of bob.take()) bob.answer(prack, 200);
  const ringing = last(alice.take());
  if (o.withPrack !== false) {
    alice.within(ringing, 'PRACK', { cseq: 2, headers: rackFor(ringing) });
    assert.deepEqual(alice.seen(), ['200 PRACK']);
  }
  s.ng.length = 0;
  return { s, alice, bob, invite, ringing };
}

/** bob answers, both hang up, nothing is left; the 200 of alice is returned. */
function talkAndEnd({ s, alice, bob, invite }: ReturnType<typeof early>, cseq: number): SipMessage {
  bob.answer(invite, 200);
  const ok = last(alice.take());
  assert.equal(ok.status, 200);
  alice.within(ok, 'ACK', { cseq: 1 });
  alice.within(ok, 'BYE', { cseq });
  assert.equal(last(bob.take()).method, 'BYE');
  s.assertNothingLeft();
  return ok;
}

test('the caller changes a call that still rings: UPDATE goes to the phone whose early media it has (RFC 3311 5)', () => {
  const call = early();
  const { s, alice, bob, invite, ringing } = call;
  alice.within(ringing, 'UPDATE', { cseq: 3, sdp: HOLD });
  const [update] = bob.take() as [SipMessage];
  assert.equal(update.method, 'UPDATE');
  assert.equal(update.bodyText, `${HOLD}a=via-relay:offer\r\n`);
  assert.equal(update.to.tag, `tag-bob-${bob.flow.id}`);
  assert.equal(update.cseq.number, invite.cseq.number + 2, 'after the PRACK');
  assert.deepEqual(alice.seen(), []);
  bob.answer(update, 200, HELD);
  const [ok] = alice.take() as [SipMessage];
  assert.deepEqual([ok.status, ok.method, ok.bodyText], [200, 'UPDATE', `${HELD}a=via-relay:answer\r\n`]);
  assert.deepEqual(
    s.ng.map((m) => [m.command, m.sdp]),
    [
      ['offer', HOLD],
      ['answer', HELD],
    ],
  );
  assert.equal(new Set(s.ng.map((m) => m['call-id'])).size, 1);
  const final = talkAndEnd(call, 4);
  assert.equal(final.body.length, 0, 'the first answer would be news again');
});

test('the called phone changes a call that still rings', () => {
  const call = early();
  const { alice, bob, invite } = call;
  bob.within(invite, 'UPDATE', { cseq: 1, sdp: HOLD });
  const [update] = alice.take() as [SipMessage];
  assert.equal(update.method, 'UPDATE');
  assert.equal(update.bodyText, `${HOLD}a=via-relay:offer\r\n`);
  alice.answer(update, 200, HELD);
  const [ok] = bob.take() as [SipMessage];
  assert.deepEqual([ok.status, ok.method, ok.bodyText], [200, 'UPDATE', `${HELD}a=via-relay:answer\r\n`]);
  bob.within(invite, 'UPDATE', { cseq: 1, sdp: HOLD, branch: 'old' });
  assert.deepEqual(bob.seen(), ['500 UPDATE'], 'CSeq counts in early dialogs too');
  bob.within(invite, 'UPDATE', { cseq: 2 });
  assert.deepEqual(bob.seen(), ['200 UPDATE']);
  bob.answer(invite, 200);
  bob.within(invite, 'UPDATE', { cseq: 2, branch: 'older' });
  assert.deepEqual(bob.seen(), ['ACK', '500 UPDATE'], 'and go on when the call is answered');
  assert.equal(talkAndEnd(call, 3).body.length, 0);
});

test('an offer in a PRACK goes the same way, its answer in the 200 of the PRACK (RFC 3262 5)', () => {
  const call = early({ withPrack: false });
  const { s, alice, bob, ringing } = call;
  alice.within(ringing, 'PRACK', { cseq: 2, sdp: HOLD, headers: rackFor(ringing) });
  s.advance(1000);
  assert.deepEqual(alice.seen(), [], 'acknowledged: the 183 is not repeated');
  const [update] = bob.take() as [SipMessage];
  assert.deepEqual([update.method, update.bodyText], ['UPDATE', `${HOLD}a=via-relay:offer\r\n`]);
  bob.answer(update, 200, HELD);
  const [ok] = alice.take() as [SipMessage];
  assert.deepEqual([ok.status, ok.method, ok.bodyText], [200, 'PRACK', `${HELD}a=via-relay:answer\r\n`]);
  talkAndEnd(call, 3);
});

test('a refused change leaves everything as it was, at the relay too; the call goes on', () => {
  for (const [theirs, ours] of [
    [488, 488],
    [491, 491],
    [504, 504],
    [500, 500],
    [405, 488],
    [481, 488],
  ] as const) {
    const call = early();
    const { s, alice, bob, invite, ringing } = call;
    alice.within(ringing, 'UPDATE', { cseq: 3, sdp: HOLD });
    bob.answer(last(bob.take()), theirs);
    const [refused, final] = alice.take() as [SipMessage, SipMessage?];
    assert.equal(refused.status, ours);
    assert.ok(refused.header('reason'));
    assert.equal(refused.header('retry-after') !== undefined, ours === 500);
    assert.deepEqual(
      s.ng.map((m) => [m.command, m.sdp]),
      [
        ['offer', HOLD],
        ['offer', OFFER],
        ['answer', ANSWER],
      ],
    );
    if (theirs === 481) {
      assert.deepEqual(bob.seen(), ['CANCEL'], 'the phone knows the dialog no more');
      bob.answer(invite, 487);
      assert.equal(final?.status, 480);
      alice.request('ACK', { branch: 'alice1INVITE' });
      s.assertNothingLeft();
    } else assert.equal(talkAndEnd(call, 4).bodyText, `${ANSWER}a=via-relay:answer\r\n`);
  }
});

test('what can’t be carried over is refused in words, each by its code (RFC 3311 5.2)', () => {
  const CAN: [string, string][] = [
    ['Supported', '100rel'],
    ['Allow', ALLOW],
  ];
  const cases: [string, Parameters<typeof early>[0], 'alice' | 'bob', number, RegExp][] = [
    ['the first offer is open', { withPrack: false }, 'alice', 500, /not answered yet/],
    ['the caller’s PRACK is to come', { withPrack: false }, 'bob', 500, /not answered yet/],
    ['the phone answered unreliably', { callee: [['Allow', ALLOW]] }, 'alice', 488, /before it has answered/],
    ['it knows no UPDATE', { callee: reliably(1).slice(0, 2) }, 'alice', 488, /before it has answered/],
    [
      'the caller knows no UPDATE',
      {
        caller: [
          ['Supported', '100rel'],
          ['Allow', 'INVITE, ACK'],
        ],
      },
      'bob',
      488,
      /before/,
    ],
    ['the caller knows no 100rel', { caller: [['Allow', ALLOW]], withPrack: false }, 'bob', 488, /before/],
    ['neither has', { caller: [['Allow', ALLOW]], withPrack: false }, 'alice', 500, /not answered yet/],
    ['both can', { caller: CAN }, 'alice', 0, /./],
  ];
  for (const [name, how, who, status, words] of cases) {
    const call = early(how);
    const { s, alice, bob, invite, ringing } = call;
    if (who === 'alice') alice.within(ringing, 'UPDATE', { cseq: 3, sdp: HOLD });
    else bob.within(invite, 'UPDATE', { cseq: 1, sdp: HOLD });
    const [answer] = (who === 'alice' ? alice : bob).take();
    assert.equal(answer?.status ?? 0, status, name);
    if (answer) {
      assert.match(answer.header('reason') ?? '', words, name);
      assert.equal(answer.header('retry-after') !== undefined, status === 500, name);
      assert.deepEqual(s.ng, [], name);
      assert.equal(s.core.calls.size, 1, 'the call goes on');
    }
    s.core.hangUpAll('enough', s.clock.now);
    s.settle();
    s.assertNothingLeft();
  }
});

test('glare: 491 for the other side, 500 with Retry-After for a second one of the same', () => {
  const call = early();
  const { alice, bob, invite, ringing } = call;
  alice.within(ringing, 'UPDATE', { cseq: 3, sdp: HOLD });
  const update = last(bob.take());
  bob.within(invite, 'UPDATE', { cseq: 1, sdp: HOLD });
  assert.deepEqual(bob.seen(), ['491 UPDATE']);
  alice.within(ringing, 'UPDATE', { cseq: 4, sdp: HOLD });
  const [again] = alice.take() as [SipMessage];
  assert.equal(again.status, 500);
  assert.match(again.header('retry-after') ?? '', /^\d+$/);
  bob.answer(update, 200, HELD);
  assert.deepEqual(alice.seen(), ['200 UPDATE']);
  talkAndEnd(call, 5);
});

test('the phone answers the call before it answers the UPDATE', () => {
  const { s, alice, bob, invite, ringing } = early();
  alice.within(ringing, 'UPDATE', { cseq: 3, sdp: HOLD });
  const update = last(bob.take());
  bob.answer(invite, 200, ANSWER);
  const ok = last(alice.take());
  assert.deepEqual([ok.status, ok.method, ok.body.length], [200, 'INVITE', 0]);
  alice.within(ok, 'ACK', { cseq: 1 });
  alice.within(ok, 'INVITE', { cseq: 4, sdp: OFFER, branch: 're' });
  assert.equal(last(alice.take()).status, 500);
  alice.within(ok, 'ACK', { cseq: 4, branch: 're' });
  bob.answer(update, 200, HELD);
  assert.deepEqual(alice.seen(), ['200 UPDATE']);
  // The call can be changed as any other from now on.
  bob.within(invite, 'UPDATE', { cseq: 1, sdp: OFFER });
  const change = last(alice.take());
  assert.equal(change.method, 'INVITE');
  alice.answer(change, 200, ANSWER);
  assert.deepEqual(bob.seen().slice(-1), ['200 UPDATE']);
  alice.within(ok, 'BYE', { cseq: 5 });
  s.assertNothingLeft();
});

test('an UPDATE that is never answered: 504 in time, and the call goes on', () => {
  const call = early();
  const { s, alice, bob, ringing } = call;
  alice.within(ringing, 'UPDATE', { cseq: 3, sdp: HOLD });
  bob.seen();
  s.advance(20_000);
  const refused = last(alice.take());
  assert.deepEqual([refused.status, refused.method], [504, 'UPDATE']);
  s.advance(15_000);
  assert.deepEqual(alice.seen(), []);
  alice.within(ringing, 'UPDATE', { cseq: 4, sdp: HOLD });
  bob.answer(last(bob.take()), 200, HELD);
  assert.deepEqual(alice.seen(), ['200 UPDATE']);
  talkAndEnd(call, 5);
});

test('the call ends while a change is under way, or while the relay thinks about it', () => {
  for (const how of ['CANCEL', 'refused', 'relay'] as const) {
    const { s, alice, bob, invite, ringing } = early();
    if (how === 'relay') s.hold();
    alice.within(ringing, 'UPDATE', { cseq: 3, sdp: HOLD });
    if (how !== 'relay') bob.seen();
    if (how === 'refused') bob.answer(invite, 486);
    else alice.request('CANCEL', { branch: 'alice1INVITE' });
    if (how !== 'refused') {
      assert.deepEqual(bob.seen(), ['CANCEL']);
      bob.answer(invite, 487);
    }
    assert.ok(alice.seen().includes('487 UPDATE'), how);
    if (how === 'relay') s.release();
    s.assertNothingLeft();
  }
});

test('a description that the relay can’t use changes nothing', () => {
  const call = early();
  const { alice, bob, ringing } = call;
  alice.within(ringing, 'UPDATE', { cseq: 3, sdp: `${OFFER}a=unusable\r\n` });
  assert.deepEqual(alice.seen(), ['488 UPDATE']);
  assert.deepEqual(bob.seen(), []);
  assert.equal(talkAndEnd(call, 4).bodyText, `${ANSWER}a=via-relay:answer\r\n`);
});

test('another phone behind the contact answers than the one that was changed: its description is in the 200', () => {
  const { s, alice, bob, invite, ringing } = early();
  alice.within(ringing, 'UPDATE', { cseq: 3, sdp: HOLD });
  bob.answer(last(bob.take()), 200, HELD);
  const desk = ANSWER.replace('4000', '4100');
  const headers = [['Contact', '<sip:desk@phone.invalid>'] as const];
  const body = { type: 'application/sdp', bytes: desk };
  bob.send(createResponse(invite, 200, undefined, { toTag: 'desk', headers, body }));
  const ok = last(alice.take());
  assert.equal(ok.bodyText, `${desk}a=via-relay:answer\r\n`);
  assert.notEqual(ok.to.tag, ringing.to.tag, 'for the caller it is another dialog (RFC 3261 13.2.1)');
  alice.within(ok, 'ACK', { cseq: 1 });
  alice.within(ok, 'BYE', { cseq: 2 });
  s.assertNothingLeft();
});

test('a phone that has refused the call can’t change it any more, though another one rings', () => {
  const s = stage({ settings: { bob: { forward: { noAnswerS: 20, busy: 'carol' } } } });
  const [alice, bob, carol] = [s.phone('alice'), s.phone('bob'), s.phone('carol')];
  bob.register();
  carol.register();
  const headers: [string, string][] = [
    ['Supported', '100rel'],
    ['Allow', ALLOW],
  ];
  alice.request('INVITE', { sdp: OFFER, headers });
  const invite = last(bob.take());
  bob.answer(invite, 183, ANSWER, reliably(1));
  const ringing = last(alice.take());
  alice.within(ringing, 'PRACK', { cseq: 2, headers: rackFor(ringing) });
  bob.answer(invite, 486);
  s.ng.length = 0;
  bob.within(invite, 'UPDATE', { cseq: 1, sdp: HOLD });
  assert.equal(bob.seen().at(-1), '481 UPDATE');
  alice.within(ringing, 'UPDATE', { cseq: 3, sdp: HOLD });
  assert.equal(alice.seen().at(-1), '488 UPDATE');
  assert.deepEqual(
    s.ng.filter((m) => m.sdp === HOLD),
    [],
  );
  carol.answer(last(carol.take()), 486);
  alice.request('ACK', { branch: 'alice1INVITE' });
  s.assertNothingLeft();
});
