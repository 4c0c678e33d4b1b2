import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createResponse, type SipMessage } from '@offhook/core';
import { ANSWER, last, OFFER, type Phone, reliably, stage } from './test-kit.ts';

function calling(headers: [string, string][] = []) {
  const s = stage();
  const [alice, bob] = [s.phone('alice'), s.phone('bob')];
  bob.register();
  alice.request('INVITE', { sdp: OFFER, headers });
  return { s, alice, bob, invite: last(bob.take()) };
}

/** What a phone was asked to acknowledge. */
const racks = (phone: Phone): (string | undefined)[] => phone.take().map((m) => m.header('rack') ?? m.method);

test('100rel is offered with an offer only: without one a reliable response would have to carry it', () => {
  const { s, alice, bob, invite } = calling();
  assert.equal(invite.hasToken('supported', '100rel'), true);
  assert.match(invite.header('allow') ?? '', /\bPRACK\b/);
  bob.answer(invite, 486);
  alice.request('INVITE', { callId: 'late', branch: 'late' });
  bob.seen();
  s.assertNothingLeft();
  alice.request('INVITE', { callId: 'late', branch: 'later' });
  const late = last(bob.take());
  assert.equal(late.hasToken('supported', '100rel'), false);
  assert.equal(late.hasToken('supported', 'timer'), true);
  bob.answer(late, 180, undefined, reliably(5));
  assert.deepEqual(bob.seen(), [], 'what was not offered is not acknowledged');
  assert.deepEqual(alice.seen().slice(-1), ['180 INVITE'], 'but it still rings');
  bob.answer(late, 486);
  s.assertNothingLeft();
});

test('a reliable response gets PRACK in its early dialog: RAck, CSeq, target and route set (RFC 3262 4)', () => {
  const { s, alice, bob, invite } = calling();
  bob.answer(invite, 180, undefined, [...reliably(4711), ['Record-Route', '<sip:p1.invalid;lr>, <sip:p2.invalid;lr>']]);
  const [prack] = bob.take() as [SipMessage];
  assert.equal(prack.method, 'PRACK');
  assert.equal(prack.header('rack'), `4711 ${invite.cseq.number} INVITE`);
  assert.equal(prack.cseq.number, invite.cseq.number + 1);
  assert.equal(prack.callId, invite.callId);
  assert.equal(prack.to.tag, `tag-bob-${bob.flow.id}`);
  assert.equal(prack.uri, bob.contact.slice(1, -1));
  assert.deepEqual(prack.headers('route'), ['<sip:p2.invalid;lr>', '<sip:p1.invalid;lr>']);
  assert.equal(prack.header('contact'), undefined, 'RFC 3262 7');
  bob.answer(prack, 200);
  assert.deepEqual(alice.seen(), ['100 INVITE', '180 INVITE']);
  // The dialog that the 2xx confirms is this one: its numbers go on.
  bob.answer(invite, 200, ANSWER);
  const ok = last(alice.take());
  alice.within(ok, 'ACK', { cseq: 1 });
  alice.within(ok, 'BYE', { cseq: 2 });
  const [ack, bye] = bob.take();
  assert.deepEqual([ack?.method, ack?.cseq.number], ['ACK', invite.cseq.number]);
  assert.deepEqual([bye?.method, bye?.cseq.number], ['BYE', invite.cseq.number + 2]);
  s.assertNothingLeft();
});

test('each once and in order: what is repeated or comes too early is neither acknowledged nor passed on', () => {
  const { s, alice, bob, invite } = calling();
  bob.answer(invite, 180, undefined, reliably(7));
  bob.answer(invite, 180, undefined, reliably(7));
  assert.deepEqual(racks(bob), ['7 1 INVITE']);
  bob.answer(invite, 183, ANSWER, reliably(9));
  bob.answer(invite, 180, undefined, reliably(6));
  assert.deepEqual(racks(bob), []);
  assert.deepEqual(alice.seen(), ['100 INVITE', '180 INVITE']);
  bob.answer(invite, 181, undefined, reliably(8));
  bob.answer(invite, 183, ANSWER, reliably(9));
  assert.deepEqual(racks(bob), ['8 1 INVITE', '9 1 INVITE']);
  assert.deepEqual(alice.seen(), ['183 INVITE']);
  bob.answer(invite, 486);
  s.assertNothingLeft();
});

