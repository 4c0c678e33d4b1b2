import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { SipMessage } from '@offhook/core';
import { SessionFigures, sessionMetrics } from './session-figures.ts';
import { ANSWER, established, last, OFFER, type Stage, stage } from './test-kit.ts';

/** Figures that are not 0, without buckets and ratios; times in milliseconds. */
function figures(s: Stage, side: 'caller' | 'callee'): Record<string, number> {
  const all = Object.entries(sessionMetrics(s.core.calls.counters[side], side));
  return Object.fromEntries(
    all.flatMap(([key, value]) => {
      if (value === 0 || /_bucket|_ratio/.test(key)) return [];
      const short = key.replace('sip_session_', '').replace(`side="${side}",`, '').replace(`{side="${side}"}`, '');
      return [[short, short.includes('seconds_sum') ? Math.round(value * 1000) : value]];
    }),
  );
}

test('an answered call: delays up to the first 18x, durations up to the BYE, the delay of our own BYE', () => {
  const s = stage();
  const [alice, bob] = [s.phone('alice'), s.phone('bob')];
  bob.register();
  alice.request('INVITE', { sdp: OFFER });
  const [invite] = bob.take() as [SipMessage];
  s.advance(120);
  bob.answer(invite, 180);
  s.advance(3000);
  bob.answer(invite, 200, ANSWER);
  const ok = last(alice.take());
  alice.within(ok, 'ACK', { cseq: 1 });
  bob.take();
  s.advance(60_000);
  alice.within(ok, 'BYE', { cseq: 2 });
  const [bye] = bob.take() as [SipMessage];
  s.advance(40);
  bob.answer(bye, 200);
  assert.deepEqual(figures(s, 'caller'), {
    'requests_total{outcome="established"}': 1,
    'request_delay_seconds_sum{result="success"}': 120,
    'request_delay_seconds_count{result="success"}': 1,
    'duration_seconds_sum{result="completed"}': 60_000,
    'duration_seconds_count{result="completed"}': 1,
  });
  assert.deepEqual(figures(s, 'callee'), {
    'requests_total{outcome="established"}': 1,
    'request_delay_seconds_sum{result="success"}': 120,
    'request_delay_seconds_count{result="success"}': 1,
    'disconnect_delay_seconds_sum{result="success"}': 40,
    'disconnect_delay_seconds_count{result="success"}': 1,
    'duration_seconds_sum{result="completed"}': 60_000,
    'duration_seconds_count{result="completed"}': 1,
  });
  for (const side of ['caller', 'callee'] as const)
    assert.deepEqual(s.core.calls.counters[side].ratios(), { ser: 1, seer: 1, isa: 0, scr: 1 });
  s.assertNothingLeft();
});

test('a BYE that nobody answers: the session was not completed, and lasted until that was given up', () => {
  const s = stage();
  const [alice, bob] = [s.phone('alice'), s.phone('bob')];
  bob.register();
  const { ok } = established(alice, bob);
  s.advance(5000);
  alice.within(ok, 'BYE', { cseq: 2 });
  s.assertNothingLeft();
  const { callee } = s.core.calls.counters;
  assert.deepEqual(figures(s, 'callee'), {
    'requests_total{outcome="established"}': 1,
    'request_delay_seconds_count{result="success"}': 1,
    'disconnect_delay_seconds_sum{result="failure"}': 32_000,
    'disconnect_delay_seconds_count{result="failure"}': 1,
    'duration_seconds_sum{result="failed"}': 37_000,
    'duration_seconds_count{result="failed"}': 1,
  });
  assert.equal(callee.ratios().scr, 0);
});

test('both hang up at once: one session each, completed once', () => {
  const s = stage();
  const [alice, bob] = [s.phone('alice'), s.phone('bob')];
  bob.register();
  const { invite, ok } = established(alice, bob);
  alice.within(ok, 'BYE', { cseq: 2 });
  const [bye] = bob.take() as [SipMessage];
  bob.within(invite, 'BYE', { cseq: 1 });
  bob.answer(bye, 481);
  s.assertNothingLeft();
  for (const side of ['caller', 'callee'] as const) {
    const { duration } = s.core.calls.counters[side];
    assert.deepEqual([duration.completed.count, duration.failed.count], [1, 0], side);
  }
});

