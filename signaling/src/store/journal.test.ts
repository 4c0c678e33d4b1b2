import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { CdrPage } from './cdr-search.ts';
import { Journal } from './journal.ts';
import type { Cdr } from './journal-schema.ts';

const cdr = (id: string, over: Partial<Cdr> = {}): Cdr => ({
  id,
  from: 'alice',
  to: 'bob',
  startedAt: Date.now(),
  endedAt: Date.now() + 5000,
  status: 200,
  reason: 'ended by alice',
  media: 'opaque',
  ...over,
});

async function withFolder(run: (path: string) => Promise<void>): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'oh-journal-'));
  try {
    await run(join(folder, 'offhook.sqlite'));
  } finally {
    rmSync(folder, { recursive: true });
  }
}

test('what was noted is there for the next process; an ended call leaves one record and no snapshot', () =>
  withFolder(async (path) => {
    const first = await Journal.open(path);
    first.note({ kind: 'call', id: 'one', snapshot: '{"v":1}' });
    first.note({ kind: 'call', id: 'two', snapshot: '{"v":1}' });
    first.note({ kind: 'call', id: 'two', snapshot: '{"v":2}' });
    first.note({ kind: 'binding', key: 'b', snapshot: '{}' });
    first.note({ kind: 'binding', key: 'gone', snapshot: '{}' });
    first.note({ kind: 'no-binding', key: 'gone' });
    first.note({ kind: 'cdr', cdr: cdr('one') });
    await first.close();
    const second = await Journal.open(path);
    assert.deepEqual(await second.calls(), ['{"v":2}']);
    assert.deepEqual(await second.bindings(), ['{}']);
    second.note({ kind: 'cdr', cdr: cdr('one', { status: 480 }) });
    const { records } = await second.cdrs({ limit: 10 });
    assert.deepEqual(
      records.map(({ id, status, answeredAt }) => [id, status, answeredAt]),
      [['one', 200, undefined]],
      'the first record of a call stays',
    );
    await second.close();
  }));

test('records are asked for by user, newest first, page by page', () =>
  withFolder(async (path) => {
    const journal = await Journal.open(path);
    const at = Date.now();
    for (let i = 0; i < 5; i++)
      journal.note({ kind: 'cdr', cdr: cdr(`c${i}`, { startedAt: at + i, answeredAt: at + i }) });
    journal.note({ kind: 'cdr', cdr: cdr('other', { from: 'carol', to: 'dave', startedAt: at + 9 }) });
    const ids = ({ records }: CdrPage) => records.map(({ id }) => id);
    assert.deepEqual(ids(await journal.cdrs({ user: 'bob', limit: 2 })), ['c4', 'c3']);
    assert.deepEqual(ids(await journal.cdrs({ user: 'bob', limit: 9, before: { startedAt: at + 3 } })), [
      'c2',
      'c1',
      'c0',
    ]);
    assert.deepEqual(ids(await journal.cdrs({ limit: 1 })), ['other']);
    await journal.close();
  }));

test('a batch that can’t be written is told and tried again as a whole', () =>
  withFolder(async (path) => {
    const journal = await Journal.open(path);
    const told: string[] = [];
    journal.onError = (words) => told.push(words);
    // A value that SQLite refuses, as a full disk would.
    journal.note({ kind: 'cdr', cdr: cdr('bad', { status: undefined as unknown as number }) });
    journal.note({ kind: 'call', id: 'behind', snapshot: '{}' });
    await journal.flush();
    assert.equal(journal.counters.failed, 1);
    assert.match(told[0] ?? '', /could not be written/);
    assert.equal(journal.waiting, 2, 'nothing of it is lost, nothing is half written');
    assert.deepEqual(await journal.calls(), []);
    journal.onError = undefined;
    await journal.close();
  }));
