import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { CallFacts } from './decision.ts';
import { asDialled } from './dialled.ts';

const directory = { isUser: (name: string) => name === '1.5' };

function dialled(to: string): string {
  return asDialled({ to } as CallFacts, directory).to;
}

test('rules see numbers as trunks dial them: without separators', () => {
  for (const written of ['+49-900-1', '+49 (900) 1', '+49.900/1', '+499001'])
    assert.equal(dialled(written), '+499001', written);
});

test('names, accounts that look like numbers, and services stay as they are', () => {
  for (const name of ['a-b', '1.5', '**bob', '*8', 'sip:0-1@example.org']) assert.equal(dialled(name), name);
});

test('what else is known of the call stays, also when it goes to the thread of the rules', () => {
  const facts = {
    account: 'bob',
    from: 'bob',
    to: '+49-900-1',
    get headers() {
      return { subject: 'tea' };
    },
  };
  assert.deepEqual(structuredClone(asDialled(facts, directory)), {
    account: 'bob',
    from: 'bob',
    to: '+499001',
    headers: { subject: 'tea' },
  });
});
