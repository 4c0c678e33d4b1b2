import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  type Conversation,
  emptyConversation,
  merged,
  readUntil,
  sendable,
  TEXT_LIMIT,
  type Text,
  unreadCount,
  withState,
  withText,
} from './conversation.ts';

const text = (id: string, more: Partial<Text> = {}): Text => {
  const atMs = more.atMs ?? 1;
  return { id, state: 'received', text: id, atMs, changedAtMs: atMs, ...more };
};
const of = (...texts: Text[]): Conversation => texts.reduce(withText, emptyConversation('bob'));
const shown = ({ texts }: Conversation) => texts.map(({ id, state }) => `${id} ${state}`);

test('the same message twice is shown once', () => {
  const one = of(text('a'));
  assert.equal(withText(one, text('a', { text: 'copy' })), one);
});

test('two hundred texts are kept, and less of long ones, but always the last', () => {
  const many = of(...Array.from({ length: 230 }, (_, i) => text(`t${i}`)));
  assert.deepEqual([many.texts.length, many.texts[0]!.id, many.texts.at(-1)!.id], [200, 't30', 't229']);
  const long = of(...Array.from({ length: 30 }, (_, i) => text(`t${i}`, { text: 'x'.repeat(4_000) })));
  assert.deepEqual([long.texts.length, long.texts.at(-1)!.id], [15, 't29']);
  assert.equal(of(text('a'), text('b', { text: 'x'.repeat(70_000) })).texts.length, 1);
});

test('what was delivered stays so, and what others wrote has no other state', () => {
  let c = of(text('a', { state: 'sending' }), text('b'));
  c = withState(c, 'a', { state: 'delivered' }, 5);
  assert.equal(withState(c, 'a', { state: 'stored' }, 6), c);
  assert.equal(withState(c, 'b', { state: 'failed' }, 6), c);
  assert.equal(withState(c, 'nobody', { state: 'failed' }, 6), c);
  assert.deepEqual(shown(c), ['a delivered', 'b received']);
});

test('the reason of a failure goes with it', () => {
  const failed = withState(of(text('a', { state: 'sending' })), 'a', { state: 'failed', reason: 'no' }, 2);
  assert.equal(failed.texts[0]!.reason, 'no');
  assert.equal(withState(failed, 'a', { state: 'sending' }, 3).texts[0]!.reason, undefined);
});

test('unread is what came after the last look, not what was sent', () => {
  const c = of(text('a', { atMs: 1 }), text('b', { atMs: 2, state: 'delivered' }), text('c', { atMs: 3 }));
  assert.equal(unreadCount(c), 2);
  assert.equal(unreadCount(readUntil(c, 1)), 1);
  assert.equal(unreadCount(readUntil(c, 3)), 0);
  const read = readUntil(c, 3);
  assert.equal(readUntil(read, 9), read);
});

test('two tabs agree: every text once, the news that came last, the later look', () => {
  const a = { ...of(text('1', { atMs: 1, state: 'sending' }), text('3', { atMs: 3 })), readAtMs: 3 };
  const b = { ...of(text('1', { atMs: 1, state: 'delivered', changedAtMs: 9 }), text('2', { atMs: 2 })), readAtMs: 1 };
  for (const both of [merged(a, b), merged(b, a)]) {
    assert.deepEqual(shown(both), ['1 delivered', '2 received', '3 received']);
    assert.equal(both.readAtMs, 3);
  }
});

test('empty is not sent, nor more than the limit; line ends are one kind', () => {
  assert.equal(sendable(' \r\n\t'), undefined);
  assert.equal(sendable('x'.repeat(TEXT_LIMIT + 1)), undefined);
  assert.equal(sendable(` ${'x'.repeat(TEXT_LIMIT)}\n`)?.length, TEXT_LIMIT);
  assert.equal(sendable(' a\r\nb\rc '), 'a\nb\nc');
});
