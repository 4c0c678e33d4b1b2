import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { SipMessage } from '@offhook/core';
import { ANSWER, DOMAIN, established, last, OFFER, type Phone, stage } from './test-kit.ts';

const words = (m: SipMessage | undefined) => `${m?.status} ${/text="(.*)"/.exec(m?.header('reason') ?? '')?.[1]}`;
const CAROLS = OFFER.replaceAll('192.0.2.1', '192.0.2.3');
const TOGETHER = { groups: { team: { members: ['bob', 'carol'], ring: 'parallel', ringS: 20 } } } as const;

function people(options: Parameters<typeof stage>[0] = {}) {
  const s = stage(options);
  const [alice, bob, carol, dave] = ['alice', 'bob', 'carol', 'dave'].map((user) => s.phone(user)) as [
    Phone,
    Phone,
    Phone,
    Phone,
  ];
  for (const phone of [alice, bob, carol, dave]) phone.register();
  return { s, alice, bob, carol, dave };
}

let calls = 0;
function call(phone: Phone, to: string, over: { sdp?: string; headers?: [string, string][] } = {}): SipMessage[] {
  calls++;
  phone.request('INVITE', {
    uri: `sip:${to}@${DOMAIN}`,
    to: `<sip:${to}@${DOMAIN}>`,
    callId: `call-${calls}`,
    branch: `call-${calls}`,
    sdp: OFFER,
    ...over,
  });
  return phone.take();
}

/** Who takes part in the answered calls. */
const talks = (s: ReturnType<typeof stage>) =>
  s.core.calls
    .calls()
    .filter((c) => c.state === 'answered')
    .map((c) => c.legs.map((l) => l.user).join('–'));

/** alice parks bob in 611. */
function parked(p: ReturnType<typeof people>) {
  const { s, alice, bob } = p;
  const { ok, invite } = established(alice, bob);
  alice.within(ok, 'REFER', { cseq: 2, headers: [['Refer-To', `<sip:611@${DOMAIN}>`]] });
  const reinvite = last(bob.take());
  assert.equal(reinvite.method, 'INVITE');
  bob.answer(reinvite, 200, ANSWER);
  assert.deepEqual(bob.seen(), ['ACK']);
  const end = alice.take();
  for (const m of end) if (m.kind === 'request') alice.answer(m, 200);
  assert.match(end.filter((m) => m.method === 'NOTIFY').at(-1)?.bodyText ?? '', /200 OK/);
  assert.deepEqual(talks(s), ['bob']);
  return { ok, invite, reinvite };
}

test('parking (RFC 5359 2.15): one waits in silence, and talks with whoever calls the slot', () => {
  const p = people();
  const { s, bob, carol } = p;
  const { reinvite } = parked(p);
  assert.ok(s.ng.some((m) => m.command === 'echo' && String(m.flags) === 'silent'));
  const trying = call(carol, '611');
  assert.deepEqual(
    trying.map((m) => m.status),
    [100],
  );
  const toBob = last(bob.take());
  assert.equal(toBob.method, 'INVITE');
  bob.answer(toBob, 200, ANSWER);
  const ok = last(carol.take());
  assert.equal(ok.status, 200);
  carol.within(ok, 'ACK', { cseq: 1 });
  assert.deepEqual(talks(s), ['carol–bob']);
  assert.equal(s.alive.size, 1);
  bob.within(reinvite, 'BYE', { cseq: 5 });
  assert.equal(last(carol.take()).method, 'BYE');
  s.assertNothingLeft();
});

test('an empty slot, a taken one and one that is just being fetched are told in words', () => {
  const p = people();
  const { s, alice, bob, carol, dave } = p;
  assert.equal(words(last(call(carol, '611'))), '404 nobody is parked in 611');
  const { reinvite } = parked(p);
  call(carol, '611');
  assert.equal(words(last(call(dave, '611'))), '486 somebody else is just fetching the call that is parked in 611');
  const again = last(bob.take());
  bob.answer(again, 488);
  assert.match(words(last(carol.take())), /^488/);
  assert.deepEqual(talks(s), ['bob'], 'bob still waits');
  dave.request('INVITE', { sdp: OFFER, uri: `sip:alice@${DOMAIN}`, to: `<sip:alice@${DOMAIN}>` });
  alice.answer(last(alice.take()), 200, ANSWER);
  const ok = last(dave.take());
  dave.within(ok, 'ACK', { cseq: 1 });
  alice.take();
  dave.within(ok, 'REFER', { cseq: 2, headers: [['Refer-To', `<sip:611@${DOMAIN}>`]] });
  const told = dave.take().filter((m) => m.method === 'NOTIFY');
  for (const m of told) dave.answer(m, 200);
  assert.match(told.at(-1)?.bodyText ?? '', /486/);
  dave.within(ok, 'BYE', { cseq: 3 });
  bob.within(reinvite, 'BYE', { cseq: 5 });
  s.assertNothingLeft();
});

