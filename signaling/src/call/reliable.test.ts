import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createResponse, type SipMessage } from '@offhook/core';
import { resetReliable, sendProvisional } from './reliable.ts';
import { ANSWER, DOMAIN, last, OFFER, type Phone, rackFor, reliably, stage } from './test-kit.ts';

const SUPPORTED: [string, string][] = [['Supported', '100rel']];
const REQUIRED: [string, string][] = [['Require', '100rel']];

function calling(headers: [string, string][], sdp: string | undefined = OFFER) {
  const s = stage();
  const [alice, bob] = [s.phone('alice'), s.phone('bob')];
  bob.register();
  alice.request('INVITE', { sdp, headers });
  assert.deepEqual(alice.seen(), ['100 INVITE']);
  return { s, alice, bob, invite: last(bob.take()) };
}

const isReliable = (m: SipMessage) => m.hasToken('require', '100rel') && Number(m.header('rseq')) > 0;

function finish(s: ReturnType<typeof stage>, alice: Phone, ok: SipMessage, cseq: number): void {
  assert.equal(ok.status, 200);
  assert.equal(ok.header('rseq'), undefined);
  assert.equal(ok.hasToken('require', '100rel'), false);
  alice.within(ok, 'ACK', { cseq: 1 });
  alice.within(ok, 'BYE', { cseq });
  s.assertNothingLeft();
}

for (const caller of ['nothing', 'Supported', 'Require'] as const)
  for (const callee of ['unreliable', 'reliable'] as const)
    for (const early of [undefined, ANSWER])
      test(`100rel: caller ${caller}, callee ${callee}, ${early ? 'early media' : 'no early media'}`, () => {
        const headers = caller === 'nothing' ? [] : ([[caller, '100rel']] as [string, string][]);
        const { s, alice, bob, invite } = calling(headers);
        bob.answer(invite, early ? 183 : 180, early, callee === 'reliable' ? reliably(1) : []);
        assert.deepEqual(bob.seen(), callee === 'reliable' ? ['PRACK'] : []);
        const rings = alice.take();
        assert.equal(rings.length, 1);
        assert.equal(rings[0]?.status, early ? 183 : 180);
        assert.equal(rings[0]?.bodyText, early ? `${ANSWER}a=via-relay:answer\r\n` : '');
        const expected = caller === 'Require' || (caller === 'Supported' && early !== undefined);
        assert.equal(isReliable(rings[0]!), expected);
        let cseq = 2;
        if (expected) {
          alice.within(rings[0]!, 'PRACK', { cseq: cseq++, headers: rackFor(rings[0]!) });
          assert.deepEqual(alice.seen(), ['200 PRACK']);
        }
        s.advance(20_000);
        assert.deepEqual(alice.seen(), [], 'nothing is repeated');
        bob.answer(invite, 200, callee === 'reliable' && early ? undefined : ANSWER);
        assert.deepEqual(bob.seen(), ['ACK']);
        const ok = last(alice.take());
        assert.equal(ok.bodyText, `${ANSWER}a=via-relay:answer\r\n`);
        finish(s, alice, ok, cseq);
      });

test('a reliable response is repeated from T1 on, doubled without bound, until its PRACK (RFC 3262 3)', () => {
  const { s, alice, bob, invite } = calling(SUPPORTED);
  bob.answer(invite, 183, ANSWER);
  const first = last(alice.take());
  assert.match(first.header('allow') ?? '', /\bUPDATE\b/, 'RFC 3311 5.1');
  const at: number[] = [];
  for (let ms = 0; ms < 16_000; ms += 500) {
    s.advance(500);
    for (const again of alice.take()) {
      assert.equal(again.header('rseq'), first.header('rseq'));
      assert.equal(again.bodyText, first.bodyText);
      at.push(s.clock.now);
    }
  }
  assert.deepEqual(at, [500, 1500, 3500, 7500, 15_500]);
  alice.within(first, 'PRACK', { cseq: 2, headers: rackFor(first) });
  alice.within(first, 'PRACK', { cseq: 2, headers: rackFor(first), branch: 'copy' });
  alice.within(first, 'PRACK', { cseq: 3, headers: rackFor(first) });
  assert.deepEqual(alice.seen(), ['200 PRACK', '500 PRACK', '481 PRACK'], 'each is acknowledged once');
  s.advance(30_000);
  assert.deepEqual(alice.seen(), []);
  bob.answer(invite, 200, ANSWER);
  finish(s, alice, last(alice.take()), 4);
});

