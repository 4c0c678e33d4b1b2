import type { CdrCursor, CdrQuery } from './cdr-query.ts';

/** SQL with what its parameters are. */
export interface Statement {
  readonly sql: string;
  readonly parameters: Readonly<Record<string, string | number>>;
}

const NEWEST = 'ORDER BY started_at DESC, id DESC';
/** A private caller as everybody but the caller sees it. */
const ANONYMOUS = 'anonymous';
/** Visual separators of numbers (RFC 3966 5.1.1). */
const WITH_SEPARATORS = /^\+?[\d][\d\s().\-/]*$/;

/** The records of a query, those that `end` closes off not included; at most `limit`. */
export function recordsSql(query: CdrQuery, end?: CdrCursor): Statement {
  const sql = new Conditions();
  const filters = [...range(sql, query, end), ...filtersOf(sql, query)];
  return sql.statement(union(sql, query, { columns: '*', filters, limit: sql.bind('limit', query.limit) }));
}

/** The last of the next `rows` records that the indexes lead to, whatever else is asked of them; none when there are fewer. */
export function chunkSql(query: CdrQuery, rows: number): Statement {
  const sql = new Conditions();
  const filters = range(sql, query);
  const limit = sql.bind('rows', rows);
  return sql.statement(`${union(sql, query, { columns: 'started_at, id', filters, limit })} OFFSET ${limit} - 1`);
}

/** Whether something is asked that no index answers, so that many records may have to be looked at for a few. */
export function isSelective(query: CdrQuery): boolean {
  const { user, direction, answered, status, minS, maxS, text } = query;
  const others = [direction, answered, status, minS, maxS, text].some((one) => one !== undefined);
  const names = [query.with, query.from, query.to].filter((one) => one !== undefined).length;
  return others || names > (user === undefined ? 1 : 0);
}

/** Collects the parameters that a statement names. */
class Conditions {
  readonly #parameters: Record<string, string | number> = {};

  bind(name: string, value: string | number): string {
    this.#parameters[name] = value;
    return `:${name}`;
  }

  /** `(:with, :with_2)`: a number as it is written and without its separators. */
  spellings(name: string, value: string): string {
    const bare = WITH_SEPARATORS.test(value) ? value.replace(/[^\d+]/g, '') : value;
    return bare === value
      ? `(${this.bind(name, value)})`
      : `(${this.bind(name, value)}, ${this.bind(`${name}_2`, bare)})`;
  }

  statement(sql: string): Statement {
    return { sql, parameters: this.#parameters };
  }
}

/** One search by index for each column that the user, or who is searched for, may stand in; each in order, and cut off. */
function union(
  sql: Conditions,
  query: CdrQuery,
  { columns, filters, limit }: { columns: string; filters: readonly string[]; limit: string },
): string {
  const arms = armsOf(sql, query).map(
    (arm) =>
      `SELECT * FROM (SELECT ${columns} FROM cdr WHERE ${[...arm, ...filters].join(' AND ')} ${NEWEST} LIMIT ${limit})`,
  );
  const all = arms.join(' UNION ');
  // OFFSET of the whole needs as many rows as an arm has; without it the limit is the same.
  return `${all} ${NEWEST} LIMIT ${columns === '*' ? limit : '1'}`;
}

function armsOf(sql: Conditions, { user, with: other, from, to }: CdrQuery): string[][] {
  const any = (who: string) => [[`caller ${who}`], [`callee ${who}`], [`answered_by ${who}`]];
  if (user !== undefined) return any(`= ${sql.bind('user', user)}`);
  if (other !== undefined) return any(`IN ${sql.spellings('with', other)}`);
  if (from !== undefined) return [[`caller IN ${sql.spellings('from', from)}`]];
  if (to !== undefined) return [[`callee IN ${sql.spellings('to', to)}`]];
  return [[]];
}

function range(sql: Conditions, { since = 0, until, before }: CdrQuery, end?: CdrCursor): string[] {
  const last = before && (before.id === undefined ? before.startedAt - 1 : before.startedAt);
  const latest = Math.min(until ?? Number.MAX_SAFE_INTEGER, last ?? Number.MAX_SAFE_INTEGER);
  return [
    `started_at >= ${sql.bind('since', Math.max(since, end?.startedAt ?? 0))}`,
    `started_at <= ${sql.bind('latest', latest)}`,
    ...(before?.id === undefined
      ? []
      : [`(started_at < ${sql.bind('before', before.startedAt)} OR id < ${sql.bind('before_id', before.id)})`]),
    ...(end?.id === undefined
      ? []
      : [`(started_at > ${sql.bind('end', end.startedAt)} OR id >= ${sql.bind('end_id', end.id)})`]),
  ];
}

/** What else has to hold. A + keeps a condition from choosing the index: it would lead through other people's records. */
function filtersOf(sql: Conditions, query: CdrQuery): string[] {
  const { user, from, to, direction, answered, status, minS, maxS, text } = query;
  const talkedMs = 'COALESCE(ended_at - answered_at, 0)';
  return [
    ...(query.with === undefined || user === undefined ? [] : [besideUser(sql, query.with, query)]),
    ...(from === undefined ? [] : [isCaller(sql, 'from', from, query)]),
    ...(to === undefined ? [] : [`+callee IN ${sql.spellings('to', to)}`]),
    ...(direction === undefined ? [] : [`+caller ${direction === 'out' ? '=' : '<>'} :user`]),
    ...(answered === undefined ? [] : [`answered_at IS ${answered ? 'NOT ' : ''}NULL`]),
    ...(status === undefined
      ? []
      : [`status BETWEEN ${sql.bind('least', status.least)} AND ${sql.bind('most', status.most)}`]),
    ...(minS === undefined ? [] : [`${talkedMs} >= ${sql.bind('min_ms', minS * 1000)}`]),
    ...(maxS === undefined ? [] : [`${talkedMs} <= ${sql.bind('max_ms', maxS * 1000)}`]),
    ...(text === undefined ? [] : [`instr(lower(reason), lower(${sql.bind('text', text)})) > 0`]),
  ];
}

/** The caller as the user sees it: whoever asks for a private caller's name learns nothing by the answer. */
function isCaller(sql: Conditions, parameter: string, name: string, { isOwn }: CdrQuery): string {
  const named = `+caller IN ${sql.spellings(parameter, name)}`;
  if (!isOwn) return named;
  const isHidden = '(private IS 1 AND +caller <> :user)';
  return name === ANONYMOUS ? `(${named} OR ${isHidden})` : `(${named} AND NOT ${isHidden})`;
}

/** Somebody else in it; the user's own name means calls to oneself. */
function besideUser(sql: Conditions, name: string, query: CdrQuery): string {
  if (name === query.user) return '(+caller = :user AND (+callee = :user OR +answered_by = :user))';
  const who = sql.spellings('with', name);
  const caller = isCaller(sql, 'with', name, query);
  return `((${caller} AND +caller <> :user) OR +callee IN ${who} OR COALESCE(answered_by, '') IN ${who})`;
}
