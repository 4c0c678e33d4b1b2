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
  assert.equal(outcomeOf({ by: 'remote', cause: 'rejected', status: 486 }, false, 'outgoing'), 'failed');
  assert.equal(outcomeOf({ by: 'remote', cause: 'hangup' }, true, 'outgoing'), 'talked');
  assert.equal(outcomeWords(call), '1 min');
  assert.equal(outcomeWords({ ...call, durationS: 8 }), '8 s');
});

test('the timer reads like a clock', () => {
  assert.deepEqual([0, 7, 760, 3729].map(clock), ['0:00', '0:07', '12:40', '1:02:09']);
});