test('RSeq that nobody could acknowledge makes a response unreliable: it rings all the same', () => {
  for (const rseq of ['0', '4294967296', '-1', '', 'x', '1 2']) {
    const { s, alice, bob, invite } = calling();
    bob.answer(invite, 180, undefined, [
      ['Require', '100rel'],
      ['RSeq', rseq],
    ]);
    assert.deepEqual(bob.seen(), [], rseq);
    assert.deepEqual(alice.seen(), ['100 INVITE', '180 INVITE']);
    bob.answer(invite, 486);
    s.assertNothingLeft();
  }
});

test('its description is the answer: the 2xx may have none, or another one that means nothing', () => {
  const other = ANSWER.replace('4000', '4100');
  for (const inOk of [undefined, ANSWER, other]) {
    const { s, alice, bob, invite } = calling();
    bob.answer(invite, 183, ANSWER, reliably(1));
    bob.answer(invite, 200, inOk);
    const ok = last(alice.take());
    assert.equal(ok.status, 200);
    assert.equal(ok.bodyText, `${ANSWER}a=via-relay:answer\r\n`);
    assert.deepEqual(
      s.ng.filter((m) => m.command === 'answer').map((m) => m.sdp),
      [ANSWER],
    );
    alice.within(ok, 'ACK', { cseq: 1 });
    alice.within(ok, 'BYE', { cseq: 2 });
    s.assertNothingLeft();
  }
});

test('several phones behind a contact: an early dialog each, with numbers of its own', () => {
  const { s, alice, bob, invite } = calling();
  const from = (toTag: string, status: number, rseq: number | undefined, sdp?: string) =>
    bob.send(
      createResponse(invite, status, undefined, {
        toTag,
        headers: [['Contact', `<sip:${toTag}@phone.invalid>`], ...(rseq === undefined ? [] : reliably(rseq))],
        body: sdp === undefined ? undefined : { type: 'application/sdp', bytes: sdp },
      }),
    );
  const desk = ANSWER.replace('4000', '4100');
  from('kitchen', 183, 10, ANSWER);
  from('desk', 183, 99, desk);
  from('desk', 180, 100);
  const pracks = bob.take();
  assert.deepEqual(
    pracks.map((m) => [m.to.tag, m.uri, m.header('rack'), m.cseq.number]),
    [
      ['kitchen', 'sip:kitchen@phone.invalid', '10 1 INVITE', 2],
      ['desk', 'sip:desk@phone.invalid', '99 1 INVITE', 2],
      ['desk', 'sip:desk@phone.invalid', '100 1 INVITE', 3],
    ],
  );
  assert.equal(last(alice.take()).bodyText, `${ANSWER}a=via-relay:answer\r\n`);
  // A dialog that is gone at its phone is no reason to give the others up.
  bob.answer(pracks[0]!, 481);
  assert.deepEqual(bob.seen(), []);
  from('desk', 200, undefined);
  const ok = last(alice.take());
  assert.equal(ok.bodyText, `${desk}a=via-relay:answer\r\n`, 'the answer of the dialog that was confirmed');
  assert.equal(last(bob.take()).to.tag, 'desk');
  // The kitchen answers too late: hung up in its own dialog.
  from('kitchen', 200, undefined);
  const [ack, bye] = bob.take();
  assert.deepEqual([ack?.method, ack?.to.tag, bye?.method, bye?.to.tag], ['ACK', 'kitchen', 'BYE', 'kitchen']);
  alice.within(ok, 'ACK', { cseq: 1 });
  alice.within(ok, 'BYE', { cseq: 2 });
  assert.deepEqual(
    bob.take().map((m) => [m.method, m.to.tag, m.cseq.number]),
    [['BYE', 'desk', 4]],
  );
  s.assertNothingLeft();
});

