import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type CallCommand, CallMachine } from './call.ts';

const word = (c: CallCommand): string => {
  switch (c.kind) {
    case 'phase':
      return c.phase;
    case 'sound':
      return `sound ${c.sound}`;
    case 'media':
      return `media ${c.flowing}`;
    case 'give-up':
      return `give-up ${c.end.cause}`;
    default:
      return c.kind;
  }
};
const drain = (m: CallMachine): string[] => {
  const seen: string[] = [];
  for (let c = m.poll(); c; c = m.poll()) seen.push(word(c));
  return seen;
};
const active = (): CallMachine => {
  const m = new CallMachine('outgoing');
  m.handle({ kind: 'answered' }, 100);
  m.handle({ kind: 'ice', state: 'connected' }, 200);
  assert.deepEqual(drain(m), ['calling', 'active', 'sound none']);
  assert.equal(m.nextTimeout(), undefined);
  return m;
};

test('an outgoing call rings back, is answered, and ends with a tone', () => {
  const m = new CallMachine('outgoing');
  m.handle({ kind: 'ringing' }, 1);
  m.handle({ kind: 'ringing' }, 2);
  m.handle({ kind: 'answered' }, 1_000);
  m.handle({ kind: 'ice', state: 'connected' }, 1_050);
  m.handle({ kind: 'ended', end: { by: 'remote', cause: 'hangup' } }, 9_000);
  assert.deepEqual(drain(m), ['calling', 'ringing', 'sound ringback', 'active', 'sound none', 'ended', 'sound end']);
  m.handle({ kind: 'ringing' }, 9_001);
  m.handleTimeout(14_000);
  assert.deepEqual(drain(m), ['dismiss']);
  assert.equal(m.nextTimeout(), undefined);
});

test('early media silences our own ringing tone', () => {
  const m = new CallMachine('outgoing');
  m.handle({ kind: 'early-media' }, 1);
  assert.deepEqual(drain(m), ['calling', 'ringing', 'sound none']);
});

test('an incoming call rings and stops ringing when the caller gives up', () => {
  const m = new CallMachine('incoming');
  m.handle({ kind: 'ended', end: { by: 'remote', cause: 'canceled' } }, 5);
  assert.deepEqual(drain(m), ['incoming', 'sound ring', 'ended', 'sound none']);
});

test('a rejected call gives the busy tone', () => {
  const m = new CallMachine('outgoing');
  m.handle({ kind: 'ended', end: { by: 'remote', cause: 'rejected', status: 486 } }, 5);
  assert.deepEqual(drain(m), ['calling', 'ended', 'sound busy']);
});

test('a short interruption heals without an ICE restart, a longer one gets exactly one', () => {
  const m = active();
  m.handle({ kind: 'ice', state: 'disconnected' }, 1_000);
  m.handle({ kind: 'ice', state: 'connected' }, 3_500);
  assert.deepEqual(drain(m), ['media false', 'media true']);
  m.handle({ kind: 'ice', state: 'disconnected' }, 10_000);
  m.handleTimeout(13_000);
  assert.deepEqual(drain(m), ['media false', 'restart-ice']);
  m.handle({ kind: 'ice', state: 'connected' }, 13_200);
  assert.deepEqual(drain(m), ['media true']);
  assert.equal(m.nextTimeout(), undefined);
});

test('without a socket the restart waits for it', () => {
  const m = active();
  m.handle({ kind: 'link', up: false }, 900);
  m.handle({ kind: 'ice', state: 'failed' }, 1_000);
  assert.deepEqual(drain(m), ['media false']);
  m.handle({ kind: 'link', up: true }, 5_000);
  assert.deepEqual(drain(m), ['restart-ice']);
});

test('a lost socket alone never touches the media', () => {
  const m = active();
  m.handle({ kind: 'link', up: false }, 900);
  m.handle({ kind: 'link', up: true }, 1_900);
  assert.deepEqual(drain(m), []);
});

test('after three restarts the call is given up in words', () => {
  const m = active();
  m.handle({ kind: 'ice', state: 'failed' }, 1_000);
  for (const at of [11_000, 21_000, 31_000]) m.handleTimeout(at);
  assert.deepEqual(drain(m), ['media false', 'restart-ice', 'restart-ice', 'restart-ice', 'give-up media-lost']);
});

test('a path that never connects is given up after fifteen seconds', () => {
  const m = new CallMachine('outgoing');
  m.handle({ kind: 'answered' }, 0);
  m.handleTimeout(15_000);
  assert.deepEqual(drain(m), ['calling', 'active', 'sound none', 'give-up media-never']);
});

test('a long silence asks the server whether the call still exists, again and again, until sound arrives', () => {
  const m = active();
  m.handle({ kind: 'sound', arriving: false }, 1_000);
  m.handle({ kind: 'sound', arriving: false }, 2_000);
  m.handleTimeout(21_000);
  m.handle({ kind: 'link', up: false }, 30_000);
  m.handleTimeout(41_000);
  m.handle({ kind: 'link', up: true }, 42_000);
  m.handleTimeout(61_000);
  assert.deepEqual(drain(m), ['ask-server', 'ask-server']);
  m.handle({ kind: 'sound', arriving: true }, 62_000);
  assert.equal(m.nextTimeout(), undefined);
});
