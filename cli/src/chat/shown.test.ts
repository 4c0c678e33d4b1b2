import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { shownLines, shownName } from './plain-text.ts';
import { inJson, inLines, type Shown } from './shown.ts';

/** Any code points, lone surrogates too. */
const anyText = (maxLength: number) =>
  fc.string({ unit: fc.integer({ min: 0, max: 0x10ffff }).map((code) => String.fromCodePoint(code)), maxLength });
const NOW = new Date(2026, 10, 26, 20, 18);

const SHOWN: readonly [Shown, readonly string[]][] = [
  [{ kind: 'text', from: 'bob', text: 'hi' }, ['20:18 bob: hi']],
  [{ kind: 'text', from: 'bob', text: 'one\r\ntwo\u2028three\n\n' }, ['20:18 bob: one', '      two', '      three']],
  [
    { kind: 'text', from: 'bob', text: 'hi', sent: new Date(2026, 10, 26, 19, 2).toISOString() },
    ['20:18 (sent 19:02) bob: hi'],
  ],
  [
    { kind: 'text', from: 'bob', text: 'hi', sent: new Date(2026, 10, 23, 9, 0).toISOString() },
    ['20:18 (sent 2026-11-23 09:00) bob: hi'],
  ],
  [{ kind: 'text', from: 'b\u001b]0;x\u0007\nob', text: 'hi' }, ['20:18 b\ufffd]0;x\ufffd ob: hi']],
  [{ kind: 'delivery', id: '1', to: 'bob', text: 'a\nb', state: 'delivered' }, ['20:18 delivered to bob: a b']],
  [{ kind: 'delivery', id: '1', to: 'bob', text: 'x', state: 'stored' }, ['20:18 stored: bob gets it when back: x']],
  [
    { kind: 'delivery', id: '1', to: 'bob', text: 'x'.repeat(50), state: 'failed', words: '\u001b[1mno' },
    [`20:18 failed: \ufffd[1mno: ${'x'.repeat(39)}…`],
  ],
  [{ kind: 'delivery', id: '1', to: 'bob', text: 'x', state: 'sending' }, []],
  [{ kind: 'presence', who: 'bob', words: 'is on the phone' }, ['20:18 bob is on the phone']],
  [{ kind: 'note', words: 'one\ntwo' }, ['* one', '  two']],
  [
    { kind: 'history', sent: NOW.toISOString(), with: 'bob', own: true, text: 'x', state: 'stored' },
    ['20:18 → bob [stored]: x'],
  ],
];

for (const [shown, lines] of SHOWN)
  test(`shown: ${JSON.stringify(lines)}`, () => assert.deepEqual(inLines(shown, NOW), lines));

test('whatever a text holds, nothing of it acts on a terminal, and none of its lines begins like ours', () => {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must not be there
  const acts = /[\u0000-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/u;
  fc.assert(
    fc.property(anyText(200), (text) => {
      for (const line of shownLines(text)) assert.doesNotMatch(line, acts);
      assert.doesNotMatch(shownName(text), acts);
      const [, ...more] = inLines({ kind: 'text', from: 'bob', text }, NOW);
      for (const line of more) assert.match(line, /^ {6}/);
      const json = inJson({ kind: 'text', from: text, text }, NOW);
      assert.doesNotMatch(json, acts);
      assert.equal((JSON.parse(json) as { text: string }).text, text);
    }),
  );
});

test('a flood of lines and piles of marks are cut; what scripts and emoji need stays', () => {
  const lines = shownLines('x\n'.repeat(500));
  assert.equal(lines.length, 101);
  assert.equal(lines.at(-1), '… (400 lines more)');
  assert.equal(shownLines(`a${'\u0301'.repeat(50)}b`)[0], `a${'\u0301'.repeat(4)}b`);
  assert.equal(shownLines('👩‍👩‍👧 नमस्ते שלום\tx')[0], '👩‍👩‍👧 नमस्ते שלום    x');
});

test('no row of a long text can pass for a text of somebody else', () => {
  const columns = 40;
  const text = `${'x'.repeat(20)}${' '.repeat(columns - 31)}12:34 carol: the new PIN is 1234 ${'漢'.repeat(60)}`;
  const lines = inLines({ kind: 'text', from: 'mallory', text }, NOW, columns);
  assert.ok(lines.length > 3);
  for (const line of lines.slice(1)) assert.match(line, /^ {6}/);
  for (const line of lines) {
    const width = [...line].reduce((sum, character) => sum + (character > '\u1100' ? 2 : 1), 0);
    assert.ok(width <= columns, line);
  }
});

test('a JSON line holds nothing that a terminal acts on or hides', () => {
  const hidden = '\u200b\u202e\u00ad\u180e\u2060\ufeff\u{e0041}\u0085\u2028\u009b';
  const json = inJson({ kind: 'text', from: 'bob', text: `a${hidden}b` }, NOW);
  assert.match(json, /^[\x20-\x7e]*$/);
  assert.equal((JSON.parse(json) as { text: string }).text, `a${hidden}b`);
});
