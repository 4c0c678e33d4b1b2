import assert from 'node:assert/strict';
import { test } from 'node:test';
import { clock, outcomeOf, outcomeWords, type PastCall, withCall } from './history.ts';

const call: PastCall = {
  atMs: 0,
  direction: 'outgoing',
  name: 'bob',
  uri: 'sip:bob@x',
  outcome: 'talked',
  durationS: 75,
  video: false,
};

test('the newest call comes first and fifty are kept', () => {
  let history: PastCall[] = [];
  for (let i = 0; i < 60; i++) history = withCall(history, { ...call, atMs: i });
  assert.equal(history.length, 50);
  assert.equal(history[0]!.atMs, 59);
});

test('outcomes are told from this side', () => {
  assert.equal(outcomeOf({ by: 'remote', cause: 'canceled' }, false, 'incoming'), 'missed');
  assert.equal(outcomeOf({ by: 'local', cause: 'canceled' }, false, 'outgoing'), 'canceled');
  assert.equal(outcomeOf({ by: 'remote', cause: 'hangup' }, true, 'outgoing'), 'talked');
  assert.equal(outcomeWords(call), '1 min');
  assert.equal(outcomeWords({ ...call, durationS: 8 }), '8 s');
});

test('a call that came to nothing says why', () => {
  const cases: [number, boolean, string][] = [
    [404, false, 'Unknown'],
    [480, false, 'Offline'],
    [480, true, 'No answer'],
    [408, false, 'Offline'],
    [408, true, 'No answer'],
    [486, true, 'Busy'],
    [603, true, 'Declined'],
    [503, false, 'Not reached'],
  ];
  for (const [status, rang, words] of cases) {
    const outcome = outcomeOf({ by: 'remote', cause: 'rejected', status, rang }, false, 'outgoing');
    assert.equal(outcomeWords({ ...call, outcome }), words, `${status} ${rang}`);
  }
});

test('the timer reads like a clock', () => {
  assert.deepEqual([0, 7, 760, 3729].map(clock), ['0:00', '0:07', '12:40', '1:02:09']);
});
