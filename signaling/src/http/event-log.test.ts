import assert from 'node:assert/strict';
import { test } from 'node:test';
import { EventLog, type ServerEvent, toldTo } from './event-log.ts';

const online = (user: string): ServerEvent => ({ type: 'registration', user, online: true });

test('events come in order, and what was missed is had again by its id', () => {
  const log = new EventLog('n1', 77);
  const seen: (string | undefined)[] = [];
  const stop = log.watch(({ id }) => seen.push(id));
  for (const user of ['a', 'b', 'c']) log.add(online(user), 1000);
  assert.deepEqual(seen, ['n1-77-1', 'n1-77-2', 'n1-77-3']);
  const missed = log.after('n1-77-1');
  assert.deepEqual([missed.complete, missed.events.map((e) => e.id)], [true, ['n1-77-2', 'n1-77-3']]);
  assert.deepEqual(log.after('n1-77-3'), { complete: true, events: [] });
  stop();
  log.add(online('d'), 1000);
  assert.equal(seen.length, 3);
  assert.equal(log.watchers, 0);
});

test('ids of another epoch, node or future, and ids too old, say that something is missing', () => {
  const log = new EventLog('n1', 77);
  for (let i = 0; i < 10_500; i++) log.add(online(`u${i}`), 0);
  for (const id of ['n1-76-3', 'n2-77-3', 'n1-77-99999', 'n1-77-x', '', 'n1-77--1']) {
    const { complete, events } = log.after(id);
    assert.deepEqual([complete, events.length, events[0]?.sequence], [false, 10_000, 501], id);
  }
  assert.equal(log.after('n1-77-499').complete, false);
  assert.deepEqual(log.after('n1-77-500').complete, true);
  assert.equal(log.after('n1-77-10499').events.length, 1);
});

test('calls are told to their parties only', () => {
  const call: ServerEvent = {
    type: 'call',
    id: 'x',
    from: 'alice',
    to: 'desk',
    state: 'ringing',
    users: ['alice', 'bob'],
  };
  const told = { type: 'call', id: 'x', from: 'alice', to: 'desk', state: 'ringing' };
  assert.deepEqual(
    ['alice', 'bob', 'carol'].map((user) => toldTo(call, user)),
    [told, told, undefined],
  );
  const hidden = { ...call, isPrivate: true };
  assert.deepEqual(
    ['alice', 'bob'].map((user) => toldTo(hidden, user)),
    [told, { ...told, from: 'anonymous' }],
    'a private caller’s name is the caller’s alone',
  );
  assert.deepEqual(toldTo(online('alice'), 'carol'), online('alice'));
});

test('how a call sounds is told to its parties only, and not whose phone it is that hides', () => {
  const heard: ServerEvent = {
    type: 'quality',
    id: 'x',
    user: 'alice',
    report: 'interval',
    lossPercent: 1,
    from: 'alice',
    to: 'desk',
    users: ['alice', 'bob'],
    isPrivate: undefined,
  };
  const told = { type: 'quality', id: 'x', user: 'alice', report: 'interval', lossPercent: 1 };
  const to = (event: ServerEvent) => ['alice', 'bob', 'desk', 'carol'].map((user) => toldTo(event, user));
  assert.deepEqual(to(heard), [told, told, told, undefined]);
  const hidden = { ...told, user: 'anonymous' };
  assert.deepEqual(to({ ...heard, isPrivate: true }), [told, hidden, hidden, undefined]);
  const bobs = { ...told, user: 'bob' };
  assert.deepEqual(to({ ...heard, user: 'bob', isPrivate: true }), [bobs, bobs, bobs, undefined]);
});

test('what is only passed on reaches who watches, has no id, and is not there later', () => {
  const log = new EventLog('n1', 77);
  const seen: (string | undefined)[] = [];
  log.watch(({ id }) => seen.push(id));
  log.add(online('a'), 1000);
  log.pass(online('b'), 1000);
  log.add(online('c'), 1000);
  assert.deepEqual(seen, ['n1-77-1', undefined, 'n1-77-2']);
  assert.deepEqual(
    log.after('n1-77-0').events.map(({ id }) => id),
    ['n1-77-1', 'n1-77-2'],
  );
});
