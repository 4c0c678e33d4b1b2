import assert from 'node:assert/strict';
import { test } from 'node:test';
import { EventLines } from './event-lines.ts';

const STREAM =
  ': watching\n\nid: n-1-1\nevent: presence\ndata: {"user":"bob"}\n\n: alive\n\nevent: two\r\ndata: a\r\ndata:b\r\n\r\nid: n-1-2\rdata\r\rdata: unfinished';
const EVENTS = [
  { name: 'presence', data: '{"user":"bob"}', id: 'n-1-1' },
  { name: 'two', data: 'a\nb', id: 'n-1-1' },
  { name: 'message', data: '', id: 'n-1-2' },
];

test('events come whole, wherever the stream is cut', () => {
  for (const size of [1, 2, 3, 7, STREAM.length]) {
    const lines = new EventLines();
    const events = [];
    for (let at = 0; at < STREAM.length; at += size) events.push(...lines.handleText(STREAM.slice(at, at + size))!);
    assert.deepEqual(events, EVENTS, `pieces of ${size}`);
  }
});

test('an event that never ends is too much', () => {
  const one = new EventLines();
  assert.equal(one.handleText(`data: ${'x'.repeat(300_000)}`), undefined);
  const many = new EventLines();
  let told: unknown = [];
  for (let i = 0; i < 300_000 && told; i++) told = many.handleText('data: x\n');
  assert.equal(told, undefined);
});
