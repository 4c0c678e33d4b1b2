import assert from 'node:assert/strict';
import { DatabaseSync } from 'node:sqlite';
import { test } from 'node:test';
import { type CdrQuery, cursorText, readCdrQuery } from './cdr-query.ts';
import { searchCdrs } from './cdr-search.ts';
import { chunkSql, recordsSql } from './cdr-sql.ts';
import { type Cdr, INDEXES, SCHEMA } from './journal-schema.ts';

const T = 1_780_000_000_000;

function database(records: readonly (Partial<Cdr> & { id: string })[]): DatabaseSync {
  const db = new DatabaseSync(':memory:');
  db.exec(SCHEMA);
  db.exec(INDEXES);
  const put = db.prepare('INSERT INTO cdr VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)');
  db.exec('BEGIN');
  for (const [i, one] of records.entries()) {
    const cdr = {
      from: 'alice',
      to: 'bob',
      startedAt: T + i,
      status: 200,
      reason: 'ended by alice',
      media: 'opaque',
      ...one,
    };
    const endedAt = one.endedAt ?? cdr.startedAt + 5000;
    const times = [cdr.startedAt, cdr.answeredAt ?? null, endedAt] as const;
    const isPrivate = cdr.isPrivate ? 1 : null;
    put.run(cdr.id, cdr.from, cdr.to, ...times, cdr.status, cdr.reason, cdr.media, cdr.answeredBy ?? null, isPrivate);
  }
  db.exec('COMMIT');
  return db;
}

const ask = (parameters: Readonly<Record<string, string | undefined>>, user: string | null = 'alice'): CdrQuery => {
  const given = Object.fromEntries(Object.entries(parameters).filter(([, value]) => value !== undefined));
  const read = readCdrQuery(given, {
    ...(user === null ? { user: undefined } : { user, isOwn: true }),
    mostRecords: 500,
  });
  assert.ok('query' in read, JSON.stringify(read));
  return read.query;
};

const CALLS: (Partial<Cdr> & { id: string })[] = [
  { id: 'a1', from: 'alice', to: 'bob', answeredAt: T, endedAt: T + 90_000 },
  { id: 'a2', from: 'alice', to: '+4930123', status: 486, reason: 'bob is Busy "here"' },
  { id: 'a3', from: '+4930123', to: 'alice', answeredAt: T + 2, endedAt: T + 10_002, answeredBy: 'alice' },
  { id: 'a4', from: 'carol', to: 'sales', answeredAt: T + 3, endedAt: T + 3003, answeredBy: 'alice' },
  { id: 'a5', from: 'bob', to: 'alice', isPrivate: true, status: 480, reason: 'nobody answers' },
  { id: 'a6', from: 'alice', to: 'dave', isPrivate: true, status: 404 },
  { id: 'a7', from: 'alice', to: 'alice', status: 480 },
  { id: 'x1', from: 'bob', to: 'carol' },
];

const FOUND: [Record<string, string>, string][] = [
  [{}, 'a7 a6 a5 a4 a3 a2 a1'],
  [{ with: 'bob' }, 'a1'],
  [{ with: 'carol' }, 'a4'],
  [{ with: 'sales' }, 'a4'],
  [{ with: '+49 (30) 12-3' }, 'a3 a2'],
  [{ with: 'anonymous' }, 'a5'],
  [{ with: 'alice' }, 'a7'],
  [{ from: 'bob' }, ''],
  [{ from: 'anonymous' }, 'a5'],
  [{ from: 'alice' }, 'a7 a6 a2 a1'],
  [{ to: 'sales' }, 'a4'],
  [{ direction: 'in' }, 'a5 a4 a3'],
  [{ direction: 'out' }, 'a7 a6 a2 a1'],
  [{ answered: 'true' }, 'a4 a3 a1'],
  [{ answered: 'false', direction: 'out' }, 'a7 a6 a2'],
  [{ status: '486' }, 'a2'],
  [{ status: '4xx' }, 'a7 a6 a5 a2'],
  [{ minS: '10' }, 'a3 a1'],
  [{ minS: '1', maxS: '10' }, 'a4 a3'],
  [{ text: 'BUSY "h' }, 'a2'],
  [{ text: '%' }, ''],
  [{ since: String(T + 2), until: String(T + 4) }, 'a5 a4 a3'],
  [{ since: new Date(T + 5).toISOString() }, 'a7 a6'],
  [{ before: String(T + 2) }, 'a2 a1'],
  [{ limit: '2', status: '4xx' }, 'a7 a6'],
];

for (const chunkRows of [2000, 2])
  test(`what alice finds, ${chunkRows} records looked at in one go`, async () => {
    const db = database(CALLS);
    for (const [parameters, expected] of FOUND) {
      const { records } = await searchCdrs(db, ask(parameters), { chunkRows });
      assert.equal(records.map(({ id }) => id).join(' '), expected, JSON.stringify(parameters));
    }
    const everybody = await searchCdrs(db, ask({ with: 'bob' }, null), { chunkRows });
    assert.equal(
      everybody.records.map(({ id }) => id).join(' '),
      'x1 a5 a1',
      'for who runs the server nobody is hidden',
    );
    const ofUser = await searchCdrs(db, { user: 'alice', from: 'bob', limit: 9 }, { chunkRows });
    assert.equal(ofUser.records.map(({ id }) => id).join(' '), 'a5');
    db.close();
  });

test('attack: whatever is asked for, a private caller’s name finds what a name that nobody has finds', async () => {
  const db = database(CALLS);
  for (const key of ['with', 'from', 'to', 'text'])
    for (const more of [{}, { direction: 'in' }, { status: '480' }, { answered: 'false' }]) {
      const found = async (name: string) =>
        (await searchCdrs(db, ask({ [key]: name, ...more }))).records.map((r) => r.id);
      const hidden = (await found('bob')).filter((id) => id === 'a5');
      assert.deepEqual(hidden, [], `${key} ${JSON.stringify(more)}`);
    }
  db.close();
});

