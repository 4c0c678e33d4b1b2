import assert from 'node:assert/strict';
import { afterEach, beforeEach, mock, test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { Account } from './account.ts';
import { fakeStorage } from './testing/fake-storage.ts';

const page = { hidden: false };
let asked: string[] = [];
let online: boolean[] = [];
/** What the server holds; undefined: an older one. */
let held: object | undefined;
let set: unknown[] = [];

const answerPresence = ({ method, body }: RequestInit): Response => {
  if (held === undefined) return new Response('{}', { status: 404 });
  if (method === 'PUT') set.push(JSON.parse(String(body)));
  return new Response(JSON.stringify(held));
};

beforeEach(() => {
  mock.timers.enable({ apis: ['setTimeout', 'setInterval'] });
  asked = [];
  online = [];
  held = undefined;
  set = [];
  page.hidden = false;
  Object.assign(globalThis, {
    document: page,
    fetch: async (path: string, init: RequestInit) => {
      if (path === '/api/presence') return answerPresence(init);
      asked.push(path);
      const there = online.shift();
      if (there === undefined) throw new TypeError('failed to fetch');
      return new Response(JSON.stringify([{ user: 'alice' }, { user: 'bob', online: there }]));
    },
  });
  for (const name of ['sessionStorage', 'localStorage'])
    Object.defineProperty(globalThis, name, { value: fakeStorage(), configurable: true });
});
afterEach(() => mock.timers.reset());

const signedIn = async (): Promise<Account> => {
  const account = new Account();
  online = [true];
  account.enter({ session: 's', expiresAtMs: 0, user: 'alice', displayName: 'Alice', domain: 'x' });
  await setImmediate();
  asked = [];
  return account;
};
const bob = (account: Account) => account.people.value.map((p) => `${p.user} ${p.online}`).join();

test('who is there is asked at once and every three seconds, but not by a hidden page', async () => {
  const account = await signedIn();
  online = [true, false];
  account.watchPeople(true);
  await setImmediate();
  assert.equal(bob(account), 'bob true');
  page.hidden = true;
  mock.timers.tick(3_000);
  assert.equal(asked.length, 1);
  page.hidden = false;
  mock.timers.tick(3_000);
  await setImmediate();
  assert.deepEqual([asked.length, bob(account)], [2, 'bob false']);
  account.watchPeople(false);
  mock.timers.tick(30_000);
  assert.equal(asked.length, 2);
});

test('nothing is drawn anew while nothing changes', async () => {
  const account = await signedIn();
  const before = account.people.value;
  online = [true];
  await account.refreshPeople();
  assert.equal(account.people.value, before);
});

test('without a connection, or an answer, nobody knows who is there; the list stays', async () => {
  const account = await signedIn();
  assert.equal(account.peopleKnown.value, true);
  account.watchPeople(false);
  assert.equal(account.peopleKnown.value, false);
  online = [true];
  account.watchPeople(true);
  await setImmediate();
  assert.equal(account.peopleKnown.value, true);
  await account.refreshPeople(); // fails
  assert.deepEqual([account.peopleKnown.value, bob(account)], [false, 'bob true']);
  account.watchPeople(false);
});

test('while the server tells changes by itself, people are asked for seldom', async () => {
  mock.timers.reset();
  mock.timers.enable({ apis: ['setTimeout', 'setInterval', 'Date'] });
  const account = await signedIn();
  online = [true, true, true, true];
  account.watchPeople(true);
  account.tellsChanges(true);
  await setImmediate();
  assert.equal(asked.length, 2);
  mock.timers.tick(27_000);
  assert.equal(asked.length, 2);
  mock.timers.tick(3_000);
  assert.equal(asked.length, 3);
  account.tellsChanges(false);
  mock.timers.tick(3_000);
  assert.equal(asked.length, 4);
  account.watchPeople(false);
});

test('presence that is told changes that person alone', async () => {
  const account = await signedIn();
  account.takePresence('bob', { status: 'away', note: 'lunch' });
  assert.deepEqual(account.people.value, [
    { user: 'bob', displayName: 'bob', online: true, status: 'away', note: 'lunch' },
  ]);
  account.takePresence('bob', { status: 'offline' });
  account.takePresence('nobody', { status: 'busy' });
  assert.deepEqual(account.people.value, [{ user: 'bob', displayName: 'bob', online: false, status: 'offline' }]);
});

test('the own presence comes from the server, also when another phone has set it', async () => {
  held = { status: 'available' };
  const account = await signedIn();
  assert.equal(account.presence.value, undefined);
  await account.refreshPresence();
  assert.deepEqual(account.presence.value, { status: 'available' });
  await account.setPresence({ status: 'busy', note: 'x' });
  assert.deepEqual([account.presence.value, set], [{ status: 'busy', note: 'x' }, [{ status: 'busy', note: 'x' }]]);
  held = { status: 'away' };
  account.takePresence('alice', { status: 'away' });
  await setImmediate();
  await setImmediate();
  assert.deepEqual(account.presence.value, { status: 'away' });
  held = undefined;
  await assert.rejects(account.setPresence({ status: 'busy' }));
  assert.deepEqual(account.presence.value, { status: 'away' });
  account.leave();
  assert.equal(account.presence.value, undefined);
});
