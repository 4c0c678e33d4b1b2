import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { SipMessage } from '@offhook/core';
import { ANSWER, DOMAIN, established, last, OFFER, type Phone, type Stage, stage } from './test-kit.ts';

const CAROLS = OFFER.replaceAll('192.0.2.1', '192.0.2.3');

/** alice talks with bob; carol is signed in too. */
function talking(s: Stage = stage()) {
  const [alice, bob, carol] = [s.phone('alice'), s.phone('bob'), s.phone('carol')];
  bob.register();
  carol.register();
  return { s, alice, bob, carol, ...established(alice, bob) };
}

function refer(phone: Phone, of: SipMessage, to: string, cseq = 2, headers: [string, string][] = []): SipMessage[] {
  phone.within(of, 'REFER', { cseq, headers: [['Refer-To', to], ...headers] });
  return phone.take();
}

const fragment = (m: SipMessage | undefined) => `${m?.bodyText.trim()} ${m?.header('subscription-state')}`;

/** Answers the NOTIFYs among these and tells what they said. */
function told(phone: Phone, messages: readonly SipMessage[]): string[] {
  const notifies = messages.filter((m) => m.method === 'NOTIFY' && m.kind === 'request');
  for (const m of notifies) phone.answer(m, 200);
  return notifies.map(fragment);
}

test('blind transfer by the caller: the callee is connected with the new one, who asked hears how it goes and is hung up', () => {
  const { s, alice, bob, carol, ok } = talking();
  const [accepted, ...first] = refer(alice, ok, `<sip:carol@${DOMAIN}>`);
  assert.equal(accepted?.status, 202);
  assert.deepEqual(told(alice, first), ['SIP/2.0 100 Trying active;expires=60']);
  const invite = last(carol.take());
  assert.equal(invite.from.uri.user, 'bob', 'the new one sees who will talk to it');
  assert.equal(invite.header('referred-by'), `<sip:alice@${DOMAIN}>`);
  assert.match(invite.bodyText, /192\.0\.2\.2/, 'what is offered is the description of who is transferred');
  carol.answer(invite, 180);
  assert.deepEqual(told(alice, alice.take()), ['SIP/2.0 180 Ringing active;expires=60']);
  carol.answer(invite, 200, CAROLS);
  assert.deepEqual(carol.seen(), ['ACK']);
  const reinvite = last(bob.take());
  assert.equal(reinvite.method, 'INVITE');
  assert.match(reinvite.bodyText, /192\.0\.2\.3/);
  assert.deepEqual(alice.seen(), [], 'not done before the transferred one has answered');
  bob.answer(reinvite, 200, ANSWER);
  assert.deepEqual(bob.seen(), ['ACK']);
  const end = alice.take();
  assert.deepEqual(told(alice, end), ['SIP/2.0 200 OK terminated;reason=noresource']);
  assert.equal(last(end).method, 'BYE');
  alice.answer(last(end), 200);
  assert.deepEqual(s.ended, ['200 bob was transferred to carol by alice']);
  assert.deepEqual(
    s.core.calls.calls().map((c) => [c.from, c.to, c.state]),
    [['bob', 'carol', 'answered']],
  );
  assert.equal(s.alive.size, 1, 'the old path at the relay is gone');
  assert.equal(s.snapshots.size, 1, 'and the new call is remembered');

  const flags = () => s.ng.filter((m) => m.command === 'offer').map((m) => String(m.flags));
  assert.deepEqual(
    flags().slice(-2),
    ['stand-in', 'undefined'],
    'nothing goes to bob from his place before he is in it',
  );
  bob.within(reinvite, 'INVITE', { cseq: 1, sdp: ANSWER });
  assert.equal(flags().at(-1), 'undefined', 'what he offers later is his own');
  carol.answer(last(carol.take()), 200, CAROLS);
  bob.within(reinvite, 'ACK', { cseq: 1 });
  carol.take();
  bob.take();

  // The new call is a call like any other.
  carol.within(invite, 'BYE', { cseq: 1 });
  assert.deepEqual(bob.seen(), ['BYE']);
  s.assertNothingLeft();
});

