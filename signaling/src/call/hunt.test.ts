import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type SipMessage, text } from '@offhook/core';
import { ANSWER, DOMAIN, last, OFFER, type Phone, stage } from './test-kit.ts';

const words = (m: SipMessage) => `${m.status} ${/text="(.*)"/.exec(m.header('reason') ?? '')?.[1]}`;
const forward = (to: { always?: string; busy?: string; noAnswer?: string; noAnswerS?: number }) => ({
  forward: { noAnswerS: 20, ...to },
});

/** alice, bob, carol and dave are signed in. */
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

function call(phone: Phone, to: string, headers: [string, string][] = []): void {
  phone.request('INVITE', { uri: `sip:${to}@${DOMAIN}`, to: `<sip:${to}@${DOMAIN}>`, sdp: OFFER, headers });
}

/** The caller acknowledges a failure. */
function refusedWith(phone: Phone): string {
  const final = last(phone.take());
  phone.request('ACK', { branch: `${phone.user}1INVITE`, to: final.header('to')! });
  return words(final);
}

function hangUp(phone: Phone, ok: SipMessage): void {
  phone.within(ok, 'ACK', { cseq: 1 });
  phone.within(ok, 'BYE', { cseq: 2 });
}

test('unconditional forwarding (RFC 5359 2.7): the other one rings, is told by whom, and the caller hears 181', () => {
  const { s, alice, bob, carol } = people({ settings: { bob: forward({ always: 'carol' }) } });
  call(alice, 'bob');
  assert.deepEqual(bob.seen(), []);
  const invite = last(carol.take());
  assert.equal(invite.from.uri.user, 'alice');
  assert.equal(invite.header('diversion'), `<sip:bob@${DOMAIN}>;reason=unconditional`);
  carol.answer(invite, 200, ANSWER);
  const answers = alice.take();
  assert.deepEqual(
    answers.map((m) => m.status),
    [100, 181, 200],
  );
  hangUp(alice, last(answers));
  s.assertNothingLeft();
});

test('forwarding on busy (RFC 5359 2.8) follows 486 and 603, and nothing else', () => {
  for (const [status, reached] of [
    [486, true],
    [603, true],
    [404, false],
  ] as const) {
    const { s, alice, bob, carol } = people({ settings: { bob: forward({ busy: `sip:carol@${DOMAIN}` }) } });
    call(alice, 'bob');
    bob.answer(last(bob.take()), status);
    assert.deepEqual(bob.seen(), ['ACK']);
    if (reached) {
      const invite = last(carol.take());
      assert.equal(invite.header('diversion'), `<sip:bob@${DOMAIN}>;reason=user-busy`);
      carol.answer(invite, 200, ANSWER);
      hangUp(alice, last(alice.take()));
    } else {
      assert.deepEqual(carol.seen(), []);
      assert.match(refusedWith(alice), /^404/);
    }
    s.assertNothingLeft();
  }
});

test('forwarding when nobody answers (RFC 5359 2.9) after the time the user gave, or nobody is signed in', () => {
  const { s, alice, bob, carol } = people({ settings: { bob: forward({ noAnswer: 'carol', noAnswerS: 15 }) } });
  call(alice, 'bob');
  const ringing = last(bob.take());
  bob.answer(ringing, 180);
  s.advance(14_900);
  assert.deepEqual(carol.seen(), []);
  s.advance(200);
  assert.deepEqual(bob.seen(), ['CANCEL']);
  bob.answer(ringing, 487);
  const invite = last(carol.take());
  assert.equal(invite.header('diversion'), `<sip:bob@${DOMAIN}>;reason=no-answer`);
  carol.answer(invite, 200, ANSWER);
  hangUp(alice, last(alice.take()));
  s.assertNothingLeft();

  const away = people({ settings: { bob: forward({ noAnswer: 'carol' }) } });
  away.s.core.handleFlowClosed(away.bob.flow, 0);
  call(away.alice, 'bob');
  away.carol.answer(last(away.carol.take()), 200, ANSWER);
  hangUp(away.alice, last(away.alice.take()));
  away.s.assertNothingLeft();
});

test('do not disturb: the phone stays silent, the caller hears why, or is passed on as busy', () => {
  const { s, alice, bob } = people({ settings: { bob: { doNotDisturb: true } } });
  call(alice, 'bob');
  assert.deepEqual(bob.seen(), []);
  assert.equal(refusedWith(alice), '480 bob does not want to be disturbed');
  s.assertNothingLeft();

  const passed = people({ settings: { bob: { doNotDisturb: true, ...forward({ busy: 'carol' }) } } });
  call(passed.alice, 'bob');
  const invite = last(passed.carol.take());
  assert.match(invite.header('diversion') ?? '', /do-not-disturb/);
  passed.carol.answer(invite, 200, ANSWER);
  hangUp(passed.alice, last(passed.alice.take()));
  passed.s.assertNothingLeft();
});

