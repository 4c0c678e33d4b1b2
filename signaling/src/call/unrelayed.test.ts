import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { SipMessage } from '@offhook/core';
import type { CallSnapshot } from './snapshot.ts';
import { ANSWER, DOMAIN, established, last, OFFER, type Stage, stage } from './test-kit.ts';

// `media.path: none`: phones that are no browsers send media to each other.

const without = () => stage({ core: { mediaPath: 'none' } });

/** A phone; over UDP it needs no password here either. */
function phone(s: Stage, user: string, over: 'ws' | 'udp') {
  const made = s.phone(user, over);
  Object.assign(made.flow, { account: user });
  return made;
}

function desks(s = without()) {
  const [alice, bob] = [phone(s, 'alice', 'udp'), phone(s, 'bob', 'udp')];
  bob.register();
  return { s, alice, bob };
}

const body = (message: SipMessage | undefined) => message?.bodyText;

test('two phones get each other’s descriptions as they are; the relay is not asked', () => {
  const { s, alice, bob } = desks();
  const { invite, ok } = established(alice, bob);
  assert.equal(body(invite), OFFER);
  assert.equal(body(ok), ANSWER);
  assert.deepEqual(
    s.core.calls.calls().map((call) => call.media),
    ['none'],
  );
  assert.deepEqual(s.core.calls.relayed(), []);
  s.advance(120_000);
  assert.equal(s.core.calls.size, 1, 'nobody asks the relay whether it still has the call');
  alice.within(ok, 'BYE', { cseq: 2 });
  bob.answer(last(bob.take()), 200);
  assert.deepEqual(s.ng, []);
  s.assertNothingLeft();
});

test('changes of either side pass as they are, and a refused one leads nowhere', () => {
  const { s, alice, bob } = desks();
  const { ok } = established(alice, bob);
  const held = OFFER.replace('t=0 0', 't=0 0\r\na=sendonly');
  alice.within(ok, 'INVITE', { cseq: 2, sdp: held });
  const change = last(bob.take());
  assert.equal(body(change), held);
  bob.answer(change, 200, ANSWER);
  const changed = last(alice.take());
  assert.equal(body(changed), ANSWER);
  alice.within(ok, 'ACK', { cseq: 2 });
  alice.within(ok, 'INVITE', { cseq: 3, sdp: OFFER });
  const again = bob.take();
  bob.answer(last(again), 488);
  assert.equal(last(alice.take()).status, 488);
  alice.within(ok, 'ACK', { cseq: 3 });
  assert.deepEqual(s.ng, []);
});

test('an offer in the 2xx and its answer in the ACK pass too', () => {
  const { s, alice, bob } = desks();
  alice.request('INVITE');
  const invite = last(bob.take());
  bob.answer(invite, 200, OFFER);
  const ok = last(alice.take());
  assert.equal(body(ok), OFFER);
  alice.within(ok, 'ACK', { cseq: 1, sdp: ANSWER });
  assert.equal(body(last(bob.take())), ANSWER);
  assert.deepEqual(s.ng, []);
});

test('browsers have the relay as ever, with each other and with phones', () => {
  for (const [caller, callee] of [
    ['ws', 'ws'],
    ['ws', 'udp'],
    ['udp', 'ws'],
  ] as const) {
    const s = without();
    const [alice, bob] = [phone(s, 'alice', caller), phone(s, 'bob', callee)];
    bob.register();
    const { invite, ok } = established(alice, bob);
    assert.match(invite.bodyText, /via-relay:offer/, `${caller} ${callee}`);
    assert.match(ok.bodyText, /via-relay:answer/, `${caller} ${callee}`);
    const flags = s.ng.find((message) => message.command === 'offer')?.flags;
    assert.deepEqual(flags, caller === callee ? ['opaque'] : undefined);
  }
});

test('what would move the media is refused in words', () => {
  const { s, alice, bob } = desks();
  const carol = s.phone('carol');
  carol.register();
  const { ok } = established(alice, bob);
  alice.within(ok, 'REFER', { cseq: 2, headers: [['Refer-To', `<sip:carol@${DOMAIN}>`]] });
  const refused = last(alice.take());
  assert.equal(refused.status, 488);
  assert.match(refused.header('reason') ?? '', /does not go through the relay/);
  alice.request('INVITE', {
    callId: 'replacing',
    branch: 'replacing',
    tag: 'another',
    sdp: OFFER,
    headers: [['Replaces', `${ok.callId};to-tag=${ok.to.tag};from-tag=${ok.from.tag}`]],
  });
  const answer = last(alice.take());
  assert.equal(answer.status, 488);
  assert.match(answer.header('reason') ?? '', /does not go through the relay/);
  assert.equal(s.core.calls.calls().filter(({ state }) => state === 'answered').length, 1, 'the call goes on');
});

test('such a call outlives the process, and stays what it is', () => {
  const { s: before, alice, bob } = desks();
  const { ok } = established(alice, bob);
  const call = JSON.parse([...before.snapshots.values()][0]!) as CallSnapshot;
  assert.equal(call.isUnrelayed, true);
  const s = stage({ seed: 99 }); // here calls go through the relay
  const flows = [alice, bob].map(({ user }) => phone(s, user, 'udp'));
  const reach = (of: { account?: string }) => ({
    flow: flows.find(({ user }) => user === of.account)!.flow,
    isLost: false,
  });
  s.core.restoreCall({ call, reach }, 0);
  s.settle();
  flows[0]!.within(ok, 'INVITE', { cseq: 5, sdp: OFFER });
  assert.equal(body(last(flows[1]!.take())), OFFER);
  assert.deepEqual(s.ng, []);
});
