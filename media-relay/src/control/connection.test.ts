import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decodeNg, encodeNg } from '@offhook/core';
import type { ControlContext } from './commands.ts';
import { NgConnection, type Wire } from './connection.ts';
import { NgDispatcher } from './dispatcher.ts';
import { EventHub, MAX_QUEUED, MEDIA_EVENT_KINDS } from './event-hub.ts';

const ALL = { kinds: new Set(MEDIA_EVENT_KINDS), callIds: undefined, digits: false };

/** A connection on a wire and a clock that the test moves. */
function bench() {
  const wire = {
    written: [] as Uint8Array[],
    unwritten: 0,
    isPaused: false,
    isCut: false,
    write: (bytes: Uint8Array) => wire.written.push(bytes),
    pause: () => {
      wire.isPaused = true;
    },
    resume: () => {
      wire.isPaused = false;
    },
    cut: () => {
      wire.isCut = true;
    },
    isEnded: false,
    end: () => {
      wire.isEnded = true;
    },
  };
  const clock = { nowMs: 0 };
  const hub = new EventHub();
  const counters = { requests: 0, repeated: 0, malformed: 0, errors: 0, overload: 0, idleConnections: 0 };
  const context = {
    hub,
    counters,
    monotonicMs: () => clock.nowMs,
    rearm: () => {},
  } as unknown as ControlContext;
  const parts = { context, dispatcher: new NgDispatcher(context) };
  return { wire, clock, hub, counters, connection: new NgConnection('t', wire satisfies Wire, parts) };
}

test('what is idle, or never finishes a message, is cut off; a subscriber may be silent', () => {
  const idle = bench();
  idle.connection.sweep(600_000);
  assert.equal(idle.wire.isCut, false);
  idle.connection.sweep(600_001);
  assert.deepEqual([idle.wire.isCut, idle.counters.idleConnections], [true, 1]);

  const stuck = bench();
  stuck.connection.notePartial(true);
  stuck.clock.nowMs = 9_000;
  stuck.connection.notePartial(true); // one more byte is no news
  stuck.connection.sweep(10_001);
  assert.equal(stuck.wire.isCut, true);

  const whole = bench();
  whole.connection.notePartial(true);
  whole.connection.notePartial(false);
  whole.connection.sweep(20_000);
  assert.equal(whole.wire.isCut, false);

  const busy = bench();
  for (let second = 0; second < 20; second++) {
    busy.clock.nowMs = 1000 * second;
    busy.connection.handle(new TextEncoder().encode(`${second} d7:command4:pinge`));
    busy.connection.notePartial(true); // the next one is always on its way already
    busy.connection.sweep(1000 * second);
  }
  assert.equal(busy.wire.isCut, false);

  const subscriber = bench();
  subscriber.connection.subscribe(ALL, { cookie: 'e', encoding: 'json' });
  subscriber.connection.sweep(10 * 600_000);
  assert.equal(subscriber.wire.isCut, false);
});

test('who does not read what was answered is cut off half a second after the farewell', (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const { wire, connection } = bench();
  connection.bidFarewell();
  t.mock.timers.tick(499);
  assert.deepEqual([wire.isEnded, wire.isCut], [true, false]);
  t.mock.timers.tick(1);
  assert.equal(wire.isCut, true);
});

test('a client that does not read gets no more events written, loses the oldest, and goes on where it reads again', () => {
  const { wire, hub, connection } = bench();
  connection.subscribe(ALL, { cookie: 'e', encoding: 'bencode' });
  const publish = (n: number) => {
    for (let i = 0; i < n; i++) hub.publish({ kind: 'ended', callId: `c${i}`, reason: 'deleted' });
  };
  publish(2);
  assert.equal(wire.written.length, 2);
  wire.unwritten = 1024 * 1024;
  publish(MAX_QUEUED + 5);
  assert.equal(wire.written.length, 2);
  wire.unwritten = 0;
  connection.drained();
  assert.equal(wire.written.length, 2 + MAX_QUEUED);
  const { cookie, message } = decodeNg(wire.written[2]!)!;
  assert.deepEqual([cookie, message['call-id'], message.lost], ['e', 'c5', 5]);
  connection.closed();
  publish(1);
  assert.deepEqual([wire.written.length, hub.size], [2 + MAX_QUEUED, 0]);
});

test('reading stops while much is unwritten or being worked on, and goes on after', async () => {
  const { wire, connection } = bench();
  let ready = 0;
  connection.onReady = () => ready++;
  for (let i = 0; i < 64; i++) connection.handle(encodeNg(`c${i}`, { command: 'ping' }, 'json'));
  assert.deepEqual([wire.isPaused, connection.isBusy], [true, true]);
  while (wire.written.length < 64) await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual([wire.isPaused, connection.isBusy, ready], [false, false, 1]);
  wire.unwritten = 300 * 1024;
  connection.handle(encodeNg('more', { command: 'ping' }, 'json'));
  assert.equal(wire.isPaused, true);
  wire.unwritten = 5 * 1024 * 1024;
  while (!wire.isCut) await new Promise((resolve) => setImmediate(resolve));
});
