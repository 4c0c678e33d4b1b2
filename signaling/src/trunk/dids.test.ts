import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Dids, didProblem } from './dids.ts';
import { NumberPlan } from './numbers.ts';

const dids = new Dids(
  {
    '+4930111': 'bob',
    '030112': 'carol',
    '+4930200-+4930219': 'sales',
    '+4930215': 'boss',
    '+493030*': '*',
    '+4930*': 'desk',
    '+4931*': '1*',
  },
  new NumberPlan({ country: '49' }),
);

const CASES: readonly (readonly [string, string | undefined])[] = [
  ['+4930111', 'bob'],
  ['+4930112', 'carol'],
  ['+4930199', 'desk'],
  ['+4930200', 'sales'],
  ['+4930219', 'sales'],
  ['+4930220', 'desk'],
  ['+49302190', 'desk'], // longer than the range's numbers
  ['+4930215', 'boss'],
  ['+49303042', '42'],
  ['+493030', 'desk'], // nothing behind the prefix
  ['+493155', '155'],
  ['+493030alice', undefined], // no name out of what a stranger dials
  ['+4930', undefined],
  ['+4940111', undefined],
  ['', undefined],
];
for (const [number, target] of CASES)
  test(`${number || 'no number'} leads to ${target ?? 'nobody'}`, () => assert.equal(dids.find(number), target));

test('a user’s own number is the exact entry that leads there', () => {
  assert.equal(dids.numberOf('bob'), '+4930111');
  assert.equal(dids.numberOf('carol'), '+4930112');
  assert.equal(dids.numberOf('sales'), undefined);
});

test('two keys that mean one number are told', () => {
  const twice = new Dids({ '030111': 'a', '+4930111': 'b' }, new NumberPlan({ country: '49' }));
  assert.deepEqual(twice.doubles, ['+4930111']);
});

const PROBLEMS: readonly (readonly [string, unknown, RegExp | undefined])[] = [
  ['+4930111', 'bob', undefined],
  ['+4930*', '*', undefined],
  ['+49301-+49309', 'bob', undefined],
  ['+4930111', '', /has to lead/],
  ['+4930111', 'a b', /has to lead/],
  ['+4930111', 7, /has to lead/],
  ['+4930111', '1*', /needs a \*/],
  ['bob', 'bob', /is no number/],
  ['*', 'bob', /is no number/],
  ['+49309-+49301', 'bob', /in order/],
  ['+4930-+49301', 'bob', /of one length/],
];
for (const [key, target, words] of PROBLEMS)
  test(`entry ${key}: ${JSON.stringify(target)} is ${words ? 'refused' : 'fine'}`, () => {
    const problem = didProblem(key, target);
    if (words) assert.match(problem ?? '', words);
    else assert.equal(problem, undefined);
  });
