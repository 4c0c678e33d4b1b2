import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Text, TextState } from './conversation.ts';
import { canSendAgain, dayWords, roomWords, stateWords, textTimeMs } from './text-words.ts';

const text = (state: TextState, reason?: string): Text => ({
  id: 'a',
  state,
  text: 'x',
  atMs: 5,
  changedAtMs: 5,
  ...(reason ? { reason } : {}),
});

test('how far a text got, for a person', () => {
  const cases: [Text, string, boolean][] = [
    [text('waiting'), 'Sending…', false],
    [text('sending'), 'Sending…', false],
    [text('stored'), 'Kept for Bob: delivered when Bob is back', false],
    [text('delivered'), 'Delivered', false],
    [text('failed', 'nobody has this name'), 'Not delivered: nobody has this name', true],
    [text('failed'), 'Not delivered: it could not be passed on', true],
    [text('unanswered'), 'No answer came: it may have arrived, or not', true],
    [text('expired'), 'Not delivered: Bob did not come back in time', true],
    [text('received'), '', false],
  ];
  for (const [given, words, again] of cases)
    assert.deepEqual([stateWords(given, 'Bob', true), canSendAgain(given)], [words, again]);
  assert.equal(stateWords(text('waiting'), 'Bob', false), 'Goes out when the connection is back');
});

test('the time shown is when it was sent', () => {
  assert.equal(textTimeMs(text('received')), 5);
  assert.equal(textTimeMs({ ...text('received'), sentAtMs: 2 }), 2);
});

test('days as people say them', () => {
  const noon = new Date(2027, 0, 15, 12).getTime();
  const day = 86_400_000;
  assert.equal(dayWords(noon - 11 * 3_600_000, noon), 'Today');
  assert.equal(dayWords(noon - 13 * 3_600_000, noon), 'Yesterday');
  assert.doesNotMatch(dayWords(noon - 3 * day, noon), /day ago|2027/);
  assert.match(dayWords(noon - 400 * day, noon), /2025/);
});

test('room is told when it becomes scarce', () => {
  assert.deepEqual(
    [0, 3_699, 3_700, 4_000, 4_001].map((length) => roomWords(length, 4_000)),
    ['', '', '300 left', '0 left', '1 too many'],
  );
});
