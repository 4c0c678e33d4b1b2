import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  parseAddressRange,
  rangeHolds,
  rangeIncludes,
  rangePrefixes,
  rangeSize,
  rangeText,
  rangeWithout,
} from './address-range.ts';

test('a range is the same as its prefixes, and its text reads as itself', () => {
  const v4 = fc
    .tuple(fc.nat(0xffffffff), fc.nat(0xffffffff))
    .map(([a, b]) => `${ip(Math.min(a, b))}-${ip(Math.max(a, b))}`);
  const ip = (n: number) => [24, 16, 8, 0].map((shift) => (n >>> shift) & 255).join('.');
  fc.assert(
    fc.property(v4, (text) => {
      const range = parseAddressRange(text)!;
      assert.deepEqual(parseAddressRange(rangeText(range)), range);
      const parts = rangePrefixes(range);
      assert.equal(
        parts.reduce((sum, part) => sum + rangeSize(part), 0n),
        rangeSize(range),
      );
      assert.deepEqual([parts[0]!.first, parts.at(-1)!.last], [range.first, range.last]);
      for (const part of parts) assert.ok(!rangeText(part).includes('-'), rangeText(part));
    }),
  );
  assert.equal(rangeText(parseAddressRange('0.0.0.0-255.255.255.255')!), '0.0.0.0/0');
  assert.equal(rangeText(parseAddressRange('::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff')!), '::/0');
});

test('what is cut out of a range is not in what is left, and nothing else is missing', () => {
  const range = parseAddressRange('10.0.0.0/24')!;
  const holes = ['10.0.0.0/28', '10.0.0.100', '10.0.0.250-10.0.1.5', '10.0.0.100/30', '::/0'].map(
    (text) => parseAddressRange(text)!,
  );
  assert.deepEqual(rangeWithout(range, holes).map(rangeText), ['10.0.0.16-10.0.0.99', '10.0.0.104-10.0.0.249']);
  assert.deepEqual(rangeWithout(range, [parseAddressRange('0.0.0.0/0')!]), []);
  assert.ok(rangeHolds(range, holes[0]!) && !rangeHolds(range, holes[2]!));
});

test('addresses are inside by their number, also where a range ends inside a word', () => {
  const range = parseAddressRange('2a00::1:ffff-2a00::2:1')!;
  const words = (last: number) => [0x2a000000, 0, 0, last];
  for (const last of [0x1ffff, 0x20000, 0x20001]) assert.ok(rangeIncludes(range, 6, words(last), 0));
  for (const last of [0x1fffe, 0x20002, 0xffffffff]) assert.ok(!rangeIncludes(range, 6, words(last), 0));
  assert.ok(!rangeIncludes(range, 4, words(0x20000), 0));
});