test('who is parked hangs up while being fetched: the other hears it', () => {
  const p = people();
  const { s, bob, carol } = p;
  const { reinvite } = parked(p);
  s.hold('connect');
  call(carol, '611');
  bob.within(reinvite, 'BYE', { cseq: 5 });
  s.release();
  assert.match(words(last(carol.take())), /^4(80|81|87)/);
  s.assertNothingLeft();
});

test('the caller gives up while fetching: who was parked waits on', () => {
  for (const heldVerb of ['connect', 'offer', undefined]) {
    const p = people();
    const { s, bob, carol } = p;
    const { reinvite } = parked(p);
    if (heldVerb) s.hold(heldVerb);
    call(carol, '611');
    carol.request('CANCEL', { callId: `call-${calls}`, branch: `call-${calls}`, to: `<sip:611@${DOMAIN}>` });
    s.release();
    for (const m of bob.take()) if (m.kind === 'request' && m.method === 'INVITE') bob.answer(m, 200, ANSWER);
    for (const m of bob.take()) if (m.kind === 'request' && m.method === 'INVITE') bob.answer(m, 200, ANSWER);
    s.advance(1000);
    for (const m of bob.take()) if (m.kind === 'request' && m.method === 'INVITE') bob.answer(m, 200, ANSWER);
    assert.deepEqual(talks(s), ['bob'], String(heldVerb));
    bob.within(reinvite, 'BYE', { cseq: 5 });
    s.assertNothingLeft();
  }
});

/** alice calls bob, whose phone rings. */
function ringing(p: ReturnType<typeof people>) {
  p.alice.request('INVITE', { sdp: OFFER });
  const invite = last(p.bob.take());
  p.bob.answer(invite, 180);
  p.alice.take();
  return { invite };
}

for (const number of ['**bob', '*8']) {
  test(`pick-up (RFC 5359 2.16) by ${number}: a colleague takes the call that rings; the caller sees one answer`, () => {
    const p = people(TOGETHER);
    const { s, alice, bob, carol } = p;
    const { invite } = ringing(p);
    const silent = last(call(carol, number, { sdp: CAROLS }));
    assert.equal(silent.status, 200);
    carol.within(silent, 'ACK', { cseq: 1 });
    const toCarol = last(carol.take());
    assert.equal(toCarol.method, 'INVITE');
    assert.match(toCarol.bodyText, /192\.0\.2\.1/, 'alice’s description');
    carol.answer(toCarol, 200, CAROLS);
    const ok = last(alice.take());
    assert.equal(ok.status, 200);
    assert.match(ok.bodyText, /192\.0\.2\.3/, 'carol’s description');
    alice.within(ok, 'ACK', { cseq: 1 });
    const [cancel] = bob.take();
    assert.equal(cancel?.method, 'CANCEL');
    assert.match(cancel?.header('reason') ?? '', /cause=200/);
    bob.answer(invite, 487);
    assert.deepEqual(talks(s), ['alice–carol']);
    alice.within(ok, 'BYE', { cseq: 2 });
    assert.equal(last(carol.take()).method, 'BYE');
    s.assertNothingLeft();
  });
}

test('pick-up is for members of a group together; what does not ring can’t be picked up', () => {
  const p = people(TOGETHER);
  const { s, bob, carol, dave } = p;
  assert.equal(words(last(call(carol, '**bob'))), '404 nothing rings at bob');
  const { invite } = ringing(p);
  assert.match(words(last(call(dave, '**bob'))), /^403 dave may not pick up calls of bob/);
  assert.equal(words(last(call(dave, '*8'))), '404 nothing rings in your groups');
  bob.answer(invite, 486);
  s.assertNothingLeft();
});

