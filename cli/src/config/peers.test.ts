import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parsePeerRule } from './peers.ts';

for (const [text, rule] of [
  ['10.1.2.3', { address: '10.1.2.3' }],
  ['10.1.0.0/16', { address: '10.1.0.0/16' }],
  ['10.1.0.0-10.1.0.9', { address: '10.1.0.0-10.1.0.9' }],
  ['10.1.2.3:5000', { address: '10.1.2.3', portMin: 5000, portMax: 5000 }],
  ['10.1.0.0/16:5000-5999', { address: '10.1.0.0/16', portMin: 5000, portMax: 5999 }],
  ['10.1.0.0-10.1.0.9:5000', { address: '10.1.0.0-10.1.0.9', portMin: 5000, portMax: 5000 }],
  ['2001:db8::1', { address: '2001:db8::1' }],
  ['2001:db8::5000', { address: '2001:db8::5000' }],
  ['2001:db8::/32', { address: '2001:db8::/32' }],
  ['[2001:db8::1]', { address: '2001:db8::1' }],
  ['[2001:db8::1]:5000', { address: '2001:db8::1', portMin: 5000, portMax: 5000 }],
  ['[2001:db8::/32]:1-2', { address: '2001:db8::/32', portMin: 1, portMax: 2 }],
  ['2001:db8::1-2001:db8::9', { address: '2001:db8::1-2001:db8::9' }],
  ['::ffff:10.0.0.1', { address: '::ffff:10.0.0.1' }],
] as const) {
  test(`the peer ${text}`, () => assert.deepEqual(parsePeerRule(text), rule));
}

for (const text of [
  '',
  'example.org',
  '10.0.0.1/8',
  '10.0.0.1:',
  '10.0.0.1:x',
  '[10.0.0.1',
  '10.0.0.1:70000',
  '10.0.0.1:9-5',
  '10.0.0.9-10.0.0.1',
  '[::1]5',
  ':5',
]) {
  test(`the peer '${text}' is none`, () =>
    assert.match((parsePeerRule(text) as { problem: string }).problem, /is no peer|ports are/));
}
