import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type SipMessage, text } from '@offhook/core';
import type { Locate } from '../locate/index.ts';
import type { Decision, Target } from '../routing/index.ts';
import { ANSWER, DOMAIN, last, OFFER, type Phone, type Stage, stage } from './test-kit.ts';

const FAR = 'sip:zoe@far.example';
const ring = (...targets: Target[]): Decision => ({ kind: 'ring', steps: [{ targets }] });
const words = (m: SipMessage) => `${m.status} ${/text="(.*)"/.exec(m.header('reason') ?? '')?.[1]}`;

/** The server, whose rules are asked, and another server that is reached in so many ways, one after the other. */
function outside(count: number) {
  const ways: Phone[] = [];
  const found: string[] = [];
  const locate: Locate = (uri, nowMs, then) => {
    found.push(uri);
    const from = (i: number, now: number): void => {
      const way = ways[i];
      if (way) then({ flow: way.flow, next: (later) => from(i + 1, later) }, now);
      else then({ error: 'far.example does not answer' }, now);
    };
    from(0, nowMs);
  };
  const s: Stage = stage({ core: { routing: 'asked', locate } });
  const alice = s.phone('alice');
  for (let i = 0; i < count; i++) ways.push(s.phone('zoe', 'udp'));
  const call = (sdp = OFFER) => alice.request('INVITE', { uri: `sip:9@${DOMAIN}`, to: `<sip:9@${DOMAIN}>`, sdp });
  return { s, alice, ways, found, call };
}

/** The last answer, which is a failure, acknowledged. */
function refusedWith(phone: Phone): string {
  const final = last(phone.take());
  phone.request('ACK', { branch: `${phone.user}1INVITE`, to: final.header('to')! });
  return words(final);
}

test('a call waits for its rules, and goes to an address of another server', () => {
  const { s, alice, ways, call } = outside(1);
  call();
  assert.deepEqual(alice.seen(), ['100 INVITE']);
  assert.deepEqual([s.asked[0]?.facts.account, s.asked[0]?.facts.to], ['alice', '9']);
  assert.equal(s.asked[0]?.facts.headers?.['call-id'], 'call-of-alice');
  s.decide(ring({ kind: 'uri', uri: FAR }));
  const [zoe] = ways as [Phone];
  const invite = last(zoe.take());
  assert.deepEqual([invite.uri, invite.to.uri.toString(), invite.from.uri.user], [FAR, FAR, 'alice']);
  zoe.answer(invite, 180);
  zoe.answer(invite, 200, ANSWER);
  const ok = last(alice.take());
  alice.within(ok, 'ACK', { cseq: 1 });
  zoe.take();
  zoe.within(invite, 'BYE', { cseq: 1 });
  assert.equal(last(alice.take()).method, 'BYE');
  s.assertNothingLeft();
});

test('an address that is busy (503), silent or gone gives way to the next (RFC 3263 4.3), until there is none', () => {
  const { s, alice, ways, call } = outside(3);
  call();
  s.decide(ring({ kind: 'uri', uri: FAR }));
  const [first, second, third] = ways as [Phone, Phone, Phone];
  first.answer(last(first.take()), 503);
  assert.equal(last(second.take()).method, 'INVITE');
  s.advance(32_100);
  assert.equal(last(third.take()).method, 'INVITE');
  s.core.handleFlowClosed(third.flow, s.clock.now);
  s.settle();
  assert.equal(refusedWith(alice), '480 far.example does not answer');
  first.take();
  s.assertNothingLeft();
});

test('one that has rung is not asked again elsewhere', () => {
  const { s, alice, ways, call } = outside(2);
  call();
  s.decide(ring({ kind: 'uri', uri: FAR }));
  const [first, second] = ways as [Phone, Phone];
  const invite = last(first.take());
  first.answer(invite, 180);
  first.answer(invite, 503);
  assert.deepEqual(second.seen(), []);
  assert.match(refusedWith(alice), /^500/);
  s.assertNothingLeft();
});