test('the called phone is quicker than who picks up: its call stands, the other is hung up in words', () => {
  const p = people(TOGETHER);
  const { s, alice, bob, carol } = p;
  const { invite } = ringing(p);
  const silent = last(call(carol, '**bob', { sdp: CAROLS }));
  bob.answer(invite, 200, ANSWER);
  carol.within(silent, 'ACK', { cseq: 1 });
  const seen: SipMessage[] = [];
  for (let i = 0; i < 4; i++) {
    const news = carol.take();
    seen.push(...news);
    for (const m of news) if (m.kind === 'request' && m.method === 'INVITE') carol.answer(m, 200, CAROLS);
    s.advance(1000);
  }
  const bye = seen.find((m) => m.method === 'BYE');
  assert.match(bye?.header('reason') ?? '', /not picked up/);
  const ok = last(alice.take());
  alice.within(ok, 'ACK', { cseq: 1 });
  assert.deepEqual(talks(s), ['alice–bob']);
  alice.within(ok, 'BYE', { cseq: 2 });
  s.assertNothingLeft();
});

test('who picks up hangs up at once, or never acknowledges: the phone goes on ringing', () => {
  for (const how of ['bye', 'silence']) {
    const p = people(TOGETHER);
    const { s, alice, bob, carol } = p;
    const { invite } = ringing(p);
    const silent = last(call(carol, '**bob', { sdp: CAROLS }));
    if (how === 'bye') {
      carol.within(silent, 'ACK', { cseq: 1 });
      carol.within(silent, 'BYE', { cseq: 2 });
    }
    s.advance(40_000);
    bob.answer(invite, 200, ANSWER);
    const ok = last(alice.take());
    assert.equal(ok.status, 200, how);
    alice.within(ok, 'ACK', { cseq: 1 });
    assert.deepEqual(talks(s), ['alice–bob'], how);
    alice.within(ok, 'BYE', { cseq: 2 });
    s.assertNothingLeft();
  }
});

test('INVITE with Replaces (RFC 3891): the user’s other phone takes an answered call over', () => {
  const p = people();
  const { s, alice, bob } = p;
  const other = s.phone('bob');
  other.register();
  alice.request('INVITE', { sdp: OFFER });
  const invite = last(bob.take());
  bob.answer(invite, 200, ANSWER);
  const ok = last(alice.take());
  alice.within(ok, 'ACK', { cseq: 1 });
  for (const m of other.take()) if (m.method === 'INVITE') other.answer(m, 487);
  other.take();
  bob.take();
  const [ours, his] = [invite.from.tag, `tag-bob-${bob.flow.id}`];
  for (const [to, from] of [
    [his, ours],
    [ours, his],
  ]) {
    // Once as the dialog-info of bob's phone tells it, once as its own dialog with us is named.
    const trying = call(other, 'bob', {
      sdp: CAROLS,
      headers: [['Replaces', `${invite.callId};to-tag=${to};from-tag=${from}`]],
    });
    if (to === ours) break; // the leg is gone by then
    assert.deepEqual(
      trying.map((m) => m.status),
      [100],
    );
    const toAlice = last(alice.take());
    assert.match(toAlice.bodyText, /192\.0\.2\.3/);
    alice.answer(toAlice, 200, OFFER);
    const took = last(other.take());
    assert.equal(took.status, 200);
    other.within(took, 'ACK', { cseq: 1 });
    assert.equal(last(bob.take()).method, 'BYE');
    assert.deepEqual(talks(s), ['bob–alice']);
    other.within(took, 'BYE', { cseq: 2 });
    assert.equal(last(alice.take()).method, 'BYE');
  }
  assert.match(words(last(other.take())), /^(481|undefined)/);
  s.assertNothingLeft();
});

