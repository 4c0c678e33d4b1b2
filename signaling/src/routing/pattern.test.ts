import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { compilePattern, fill, placeholders } from './pattern.ts';

const FITS: readonly [unknown, string, Record<string, string> | undefined][] = [
  ['112', '112', {}],
  ['112', '1123', undefined],
  ['112', '0112', undefined],
  ['*8', '*8', {}],
  ['a.c', 'abc', undefined],
  ['00{number}', '0049301', { number: '49301' }],
  ['00{number}', '00', undefined],
  ['00{number}', '00x', undefined],
  ['+49{area:2}{rest}', '+4930123', { area: '30', rest: '123' }],
  ['7{room:2-3}', '71', undefined],
  ['7{room:2-3}', '712', { room: '12' }],
  ['7{room:2-3}', '71234', undefined],
  ['{number:4}', '1234', { number: '1234' }],
  [{ prefix: '0900' }, '0900123', { rest: '123' }],
  [{ prefix: '0900' }, '0900', { rest: '' }],
  [{ prefix: '0900' }, '100900', undefined],
  [/0(\d+)/, '0301', { 1: '301' }],
  [/0(\d+)/, '10301', undefined],
  [/^0(?<number>\d+)$/, '0301', { 1: '301', number: '301' }],
  [/110|112/, '1125', undefined],
  [/110|112/, '110', {}],
  [/BOB/i, 'bob', {}],
  [/(a)?(b)/, 'b', { 1: '', 2: 'b' }],
  [/\d/g, '7', {}],
];

for (const [pattern, number, caught] of FITS) {
  const words = pattern instanceof RegExp ? String(pattern) : JSON.stringify(pattern);
  test(`${words} and ${number}: ${caught ? JSON.stringify(caught) : 'does not fit'}`, () => {
    const compiled = compilePattern(pattern);
    assert.ok(typeof compiled === 'object', String(compiled));
    for (let i = 0; i < 2; i++) {
      const got: Readonly<Record<string, string>> | undefined = compiled.match(number);
      assert.deepEqual(got && { ...got }, caught);
    }
    for (const name of Object.keys(caught ?? {}))
      assert.ok(compiled.names.includes(name), `${name} is told beforehand`);
  });
}

const WRONG: readonly [unknown, RegExp][] = [
  ['', /1 to 256 characters/],
  ['1'.repeat(257), /1 to 256 characters/],
  ['0{}', /'\{\}' has no good name/],
  ['0{a b}', /has no good name/],
  ['0{n}{n}', /\{n\} stands there twice/],
  ['0{n:x}', /counts its digits as \{n:4\} or \{n:3-5\}/],
  ['0{n:5-3}', /counts its digits/],
  ['0{n', /a brace without its other/],
  [{ prefix: '' }, /a prefix has 1 to 256/],
  [{ prefix: '0', more: 1 }, /is no pattern/],
  [7, /^7 is no pattern: a text, a regular expression, or/],
  [null, /null is no pattern/],
];

for (const [pattern, words] of WRONG)
  test(`${JSON.stringify(pattern)?.slice(0, 30)} is refused in words`, () => {
    const compiled = compilePattern(pattern);
    assert.match(String(compiled), words);
  });

test('whatever a text pattern is, it fits itself when it has no braces, and nothing that is longer', () => {
  fc.assert(
    fc.property(
      fc.string({ minLength: 1, maxLength: 30 }).filter((text) => !/[{}]/.test(text)),
      (text) => {
        const compiled = compilePattern(text);
        assert.ok(typeof compiled === 'object');
        assert.ok(compiled.match(text));
        assert.equal(compiled.match(`${text}0`), undefined);
      },
    ),
  );
});

test('what was caught is filled in; what was not stays', () => {
  assert.equal(fill('+49{number}', { number: '30' }), '+4930');
  assert.equal(fill('{a}{b}{toString}', { a: '1' }), '1{b}{toString}');
  assert.deepEqual(placeholders('+{a}-{1}'), ['a', '1']);
});
