import assert from 'node:assert/strict';
import { EventEmitter } from 'node:events';
import { test } from 'node:test';
import { counted } from './counted.mjs';

/** The counts of a run with these events. */
function of(...events) {
  const running = new EventEmitter();
  const counts = counted(running);
  for (const [type, data] of events) running.emit(`test:${type}`, data);
  running.emit('close');
  return counts;
}

const whole = ['summary', { success: true }];

test('tests are counted, suites and who only failed by a subtest are not', async () => {
  const failed = { details: { error: { failureType: 'testCodeFailure' } } };
  const counts = await of(
    ['pass', { name: 'one' }],
    ['pass', { name: 'suite', details: { type: 'suite' } }],
    ['fail', { name: 'two', ...failed }],
    ['fail', { name: 'around two', details: { error: { failureType: 'subtestsFailed' } } }],
    ['fail', { name: 'to be done', todo: true, ...failed }],
    ['pass', { name: 'three', skip: true }],
    ['pass', { name: 'four', skip: 'no browser' }],
    ['summary', { file: 'one.test.ts', success: false }],
    ['summary', { success: false }],
  );
  assert.deepEqual(counts, { passed: 2, failed: 1, skips: ['three', 'four — no browser'] });
});

test('a run that ends without its summary, or says that it failed without a failed test, is a failure', async () => {
  const pass = ['pass', { name: 'one' }];
  assert.equal((await of(pass, whole)).failed, 0);
  assert.equal((await of(pass)).failed, 1);
  assert.equal((await of(pass, ['summary', { file: 'one.test.ts', success: true }])).failed, 1);
  assert.equal((await of(pass, ['summary', { success: false }])).failed, 1);
});
