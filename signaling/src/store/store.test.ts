import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { test } from 'node:test';
import { ha1 } from '@offhook/core';
import { nodeCrypto } from '@offhook/core/node';
import { openStore, type Store, StoreError } from './index.ts';

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
