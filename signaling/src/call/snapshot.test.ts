import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Flow } from '../transaction/index.ts';
import type { CallSnapshot } from './snapshot.ts';
import { ANSWER, DOMAIN, established, last, OFFER, stage } from './test-kit.ts';

/** The same server in its next life: its calls are those that the last one noted, its relay went on meanwhile. */
function reborn(before: ReturnType<typeof stage>, flows: readonly Flow[] = []) {
  const s = stage({ seed: 99 });
  for (const text of before.snapshots.values()) {
    const call = JSON.parse(text) as CallSnapshot;
    s.alive.add(call.ngCallId);
    s.relayLegs.set(call.ngCallId, new Map(before.relayLegs.get(call.ngCallId)));
    s.core.restoreCall(
      {
        call,
        relay: 0,
        reach: (snapshot) => {
          const flow = flows.find((f) => f.remote.port === snapshot.remote.port);
          return flow ? { flow, isLost: false } : { flow: { id: -1, ...snapshot }, isLost: true };
        },
      },
      s.clock.now,
    );
  }
  s.settle();
  return s;
}

test('only answered calls are remembered, and ended ones are forgotten', () => {
  const s = stage();
  const [alice, bob] = [s.phone('alice'), s.phone('bob')];
  bob.register();
  alice.request('INVITE', { sdp: OFFER, callId: 'ringing', branch: 'ringing' });
  bob.answer(last(bob.take()), 180);
  assert.equal(s.snapshots.size, 0);
  alice.request('CANCEL', { callId: 'ringing', branch: 'ringing' });
  bob.take();
  alice.take();
  const { ok } = established(alice, bob);
  assert.equal(s.snapshots.size, 1);
  alice.within(ok, 'BYE', { cseq: 2 });
  assert.equal(s.snapshots.size, 0);
});

test('after the death of the process each side can change and end the call as if nothing had been', () => {
  for (const who of ['caller', 'callee'] as const) {
    const before = stage();
    const [alice, bob] = [before.phone('alice'), before.phone('bob')];
    bob.register();
    const { ok, invite } = established(alice, bob);
    const s = reborn(before);
    const [alice2, bob2] = [s.phone('alice'), s.phone('bob')];
    alice2.contact = alice.contact;
    bob2.contact = bob.contact;
    alice2.register();
    bob2.register();
    const [mover, other] = who === 'caller' ? [alice2, bob2] : [bob2, alice2];
    // Phones keep their tags.
    const of = who === 'caller' ? ok : invite;
    const within = (method: string, cseq: number, sdp?: string) =>
      who === 'caller'
        ? mover.within(of, method, { cseq, sdp })
        : mover.within(of, method, { cseq, sdp, tag: `tag-bob-${bob.flow.id}` });
    within('INVITE', 5, OFFER);
    const change = last(other.take());
    assert.equal(change.method, 'INVITE', who);
    assert.ok(change.cseq.number > 1000, 'numbers the old process may have used are left out');
    assert.match(change.bodyText, /via-relay:offer/);
    other.answer(change, 200, ANSWER);
    assert.deepEqual(other.seen(), ['ACK']);
    assert.equal(last(mover.take()).status, 200);
    within('ACK', 5);
    within('BYE', 6);
    assert.deepEqual(mover.seen(), ['200 BYE']);
    assert.deepEqual(other.seen(), ['BYE']);
    assert.equal(s.ended.length, 1);
    s.assertNothingLeft();
  }
});

test('a phone over datagrams need not register again; one whose connection went gets its time to come back', () => {
  const before = stage();
  const [alice, bob] = [before.phone('alice'), before.phone('bob')];
  bob.register();
  const { ok } = established(alice, bob);
  const s = stage({ seed: 99 });
  const alice2 = s.phone('alice');
  const call = JSON.parse([...before.snapshots.values()][0]!) as CallSnapshot;
  s.alive.add(call.ngCallId);
  s.core.restoreCall(
    {
      call,
      relay: 0,
      reach: (f) =>
        f.account === 'alice' ? { flow: alice2.flow, isLost: false } : { flow: { id: -1, ...f }, isLost: true },
    },
    0,
  );
  alice2.within(ok, 'INFO', { cseq: 7 });
  assert.deepEqual(alice2.seen(), ['480 INFO'], 'bob is away');
  s.advance(30_000);
  assert.deepEqual(alice2.seen(), ['BYE'], 'bob did not come back');
  s.assertNothingLeft();
});

test('who is parked can still be fetched after the death of the process', () => {
  const before = stage();
  const [alice, bob] = [before.phone('alice'), before.phone('bob')];
  bob.register();
  const { ok, invite } = established(alice, bob);
  alice.within(ok, 'REFER', { cseq: 2, headers: [['Refer-To', `<sip:611@${DOMAIN}>`]] });
  bob.answer(last(bob.take()), 200, ANSWER);
  const s = reborn(before, [bob.flow]);
  const carol = s.phone('carol');
  carol.request('INVITE', { uri: `sip:611@${DOMAIN}`, to: `<sip:611@${DOMAIN}>`, sdp: OFFER });
  const toBob = s.sentOn(bob.flow).findLast((m) => m.kind === 'request')!;
  assert.equal(toBob.method, 'INVITE');
  assert.equal(toBob.callId, invite.callId);
  const bob2 = s.phone('bob');
  bob2.register();
  bob2.answer(toBob, 200, ANSWER);
  const fetched = last(carol.take());
  assert.equal(fetched.status, 200);
  carol.within(fetched, 'ACK', { cseq: 1 });
  assert.deepEqual(
    s.core.calls.calls().map((c) => [c.from, c.to, c.state]),
    [['carol', '611', 'answered']],
  );
  carol.within(fetched, 'BYE', { cseq: 2 });
  s.assertNothingLeft();
});

test('a relay that lost the call meanwhile ends it in words; limits and session timers go on', () => {
  const before = stage();
  const [alice, bob] = [before.phone('alice'), before.phone('bob')];
  bob.register();
  established(alice, bob, { headers: [['Supported', 'timer']], answers: [['Session-Expires', '200;refresher=uac']] });
  const s = reborn(before, [alice.flow, bob.flow]);
  s.advance(55_000);
  assert.equal(s.core.calls.size, 1);
  s.advance(46_000);
  const refresh = bobSees(s, bob.flow);
  assert.equal(refresh, 'INVITE', 'the session timer counts from the new start');
  const lost = reborn(before, [alice.flow, bob.flow]);
  lost.alive.clear();
  lost.advance(61_000);
  assert.equal(lost.core.calls.size, 0);
  assert.match(lost.ended.join(), /media relay was restarted/);
});

/** The method of the last request that was sent on a flow of the former life. */
function bobSees(s: ReturnType<typeof stage>, flow: Flow): string | undefined {
  return s.sentOn(flow).findLast((m) => m.kind === 'request')?.method;
}