test('forwarding in a circle, to nobody, and to another server ends in words', () => {
  const cases: [Record<string, object>, RegExp][] = [
    [
      { bob: forward({ always: 'carol' }), carol: forward({ always: 'bob' }) },
      /^482 the call was passed on in a circle/,
    ],
    [{ bob: forward({ always: 'zoe' }) }, /^404 there is no user 'zoe' here/],
    [{ bob: forward({ always: 'sip:x@elsewhere.example' }) }, /^480 bob passes calls on to another server/],
    [{ bob: forward({ always: '600' }) }, /^480 bob passes calls on to 600/],
  ];
  for (const [settings, expected] of cases) {
    const { s, alice, bob, carol } = people({ settings });
    call(alice, 'bob');
    assert.deepEqual([bob.seen(), carol.seen()], [[], []]);
    assert.match(refusedWith(alice), expected);
    s.assertNothingLeft();
  }
});

test('a chain of forwards names everybody, the last one first (RFC 5806)', () => {
  const { s, alice, dave } = people({
    settings: { bob: forward({ always: 'carol' }), carol: forward({ always: 'dave' }) },
  });
  call(alice, 'bob');
  const invite = last(dave.take());
  assert.deepEqual(invite.headers('diversion'), [
    `<sip:carol@${DOMAIN}>;reason=unconditional`,
    `<sip:bob@${DOMAIN}>;reason=unconditional`,
  ]);
  dave.answer(invite, 486);
  assert.match(refusedWith(alice), /^486/);
  s.assertNothingLeft();
});

test('a phone’s redirection is followed to users of this server (RFC 3261 8.1.3.4)', () => {
  const { s, alice, bob, carol } = people();
  call(alice, 'bob');
  const invite = last(bob.take());
  const wanted: [string, string][] = [
    ['Contact', '<sip:x@elsewhere.example>;q=0.9'],
    ['Contact', `<sip:carol@${DOMAIN}>;q=0.5`],
  ];
  bob.contact = wanted[0]![1];
  bob.answer(invite, 302, undefined, wanted.slice(1));
  const passed = last(carol.take());
  assert.equal(passed.header('diversion'), `<sip:bob@${DOMAIN}>;reason=deflection`);
  carol.answer(passed, 200, ANSWER);
  hangUp(alice, last(alice.take()));
  s.assertNothingLeft();
});

test('phones of one user ring in the order of q (RFC 3261 16.6), those of the same q at once', () => {
  const s = stage({ limits: { ringMs: 10_000 } });
  const alice = s.phone('alice');
  const phones = ['0.2', '0.8', '0.8'].map((q) => {
    const phone = s.phone('bob');
    phone.register({ q });
    return phone;
  });
  call(alice, 'bob');
  assert.deepEqual(
    phones.map((p) => p.take().length),
    [0, 1, 1],
  );
  s.advance(10_100);
  const [second] = phones[0]!.take();
  assert.equal(second?.method, 'INVITE');
  phones[0]!.answer(second!, 200, ANSWER);
  hangUp(alice, last(alice.take()));
  s.advance(64_000);
  s.assertNothingLeft();
});

test('a request has a breadth that its branches share (RFC 5393 5.3.3)', () => {
  const s = stage();
  const alice = s.phone('alice');
  const phones = [1, 2, 3].map(() => {
    const phone = s.phone('bob');
    phone.register();
    return phone;
  });
  call(alice, 'bob', [['Max-Breadth', '2']]);
  const rung = phones.flatMap((p) => p.take());
  assert.deepEqual(
    rung.map((m) => m.header('max-breadth')),
    ['1', '1'],
  );
  alice.request('CANCEL', { branch: 'alice1INVITE' });
  s.advance(64_000);
  s.assertNothingLeft();
  const other = s.phone('carol');
  call(other, 'bob', [['Max-Breadth', '0']]);
  assert.match(refusedWith(other), /^440 /);
  call(alice, 'bob');
  assert.equal(phones[0]!.take().at(-1)?.header('max-breadth'), '20');
  s.core.hangUpAll('over', s.clock.now);
  s.settle();
  s.assertNothingLeft();
});

const GROUPS = {
  sales: { members: ['bob', 'carol'], ring: 'parallel', ringS: 20 },
  desk: { members: ['bob', 'carol', 'dave'], ring: 'serial', ringS: 10 },
} as const;