test('blind transfer by the callee, who hangs up at once as many phones do', () => {
  const { s, alice, bob, carol, invite } = talking();
  refer(bob, invite, `<sip:carol@${DOMAIN}>`, 1);
  bob.within(invite, 'BYE', { cseq: 2 });
  assert.deepEqual(bob.seen(), ['200 BYE']);
  assert.deepEqual(alice.seen(), [], 'alice waits for the new one');
  const ring = last(carol.take());
  carol.answer(ring, 200, CAROLS);
  const reinvite = last(alice.take());
  assert.equal(reinvite.method, 'INVITE');
  alice.answer(reinvite, 200, OFFER);
  assert.deepEqual(alice.seen(), ['ACK']);
  assert.deepEqual(bob.seen(), [], 'nothing more is told to who has left');
  assert.deepEqual(
    s.core.calls.calls().map((c) => [c.from, c.to]),
    [['alice', 'carol']],
  );
  carol.within(ring, 'BYE', { cseq: 1 });
  s.assertNothingLeft();
});

test('a transfer that fails leaves the call as it was; if who asked has left, the other is hung up in words', () => {
  for (const leaves of [false, true]) {
    const { s, alice, bob, carol, ok } = talking();
    refer(alice, ok, `<sip:carol@${DOMAIN}>`);
    if (leaves) alice.within(ok, 'BYE', { cseq: 3 });
    alice.take();
    carol.answer(last(carol.take()), 486);
    if (leaves) {
      assert.match(last(bob.take()).header('reason') ?? '', /the transfer failed: carol is busy/);
    } else {
      assert.deepEqual(told(alice, alice.take()), ['SIP/2.0 486 Busy Here terminated;reason=noresource']);
      assert.equal(s.core.calls.size, 1);
      alice.within(ok, 'INVITE', { cseq: 4, sdp: OFFER });
      assert.equal(last(bob.take()).method, 'INVITE', 'they go on talking');
      alice.within(ok, 'BYE', { cseq: 5 });
    }
    s.assertNothingLeft();
  }
});

test('whatever ends while a transfer is under way ends the rest', () => {
  const cases: [string, (p: ReturnType<typeof talking>, ring: SipMessage) => void][] = [
    ['the transferred one hangs up', ({ bob, invite }) => bob.within(invite, 'BYE', { cseq: 1 })],
    ['the new one never answers', ({ s }) => s.advance(61_000)],
    ['the connection of the transferred one goes', ({ s, bob }) => s.core.handleFlowClosed(bob.flow, s.clock.now)],
    [
      'the transferred one refuses its new side',
      ({ carol, bob }, ring) => {
        carol.answer(ring, 200, CAROLS);
        bob.answer(last(bob.take()), 488);
      },
    ],
    [
      'the transferred one does not answer its new side',
      ({ s, carol }, ring) => {
        carol.answer(ring, 200, CAROLS);
        s.advance(40_000);
      },
    ],
    [
      'both leave',
      ({ alice, bob, ok, invite }) => {
        alice.within(ok, 'BYE', { cseq: 3 });
        bob.within(invite, 'BYE', { cseq: 1 });
      },
    ],
  ];
  for (const [name, happens] of cases) {
    const p = talking();
    const { s, alice, carol, ok } = p;
    refer(alice, ok, `<sip:carol@${DOMAIN}>`);
    happens(p, last(carol.take()));
    s.settle();
    alice.within(ok, 'BYE', { cseq: 9 });
    s.advance(100_000);
    assert.equal(s.core.calls.size, 0, name);
    s.assertNothingLeft();
  }
});

/** alice talks with carol as well: carol's INVITE, and how a REFER names that call. */
function consulting(alice: Phone, carol: Phone) {
  alice.request('INVITE', {
    uri: `sip:carol@${DOMAIN}`,
    to: `<sip:carol@${DOMAIN}>`,
    sdp: OFFER,
    callId: 'consult',
    branch: 'consult',
    tag: 'consult-tag',
  });
  const ring = last(carol.take());
  carol.answer(ring, 200, CAROLS);
  const consulted = last(alice.take());
  alice.within(consulted, 'ACK', { cseq: 1 });
  carol.take();
  const replaces = `consult%3Bto-tag%3D${consulted.to.tag}%3Bfrom-tag%3Dconsult-tag`;
  return { ring, consulted, replaces };
}

