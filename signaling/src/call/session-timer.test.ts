import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ANSWER, established, last, OFFER, stage, VIDEO } from './test-kit.ts';

const TIMER: [string, string] = ['Supported', 'timer'];

test('what a caller asks and what it gets: interval and refresher (RFC 4028 9, table 2)', () => {
  const cases: [string, [string, string][], string, string | undefined][] = [
    ['knows no timer', [], '1800;refresher=uas', undefined],
    ['knows it, asks nothing', [TIMER], '1800;refresher=uac', 'timer'],
    ['asks for less', [TIMER, ['Session-Expires', '600']], '600;refresher=uac', 'timer'],
    ['asks for more', [TIMER, ['Session-Expires', '7200;refresher=uas']], '1800;refresher=uas', undefined],
    ['compact form', [TIMER, ['x', '300;refresher=UAC']], '300;refresher=uac', 'timer'],
    ['its own least', [TIMER, ['Session-Expires', '4000'], ['Min-SE', '3000']], '3000;refresher=uac', 'timer'],
    ['a proxy asked', [['Session-Expires', '120']], '120;refresher=uas', undefined],
    // 422 would tell the caller nothing; a session of a second would be refreshed without a pause
    ['a proxy asked for too little', [['Session-Expires', '1']], '90;refresher=uas', undefined],
  ];
  for (const [name, headers, expected, require] of cases) {
    const s = stage();
    const [alice, bob] = [s.phone('alice'), s.phone('bob')];
    bob.register();
    const { ok, invite } = established(alice, bob, { headers });
    assert.equal(ok.header('session-expires'), expected, name);
    assert.equal(ok.header('require'), require, name);
    assert.equal(invite.header('session-expires'), '1800', name);
    assert.equal(invite.header('min-se'), '90', name);
    assert.ok(invite.hasToken('supported', 'timer'));
    alice.within(ok, 'BYE', { cseq: 2 });
    s.assertNothingLeft();
  }
});

test('an interval too small gets 422 with Min-SE: first INVITE, re-INVITE and UPDATE', () => {
  const s = stage();
  const [alice, bob] = [s.phone('alice'), s.phone('bob')];
  bob.register();
  const headers: [string, string][] = [TIMER, ['Session-Expires', '60']];
  alice.request('INVITE', { sdp: OFFER, headers, branch: 'small', callId: 'small' });
  const refused = last(alice.take());
  assert.deepEqual([refused.status, refused.header('min-se')], [422, '90']);
  const { ok } = established(alice, bob);
  alice.within(ok, 'INVITE', { cseq: 2, sdp: OFFER, headers });
  assert.equal(last(alice.take()).status, 422);
  alice.within(ok, 'UPDATE', { cseq: 3, headers });
  assert.equal(last(alice.take()).status, 422);
  alice.within(ok, 'BYE', { cseq: 4 });
  s.assertNothingLeft();
});

test('a callee that wants longer sessions is asked again (422, RFC 4028 7.3)', () => {
  const s = stage();
  const [alice, bob] = [s.phone('alice'), s.phone('bob')];
  bob.register();
  alice.request('INVITE', { sdp: OFFER });
  const [first] = bob.take();
  bob.answer(first!, 422, undefined, [['Min-SE', '3600']]);
  const [ack, second] = bob.take();
  assert.equal(ack?.method, 'ACK');
  assert.deepEqual([second?.header('session-expires'), second?.header('min-se')], ['3600', '3600']);
  assert.ok(second!.cseq.number > first!.cseq.number);
  bob.answer(second!, 422, undefined, [['Min-SE', '3600']]);
  assert.deepEqual(
    alice.take().map((m) => m.status),
    [100, 422],
    'the same wish twice is a refusal',
  );
});

test('who refreshes is heard: by re-INVITE, or by UPDATE without a description; who stops is hung up', () => {
  const s = stage();
  const [alice, bob] = [s.phone('alice'), s.phone('bob')];
  bob.register();
  const headers: [string, string][] = [TIMER, ['Session-Expires', '300;refresher=uac']];
  const { ok } = established(alice, bob, { headers, answers: [['Session-Expires', '1800;refresher=uas']] });
  s.advance(200_000);
  alice.within(ok, 'UPDATE', { cseq: 2, headers });
  const updated = last(alice.take());
  assert.equal(updated.status, 200);
  assert.equal(updated.header('session-expires'), '300;refresher=uac');
  assert.equal(updated.body.length, 0);
  assert.deepEqual(bob.seen(), [], 'a refresh is not the other side’s business');
  s.advance(260_000);
  assert.equal(s.core.calls.size, 1);
  s.advance(10_000); // 300 s less the margin of 32 s
  assert.deepEqual(bob.seen(), ['BYE']);
  assert.deepEqual(alice.seen(), ['BYE']);
  assert.match(s.ended.join(), /did not refresh the session in time/);
  s.assertNothingLeft();
});