test('who gives up while the rules think, or while the other server is looked for, is heard', () => {
  const { s, alice, ways, call } = outside(1);
  call();
  alice.request('CANCEL', { branch: 'alice1INVITE', uri: `sip:9@${DOMAIN}`, to: `<sip:9@${DOMAIN}>` });
  assert.equal(refusedWith(alice), '487 cancelled by the caller');
  s.decide(ring({ kind: 'uri', uri: FAR }));
  assert.deepEqual(ways[0]!.seen(), [], 'a decision that comes too late does nothing');
  s.assertNothingLeft();
  assert.deepEqual(s.ended, ['487 cancelled by the caller']);
});

test('RFC 5359 2.13 and 2.14, screening: a rule refuses a call with its own words, at once or after a while', () => {
  const { s, alice, call } = outside(0);
  call();
  s.decide({ kind: 'reject', status: 403, reason: 'premium numbers are blocked' });
  assert.equal(refusedWith(alice), '403 premium numbers are blocked');
  s.assertNothingLeft();
});

test('RFC 5359 2.12, find-me: a rule tries one place after the other, here and elsewhere', () => {
  const { s, alice, ways, call } = outside(1);
  const bob = s.phone('bob');
  bob.register();
  call();
  const [zoe] = ways as [Phone];
  s.decide({
    kind: 'ring',
    steps: [{ targets: [{ kind: 'user', user: 'bob' }], ringS: 10 }, { targets: [{ kind: 'uri', uri: FAR }] }],
  });
  const home = last(bob.take());
  bob.answer(home, 180);
  s.advance(10_001);
  assert.deepEqual(bob.seen(), ['CANCEL']);
  bob.answer(home, 487);
  zoe.answer(last(zoe.take()), 200, ANSWER);
  const ok = last(alice.take());
  alice.within(ok, 'ACK', { cseq: 1 });
  alice.within(ok, 'BYE', { cseq: 2 });
  assert.equal(last(zoe.take()).method, 'BYE');
  s.assertNothingLeft();
});

test('the connection of a leg to another server goes: it is found again, and the call goes on', () => {
  const { s, alice, ways, found, call } = outside(2);
  call();
  s.decide(ring({ kind: 'uri', uri: FAR }));
  const [first, second] = ways as [Phone, Phone];
  const invite = last(first.take());
  first.contact = '<sip:zoe@192.0.2.77;transport=tcp>';
  first.answer(invite, 200, ANSWER);
  const ok = last(alice.take());
  alice.within(ok, 'ACK', { cseq: 1 });
  ways.shift();
  s.core.handleFlowClosed(first.flow, s.clock.now);
  s.settle();
  assert.deepEqual(found, [FAR, FAR], 'the Contact of the other side may be any address');
  s.advance(31_000);
  assert.equal(s.core.calls.size, 1, 'the time of grace has not ended it');
  alice.within(ok, 'BYE', { cseq: 2 });
  assert.equal(last(second.take()).method, 'BYE');
  s.assertNothingLeft();
});

/** zoe, who is elsewhere, talks with alice. */
function talking() {
  const o = outside(1);
  o.call();
  o.s.decide(ring({ kind: 'uri', uri: FAR }));
  const [zoe] = o.ways as [Phone];
  const invite = last(zoe.take());
  zoe.answer(invite, 200, ANSWER);
  const ok = last(o.alice.take());
  o.alice.within(ok, 'ACK', { cseq: 1 });
  zoe.take();
  return { ...o, zoe, invite, ok };
}

