import assert from 'node:assert/strict';
import { test } from 'node:test';
import { errorAtEnd } from './log-file.ts';

const CASES: readonly [string, readonly string[], string | undefined][] = [
  ['an empty log', [], undefined],
  ['a log of a good day', ['{"level":"info"}', 'listening'], undefined],
  ['a start that failed', ['x', 'turn could not start: no'], 'turn could not start: no'],
  [
    'a start that failed, and what was logged before it',
    ['turn could not start: no', '{"level":30,"msg":"certificate"}'],
    'turn could not start: no',
  ],
  ['a failed start before a good one', ['turn could not start: no', 'listening'], undefined],
  [
    'an exception that nobody caught',
    ['file:///x.ts:3', 'TypeError: x is not a function', '    at y (file:///x.ts:3:1)', 'Node.js v24.21.0'],
    'TypeError: x is not a function',
  ],
  [
    'the same, and the supervisor’s note of it',
    ['Error: no: x', '    at y', 'Node.js v24.21.0', '--- 2026-11-26T12:00:00.000Z ended unexpectedly (exit code 1)'],
    'Error: no: x',
  ],
  [
    'a failed start before one that was killed later',
    [
      'turn could not start: no',
      '--- 2026-11-26T12:00:00.000Z ready (pid 7)',
      '--- 2026-11-26T12:00:00.000Z ended unexpectedly (ended by SIGKILL)',
    ],
    undefined,
  ],
];

for (const [what, lines, words] of CASES)
  test(`the error at the end of ${what}`, () => assert.equal(errorAtEnd(lines), words));