test('we refresh at half of the interval: by UPDATE where it is allowed, else by the description the phone has', () => {
  for (const allow of ['INVITE, ACK, BYE, UPDATE', 'INVITE, ACK, BYE']) {
    const s = stage();
    const [alice, bob] = [s.phone('alice'), s.phone('bob')];
    bob.register();
    const { ok, invite } = established(alice, bob, {
      headers: [TIMER, ['Session-Expires', '1800;refresher=uac']],
      answers: [
        ['Allow', allow],
        ['Session-Expires', '400;refresher=uac'],
      ],
    });
    s.advance(199_000);
    assert.deepEqual(bob.seen(), []);
    s.advance(2000);
    const [refresh] = bob.take();
    assert.equal(refresh?.header('session-expires'), '400;refresher=uac');
    if (allow.includes('UPDATE')) {
      assert.equal(refresh?.method, 'UPDATE');
      assert.equal(refresh?.body.length, 0);
      bob.answer(refresh!, 200, undefined, [['Session-Expires', '400;refresher=uac']]);
    } else {
      assert.equal(refresh?.method, 'INVITE');
      assert.equal(refresh?.bodyText, invite.bodyText, 'unchanged, its version too');
      alice.within(ok, 'INVITE', { cseq: 2, sdp: OFFER });
      assert.deepEqual(alice.seen(), ['491 INVITE'], 'one change at a time');
      bob.answer(refresh!, 200, ANSWER, [['Session-Expires', '400;refresher=uac']]);
      assert.deepEqual(bob.seen(), ['ACK']);
      bob.answer(refresh!, 200, ANSWER, [['Session-Expires', '400;refresher=uac']]);
      assert.deepEqual(bob.seen(), ['ACK'], 'each time it comes');
      const before = s.ng.length;
      s.advance(200_000);
      const [next] = bob.take();
      bob.answer(next!, 200, ANSWER.replaceAll('192.0.2.2', '192.0.2.77'));
      assert.deepEqual(
        s.ng.slice(before).flatMap((m) => (m.command === 'query' ? [] : [m.command])),
        ['offer', 'answer'],
        'another address goes to the relay',
      );
      assert.match(String(last(s.ng).sdp), /192\.0\.2\.77/);
      bob.seen();
    }
    assert.deepEqual(alice.seen(), []);
    assert.equal(s.core.calls.size, 1);
    alice.within(ok, 'BYE', { cseq: 3 });
    s.assertNothingLeft();
  }
});

test('a phone that is gone is found by the refresh; one that refuses it is asked another way, or later', () => {
  const s = stage();
  const [alice, bob] = [s.phone('alice'), s.phone('bob')];
  bob.register();
  established(alice, bob, {
    headers: [TIMER],
    answers: [
      ['Allow', 'INVITE, UPDATE'],
      ['Session-Expires', '200;refresher=uac'],
    ],
  });
  s.advance(100_000);
  bob.answer(last(bob.take()), 405);
  s.advance(5000);
  const reinvite = last(bob.take());
  assert.equal(reinvite.method, 'INVITE');
  bob.answer(reinvite, 491);
  assert.deepEqual(bob.seen(), ['ACK']);
  s.advance(5000);
  const again = last(bob.take());
  bob.answer(again, 481);
  assert.deepEqual(bob.seen(), ['ACK', 'BYE']);
  assert.deepEqual(alice.seen(), ['BYE']);
  assert.match(s.ended.join(), /phone is gone/);
  s.assertNothingLeft();
});

test('UPDATE with a description changes the call like a re-INVITE, without an ACK (RFC 3311)', () => {
  const s = stage();
  const [alice, bob] = [s.phone('alice'), s.phone('bob')];
  bob.register();
  const { ok } = established(alice, bob);
  alice.within(ok, 'UPDATE', { cseq: 2, sdp: VIDEO });
  assert.deepEqual(alice.seen(), []);
  const reinvite = last(bob.take());
  assert.equal(reinvite.method, 'INVITE');
  assert.match(reinvite.bodyText, /m=video/);
  alice.within(ok, 'UPDATE', { cseq: 3, sdp: VIDEO });
  const early = last(alice.take());
  assert.equal(early.status, 500);
  assert.ok(early.header('retry-after'));
  bob.answer(reinvite, 200, ANSWER);
  const answered = last(alice.take());
  assert.equal(answered.status, 200);
  assert.match(answered.bodyText, /via-relay:answer/);
  s.advance(40_000);
  assert.deepEqual(alice.seen(), [], 'nobody waits for an ACK');
  assert.equal(s.core.calls.size, 1);

  // The other phone takes too long: its sender is told before its own timer F.
  bob.seen();
  alice.within(ok, 'UPDATE', { cseq: 4, sdp: OFFER });
  const slow = last(bob.take());
  bob.answer(slow, 100);
  s.advance(20_000);
  assert.equal(last(alice.take()).status, 504);
  bob.answer(last(bob.take()), 200);
  bob.answer(slow, 487);
  alice.within(ok, 'BYE', { cseq: 5 });
  s.assertNothingLeft();
});

test('an extension that is not known is refused within a dialog too (RFC 3261 8.2.2.3)', () => {
  const s = stage();
  const [alice, bob] = [s.phone('alice'), s.phone('bob')];
  bob.register();
  const { ok } = established(alice, bob);
  alice.within(ok, 'INVITE', { cseq: 2, sdp: OFFER, headers: [['Require', 'timer, resource-priority']] });
  const refused = last(alice.take());
  assert.deepEqual([refused.status, refused.header('unsupported')], [420, 'resource-priority']);
  alice.within(ok, 'BYE', { cseq: 3, headers: [['Require', 'resource-priority']] });
  assert.deepEqual(alice.seen(), ['200 BYE']);
  s.assertNothingLeft();
});
