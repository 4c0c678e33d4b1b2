import assert from 'node:assert/strict';
import { test } from 'node:test';
import { concerns, EventLog, type ServerEvent } from './event-log.ts';

const online = (user: string): ServerEvent => ({ type: 'registration', user, online: true });

test('events come in order, and what was missed is had again by its id', () => {
  const log = new EventLog('n1', 77);
  const seen: string[] = [];
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
  const call: ServerEvent = { type: 'call', id: 'x', from: 'alice', to: 'bob', state: 'ringing' };
  assert.deepEqual(
    ['alice', 'bob', 'carol'].map((user) => concerns(call, user)),
    [true, true, false],
  );
  assert.equal(concerns(online('alice'), 'carol'), true);
});