test('a refused call: busy is effective, 500 ineffective, nobody of that name a failure; delays apart', () => {
  const s = stage();
  const [alice, bob] = [s.phone('alice'), s.phone('bob')];
  bob.register();
  for (const [i, status] of [486, 500, 404].entries()) {
    alice.request('INVITE', { sdp: OFFER, branch: `b${i}`, callId: `c${i}` });
    const invite = bob.take().find(({ method }) => method === 'INVITE')!;
    s.advance(10);
    bob.answer(invite, status);
    s.advance(1000);
  }
  alice.request('INVITE', { uri: 'sip:nobody@example.test', sdp: OFFER, branch: 'n', callId: 'n' });
  assert.deepEqual(figures(s, 'callee'), {
    'requests_total{outcome="effective"}': 1,
    'requests_total{outcome="ineffective"}': 1,
    'requests_total{outcome="failed"}': 1,
    'request_delay_seconds_sum{result="failure"}': 30,
    'request_delay_seconds_count{result="failure"}': 3,
  });
  assert.deepEqual(figures(s, 'caller'), {
    'requests_total{outcome="effective"}': 1,
    'requests_total{outcome="ineffective"}': 1,
    'requests_total{outcome="failed"}': 2,
    'request_delay_seconds_sum{result="failure"}': 30,
    'request_delay_seconds_count{result="failure"}': 4,
  });
  assert.deepEqual(s.core.calls.counters.caller.ratios(), { ser: 0, seer: 0.25, isa: 0.25, scr: 0 });
  s.assertNothingLeft();
});

test('phones that stop because another one was quicker are no failures; those of a caller who gave up are', () => {
  const s = stage();
  const [alice, quick, slow] = [s.phone('alice'), s.phone('bob'), s.phone('bob')];
  quick.register();
  slow.register();
  const requests = () => s.core.calls.counters.callee.requests;
  const ring = (name: string) => {
    alice.request('INVITE', { sdp: OFFER, branch: name, callId: name });
    const invites = [quick, slow].map((phone) => phone.take().find((m) => m.method === 'INVITE')!);
    for (const [i, phone] of [quick, slow].entries()) phone.answer(invites[i]!, 180);
    return invites as [SipMessage, SipMessage];
  };
  const first = ring('one');
  quick.answer(first[0], 200, ANSWER);
  slow.answer(first[1], 487);
  assert.deepEqual({ ...requests() }, { established: 1, redirected: 0, effective: 0, ineffective: 0, failed: 0 });
  const second = ring('two');
  alice.request('CANCEL', { branch: 'two', callId: 'two' });
  quick.answer(second[0], 487);
  slow.answer(second[1], 487);
  assert.equal(requests().failed, 2);
  assert.equal(s.core.calls.counters.caller.requests.failed, 1);
  s.advance(100_000);
});

test('a phone whose connection never comes back has not completed its session', () => {
  const s = stage();
  const [alice, bob] = [s.phone('alice'), s.phone('bob')];
  bob.register();
  const { ok } = established(alice, bob);
  s.core.handleFlowClosed(bob.flow, s.clock.now);
  s.settle();
  alice.within(ok, 'BYE', { cseq: 2 });
  s.advance(100_000);
  const { duration } = s.core.calls.counters.callee;
  assert.deepEqual([duration.completed.count, duration.failed.count], [0, 1]);
});

test('nothing is divided by nothing; redirections are no attempts of SER, but of ISA and SCR', () => {
  const of = new SessionFigures();
  assert.deepEqual(of.ratios(), {});
  of.refused(302, 5);
  assert.deepEqual(of.ratios(), { isa: 0, scr: 0 });
  of.established(5);
  of.refused(503, 5);
  of.ended('completed', 1000);
  assert.deepEqual(of.ratios(), { ser: 0.5, seer: 0.5, isa: 1 / 3, scr: 1 / 3 });
});