test('attended transfer: the far ends of both calls are joined, and who joined them leaves both', () => {
  const { s, alice, bob, carol, ok } = talking();
  const { ring, replaces } = consulting(alice, carol);
  const [accepted, ...rest] = refer(alice, ok, `<sip:carol@${DOMAIN}?Replaces=${replaces}>`);
  assert.equal(accepted?.status, 202);
  told(alice, rest);
  const toCarol = last(carol.take());
  assert.equal(toCarol.method, 'INVITE');
  assert.match(toCarol.bodyText, /192\.0\.2\.2/, 'carol gets bob');
  carol.answer(toCarol, 200, CAROLS);
  assert.deepEqual(carol.seen(), ['ACK']);
  const toBob = last(bob.take());
  assert.match(toBob.bodyText, /192\.0\.2\.3/, 'bob gets carol');
  bob.answer(toBob, 200, ANSWER);
  const end = alice.take();
  assert.deepEqual(told(alice, end), ['SIP/2.0 200 OK terminated;reason=noresource']);
  assert.equal(end.filter((m) => m.method === 'BYE').length, 2);
  for (const bye of end.filter((m) => m.method === 'BYE')) alice.answer(bye, 200);
  assert.deepEqual(
    s.core.calls.calls().map((c) => [c.from, c.to, c.state]),
    [['bob', 'carol', 'answered']],
  );
  assert.equal(s.alive.size, 1);
  carol.within(ring, 'BYE', { cseq: 1 });
  assert.equal(last(bob.take()).method, 'BYE');
  s.assertNothingLeft();
});

test('the new one hangs up while the relay is moving a leg: the leg goes back to the call it is still in', () => {
  const { s, alice, bob, carol, ok } = talking();
  const before = [...s.relayLegs].map(([callId, legs]) => [callId, [...legs].sort()]);
  refer(alice, ok, `<sip:carol@${DOMAIN}>`);
  const ring = last(carol.take());
  s.hold('connect');
  carol.answer(ring, 200, CAROLS);
  carol.within(ring, 'BYE', { cseq: 1 });
  s.release();
  assert.deepEqual(
    [...s.relayLegs].map(([callId, legs]) => [callId, [...legs].sort()]),
    before,
  );
  assert.deepEqual(bob.seen(), [], 'bob never hears of it');
  assert.match(told(alice, alice.take()).at(-1) ?? '', /480/);
  alice.within(ok, 'BYE', { cseq: 3 });
  assert.deepEqual(bob.seen(), ['BYE']);
  s.assertNothingLeft();
});

test('who transferred leaves while the relay is moving the leg: it is moved once, and the new call comes to be', () => {
  const { s, alice, bob, carol, ok } = talking();
  const [[, before] = []] = [...s.relayLegs];
  const ports = new Set(before!.values());
  refer(alice, ok, `<sip:carol@${DOMAIN}>`);
  const ring = last(carol.take());
  s.hold('connect');
  carol.answer(ring, 200, CAROLS);
  alice.within(ok, 'BYE', { cseq: 3 });
  s.release();
  assert.equal(s.ng.filter((m) => m.command === 'connect').length, 1);
  bob.answer(last(bob.take()), 200, ANSWER);
  assert.deepEqual(
    s.core.calls.calls().map((c) => [c.from, c.to, c.state]),
    [['bob', 'carol', 'answered']],
  );
  assert.equal(s.relayLegs.size, 1);
  const [after] = [...s.relayLegs.values()];
  assert.equal([...after!.values()].filter((p) => ports.has(p)).length, 1, 'bob’s ports and keys came along');
  carol.within(ring, 'BYE', { cseq: 1 });
  s.assertNothingLeft();
});

test('a change that the transferred one had begun in the call that ends does not follow it into the new one', () => {
  const { s, alice, bob, carol, ok, invite } = talking();
  refer(alice, ok, `<sip:carol@${DOMAIN}>`);
  s.hold();
  bob.within(invite, 'INVITE', { cseq: 7, sdp: ANSWER });
  alice.within(ok, 'BYE', { cseq: 3 });
  s.release();
  for (const m of alice.take()) if (m.kind === 'request' && m.method === 'INVITE') alice.answer(m, 481);
  assert.deepEqual(
    bob.seen().filter((what) => what === 'BYE'),
    [],
    'bob waits for carol',
  );
  const ring = last(carol.take());
  carol.answer(ring, 200, CAROLS);
  bob.answer(last(bob.take()), 200, ANSWER);
  assert.deepEqual(
    s.core.calls.calls().map((c) => [c.from, c.to, c.state]),
    [['bob', 'carol', 'answered']],
  );
  carol.within(ring, 'BYE', { cseq: 1 });
  s.assertNothingLeft();
});

test('an attended transfer that the second side refuses leads the first back to where it was', () => {
  const { s, alice, bob, carol, ok } = talking();
  const { consulted, replaces } = consulting(alice, carol);
  refer(alice, ok, `<sip:carol@${DOMAIN}?Replaces=${replaces}>`);
  carol.answer(last(carol.take()), 200, CAROLS);
  carol.take();
  bob.answer(last(bob.take()), 488);
  const back = last(carol.take());
  assert.equal(back.method, 'INVITE');
  assert.match(back.bodyText, /192\.0\.2\.1/, 'carol has alice again');
  carol.answer(back, 200, CAROLS);
  assert.match(told(alice, alice.take()).at(-1) ?? '', /488/);
  assert.equal(s.core.calls.size, 2, 'both calls go on');
  alice.within(consulted, 'BYE', { cseq: 7 });
  alice.within(ok, 'BYE', { cseq: 8 });
  s.assertNothingLeft();
});

