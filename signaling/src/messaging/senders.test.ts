import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createRequest, type SipMessage } from '@offhook/core';
import { nodeCrypto } from '@offhook/core/node';
import { Senders } from './senders.ts';

function kit() {
  const told: string[] = [];
  const senders = new Senders({
    crypto: nodeCrypto,
    secret: new Uint8Array(16),
    transactions: { respond: (id, { status }) => void told.push(`${id} ${status}`) },
  });
  return { senders, told };
}

function request(over: { tag?: string; callId?: string; cseq?: number } = {}): SipMessage {
  const { tag = 'a', callId = 'c', cseq = 1 } = over;
  const from = `<sip:alice@example.test>;tag=${tag}`;
  const to = 'sip:bob@example.test';
  return createRequest({ method: 'MESSAGE', uri: to, from, to: `<${to}>`, callId, cseq }).prepend(
    'via',
    'SIP/2.0/UDP x.invalid;branch=z9hG4bK1',
  );
}

test('a copy of a request has the name of the first; another Call-ID, From tag, CSeq or sender makes another message', () => {
  const { senders } = kit();
  const name = senders.nameOf(request(), 'alice');
  assert.equal(senders.nameOf(request(), 'alice'), name);
  const others = [
    senders.nameOf(request({ callId: 'd' }), 'alice'),
    senders.nameOf(request({ tag: 'b' }), 'alice'),
    senders.nameOf(request({ cseq: 2 }), 'alice'),
    senders.nameOf(request(), 'carol'),
  ];
  assert.equal(new Set([name, ...others]).size, 5);
});

test('every copy that waits is answered, and late ones learn the outcome while it is among the last 5000', () => {
  const { senders, told } = kit();
  const waiting = ['t1', 't2'].map((transaction) => ({ transaction, request: request() }));
  senders.answer(waiting, 202, 0);
  senders.refuse(waiting.slice(1), { status: 480, words: 'not now' }, 0);
  assert.deepEqual(told, ['t1 202', 't2 202', 't2 480']);
  for (let i = 0; i < 5000; i++) senders.remember(`m${i}`, 200);
  assert.equal(senders.outcomeOf('m0'), 200);
  senders.remember('m5000', 404);
  assert.deepEqual(
    [senders.outcomeOf('m0'), senders.outcomeOf('m1'), senders.outcomeOf('m5000')],
    [undefined, 200, 404],
  );
});
