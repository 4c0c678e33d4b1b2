import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { TextOutcome } from '../ua/signaling.ts';
import { Outbox } from './outbox.ts';

const text = (id: string, peer = 'bob') => ({ id, peer, text: `text ${id}` });

const drain = (outbox: Outbox): string[] => {
  const said: string[] = [];
  for (let c = outbox.poll(); c; c = outbox.poll())
    said.push(
      c.kind === 'send' ? `SEND ${c.queued.id}` : `${c.queued.id} ${c.state}${c.reason ? `: ${c.reason}` : ''}`,
    );
  return said;
};

const registered = (): Outbox => {
  const outbox = new Outbox();
  outbox.handleLink(true);
  return outbox;
};

test('one at a time to each person, in the order they were typed', () => {
  const outbox = registered();
  outbox.handleText(text('1'));
  outbox.handleText(text('2'));
  outbox.handleText(text('3', 'carol'));
  assert.deepEqual(drain(outbox), [
    '1 waiting',
    '1 sending',
    'SEND 1',
    '2 waiting',
    '3 waiting',
    '3 sending',
    'SEND 3',
  ]);
  outbox.handleOutcome(text('1'), { kind: 'delivered' });
  assert.deepEqual(drain(outbox), ['1 delivered', '2 sending', 'SEND 2']);
  outbox.handleOutcome(text('2'), { kind: 'stored' });
  outbox.handleOutcome(text('3', 'carol'), { kind: 'delivered' });
  assert.deepEqual(drain(outbox), ['2 stored', '3 delivered']);
  assert.equal(outbox.size, 0);
});

test('what is typed while the connection is down goes out when it is back', () => {
  const outbox = new Outbox();
  outbox.handleText(text('1'));
  outbox.handleText(text('2'));
  assert.deepEqual(drain(outbox), ['1 waiting', '2 waiting']);
  outbox.handleLink(true);
  outbox.handleLink(true);
  assert.deepEqual(drain(outbox), ['1 sending', 'SEND 1']);
});

test('a connection that goes before the answer: the same text first, then the others', () => {
  const outbox = registered();
  outbox.handleText(text('1'));
  outbox.handleText(text('2'));
  drain(outbox);
  outbox.handleLink(false);
  outbox.handleOutcome(text('1'), { kind: 'connection-lost' });
  assert.deepEqual(drain(outbox), ['1 waiting']);
  outbox.handleLink(true);
  assert.deepEqual(drain(outbox), ['1 sending', 'SEND 1']);
  outbox.handleOutcome(text('1'), { kind: 'delivered' });
  assert.deepEqual(drain(outbox), ['1 delivered', '2 sending', 'SEND 2']);
});

test('a text that breaks the connection each time is given up, and does not hold up the next', () => {
  const outbox = registered();
  outbox.handleText(text('1'));
  outbox.handleText(text('2'));
  drain(outbox);
  let sent = 1;
  for (;;) {
    outbox.handleLink(false);
    outbox.handleOutcome(text('1'), { kind: 'connection-lost' });
    outbox.handleLink(true);
    const said = drain(outbox);
    if (said.includes('SEND 1')) sent++;
    else {
      assert.deepEqual(said, ['1 unanswered', '2 sending', 'SEND 2']);
      break;
    }
  }
  assert.equal(sent, 3);
});

test('each outcome in words, and the next text follows', () => {
  const cases: [TextOutcome, string][] = [
    [{ kind: 'unanswered' }, '1 unanswered'],
    [{ kind: 'unanswered', reason: 'bob did not answer' }, '1 unanswered: bob did not answer'],
    [{ kind: 'refused', status: 404 }, '1 failed: nobody has this name or number'],
    [{ kind: 'refused', status: 404, reason: 'no such user' }, '1 failed: no such user'],
    [{ kind: 'refused', status: 499 }, '1 failed: the server answered 499'],
  ];
  for (const [outcome, words] of cases) {
    const outbox = registered();
    outbox.handleText(text('1'));
    outbox.handleText(text('2'));
    drain(outbox);
    outbox.handleOutcome(text('1'), outcome);
    assert.deepEqual(drain(outbox), [words, '2 sending', 'SEND 2']);
  }
});

test('answers that nobody waits for change nothing; the same text is queued once', () => {
  const outbox = registered();
  outbox.handleOutcome(text('1'), { kind: 'delivered' });
  outbox.handleText(text('1'));
  outbox.handleText(text('1'));
  outbox.handleOutcome(text('2'), { kind: 'delivered' });
  assert.deepEqual(drain(outbox), ['1 waiting', '1 sending', 'SEND 1']);
  outbox.handleStop();
  outbox.handleOutcome(text('1'), { kind: 'delivered' });
  assert.deepEqual([drain(outbox), outbox.size], [[], 0]);
});

test('five hundred wait, the next is told so', () => {
  const outbox = new Outbox();
  for (let i = 0; i < 500; i++) outbox.handleText(text(`t${i}`));
  drain(outbox);
  outbox.handleText(text('more'));
  assert.deepEqual(drain(outbox), ['more failed: too many messages wait here already']);
  assert.equal(outbox.size, 500);
});