test('a group that rings at once: whoever is quicker; a decline of one is no decline of all', () => {
  const { s, alice, bob, carol } = people({ groups: GROUPS, settings: { bob: forward({ always: 'dave' }) } });
  call(alice, 'sales');
  const [first, second] = [last(bob.take()), last(carol.take())];
  bob.answer(first, 603);
  assert.deepEqual(carol.seen(), [], 'carol goes on ringing; bob’s own forwarding is not for the group');
  carol.answer(second, 200, ANSWER);
  hangUp(alice, last(alice.take()));
  s.assertNothingLeft();
});

test('a group that rings in turn: do-not-disturb is passed over, busy and time lead to the next, then the caller hears', () => {
  const { s, alice, bob, carol, dave } = people({ groups: GROUPS, settings: { bob: { doNotDisturb: true } } });
  call(alice, 'desk');
  assert.deepEqual(bob.seen(), []);
  carol.answer(last(carol.take()), 486);
  carol.take();
  const ring = last(dave.take());
  dave.answer(ring, 180);
  s.advance(10_100);
  assert.deepEqual(dave.seen(), ['CANCEL']);
  dave.answer(ring, 487);
  assert.equal(refusedWith(alice), '480 desk does not answer');
  s.assertNothingLeft();
});

test('the caller gives up between two steps: nobody else rings', () => {
  const { s, alice, carol, dave } = people({ groups: GROUPS, settings: { bob: { doNotDisturb: true } } });
  call(alice, 'desk');
  const ring = last(carol.take());
  carol.answer(ring, 180);
  alice.request('CANCEL', { branch: 'alice1INVITE', to: `<sip:desk@${DOMAIN}>`, uri: `sip:desk@${DOMAIN}` });
  assert.deepEqual(carol.seen(), ['CANCEL']);
  carol.answer(ring, 487);
  s.advance(60_000);
  assert.deepEqual(dave.seen(), []);
  s.assertNothingLeft();
});

test('after early media of one, the next one’s answer is another dialog of the caller (RFC 3261 13.2.1)', () => {
  const { s, alice, carol, dave } = people({ groups: GROUPS, settings: { bob: { doNotDisturb: true } } });
  call(alice, 'desk');
  const first = last(carol.take());
  carol.answer(first, 183, ANSWER);
  const early = last(alice.take());
  assert.equal(early.status, 183);
  carol.answer(first, 486);
  const second = last(dave.take());
  dave.answer(second, 180);
  dave.answer(second, 200, ANSWER);
  const [ringing, ok] = alice.take() as [SipMessage, SipMessage];
  assert.deepEqual([ok.status, ok.to.tag === early.to.tag], [200, false]);
  assert.equal(ringing?.to.tag, ok.to.tag);
  hangUp(alice, ok);
  s.assertNothingLeft();
});

test('who wants not to be shown is not (RFC 3323)', () => {
  const { s, alice, bob } = people();
  call(alice, 'bob', [['Privacy', 'id']]);
  const invite = last(bob.take());
  assert.equal(invite.from.uri.toString(), 'sip:anonymous@anonymous.invalid');
  assert.doesNotMatch(text(invite.serialize()), /alice/i);
  bob.answer(invite, 486);
  refusedWith(alice);
  s.assertNothingLeft();
});

test('as long as it rings the caller is told so every minute (RFC 3261 13.3.1.1)', () => {
  const GROUP = { desk: { members: ['bob', 'carol', 'dave'], ring: 'serial', ringS: 60 } } as const;
  const { s, alice, bob } = people({ groups: GROUP });
  call(alice, 'desk');
  const ring = last(bob.take());
  bob.answer(ring, 180);
  alice.take();
  s.advance(120_000);
  assert.deepEqual(alice.seen(), ['180 INVITE', '180 INVITE']);
  s.core.hangUpAll('over', s.clock.now);
  s.settle();
  s.assertNothingLeft();
});

test('whoever takes a call to a group is told in it, and a redirection of one member is not for the group', () => {
  const { s, alice, bob, carol, dave } = people({ groups: GROUPS });
  call(alice, 'sales');
  const [first, second] = [last(bob.take()), last(carol.take())];
  bob.contact = `<sip:dave@${DOMAIN}>`;
  bob.answer(first, 302);
  assert.deepEqual(dave.seen(), []);
  carol.answer(second, 200, ANSWER);
  const ok = last(alice.take());
  alice.within(ok, 'ACK', { cseq: 1 });
  const [summary] = s.core.calls.calls();
  assert.deepEqual([summary?.to, summary?.answeredBy, summary?.users], ['sales', 'carol', ['alice', 'bob', 'carol']]);
  alice.within(ok, 'BYE', { cseq: 2 });
  s.assertNothingLeft();
});
