import assert from 'node:assert/strict';
import { test } from 'node:test';
import { contains, parseNetwork } from './networks.ts';

const CASES: readonly (readonly [string, string, number, boolean])[] = [
  ['192.0.2.7', '192.0.2.7', 5060, true],
  ['192.0.2.7', '192.0.2.8', 5060, false],
  ['192.0.2.0/24', '192.0.2.255', 1, true],
  ['192.0.2.0/24', '192.0.3.0', 1, false],
  ['192.0.2.128/25', '192.0.2.127', 1, false],
  ['192.0.2.128/25', '192.0.2.128', 1, true],
  ['192.0.2.4/30', '192.0.2.8', 1, false],
  ['0.0.0.0/0', '203.0.113.1', 1, true],
  ['0.0.0.0/0', '2001:db8::1', 1, false],
  ['192.0.2.7', '::ffff:192.0.2.7', 5060, true],
  ['192.0.2.7:5080', '192.0.2.7', 5080, true],
  ['192.0.2.7:5080', '192.0.2.7', 5060, false],
  ['2001:db8::/32', '2001:db8:ffff::1', 1, true],
  ['2001:db8::/32', '2001:db9::', 1, false],
  ['2001:db8::1', '2001:db8:0:0:0:0:0:1', 1, true],
  ['[2001:db8::1]:5061', '2001:db8::1', 5061, true],
  ['[2001:db8::1]:5061', '2001:db8::1', 5060, false],
  ['::/0', '192.0.2.7', 1, false],
  ['192.0.2.7', 'no address', 1, false],
];
for (const [network, address, port, inside] of CASES)
  test(`${address} port ${port} is ${inside ? 'in' : 'not in'} ${network}`, () => {
    assert.equal(contains(parseNetwork(network)!, { address, port }), inside);
  });

for (const text of [
  '',
  'x',
  '192.0.2',
  '192.0.2.7/33',
  '192.0.2.7/24',
  '2001:db8::/129',
  '192.0.2.7:0',
  '192.0.2.7/',
  'host.example',
])
  test(`'${text}' is no network`, () => assert.equal(parseNetwork(text), undefined));
