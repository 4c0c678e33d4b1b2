import { DatabaseSync } from 'node:sqlite';
import { parentPort, workerData } from 'node:worker_threads';
import { searchCdrs } from './cdr-search.ts';
import { ADDED, type Entry, INDEXES, type JournalReply, type JournalRequest, SCHEMA } from './journal-schema.ts';

// The thread that writes the journal: SQLite is synchronous, and the thread that handles SIP never waits for a disk.

/** Records are kept so long. */
const KEEP_MS = 400 * 86_400_000;

const { path } = workerData as { path: string };
const db = new DatabaseSync(path);
db.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA busy_timeout = 5000;');
db.exec(SCHEMA);
const columns = db
  .prepare("SELECT name FROM pragma_table_info('cdr')")
  .all()
  .map((row) => row.name);
for (const [name, type] of Object.entries(ADDED))
  if (!columns.includes(name)) db.exec(`ALTER TABLE cdr ADD COLUMN ${name} ${type}`);
db.exec(INDEXES);
db.prepare('DELETE FROM cdr WHERE started_at < ?').run(Date.now() - KEEP_MS);
const putCall = db.prepare(
  'INSERT INTO call VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET snapshot = excluded.snapshot',
);
const dropCall = db.prepare('DELETE FROM call WHERE id = ?');
const putBinding = db.prepare(
  'INSERT INTO binding VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET snapshot = excluded.snapshot',
);
const dropBinding = db.prepare('DELETE FROM binding WHERE key = ?');
const putMessage = db.prepare('INSERT OR IGNORE INTO message (id, snapshot) VALUES (?, ?)');
const dropMessage = db.prepare('DELETE FROM message WHERE id = ?');
const putSubscription = db.prepare(
  'INSERT INTO subscription VALUES (?, ?) ON CONFLICT (tag) DO UPDATE SET snapshot = excluded.snapshot',
);
const dropSubscription = db.prepare('DELETE FROM subscription WHERE tag = ?');
// A call has one record, whichever process saw its end.
const putCdr = db.prepare('INSERT OR IGNORE INTO cdr VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)');

// What is written is written before this returns, in the order of the requests; a search lets others have their turn.
parentPort!.on('message', async (request: JournalRequest) => {
  let reply: JournalReply;
  try {
    reply = { id: request.id, ok: await answer(request) };
  } catch (error) {
    reply = { id: request.id, error: error instanceof Error ? error.message : String(error) };
  }
  parentPort!.postMessage(reply);
});
parentPort!.once('close', () => db.close());

function answer(request: JournalRequest): unknown {
  switch (request.kind) {
    case 'write':
      write(request.entries);
      return undefined;
    case 'calls':
      return snapshots('SELECT snapshot FROM call');
    case 'bindings':
      return snapshots('SELECT snapshot FROM binding');
    case 'messages':
      return snapshots('SELECT snapshot FROM message ORDER BY place');
    case 'subscriptions':
      return snapshots('SELECT snapshot FROM subscription');
    case 'cdrs':
      return searchCdrs(db, request.query);
    default:
      return request satisfies never;
  }
}

function snapshots(sql: string): string[] {
  return (db.prepare(sql).all() as { snapshot: string }[]).map((row) => row.snapshot);
}

function write(entries: readonly Entry[]): void {
  db.exec('BEGIN');
  try {
    for (const entry of entries) put(entry);
    db.exec('COMMIT');
  } catch (error) {
    db.exec('ROLLBACK');
    throw error;
  }
}

function put(entry: Entry): void {
  switch (entry.kind) {
    case 'call':
      putCall.run(entry.id, entry.snapshot);
      return;
    case 'cdr': {
      const { id, from, to, startedAt, answeredAt, endedAt, status, reason, media, answeredBy, isPrivate } = entry.cdr;
      const times = [startedAt, answeredAt ?? null, endedAt] as const;
      putCdr.run(id, from, to, ...times, status, reason, media, answeredBy ?? null, isPrivate ? 1 : 0);
      dropCall.run(id);
      return;
    }
    case 'binding':
      putBinding.run(entry.key, entry.snapshot);
      return;
    case 'no-binding':
      dropBinding.run(entry.key);
      return;
    case 'message':
      putMessage.run(entry.id, entry.snapshot);
      return;
    case 'no-message':
      dropMessage.run(entry.id);
      return;
    case 'subscription':
      putSubscription.run(entry.tag, entry.snapshot);
      return;
    case 'no-subscription':
      dropSubscription.run(entry.tag);
      return;
    default:
      entry satisfies never;
  }
}