test('an early dialog too many is ignored, and so is a response too many', () => {
  const { s, bob, invite } = calling();
  for (let i = 0; i < 12; i++)
    bob.send(
      createResponse(invite, 180, undefined, { toTag: `t${i}`, headers: [['Contact', '<sip:x@y>'], ...reliably(1)] }),
    );
  assert.equal(racks(bob).length, 8);
  for (let i = 2; i < 300; i++)
    bob.send(
      createResponse(invite, 180, undefined, { toTag: 't0', headers: [['Contact', '<sip:x@y>'], ...reliably(i)] }),
    );
  assert.equal(racks(bob).length, 99);
  bob.answer(invite, 486);
  s.assertNothingLeft();
});

test('a PRACK of ours that fails is counted; 481 alone means that nobody is there, and the caller hears so', () => {
  for (const status of [500, 488, 481]) {
    const { s, alice, bob, invite } = calling();
    bob.answer(invite, 180, undefined, reliably(1));
    bob.answer(last(bob.take()), status);
    assert.equal(s.core.calls.counters.prackFailed, 1);
    if (status !== 481) {
      assert.deepEqual(bob.seen(), []);
      bob.answer(invite, 486);
      assert.equal(last(alice.take()).status, 486);
    } else {
      assert.deepEqual(bob.seen(), ['CANCEL']);
      bob.answer(invite, 487);
      const final = last(alice.take());
      assert.equal(final.status, 480);
      assert.match(final.header('reason') ?? '', /knows the call no more/);
    }
    s.assertNothingLeft();
  }
});

test('a PRACK of ours that is never answered does not end the call', () => {
  const { s, alice, bob, invite } = calling();
  bob.answer(invite, 180, undefined, reliably(1));
  s.advance(40_000);
  assert.equal(s.core.calls.counters.prackFailed, 1);
  bob.answer(invite, 200, ANSWER);
  const ok = last(alice.take());
  assert.equal(ok.status, 200);
  alice.within(ok, 'ACK', { cseq: 1 });
  alice.within(ok, 'BYE', { cseq: 2 });
  s.assertNothingLeft();
});

test('a phone that is being cancelled still gets its PRACK; nobody hears it ring', () => {
  const { s, alice, bob, invite } = calling();
  bob.answer(invite, 100);
  alice.request('CANCEL', { branch: 'alice1INVITE' });
  assert.deepEqual(bob.seen(), ['CANCEL']);
  bob.answer(invite, 183, ANSWER, reliably(1));
  assert.deepEqual(bob.seen(), ['PRACK']);
  assert.deepEqual(alice.seen(), ['100 INVITE', '200 CANCEL', '487 INVITE']);
  bob.answer(invite, 487);
  s.assertNothingLeft();
});

test('an INVITE that is sent again for its session interval begins with new early dialogs', () => {
  const { s, alice, bob, invite } = calling();
  bob.answer(invite, 180, undefined, reliably(50));
  bob.answer(invite, 422, undefined, [['Min-SE', '2000']]);
  const [prack, ack, second] = bob.take();
  assert.deepEqual([prack?.method, ack?.method, second?.method], ['PRACK', 'ACK', 'INVITE']);
  assert.equal(second?.to.tag, undefined);
  bob.answer(second!, 180, undefined, reliably(3));
  assert.deepEqual(racks(bob), [`3 ${second!.cseq.number} INVITE`]);
  bob.answer(second!, 200, ANSWER);
  const ok = last(alice.take());
  alice.within(ok, 'ACK', { cseq: 1 });
  alice.within(ok, 'BYE', { cseq: 2 });
  s.assertNothingLeft();
});
