import type { DatabaseSync } from 'node:sqlite';
import type { CdrCursor, CdrQuery } from './cdr-query.ts';
import { chunkSql, isSelective, recordsSql, type Statement } from './cdr-sql.ts';
import type { Cdr } from './journal-schema.ts';

/** Records in order, and where to go on: after a full page, or where the search was cut short because it took too long. */
export interface CdrPage {
  readonly records: readonly Cdr[];
  readonly next?: CdrCursor;
}

/** So many records are looked at in one go (a few milliseconds); then whatever else waits has its turn. */
const CHUNK_ROWS = 2000;
/** So long one search may take. */
export const SEARCH_MS = 1000;

type Row = Record<string, string | number | null>;

/** Searches the records, chunk by chunk where indexes alone don't find them. */
export async function searchCdrs(
  db: DatabaseSync,
  query: CdrQuery,
  { chunkRows = CHUNK_ROWS, forMs = SEARCH_MS } = {},
): Promise<CdrPage> {
  const untilMs = performance.now() + forMs;
  const records: Cdr[] = [];
  let { before } = query;
  for (;;) {
    const left = { ...query, before, limit: query.limit - records.length };
    const end = isSelective(query) ? lastOf(run(db, chunkSql(left, chunkRows))) : undefined;
    for (const row of run(db, recordsSql(left, end))) records.push(cdrOf(row));
    const last = records.at(-1);
    if (last && records.length >= query.limit) return { records, next: { startedAt: last.startedAt, id: last.id } };
    if (!end) return { records };
    if (performance.now() >= untilMs) return { records, next: end };
    before = end;
    await new Promise((resolve) => setImmediate(resolve));
  }
}

function run(db: DatabaseSync, { sql, parameters }: Statement): Row[] {
  return db.prepare(sql).all({ ...parameters }) as Row[];
}

function lastOf([row]: readonly Row[]): CdrCursor | undefined {
  return row && { startedAt: Number(row.started_at), id: String(row.id) };
}

function cdrOf(row: Row): Cdr {
  return {
    id: String(row.id),
    from: String(row.caller),
    to: String(row.callee),
    startedAt: Number(row.started_at),
    answeredAt: row.answered_at === null ? undefined : Number(row.answered_at),
    endedAt: Number(row.ended_at),
    status: Number(row.status),
    reason: String(row.reason),
    media: String(row.media),
    answeredBy: row.answered_by === null ? undefined : String(row.answered_by),
    isPrivate: row.private === 1 || undefined,
  };
}