test('what can’t be transferred is refused by the protocol’s own code and in words', () => {
  const cases: [string, string, [string, string][], number][] = [
    ['nobody of that name', `<sip:nobody@${DOMAIN}>`, [], 404],
    ['another server', '<sip:carol@elsewhere.test>', [], 404],
    ['no SIP URI', '<tel:+123>', [], 400],
    ['two targets', `<sip:carol@${DOMAIN}>, <sip:bob@${DOMAIN}>`, [], 400],
    ['another method', `<sip:carol@${DOMAIN};method=SUBSCRIBE>`, [], 501],
    ['a call of somebody else', `<sip:carol@${DOMAIN}?Replaces=x%3Bto-tag%3D1%3Bfrom-tag%3D2>`, [], 481],
    ['an escape that is none', `<sip:carol@${DOMAIN}?Replaces=%ZZ>`, [], 481],
    ['an extension', `<sip:carol@${DOMAIN}>`, [['Require', 'norefersub-x']], 420],
  ];
  for (const [name, to, headers, status] of cases) {
    const { s, alice, ok } = talking();
    const refused = last(refer(alice, ok, to, 2, headers));
    assert.equal(refused.status, status, name);
    assert.match(refused.header('reason') ?? '', /text="..+"/, name);
    alice.within(ok, 'BYE', { cseq: 3 });
    s.assertNothingLeft();
  }
  const s = stage();
  const alice = s.phone('alice');
  alice.request('INVITE', { uri: `sip:600@${DOMAIN}`, to: `<sip:600@${DOMAIN}>`, sdp: OFFER });
  const ok = last(alice.take());
  alice.within(ok, 'ACK', { cseq: 1 });
  assert.equal(last(refer(alice, ok, `<sip:carol@${DOMAIN}>`)).status, 403, 'the echo can’t be transferred');
});

test('a transfer to somebody who is not signed in is told as such, and the call goes on', () => {
  const { s, alice, ok } = talking();
  const [accepted, ...rest] = refer(alice, ok, `<sip:alice@${DOMAIN}>`);
  assert.equal(accepted?.status, 202);
  assert.deepEqual(told(alice, rest), [
    'SIP/2.0 100 Trying active;expires=60',
    'SIP/2.0 480 Temporarily Unavailable terminated;reason=noresource',
  ]);
  assert.equal(s.core.calls.size, 1);
  alice.within(ok, 'BYE', { cseq: 3 });
  s.assertNothingLeft();
});

test('who wants to hear nothing hears nothing (RFC 4488); further REFERs have an event of their own', () => {
  const { s, alice, carol, ok } = talking();
  const silent = refer(alice, ok, `<sip:carol@${DOMAIN}>`, 2, [['Refer-Sub', 'false']]);
  assert.deepEqual(
    silent.map((m) => [m.status, m.header('refer-sub')]),
    [[202, 'false']],
  );
  carol.answer(last(carol.take()), 486);
  assert.deepEqual(alice.seen(), []);
  const again = refer(alice, ok, `<sip:carol@${DOMAIN}>`, 3);
  assert.equal(last(again).header('event'), 'refer');
  told(alice, again);
  carol.answer(last(carol.take()), 486);
  told(alice, alice.take());
  const third = refer(alice, ok, `<sip:carol@${DOMAIN}>`, 4);
  assert.equal(last(third).header('event'), 'refer;id=4');
  alice.within(ok, 'BYE', { cseq: 5 });
  carol.take();
  s.assertNothingLeft();
});

test('transferred to the echo, one hears oneself', () => {
  const { s, alice, bob, ok } = talking();
  refer(alice, ok, `<sip:600@${DOMAIN}>`);
  const reinvite = last(bob.take());
  assert.match(reinvite.bodyText, /via-relay:echo/);
  bob.answer(reinvite, 200, ANSWER);
  told(alice, alice.take());
  assert.deepEqual(
    s.core.calls.calls().map((c) => [c.from, c.to, c.media]),
    [['bob', '600', 'echo']],
  );
  bob.within(reinvite, 'BYE', { cseq: 1 });
  s.assertNothingLeft();
});