test('without a PRACK the INVITE is refused after 64·T1, in words, and the phones are cancelled', () => {
  const { s, alice, bob, invite } = calling(SUPPORTED);
  bob.answer(invite, 183, ANSWER);
  alice.seen();
  s.advance(31_999);
  assert.deepEqual(
    alice.seen(),
    Array.from({ length: 6 }, () => '183 INVITE'),
  );
  assert.deepEqual(bob.seen(), []);
  s.advance(1);
  const final = last(alice.take());
  assert.equal(final.status, 504);
  assert.match(final.header('reason') ?? '', /alice's phone sent no PRACK/);
  assert.deepEqual(bob.seen(), ['CANCEL']);
  bob.answer(invite, 487);
  alice.request('ACK', { branch: 'alice1INVITE' });
  assert.equal(s.core.calls.counters.noPrack, 1);
  s.assertNothingLeft();
});

test('RSeq begins at random and goes up by one; the next waits for the PRACK, of ringing only the newest', () => {
  const begins = new Set<number>();
  for (let seed = 1; seed <= 3; seed++) {
    const s = stage({ seed });
    const [alice, bob] = [s.phone('alice'), s.phone('bob')];
    bob.register();
    alice.request('INVITE', { sdp: OFFER, headers: REQUIRED });
    const invite = last(bob.take());
    bob.answer(invite, 180);
    const ringing = last(alice.take());
    const rseq = Number(ringing.header('rseq'));
    assert.ok(rseq >= 1 && rseq < 2 ** 31);
    begins.add(rseq);
    bob.answer(invite, 183, ANSWER);
    assert.deepEqual(alice.seen(), [], 'one after the other');
    alice.within(ringing, 'PRACK', { cseq: 2, headers: rackFor(ringing) });
    const [ok, early] = alice.take();
    assert.deepEqual([ok?.status, ok?.method], [200, 'PRACK']);
    assert.deepEqual([early?.status, early?.header('rseq')], [183, String(rseq + 1)]);
    alice.within(early!, 'PRACK', { cseq: 3, headers: rackFor(early!) });
    assert.deepEqual(alice.seen(), ['200 PRACK']);
    bob.answer(invite, 200, ANSWER);
    finish(s, alice, last(alice.take()), 4);
  }
  assert.equal(begins.size, 3);
});

test('the 200 waits for the PRACK of the answer it was told (RFC 3262 3), and not for that of mere ringing', () => {
  const { s, alice, bob, invite } = calling(REQUIRED);
  bob.answer(invite, 183, ANSWER);
  const early = last(alice.take());
  bob.answer(invite, 200, ANSWER);
  assert.deepEqual(bob.seen(), ['ACK']);
  assert.deepEqual(alice.seen(), []);
  s.advance(10_000);
  assert.deepEqual(new Set(alice.seen()), new Set(['183 INVITE']));
  alice.within(early, 'PRACK', { cseq: 2, headers: rackFor(early) });
  const [prack, ok] = alice.take();
  assert.equal(prack?.method, 'PRACK');
  assert.equal(ok?.bodyText, early.bodyText);
  finish(s, alice, ok!, 3);

  const other = calling(REQUIRED);
  other.bob.answer(other.invite, 180);
  const ringing = last(other.alice.take());
  other.bob.answer(other.invite, 200, ANSWER);
  const answered = last(other.alice.take());
  assert.equal(answered.status, 200);
  other.s.advance(400);
  other.alice.within(ringing, 'PRACK', { cseq: 2, headers: rackFor(ringing) });
  assert.deepEqual(other.alice.seen(), ['200 PRACK'], 'a PRACK that the final answer has overtaken');
  other.alice.within(ringing, 'PRACK', { cseq: 3, headers: rackFor(ringing) });
  assert.deepEqual(other.alice.seen(), ['481 PRACK']);
  finish(other.s, other.alice, answered, 4);
});

test('the 200 that waits in vain: both sides are told', () => {
  for (const how of ['silence', 'CANCEL', 'BYE of the callee', 'connection'] as const) {
    const { s, alice, bob, invite } = calling(SUPPORTED);
    bob.answer(invite, 183, ANSWER);
    bob.answer(invite, 200, ANSWER);
    alice.seen();
    assert.deepEqual(bob.seen(), ['ACK']);
    if (how === 'silence') s.advance(32_000);
    else if (how === 'CANCEL') alice.request('CANCEL', { branch: 'alice1INVITE' });
    else if (how === 'BYE of the callee') bob.within(invite, 'BYE', { cseq: 1 });
    else {
      s.core.handleFlowClosed(alice.flow, s.clock.now);
      s.settle();
    }
    assert.deepEqual(bob.seen(), [how === 'BYE of the callee' ? '200 BYE' : 'BYE']);
    const status = { silence: 504, CANCEL: 487, 'BYE of the callee': 480, connection: undefined }[how];
    if (status) assert.equal(last(alice.take()).status, status);
    alice.request('ACK', { branch: 'alice1INVITE' });
    s.assertNothingLeft();
  }
});

test('a failure or a CANCEL ends the repeating; a PRACK that crosses it is answered', () => {
  for (const how of ['486', 'CANCEL'] as const) {
    const { s, alice, bob, invite } = calling(SUPPORTED);
    bob.answer(invite, 183, ANSWER);
    const early = last(alice.take());
    if (how === '486') bob.answer(invite, 486);
    else alice.request('CANCEL', { branch: 'alice1INVITE' });
    assert.equal(last(alice.take()).status, how === '486' ? 486 : 487);
    s.advance(600);
    assert.deepEqual(
      alice.seen().filter((m) => m.startsWith('183')),
      [],
    );
    alice.within(early, 'PRACK', { cseq: 2, headers: rackFor(early) });
    alice.within(early, 'PRACK', { cseq: 3, headers: rackFor(early) });
    assert.deepEqual(alice.seen().slice(-2), ['200 PRACK', '481 PRACK']);
    if (how === 'CANCEL') bob.answer(invite, 487);
    alice.request('ACK', { branch: 'alice1INVITE' });
    s.assertNothingLeft();
    assert.equal(s.core.calls.ownsDialog(early), false);
  }
});

test('a PRACK for nothing: 481 for another RSeq, CSeq, method or side; 400 without a RAck that can be read', () => {
  const { s, alice, bob, invite } = calling(SUPPORTED);
  bob.answer(invite, 183, ANSWER);
  const early = last(alice.take());
  const rseq = Number(early.header('rseq'));
  let cseq = 2;
  const prack = (rack: string | undefined) => {
    alice.within(early, 'PRACK', { cseq: cseq++, headers: rack === undefined ? [] : [['RAck', rack]] });
    return last(alice.take()).status;
  };
  for (const rack of [`${rseq + 1} 1 INVITE`, `${rseq} 2 INVITE`, `${rseq} 1 UPDATE`, `${rseq - 1 || 9} 1 INVITE`])
    assert.equal(prack(rack), 481, rack);
  for (const rack of [
    undefined,
    '',
    `${rseq}`,
    `${rseq} 1`,
    `${rseq} 1 INVITE x`,
    `x 1 INVITE`,
    '0 1 INVITE',
    '99999999999 1 INVITE',
  ])
    assert.equal(prack(rack), 400, rack);
  s.advance(500);
  assert.deepEqual(alice.seen(), ['183 INVITE'], 'it is still waited for');
  assert.equal(prack(`${rseq} 1 INVITE`), 200);
  bob.answer(invite, 200, ANSWER);
  bob.within(invite, 'PRACK', { cseq: 1, headers: [['RAck', `${rseq} 1 INVITE`]] });
  assert.deepEqual(bob.seen(), ['ACK', '481 PRACK']);
  alice.request('PRACK', { to: `<sip:bob@${DOMAIN}>;tag=none`, branch: 'none' });
  const ok = alice.take();
  assert.equal(last(ok).status, 481);
  finish(s, alice, ok[0]!, cseq);
});

test('100rel required and no offer: nothing but 100 before the 200, for it would have to carry the offer', () => {
  const s = stage();
  const [alice, bob] = [s.phone('alice'), s.phone('bob')];
  bob.register();
  alice.request('INVITE', { headers: REQUIRED });
  const invite = last(bob.take());
  bob.answer(invite, 180);
  s.advance(5000);
  assert.deepEqual(alice.seen(), ['100 INVITE']);
  bob.answer(invite, 200, OFFER);
  const ok = last(alice.take());
  alice.within(ok, 'ACK', { cseq: 1, sdp: ANSWER });
  alice.within(ok, 'BYE', { cseq: 2 });
  s.assertNothingLeft();
});

test('several phones ring: nothing that is unreliable goes to who requires 100rel', () => {
  const s = stage();
  const [alice, bob, desk] = [s.phone('alice'), s.phone('bob'), s.phone('bob')];
  bob.register();
  desk.register();
  alice.request('INVITE', { sdp: OFFER, headers: REQUIRED });
  const [one, two] = [last(bob.take()), last(desk.take())];
  bob.answer(one, 183, ANSWER, reliably(1));
  desk.answer(two, 180);
  const [, ringing, ...more] = alice.take();
  assert.deepEqual(more, []);
  assert.deepEqual([ringing?.status, isReliable(ringing!)], [180, true]);
  alice.within(ringing!, 'PRACK', { cseq: 2, headers: rackFor(ringing!) });
  desk.answer(two, 200, ANSWER);
  assert.deepEqual(bob.seen(), ['PRACK', 'CANCEL']);
  bob.answer(one, 487);
  finish(s, alice, last(alice.take()), 3);
});

test('the caller’s connection goes while its PRACK is waited for', () => {
  const { s, alice, bob, invite } = calling(SUPPORTED);
  bob.answer(invite, 183, ANSWER);
  s.core.handleFlowClosed(alice.flow, s.clock.now);
  s.settle();
  assert.deepEqual(bob.seen(), ['CANCEL']);
  bob.answer(invite, 487);
  s.assertNothingLeft();
});

test('a caller’s leg that begins anew: another RSeq at once, and the PRACK of before is still understood', () => {
  const { s, alice, bob, invite } = calling(REQUIRED);
  bob.answer(invite, 180);
  const before = last(alice.take());
  bob.answer(invite, 183, ANSWER);
  assert.deepEqual(alice.seen(), []);
  const leg = s.core.calls.findLeg({ callId: before.callId, toTag: before.to.tag!, fromTag: before.from.tag! });
  resetReliable(s.core.calls, leg!);
  s.advance(40_000);
  assert.deepEqual(alice.seen(), [], 'nothing of before is repeated or waited for');
  bob.answer(invite, 200, ANSWER);
  alice.within(before, 'PRACK', { cseq: 2, headers: rackFor(before) });
  const [ok, prack] = alice.take();
  assert.deepEqual([prack?.status, prack?.method], [200, 'PRACK']);
  finish(s, alice, ok!, 3);
});

test('what waits for a PRACK: the newest state of ringing, and each description', () => {
  const { s, alice, bob, invite } = calling(REQUIRED);
  bob.answer(invite, 180);
  const first = last(alice.take());
  const leg = s.core.calls.findLeg({ callId: first.callId, toTag: first.to.tag!, fromTag: first.from.tag! })!;
  for (const [status, sdp] of [[181], [182], [183, ANSWER], [180], [182], [181]] as [number, string?][]) {
    const body = sdp === undefined ? undefined : { type: 'application/sdp', bytes: sdp };
    const response = createResponse(leg.call.invite, status, undefined, { toTag: leg.tag, body });
    sendProvisional(s.core.calls, leg.call, { response }, s.clock.now);
  }
  const told: number[] = [];
  for (let now: SipMessage | undefined = first, cseq = 2; now; cseq++) {
    told.push(now.status);
    alice.within(now, 'PRACK', { cseq, headers: rackFor(now) });
    now = alice.take().find((m) => m.method === 'INVITE');
  }
  assert.deepEqual(told, [180, 183, 181], 'a description is news of ringing, too');
  bob.answer(invite, 486);
  alice.request('ACK', { branch: 'alice1INVITE' });
  s.assertNothingLeft();
});

test('who is rung after early media is another early dialog: RSeq and CSeq begin anew, nothing of before is repeated', () => {
  const groups = { desk: { members: ['bob', 'carol'], ring: 'serial', ringS: 20 } } as const;
  const s = stage({ groups });
  const [alice, bob, carol] = [s.phone('alice'), s.phone('bob'), s.phone('carol')];
  bob.register();
  carol.register();
  const uri = `sip:desk@${DOMAIN}`;
  alice.request('INVITE', { uri, to: `<${uri}>`, sdp: OFFER, headers: [...SUPPORTED, ['Allow', 'UPDATE']] });
  const first = last(bob.take());
  bob.answer(first, 183, ANSWER, reliably(1));
  const before = last(alice.take());
  bob.answer(first, 486);
  const second = last(carol.take());
  carol.answer(second, 180);
  const ringing = last(alice.take());
  assert.deepEqual([ringing.status, isReliable(ringing)], [180, false]);
  assert.notEqual(ringing.to.tag, before.to.tag);
  s.advance(10_000);
  assert.deepEqual(alice.seen(), [], 'the 183 of the phone that is busy is over');
  carol.answer(second, 183, ANSWER, reliably(1));
  const now = last(alice.take());
  assert.equal(now.to.tag, ringing.to.tag);
  assert.notEqual(now.header('rseq'), before.header('rseq'));
  alice.within(before, 'PRACK', { cseq: 2, headers: rackFor(before), branch: 'old' });
  alice.within(now, 'PRACK', { cseq: 2, headers: rackFor(now), branch: 'new' });
  alice.within(before, 'PRACK', { cseq: 3, headers: rackFor(before), branch: 'again' });
  assert.deepEqual(alice.seen(), ['200 PRACK', '200 PRACK', '481 PRACK']);
  alice.within(now, 'UPDATE', { cseq: 3, sdp: OFFER });
  const update = last(carol.take());
  assert.equal(update.method, 'UPDATE');
  carol.answer(update, 200, ANSWER);
  assert.deepEqual(alice.seen(), ['200 UPDATE']);
  carol.answer(second, 200);
  finish(s, alice, last(alice.take()), 4);
  assert.equal(s.core.calls.ownsDialog(before), false);
});

test('forwarding is told reliably to who requires that', () => {
  const s = stage({ settings: { bob: { forward: { noAnswerS: 20, always: 'carol' } } } });
  const [alice, bob, carol] = [s.phone('alice'), s.phone('bob'), s.phone('carol')];
  bob.register();
  carol.register();
  alice.request('INVITE', { sdp: OFFER, headers: REQUIRED });
  const [, forwarded] = alice.take();
  assert.deepEqual([forwarded?.status, isReliable(forwarded!)], [181, true]);
  const invite = last(carol.take());
  carol.answer(invite, 180);
  assert.deepEqual(alice.seen(), []);
  alice.within(forwarded!, 'PRACK', { cseq: 2, headers: rackFor(forwarded!) });
  assert.deepEqual(alice.seen(), ['200 PRACK', '180 INVITE']);
  carol.answer(invite, 200, ANSWER);
  finish(s, alice, last(alice.take()), 3);
});

test('a phone that knows its early dialog no more: the next one is rung', () => {
  const s = stage({ settings: { bob: { forward: { noAnswerS: 20, noAnswer: 'carol' } } } });
  const [alice, bob, carol] = [s.phone('alice'), s.phone('bob'), s.phone('carol')];
  bob.register();
  carol.register();
  alice.request('INVITE', { sdp: OFFER });
  const first = last(bob.take());
  bob.answer(first, 180, undefined, reliably(1));
  bob.answer(last(bob.take()), 481);
  assert.deepEqual(bob.seen(), ['CANCEL']);
  const second = last(carol.take());
  bob.answer(first, 487);
  carol.answer(second, 200, ANSWER);
  finish(s, alice, last(alice.take()), 2);
});

test('the phone that answers is another one behind the contact: the 200 is of another dialog, and does not wait', () => {
  const { s, alice, bob, invite } = calling(SUPPORTED);
  bob.answer(invite, 183, ANSWER);
  const early = last(alice.take());
  const headers = [['Contact', '<sip:desk@phone.invalid>'] as const];
  const body = { type: 'application/sdp', bytes: ANSWER.replace('4000', '4100') };
  bob.send(createResponse(invite, 200, undefined, { toTag: 'desk', headers, body }));
  const ok = last(alice.take());
  assert.deepEqual([ok.status, ok.to.tag === early.to.tag], [200, false]);
  alice.within(early, 'PRACK', { cseq: 2, headers: rackFor(early) });
  assert.deepEqual(alice.seen(), ['200 PRACK']);
  finish(s, alice, ok, 2);
});