test('whoever is elsewhere can’t have calls made here: neither by REFER nor by a redirection', () => {
  const { s, alice, zoe, invite, ok } = talking();
  zoe.within(invite, 'REFER', { cseq: 1, headers: [['Refer-To', `<sip:0900123@${DOMAIN}>`]] });
  assert.equal(words(last(zoe.take())), '403 only users of this server can transfer calls');
  assert.equal(s.asked.length, 0, 'the rules are not even asked');
  alice.within(ok, 'BYE', { cseq: 2 });
  s.assertNothingLeft();

  const other = outside(1);
  other.call();
  other.s.decide(ring({ kind: 'uri', uri: FAR }));
  const [far] = other.ways as [Phone];
  far.contact = `<sip:0900123@${DOMAIN}>`;
  far.answer(last(far.take()), 302);
  assert.equal(other.s.asked.length, 0);
  assert.match(refusedWith(other.alice), /^480/);
  other.s.assertNothingLeft();
});

test('the connection of a leg goes and its other side hangs up before it is found again: it gets its BYE', () => {
  const { s, alice, ways, zoe, ok } = talking();
  const later = s.phone('zoe', 'udp');
  let found: (() => void) | undefined;
  const locate: Locate = (_uri, nowMs, then) => {
    found = () => then({ flow: later.flow, next: () => {} }, nowMs);
  };
  (s.core.calls.options as { locate: Locate }).locate = locate;
  ways.length = 0;
  s.core.handleFlowClosed(zoe.flow, s.clock.now);
  alice.within(ok, 'BYE', { cseq: 2 });
  found!();
  s.core.handleTimeout(s.clock.now);
  s.settle();
  assert.deepEqual(later.seen(), ['BYE']);
  s.advance(100_000);
  assert.equal(s.core.calls.remnants, 0);
});

test('a slow search for one step’s way does not hold the next one up, and comes too late when it is over', () => {
  const { s, alice } = outside(0);
  const bob = s.phone('bob');
  bob.register();
  const far = s.phone('zoe', 'udp');
  let found: (() => void) | undefined;
  (s.core.calls.options as { locate: Locate }).locate = (_uri, nowMs, then) => {
    found = () => then({ flow: far.flow, next: () => {} }, nowMs);
  };
  alice.request('INVITE', { uri: `sip:9@${DOMAIN}`, to: `<sip:9@${DOMAIN}>`, sdp: OFFER });
  s.decide({
    kind: 'ring',
    steps: [{ targets: [{ kind: 'uri', uri: FAR }], ringS: 5 }, { targets: [{ kind: 'user', user: 'bob' }] }],
  });
  s.advance(5001);
  const invite = last(bob.take());
  assert.equal(invite.method, 'INVITE');
  found!();
  s.settle();
  assert.deepEqual(far.seen(), [], 'its step is over');
  bob.answer(invite, 200, ANSWER);
  const ok = last(alice.take());
  alice.within(ok, 'ACK', { cseq: 1 });
  alice.within(ok, 'BYE', { cseq: 2 });
  s.assertNothingLeft();
});

test('a private caller is not named to the other side: not when transferred, not when the connection goes', () => {
  const { bob, carol } = privately();
  const said = [...carol.take(), ...bob.take()].map((m) => text(m.serialize()));
  for (const one of said) assert.doesNotMatch(one, /alice/i);
  assert.ok(said.some((one) => one.startsWith('INVITE')) && said.some((one) => one.startsWith('BYE')));
});

/** alice calls bob privately; he transfers her to carol; in another such call her connection goes. */
function privately() {
  const s = stage();
  const [alice, bob, carol] = [s.phone('alice'), s.phone('bob'), s.phone('carol')];
  bob.register();
  carol.register();
  const call = (branch: string) => {
    alice.request('INVITE', { sdp: OFFER, headers: [['Privacy', 'id']], branch, callId: branch, tag: branch });
    const invite = last(bob.take());
    bob.answer(invite, 200, ANSWER);
    const ok = last(alice.take());
    alice.within(ok, 'ACK', { cseq: 1 });
    bob.take();
    return invite;
  };
  const first = call('one');
  bob.within(first, 'REFER', { cseq: 1, headers: [['Refer-To', `<sip:carol@${DOMAIN}>`]] });
  bob.take();
  call('two');
  s.core.handleFlowClosed(alice.flow, s.clock.now);
  s.settle();
  s.advance(31_000);
  return { s, alice, bob, carol };
}
