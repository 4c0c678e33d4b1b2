import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fakeStorage } from '../testing/fake-storage.ts';
import { type Conversation, emptyConversation, type Text, withText } from './conversation.ts';
import { TextStore } from './text-store.ts';

const text = (id: string, atMs = 1): Text => ({ id, state: 'received', text: id, atMs, changedAtMs: atMs });
const of = (peer: string, ...texts: Text[]): Conversation => texts.reduce(withText, emptyConversation(peer));
const keep = (store: TextStore, conversation: Conversation) => store.keep(conversation, 'merge');

test('conversations survive, each account its own', () => {
  const storage = fakeStorage();
  const alice = new TextStore(storage, 'alice@offhook.local');
  keep(alice, { ...of('bob', text('a')), name: 'Bob', readAtMs: 1 });
  keep(alice, of('desk@other.example', text('b')));
  keep(new TextStore(storage, 'alice@other.example'), of('carol', text('c')));
  const again = new TextStore(storage, 'alice@offhook.local');
  assert.deepEqual(
    again.all().map(({ peer }) => peer),
    ['bob', 'desk@other.example'],
  );
  assert.deepEqual(again.of('bob'), { peer: 'bob', name: 'Bob', readAtMs: 1, texts: [text('a')] });
});

test('two tabs write side by side and lose nothing', () => {
  const storage = fakeStorage();
  const [one, two] = [new TextStore(storage, 'a@x'), new TextStore(storage, 'a@x')];
  keep(one, of('bob', text('1', 1)));
  const both = keep(two, of('bob', text('2', 2)));
  assert.deepEqual(
    both.texts.map(({ id }) => id),
    ['1', '2'],
  );
});

test('fifty conversations are kept: the longest untouched goes first', () => {
  const store = new TextStore(fakeStorage(), 'a@x');
  for (let i = 0; i < 53; i++) keep(store, of(`p${i}`, text('t', i)));
  assert.equal(store.all().length, 50);
  assert.deepEqual([store.of('p2'), store.of('p3')?.peer], [undefined, 'p3']);
});

test('a browser that is full lets go of old conversations, and one that keeps nothing does no harm', () => {
  const storage = fakeStorage();
  const full = { ...storage, key: storage.key, setItem: storage.setItem };
  Object.defineProperty(full, 'length', { get: () => storage.length });
  const store = new TextStore(full, 'a@x');
  keep(store, of('old', text('t', 1)));
  keep(store, of('new', text('t', 2)));
  full.setItem = (key, value) => {
    if (storage.length >= 2 && storage.getItem(key) === null) throw new DOMException('full', 'QuotaExceededError');
    storage.setItem(key, value);
  };
  keep(store, of('newest', text('t', 3)));
  assert.deepEqual(
    store.all().map(({ peer }) => peer),
    ['new', 'newest'],
  );
  full.setItem = () => {
    throw new DOMException('never', 'QuotaExceededError');
  };
  assert.equal(keep(store, of('bob', text('a'))).texts.length, 1);
});

test('signing out leaves nothing of that account', () => {
  const storage = fakeStorage();
  const store = new TextStore(storage, 'a@x');
  const other = new TextStore(storage, 'b@x');
  keep(store, of('bob', text('1')));
  store.keepNews('n-1-5');
  keep(other, of('bob', text('1')));
  assert.equal(store.lastNews, 'n-1-5');
  store.wipe();
  assert.deepEqual([store.all(), store.lastNews, other.all().length, storage.length], [[], undefined, 1, 1]);
});

test('what is damaged or of another version is left out', () => {
  const storage = fakeStorage();
  const store = new TextStore(storage, 'a@x');
  keep(store, of('bob', text('1')));
  const key = storage.key(0)!;
  for (const broken of ['', '{', 'null', '7', '{"texts":7}']) {
    storage.setItem(key, broken);
    assert.deepEqual(store.all(), [], broken);
  }
  storage.setItem(key, JSON.stringify({ texts: [text('ok'), { id: 1 }, null, { ...text('x'), state: 'odd' }] }));
  assert.deepEqual(
    store.of('bob')!.texts.map(({ id }) => id),
    ['ok'],
  );
  assert.equal(store.peerOf(key), 'bob');
  assert.deepEqual([store.peerOf('offhook.session'), store.peerOf(null)], [undefined, undefined]);
});
