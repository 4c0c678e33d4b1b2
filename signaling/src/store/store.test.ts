import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { test } from 'node:test';
import { ha1 } from '@offhook/core';
import { nodeCrypto } from '@offhook/core/node';
import { Accounts } from '../auth/index.ts';
import { DEFAULT_SETTINGS, openStore, type Store, StoreError } from './index.ts';

test('accounts live through a restart, without their passwords', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'offhook-store-'));
  const path = join(folder, 'a', 'offhook.sqlite');
  try {
    const store = openStore(path, 'example.test', nodeCrypto);
    await store.addAccount({ user: 'alice', password: 'correct horse', displayName: 'Alice' });
    await store.addAccount({ user: 'bob', password: 'battery staple' });
    await store.setPassword('bob', 'battery staple 2');
    await assert.rejects(store.addAccount({ user: 'bob', password: 'battery staple' }), /already/);
    await assert.rejects(store.setPassword('carol', 'battery staple'), /no user 'carol'/);
    await store.close();
    assert.equal(statSync(path).mode & 0o77, 0);
    const again = openStore(path, 'example.test', nodeCrypto);
    const accounts = await again.accounts();
    assert.deepEqual(
      accounts.map((a) => [a.user, a.displayName]),
      [
        ['alice', 'Alice'],
        ['bob', 'bob'],
      ],
    );
    assert.equal(accounts[1]?.ha1Md5, ha1('MD5', 'bob', 'example.test', 'battery staple 2', nodeCrypto));
    await again.removeAccount('alice');
    await assert.rejects(again.removeAccount('alice'), /no user/);
    await again.close();
    assert.throws(() => openStore(path, 'other.test', nodeCrypto), StoreError);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('settings live through a restart, go with their account, and are told apart from nonsense in words', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'offhook-store-'));
  const path = join(folder, 'offhook.sqlite');
  const reopened = async () => {
    const store = openStore(path, 'example.test', nodeCrypto);
    return { store, accounts: await Accounts.load(store, 'example.test', nodeCrypto) };
  };
  try {
    const first = await reopened();
    await first.accounts.add('alice', 'correct horse');
    assert.deepEqual(first.accounts.settings('alice'), DEFAULT_SETTINGS);
    await first.accounts.change('alice', { doNotDisturb: true, forward: { busy: 'bob', noAnswer: '+49301234' } });
    await first.accounts.change('alice', { forward: { busy: null, noAnswerS: 30 } });
    await first.store.close();
    const { store, accounts } = await reopened();
    assert.deepEqual(accounts.settings('alice'), {
      doNotDisturb: true,
      forward: { noAnswer: '+49301234', noAnswerS: 30 },
    });
    for (const [change, words] of [
      [{ forward: { busy: 'no such\nthing' } }, /forward\.busy: a user, a number or a SIP address/],
      [{ forward: { noAnswerS: 4 } }, /5 to 60 seconds/],
      [{ forward: { sometimes: 'bob' } }, /no forwarding 'sometimes'/],
      [{ doNotDisturb: 'yes' }, /true or false/],
      [{ ringtone: 'x' }, /no setting 'ringtone'/],
      [[], /an object/],
      [null, /an object/],
    ] as const)
      await assert.rejects(accounts.change('alice', change), words);
    await assert.rejects(accounts.change('zoe', {}), /no user 'zoe'/);
    await accounts.remove('alice');
    await accounts.add('alice', 'correct horse');
    assert.deepEqual(accounts.settings('alice'), DEFAULT_SETTINGS);
    await store.close();
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('an account keeps its digest through a new password; a store of before there was one is read', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'offhook-store-'));
  const path = join(folder, 'offhook.sqlite');
  try {
    const old = new DatabaseSync(path);
    old.exec(`CREATE TABLE account (user TEXT PRIMARY KEY, display_name TEXT NOT NULL, ha1_md5 TEXT NOT NULL,
      ha1_sha256 TEXT NOT NULL, created_at TEXT NOT NULL) STRICT;
      INSERT INTO account VALUES ('old', 'Old', 'md5', 'sha', '2026')`);
    old.close();
    const digests = async (store: Store) => (await store.accounts()).map((a) => `${a.user} ${a.digest}`);
    const store = openStore(path, 'example.test', nodeCrypto);
    await store.addAccount({ user: 'alice', password: 'correct horse', digest: 'SHA-256' });
    await store.addAccount({ user: 'bob', password: 'correct horse' });
    await store.setPassword('alice', 'battery staple');
    assert.deepEqual(await digests(store), ['alice SHA-256', 'bob undefined', 'old undefined']);
    await store.setPassword('alice', 'battery staple', 'MD5');
    await store.setPassword('old', 'battery staple', 'SHA-256');
    for (const bad of ['sha-256', '', 7] as unknown as 'MD5'[]) {
      await assert.rejects(store.setPassword('bob', 'battery staple', bad), /'MD5' or 'SHA-256'/);
      await assert.rejects(store.addAccount({ user: 'c', password: 'long enough', digest: bad }), StoreError);
    }
    await store.close();
    const again = openStore(path, 'example.test', nodeCrypto);
    assert.deepEqual(await digests(again), ['alice MD5', 'bob undefined', 'old SHA-256']);
    await again.close();
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('names and passwords that would cause trouble are refused in words', async () => {
  const store = openStore(':memory:', 'example.test', nodeCrypto);
  for (const user of ['', 'a b', '-x', '600', '712', 'ü', 'a@b', 'x'.repeat(65), 'a;b'])
    await assert.rejects(store.addAccount({ user, password: 'long enough' }), StoreError, user);
  for (const password of ['short', 'x'.repeat(129), 'with\nline end'])
    await assert.rejects(store.addAccount({ user: 'a', password }), /password/);
  await store.addAccount({ user: '1001', password: 'long enough' });
  await store.close();
});
