import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RenegotiationMachine } from './renegotiation.ts';

const offers = (m: RenegotiationMachine): boolean[] => {
  const seen: boolean[] = [];
  for (let c = m.poll(); c; c = m.poll()) seen.push(c.wish.iceRestart);
  return seen;
};

test('one offer at a time; wishes meanwhile are joined', () => {
  const m = new RenegotiationMachine({ ownsCallId: true, random: () => 0 });
  m.handleWish({ iceRestart: false });
  m.handleWish({ iceRestart: true });
  m.handleWish({ iceRestart: false });
  assert.deepEqual(offers(m), [false]);
  m.handleOutcome('accepted', m.generation, 0);
  assert.deepEqual(offers(m), [true]);
  m.handleOutcome('accepted', m.generation, 0);
  assert.deepEqual(offers(m), []);
});

test('an ICE restart is asked for once: the next offer is plain again', () => {
  const m = new RenegotiationMachine({ ownsCallId: true, random: () => 0 });
  m.handleWish({ iceRestart: true });
  m.handleOutcome('rejected', m.generation, 0);
  m.handleWish({ iceRestart: false });
  assert.deepEqual(offers(m), [true, false]);
});

test('after glare the Call-ID owner waits 2.1 to 4 s, the other side at most 2 s (RFC 3261 14.1)', () => {
  for (const [ownsCallId, at] of [
    [true, 3_050],
    [false, 1_000],
  ] as const) {
    const m = new RenegotiationMachine({ ownsCallId, random: () => 0.5 });
    m.handleWish({ iceRestart: true });
    assert.deepEqual(offers(m), [true]);
    m.handleOutcome('glare', m.generation, 0);
    assert.deepEqual(offers(m), []);
    assert.equal(m.nextTimeout(), at);
    m.handleTimeout(at);
    assert.deepEqual(offers(m), [true]);
  }
});

test('an outcome from before the socket was replaced is ignored', () => {
  const m = new RenegotiationMachine({ ownsCallId: true, random: () => 0 });
  m.handleWish({ iceRestart: false });
  const old = m.generation;
  m.handleReset();
  m.handleWish({ iceRestart: true });
  assert.deepEqual(offers(m), [false, true]);
  m.handleOutcome('rejected', old, 0);
  m.handleWish({ iceRestart: false });
  assert.deepEqual(offers(m), []);
});
