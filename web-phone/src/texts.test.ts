import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { fakeStorage } from './testing/fake-storage.ts';
import type { QueuedText } from './text/outbox.ts';
import { Texts } from './texts.ts';
import type { IncomingText, TextOutcome } from './ua/signaling.ts';

class Bench {
  readonly storage: Storage;
  readonly sent: QueuedText[] = [];
  readonly notified: string[] = [];
  readonly texts: Texts;
  isWatched = true;
  nowMs = 1_000_000;
  #answers: ((outcome: TextOutcome) => void)[] = [];
  static #ids = 0;

  constructor(storage = fakeStorage()) {
    this.storage = storage;
    this.texts = new Texts({
      storage,
      now: () => this.nowMs,
      newId: () => `id-${++Bench.#ids}`,
      send: (queued) => {
        this.sent.push(queued);
        return new Promise((resolve) => this.#answers.push(resolve));
      },
      isWatched: () => this.isWatched,
      notify: ({ peer, text }) => this.notified.push(`${peer}: ${text}`),
    });
    this.texts.enter('alice@offhook.local');
  }

  /** The oldest text that waits for its answer gets this one. */
  async answer(outcome: TextOutcome): Promise<void> {
    this.#answers.shift()!(outcome);
    await setImmediate();
  }

  come(id: string, text = id, more: Partial<IncomingText> = {}): void {
    this.nowMs += 10;
    const from = { user: 'bob', uri: 'sip:bob@offhook.local', displayName: 'Bob Okafor' };
    this.texts.receive({ id, from, text, sentAtMs: undefined, ...more });
  }

  get with(): string[] {
    const texts = this.texts.conversations.value.get('bob')?.texts ?? [];
    return texts.map(({ text, state, reason }) => `${text} ${state}${reason ? `: ${reason}` : ''}`);
  }
}

test('sent, delivered; and kept by the server until the news come', async () => {
  const bench = new Bench();
  bench.texts.handleLink(true);
  assert.equal(bench.texts.send('bob', ' hello '), true);
  assert.deepEqual(bench.with, ['hello sending']);
  await bench.answer({ kind: 'delivered' });
  bench.texts.send('bob', 'are you there?');
  await bench.answer({ kind: 'stored' });
  assert.deepEqual(bench.with, ['hello delivered', 'are you there? stored']);
  const callId = bench.sent[1]!.id;
  bench.texts.handleNews({ kind: 'message', state: 'delivered' }, 'n-1-1');
  assert.deepEqual([bench.with[1], bench.texts.newsAfter], ['are you there? stored', undefined]);
  bench.texts.handleNews({ kind: 'message', state: 'stored', callId }, 'n-1-2');
  assert.equal(bench.texts.newsAfter, 'n-1-2');
  bench.texts.handleNews({ kind: 'message', state: 'delivered', callId }, 'n-1-3');
  assert.deepEqual([bench.with[1], bench.texts.newsAfter], ['are you there? delivered', undefined]);
});

test('news that come before the answer are not undone by it; those of a text on its way wait for it', async () => {
  const bench = new Bench();
  bench.texts.handleLink(true);
  bench.texts.send('bob', 'one');
  const callId = bench.sent[0]!.id;
  bench.texts.handleNews({ kind: 'message', state: 'failed', callId }, 'n');
  assert.deepEqual(bench.with, ['one sending']);
  bench.texts.handleNews({ kind: 'message', state: 'delivered', callId }, 'n');
  await bench.answer({ kind: 'stored' });
  assert.deepEqual(bench.with, ['one delivered']);
});

test('what the server kept and gave up fails in its words', async () => {
  const bench = new Bench();
  bench.texts.handleLink(true);
  bench.texts.send('bob', 'one');
  await bench.answer({ kind: 'stored' });
  const callId = bench.sent[0]!.id;
  bench.texts.handleNews({ kind: 'message', state: 'failed', callId, reason: "there is no user 'bob'" }, 'n');
  assert.deepEqual(bench.with, ["one failed: there is no user 'bob'"]);
});

test('empty and too long is not sent, nor anything when nobody is signed in', () => {
  const bench = new Bench();
  assert.equal(bench.texts.send('bob', ' \n '), false);
  assert.equal(bench.texts.send('bob', 'x'.repeat(4_001)), false);
  bench.texts.leave();
  assert.equal(bench.texts.send('bob', 'hello'), false);
  assert.deepEqual(bench.with, []);
});

test('typed without a connection, kept through a reload, sent in order when it is back', async () => {
  const bench = new Bench();
  bench.texts.send('bob', 'one');
  bench.texts.send('bob', 'two');
  const reloaded = new Bench(bench.storage);
  assert.deepEqual(reloaded.with, ['one waiting', 'two waiting']);
  reloaded.texts.handleLink(true);
  await reloaded.answer({ kind: 'delivered' });
  await reloaded.answer({ kind: 'delivered' });
  assert.deepEqual(
    reloaded.sent.map(({ text }) => text),
    ['one', 'two'],
  );
  assert.deepEqual(reloaded.with, ['one delivered', 'two delivered']);
});

test('a text on its way when the page was closed is sent again as the same, but not after a day', () => {
  const bench = new Bench();
  bench.texts.handleLink(true);
  bench.texts.send('bob', 'one');
  const soon = new Bench(bench.storage);
  soon.texts.handleLink(true);
  assert.equal(soon.sent[0]!.id, bench.sent[0]!.id);
  const late = new Bench(bench.storage);
  late.nowMs += 25 * 3_600_000;
  late.texts.enter('alice@offhook.local');
  late.texts.handleLink(true);
  assert.deepEqual([late.sent, late.with], [[], ['one failed: it waited for a day']]);
});

test('send again: the same message where it may have arrived, a new one where it has not', async () => {
  const bench = new Bench();
  bench.texts.handleLink(true);
  bench.texts.send('bob', 'one');
  await bench.answer({ kind: 'unanswered' });
  const id = bench.sent[0]!.id;
  bench.texts.sendAgain('bob', id);
  assert.equal(bench.sent[1]!.id, id);
  await bench.answer({ kind: 'refused', status: 403, reason: 'no' });
  assert.deepEqual(bench.with, ['one failed: no']);
  bench.texts.sendAgain('bob', id);
  assert.notEqual(bench.sent[2]!.id, id);
  assert.deepEqual(bench.with, ['one sending']);
  bench.texts.sendAgain('bob', bench.sent[2]!.id);
  assert.equal(bench.sent.length, 3);
  assert.deepEqual(new Bench(bench.storage).with, ['one waiting']);
});

test('a text comes twice, is shown once, and counts until somebody looks', () => {
  const bench = new Bench();
  bench.come('1', 'hi');
  bench.come('1', 'hi');
  bench.come('2', 'anybody?');
  assert.deepEqual(bench.with, ['hi received', 'anybody? received']);
  assert.deepEqual([bench.texts.unread.value, bench.notified], [2, ['bob: hi', 'bob: anybody?']]);
  assert.equal(bench.texts.conversations.value.get('bob')!.name, 'Bob Okafor');
  bench.texts.show('bob');
  assert.deepEqual([bench.texts.unread.value, bench.texts.arrival.value], [0, undefined]);
  bench.come('3', 'seen at once');
  assert.deepEqual([bench.texts.unread.value, bench.notified.length], [0, 2]);
  assert.equal(bench.texts.arrival.value?.text, 'seen at once'); // to be read out
  bench.texts.show('carol');
  assert.equal(bench.texts.arrival.value, undefined);
  assert.equal(new Bench(bench.storage).texts.unread.value, 0);
});

test('in a page that nobody looks at, an open conversation is not read', () => {
  const bench = new Bench();
  bench.texts.show('bob');
  bench.isWatched = false;
  bench.come('1', 'hi');
  assert.deepEqual([bench.texts.unread.value, bench.notified], [1, ['bob: hi']]);
  bench.isWatched = true;
  bench.texts.watched();
  assert.equal(bench.texts.unread.value, 0);
});

test('when it was sent is kept, but nothing comes from the future', () => {
  const bench = new Bench();
  bench.come('1', 'old', { sentAtMs: 5 });
  bench.come('2', 'new', { sentAtMs: bench.nowMs + 60_000 });
  const times = bench.texts.conversations.value.get('bob')!.texts.map(({ sentAtMs }) => sentAtMs);
  assert.deepEqual(times, [5, undefined]);
});

test('what another tab writes or wipes is here too', () => {
  const bench = new Bench();
  const other = new Bench(bench.storage);
  other.come('1', 'hi');
  const key = bench.storage.key(0);
  bench.texts.handleStorage('offhook.settings');
  assert.deepEqual(bench.with, []);
  bench.texts.handleStorage(key);
  assert.deepEqual([bench.with, bench.texts.unread.value], [['hi received'], 1]);
  other.texts.show('bob');
  bench.texts.handleStorage(key);
  assert.equal(bench.texts.unread.value, 0);
  other.texts.forget();
  bench.texts.handleStorage(key);
  assert.deepEqual([bench.with, bench.storage.length], [[], 0]);
});

test('the answer for one account does not touch the next', async () => {
  const bench = new Bench();
  bench.texts.handleLink(true);
  bench.texts.send('bob', 'one');
  bench.texts.enter('carol@offhook.local');
  assert.deepEqual(bench.with, []);
  await bench.answer({ kind: 'delivered' });
  bench.texts.enter('alice@offhook.local');
  assert.deepEqual(bench.with, ['one waiting']);
});

test('fifty people at most are in the page', () => {
  const bench = new Bench();
  for (let i = 0; i < 60; i++)
    bench.come(`m${i}`, 'hi', { from: { user: `p${i}`, uri: `sip:p${i}@x`, displayName: undefined } });
  const { conversations } = bench.texts;
  assert.deepEqual([conversations.value.size, conversations.value.has('p9')], [50, false]);
});