test('Replaces of a ringing dialog picks the call up; of an unknown, a foreign or an answered one is refused', () => {
  const p = people(TOGETHER);
  const { s, alice, bob, carol, dave } = p;
  const { invite } = ringing(p);
  const named = `${invite.callId};to-tag=tag-bob-${bob.flow.id};from-tag=${invite.from.tag}`;
  const early: [string, string][] = [['Replaces', `${named};early-only`]];
  const refused = (phone: Phone, headers: [string, string][]) => {
    const answer = last(call(phone, `bob`, { headers }));
    phone.request('ACK', { callId: `call-${calls}`, branch: `call-${calls}`, to: answer.header('to')! });
    return answer.status;
  };
  assert.equal(refused(dave, early), 403);
  assert.equal(refused(carol, [['Replaces', 'x;to-tag=1;from-tag=2']]), 481);
  const silent = last(call(carol, 'bob', { sdp: CAROLS, headers: early }));
  assert.equal(silent.status, 200);
  carol.within(silent, 'ACK', { cseq: 1 });
  carol.answer(last(carol.take()), 200, CAROLS);
  const ok = last(alice.take());
  alice.within(ok, 'ACK', { cseq: 1 });
  bob.answer(invite, 487);
  assert.deepEqual(talks(s), ['alice–carol']);
  alice.within(ok, 'BYE', { cseq: 2 });
  s.assertNothingLeft();
});

test('a malformed Replaces, two, or one with Join is a bad request', () => {
  for (const headers of [
    [['Replaces', 'x;to-tag=1']],
    [
      ['Replaces', 'x;to-tag=1;from-tag=2'],
      ['Replaces', 'y;to-tag=1;from-tag=2'],
    ],
    [
      ['Replaces', 'x;to-tag=1;from-tag=2'],
      ['Join', 'x;to-tag=1;from-tag=2'],
    ],
  ] as [string, string][][]) {
    const { s, carol } = people();
    assert.equal(last(call(carol, 'bob', { headers })).status, 400);
    s.assertNothingLeft();
  }
});

test('a fetched phone that hangs up right after its answer: the other side hears it and is not left alone', () => {
  const p = people();
  const { s, bob, carol } = p;
  const { reinvite } = parked(p);
  call(carol, '611');
  const toBob = last(bob.take());
  s.hold('answer');
  bob.answer(toBob, 200, ANSWER);
  bob.within(reinvite, 'BYE', { cseq: 5 });
  s.release();
  assert.equal(words(last(carol.take())), '480 bob has hung up');
  s.assertNothingLeft();
});

test('the far end of an attended transfer hangs up while it is asked: who asked is told, and has the first call still', () => {
  const p = people();
  const { s, alice, bob, carol } = p;
  const { ok } = established(alice, bob);
  const [consulted] = call(alice, 'carol').slice(-1);
  assert.equal(consulted?.status, 100);
  const ring = last(carol.take());
  carol.answer(ring, 200, CAROLS);
  const second = last(alice.take());
  alice.within(second, 'ACK', { cseq: 1 });
  carol.take();
  const replaces = `${second.callId}%3Bto-tag%3D${second.to.tag}%3Bfrom-tag%3Dtag-alice`;
  s.hold();
  alice.within(ok, 'REFER', { cseq: 2, headers: [['Refer-To', `<sip:carol@${DOMAIN}?Replaces=${replaces}>`]] });
  carol.within(ring, 'BYE', { cseq: 1 });
  s.release();
  const notifies = alice.take().filter((m) => m.method === 'NOTIFY' && m.kind === 'request');
  for (const m of notifies) alice.answer(m, 200);
  assert.match(notifies.at(-1)?.bodyText ?? '', /480/);
  assert.deepEqual(talks(s), ['alice–bob']);
  alice.within(ok, 'BYE', { cseq: 3 });
  s.assertNothingLeft();
});

test('a caller’s own early dialog can’t be taken over (RFC 3891 3)', () => {
  const p = people({ groups: { team: { members: ['alice', 'dave'], ring: 'parallel', ringS: 20 } } });
  const { s, alice, bob, dave } = p;
  alice.request('INVITE', { sdp: OFFER });
  const invite = last(bob.take());
  bob.answer(invite, 180);
  const ringing = last(alice.take());
  const named = `${ringing.callId};to-tag=${ringing.to.tag};from-tag=tag-alice`;
  assert.equal(words(last(call(dave, 'bob', { headers: [['Replaces', named]] }))), '481 that call is not answered yet');
  bob.answer(invite, 486);
  s.assertNothingLeft();
});