test('pages: records that began in the same millisecond come once each, however they fall into pages', async () => {
  const ids = Array.from({ length: 23 }, (_, i) => `c${String(i).padStart(2, '0')}`);
  const db = database(ids.map((id, i) => ({ id, startedAt: T + (i < 17 ? 0 : 1), to: i % 2 ? 'bob' : 'alice' })));
  for (const limit of [1, 2, 5, 23])
    for (const filter of [{}, { direction: 'out' }]) {
      const seen: string[] = [];
      for (let before: string | undefined, more = true; more; ) {
        const parameters = { ...filter, limit: String(limit), ...(before === undefined ? {} : { before }) };
        const { records, next } = await searchCdrs(db, ask(parameters), { chunkRows: 3 });
        seen.push(...records.map(({ id }) => id));
        before = next && cursorText(next);
        more = next !== undefined;
      }
      assert.deepEqual(seen, ids.toReversed(), `pages of ${limit}`);
    }
  db.close();
});

test('a search that takes too long answers what it has, and where to go on', async () => {
  const db = database(Array.from({ length: 500 }, (_, i) => ({ id: `i${i}`, status: i === 3 ? 486 : 200 })));
  const seen: string[] = [];
  let pages = 0;
  for (let before: string | undefined, more = true; more; pages++) {
    const page = await searchCdrs(db, ask({ status: '486', ...(before ? { before } : {}) }), {
      chunkRows: 100,
      forMs: 0,
    });
    seen.push(...page.records.map(({ id }) => id));
    before = page.next && cursorText(page.next);
    more = page.next !== undefined;
  }
  assert.deepEqual([seen, pages], [['i3'], 6]);
  db.close();
});

test('no search reads the whole table: each is led by an index of who is in the call, or of the start', () => {
  const db = database(CALLS);
  const users = FOUND.map(([parameters]) => ask({ ...parameters, before: `${T}.a1` }));
  const everybody = [{}, { with: 'bob' }, { from: 'bob' }, { to: 'bob', status: '4xx' }].map((one) => ask(one, null));
  for (const query of [...users, ...everybody])
    for (const { sql, parameters } of [recordsSql(query, { startedAt: T, id: 'a' }), chunkSql(query, 100)]) {
      const plan = (db.prepare(`EXPLAIN QUERY PLAN ${sql}`).all({ ...parameters }) as { detail: string }[])
        .map(({ detail }) => detail)
        .filter((line) => / cdr\b/.test(line));
      assert.ok(plan.length > 0);
      for (const line of plan)
        assert.match(line, /^SEARCH cdr USING (?:COVERING )?INDEX cdr_by_\w+ \(/, `${sql}\n${line}`);
      if (query.user !== undefined)
        assert.deepEqual(
          new Set(plan.map((line) => /cdr_by_\w+/.exec(line)?.[0])).size,
          3,
          `${sql}\n${plan.join('\n')}`,
        );
    }
  db.close();
});

test('wrong parameters are named, with what would be right', () => {
  const wrong: [Record<string, unknown>, RegExp][] = [
    [{ direction: 'up' }, /^direction: in or out$/],
    [{ answered: 'yes' }, /^answered: true or false$/],
    [{ status: '4x' }, /^status: a status like 486, or 4xx/],
    [{ status: '700' }, /^status: /],
    [{ since: 'noon' }, /^since: Unix milliseconds, or a time like/],
    [{ until: '2026-13-01' }, /^until: /],
    [{ minS: '-1' }, /^minS: a whole number, 0 to 604800$/],
    [{ maxS: '1.5' }, /^maxS: /],
    [{ limit: '0' }, /^limit: a whole number, 1 to 500$/],
    [{ limit: '501' }, /^limit: /],
    [{ before: 'x' }, /^before: the startedAt of the last record, a dot and its id/],
    [{ before: `${T}.'; DROP TABLE cdr` }, /^before: /],
    [{ with: '' }, /^with: a user or a number/],
    [{ from: 'x'.repeat(257) }, /^from: /],
    [{ text: 'x'.repeat(101) }, /^text: 1 to 100 characters$/],
    [{ untill: '1' }, /^untill: no such parameter; there are with, from, to,/],
    [{ __proto__x: '1' }, /no such parameter/],
    [{ status: ['4xx', '5xx'] }, /^status: given more than once$/],
  ];
  for (const [parameters, words] of wrong) {
    const read = readCdrQuery(parameters, { user: 'alice', mostRecords: 500 });
    assert.match('problem' in read ? read.problem : 'fine', words, JSON.stringify(parameters));
  }
  const forAll = readCdrQuery({ direction: 'in' }, { user: undefined, mostRecords: 500 });
  assert.match('problem' in forAll ? forAll.problem : '', /needs user/);
});

test('times: a date is that day here, both ends of it; a zone is followed, also where a URL has eaten its plus', () => {
  const day = new Date(2026, 11, 24).getTime();
  const { since, until } = ask({ since: '2026-12-24', until: '2026-12-24' });
  assert.deepEqual([since, until], [day, new Date(2026, 11, 25).getTime() - 1]);
  assert.equal(ask({ since: '2026-12-24T20:00' }).since, day + 20 * 3_600_000);
  for (const text of ['2026-12-24T20:00:00+01:00', '2026-12-24T20:00:00 01:00', '2026-12-24T19:00Z'])
    assert.equal(ask({ since: text }).since, Date.UTC(2026, 11, 24, 19));
});
