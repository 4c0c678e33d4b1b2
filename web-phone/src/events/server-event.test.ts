import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readServerEvent } from './server-event.ts';

const read = (name: string, told: unknown) => readServerEvent(name, JSON.stringify(told));

test('what the page has a use for is read, the rest is nothing', () => {
  const message = { at: 1, id: 'm', from: 'alice', to: 'bob', state: 'delivered' };
  assert.deepEqual(read('message', { ...message, callId: 'c' }), { kind: 'message', state: 'delivered', callId: 'c' });
  assert.deepEqual(read('message', { state: 'failed', callId: 'c', reason: 'no user bob' }), {
    kind: 'message',
    state: 'failed',
    callId: 'c',
    reason: 'no user bob',
  });
  assert.deepEqual(read('message', message), { kind: 'message', state: 'delivered' });
  assert.deepEqual(read('presence', { user: 'bob', status: 'away', note: 'lunch' }), {
    kind: 'presence',
    user: 'bob',
    status: 'away',
    note: 'lunch',
  });
  assert.deepEqual(read('registration', { user: 'bob', online: true }), { kind: 'registration' });
  assert.deepEqual(read('incomplete', {}), { kind: 'incomplete' });
  for (const [name, told] of [
    ['message', { state: 'odd' }],
    ['presence', { user: 'bob', status: 'asleep' }],
    ['presence', { status: 'busy' }],
    ['presence', null],
    ['call', {}],
    ['quality', { id: 'x', user: 'bob', report: 'interval', lossPercent: 1 }],
  ] as const)
    assert.equal(read(name, told), undefined);
  assert.equal(readServerEvent('message', '{'), undefined);
});
