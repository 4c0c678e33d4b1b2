import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { serveAdmin } from '@offhook/core/node';
import type { Cdr } from '@offhook/signaling';

const program = join(import.meta.dirname, '../main.ts');
const AT = new Date(2026, 11, 24, 20, 0, 5).getTime();
const RECORDS: Cdr[] = Array.from({ length: 700 }, (_, i) => ({
  id: `c${i}`,
  from: 'alice',
  to: 'sales',
  ...(i === 0 ? { answeredBy: 'bob', answeredAt: AT + 1000, isPrivate: true } : {}),
  startedAt: AT - i,
  endedAt: AT + 3_666_000,
  status: i === 0 ? 200 : 486,
  reason: i === 0 ? 'ended by alice' : 'busy',
  media: 'opaque',
}));

test('records in words, as JSON and as CSV, page after page; mistakes are told of the option', async (t) => {
  const data = mkdtempSync(join(tmpdir(), 'oh-cdrs-'));
  t.after(() => rmSync(data, { recursive: true, force: true }));
  mkdirSync(join(data, 'run'));
  const asked: Record<string, unknown>[] = [];
  const admin = await serveAdmin(join(data, 'run', 'signaling.sock'), {
    users: () => [{ user: 'bob' }],
    cdrs: (args) => {
      asked.push(args);
      if (args.user !== undefined) return { records: [] };
      if (args.since === 'noon') throw new Error('since: Unix milliseconds, or a time');
      const from = args.before === undefined ? 0 : Number(String(args.before).split('.c')[1]) + 1;
      const records = RECORDS.slice(from, from + Number(args.limit));
      const last = records.at(-1)!;
      const hasMore = from + records.length < RECORDS.length;
      return { records, ...(hasMore ? { next: { startedAt: last.startedAt, id: last.id } } : {}) };
    },
  });
  t.after(() => admin.close());
  const run = async (...args: string[]) => {
    const child = spawn(process.execPath, [program, 'cdrs', '--data', data, ...args], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const said = { out: '', err: '' };
    child.stdout.on('data', (bytes: Buffer) => (said.out += bytes));
    child.stderr.on('data', (bytes: Buffer) => (said.err += bytes));
    const [code] = (await once(child, 'close')) as [number];
    return { ...said, code };
  };

  assert.deepEqual(await run('--user', 'bob'), { out: 'no calls\n', err: '', code: 0 });
  const misspelt = await run('--user', 'bobb', '--csv');
  assert.deepEqual(misspelt, { out: '', err: "offhook: there is no user 'bobb'; did you mean 'bob'?\n", code: 1 });
  asked.length = 0;

  const words = await run('--limit', '2', '--with', 'bob');
  assert.equal(words.code, 0, words.err);
  const [first, second] = words.out.split('\n');
  assert.match(first!, /^2026-12-24 20:00:05 {2}alice \(hidden\) → sales \(bob\) +talked 1:01:05 +200 ended by alice$/);
  assert.match(second!, /alice → sales +not answered +486 busy$/);
  assert.match(words.err, new RegExp(`older ones: .*cdrs --with bob --limit 2 --before ${AT - 1}\\.c1 `));
  assert.deepEqual(asked.slice(), [{ with: 'bob', limit: 2 }]);

  const json = await run('--limit', '1000', '--json', '--answered', 'no');
  assert.equal((JSON.parse(json.out) as Cdr[]).length, 700);
  assert.equal(json.err, '');
  assert.deepEqual(
    asked.slice(1).map(({ limit, before, answered }) => [limit, before, answered]),
    [
      [500, undefined, 'false'],
      [500, `${AT - 499}.c499`, 'false'],
    ],
  );
  const csv = await run('--limit', '600', '--csv');
  const lines = csv.out.split('\r\n');
  assert.equal(lines.length, 602);
  assert.equal(lines.filter((line) => line.startsWith('id,')).length, 1);
  const wrong = await run('--since', 'noon');
  assert.equal(wrong.code, 2);
  assert.match(wrong.err, /--since: Unix milliseconds, or a time/);
});
