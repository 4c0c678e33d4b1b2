import assert from 'node:assert/strict';
import { test } from 'node:test';
import { errorAtEnd } from './data.ts';

const CASES: readonly [string, readonly string[], string | undefined][] = [
  ['an empty log', [], undefined],
  ['a log of a good day', ['{"level":"info"}', 'listening'], undefined],
  ['a start that failed', ['x', 'turn could not start: no'], 'turn could not start: no'],
  ['a failed start before a good one', ['turn could not start: no', 'listening'], undefined],
  [
    'an exception that nobody caught',
    ['file:///x.ts:3', 'TypeError: x is not a function', '    at y (file:///x.ts:3:1)', 'Node.js v24.21.0'],
    'TypeError: x is not a function',
  ],
];

for (const [what, lines, words] of CASES)
  test(`the error at the end of ${what}`, () => assert.equal(errorAtEnd(lines), words));
