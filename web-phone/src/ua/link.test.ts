import assert from 'node:assert/strict';
import { test } from 'node:test';
import { backoffMs } from './backoff.ts';
import { type LinkCommand, LinkMachine } from './link.ts';

const drain = (machine: LinkMachine): string[] => {
  const seen: string[] = [];
  for (let c = machine.poll(); c; c = machine.poll()) seen.push(word(c));
  return seen;
};
const word = (c: LinkCommand): string =>
  c.kind === 'state' ? `state ${c.state.kind}` : c.kind === 'ping' ? `ping ${c.method}` : c.kind;

function registered(): LinkMachine {
  const m = new LinkMachine(() => 0.5);
  m.handleStart(0);
  m.handleOpen(10);
  m.handleRegistered(20, 600);
  assert.deepEqual(drain(m), ['connect', 'state connecting', 'register', 'state registering', 'state registered']);
  return m;
}

test('connects, registers, and refreshes at four fifths of the expiry', () => {
  const m = registered();
  for (let at = m.nextTimeout()!; at < 480_020; at = m.nextTimeout()!) {
    m.handleTimeout(at);
    assert.deepEqual(drain(m), ['ping crlf']);
    m.handleReceived(at + 1);
  }
  m.handleTimeout(480_020);
  assert.deepEqual(drain(m), ['register']);
});

test('a lost socket is replaced with growing delays and the state says so', () => {
  const m = registered();
  m.handleClosed(1_000);
  assert.deepEqual(drain(m), ['state reconnecting']);
  assert.equal(m.nextTimeout(), 1_100);
  m.handleTimeout(1_100);
  assert.deepEqual(drain(m), ['connect']);
  m.handleClosed(1_110);
  assert.deepEqual(drain(m), ['probe', 'state reconnecting']);
  assert.equal(m.nextTimeout(), 1_310);
  m.handleTimeout(1_310);
  m.handleOpen(1_320);
  m.handleRegistered(1_330, 600);
  assert.deepEqual(drain(m), ['connect', 'register', 'state registering', 'state registered']);
});

test('a silent socket is noticed: CRLF, then OPTIONS, then it is given up', () => {
  const m = registered();
  m.handleReceived(20);
  m.handleTimeout(20_020);
  m.handleTimeout(25_020);
  m.handleTimeout(30_020);
  assert.deepEqual(drain(m), ['ping crlf', 'ping options', 'disconnect', 'state reconnecting']);
});

test('a server that ignores CRLF is asked by OPTIONS from then on', () => {
  const m = registered();
  m.handleReceived(20);
  m.handleTimeout(20_020);
  m.handleTimeout(25_020);
  m.handleReceived(25_030);
  m.handleTimeout(45_030);
  assert.deepEqual(drain(m), ['ping crlf', 'ping options', 'ping options']);
});

test('a nudge tests an open socket at once and cuts a wait short', () => {
  const m = registered();
  m.handleNudge(500);
  m.handleTimeout(500);
  assert.deepEqual(drain(m), ['ping crlf']);
  m.handleClosed(600);
  m.handleNudge(601);
  assert.deepEqual(drain(m), ['state reconnecting', 'connect']);
});

test('an expired session ends the attempts', () => {
  const m = new LinkMachine(() => 0.5);
  m.handleStart(0);
  m.handleClosed(5);
  m.handleProbe(10, 'expired');
  assert.deepEqual(drain(m), ['connect', 'state connecting', 'probe', 'state reconnecting', 'state expired']);
  assert.equal(m.nextTimeout(), undefined);
});

test('a WebSocket refused while HTTP works is told apart from a server that is gone', () => {
  const m = new LinkMachine(() => 0.5);
  m.handleStart(0);
  m.handleClosed(5);
  m.handleProbe(6, 'ok');
  assert.equal(m.state.kind === 'reconnecting' && m.state.cause, 'refused');
  m.handleTimeout(m.nextTimeout()!);
  m.handleClosed(300);
  assert.equal(m.state.kind === 'reconnecting' && m.state.cause, 'refused');
  m.handleProbe(301, 'unreachable');
  assert.equal(m.state.kind === 'reconnecting' && m.state.cause, 'unreachable');
});

test('a refused registration stops with its status; an overloaded server is asked again after Retry-After', () => {
  const m = registered();
  m.handleRegisterFailed(100, { status: 503, reason: 'Service Unavailable', retryAfterS: 7 });
  assert.equal(m.state.kind === 'reconnecting' && m.state.cause, 'busy');
  m.handleTimeout(7_100);
  assert.deepEqual(drain(m), ['state reconnecting', 'register']);
  m.handleRegisterFailed(7_200, { status: 403, reason: 'Forbidden' });
  assert.deepEqual(drain(m), ['state refused', 'probe']);
});

test('a server that never answers REGISTER is left for a new socket', () => {
  const m = new LinkMachine(() => 0.5);
  m.handleStart(0);
  m.handleOpen(1);
  drain(m);
  m.handleTimeout(8_001);
  assert.deepEqual(drain(m), ['disconnect', 'state reconnecting']);
});

test('stop leaves no timer', () => {
  const m = registered();
  m.handleStop();
  assert.deepEqual(drain(m), ['disconnect', 'state stopped']);
  assert.equal(m.nextTimeout(), undefined);
  m.handleClosed(99);
  assert.deepEqual(drain(m), []);
});

test('backoff: quick in the first fifteen seconds, patient afterwards, jitter within 40 %', () => {
  assert.equal(
    backoffMs(0, 0, () => 0.5),
    100,
  );
  assert.equal(
    backoffMs(3, 0, () => 0.5),
    800,
  );
  assert.equal(
    backoffMs(9, 14_000, () => 0.5),
    1_000,
  );
  assert.equal(
    backoffMs(9, 16_000, () => 0.5),
    20_000,
  );
  assert.equal(
    backoffMs(50, 9e9, () => 0),
    12_000,
  );
  assert.equal(
    backoffMs(50, 9e9, () => 0.999999),
    28_000,
  );
});
