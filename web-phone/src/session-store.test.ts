import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Session } from './session.ts';
import { SessionStore } from './session-store.ts';
import { fakeStorage } from './testing/fake-storage.ts';

const of = (user: string, session = `${user}-1`): Session => ({
  session,
  expiresAtMs: 1_000,
  user,
  displayName: user,
  domain: 'offhook.local',
});
const browser = () => {
  const shared = fakeStorage();
  return () => new SessionStore(fakeStorage(), shared);
};

test('a tab without a session finds the last one; two tabs keep two accounts', () => {
  const newTab = browser();
  const [first, second, third] = [newTab(), newTab(), newTab()];
  first.enter(of('alice'));
  assert.equal(second.own(0), undefined);
  assert.equal(second.last(0)?.user, 'alice');
  second.enter(of('bob'));
  assert.equal(first.own(0)?.user, 'alice');
  assert.equal(third.last(0)?.user, 'bob');
});

test('a renewal changes the last session only when it is of the same account', () => {
  const newTab = browser();
  const [first, second] = [newTab(), newTab()];
  first.enter(of('alice'));
  first.renew(of('alice', 'alice-2'), 0);
  assert.equal(second.last(0)?.session, 'alice-2');
  second.enter(of('bob'));
  first.renew(of('alice', 'alice-3'), 0);
  assert.equal(first.own(0)?.session, 'alice-3');
  assert.equal(second.last(0)?.session, 'bob-1');
});

test('signing out removes it from the tab and from the browser, and nobody else’s', () => {
  const newTab = browser();
  const [first, second] = [newTab(), newTab()];
  first.enter(of('alice'));
  second.enter(of('bob'));
  first.signOut(of('alice'), 0);
  assert.equal(first.own(0), undefined);
  assert.equal(first.last(0)?.user, 'bob');
  second.signOut(of('bob'), 0);
  assert.equal(second.last(0), undefined);
});

test('a session that the server ended leaves a better one of the same account alone', () => {
  const newTab = browser();
  const [first, second] = [newTab(), newTab()];
  first.enter(of('alice', 'old'));
  second.enter(of('alice', 'new'));
  first.drop(of('alice', 'old'), 0);
  assert.equal(first.own(0), undefined);
  assert.equal(first.last(0)?.session, 'new');
  second.drop(of('alice', 'new'), 0);
  assert.equal(first.last(0), undefined);
});

test('an expired session is none', () => {
  const tab = browser()();
  tab.enter(of('alice'));
  assert.equal(tab.own(2_000), undefined);
  assert.equal(tab.last(2_000), undefined);
});
