import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { beginsAv1Key, beginsVp9Key, fromHex } from '../index.ts';

function begins(words: string, key: typeof beginsVp9Key): boolean {
  const bytes = fromHex(words)!;
  return key(bytes, 0, bytes.length);
}

test('VP9 can be decoded from where the lowest spatial layer of a picture begins that needs no other', () => {
  const cases: [string, boolean][] = [
    ['08', true],
    ['88 05', true],
    ['88 8005', true],
    ['ac 8005 00', true], // Chromium: L, B and E, spatial layer 0
    ['a8 05 00', true],
    ['28 00', true],
    ['a8 8005 02', false], // the next spatial layer of the same picture
    ['a8 05 03', false],
    ['28 02', false],
    ['00', false],
    ['80 05', false],
    ['c8 05', false],
    ['e8 8005 00', false],
    ['28', false],
    ['a8', false],
    ['a8 05', false],
    ['a8 8005', false],
    ['', false],
  ];
  for (const [words, isKey] of cases) assert.equal(begins(words, beginsVp9Key), isKey, words);
});

test('AV1 can be decoded from where a coded video sequence begins', () => {
  const cases: [string, boolean][] = [
    ['18 0a', true],
    ['08', true],
    ['10 32', false],
    ['d0', false],
    ['', false],
  ];
  for (const [words, isKey] of cases) assert.equal(begins(words, beginsAv1Key), isKey, words);
});

test('no bytes throw', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 5 }), (bytes) => {
      assert.equal(typeof beginsVp9Key(bytes, 0, bytes.length), 'boolean');
      assert.equal(typeof beginsAv1Key(bytes, 0, bytes.length), 'boolean');
    }),
  );
});
