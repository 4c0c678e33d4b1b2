/** Where a page of records ended: the next one begins right behind, among equal start times by id. */
export interface CdrCursor {
  /** Unix milliseconds. */
  readonly startedAt: number;
  /** Without it, behind all records that began in that millisecond. */
  readonly id?: string;
}

/** What is asked of the records, the newest first. All that is given has to hold. */
export interface CdrQuery {
  /** Whose they are; undefined: everybody's. */
  readonly user?: string;
  /** The user asks, whom private callers are hidden from; else whoever runs the server. */
  readonly isOwn?: true;
  /** Somebody in it beside the user: who called, was called, or took the call. */
  readonly with?: string;
  readonly from?: string;
  readonly to?: string;
  /** As the user sees it. */
  readonly direction?: 'in' | 'out';
  readonly answered?: boolean;
  readonly status?: { readonly least: number; readonly most: number };
  /** Start of the call, Unix milliseconds, both included. */
  readonly since?: number;
  readonly until?: number;
  /** Seconds it was talked, 0 when nobody answered. */
  readonly minS?: number;
  readonly maxS?: number;
  /** In the words that say how it ended. */
  readonly text?: string;
  readonly before?: CdrCursor;
  readonly limit: number;
}

const DEFAULT_LIMIT = 50;
const LONGEST_NAME = 256;
const LONGEST_TEXT = 100;
/** Seconds in a week: no call is longer. */
const MOST_S = 604_800;
const DAY_MS = 86_400_000;

type Fields = { -readonly [K in keyof CdrQuery]: CdrQuery[K] };
type Read = (value: string, into: Fields, limit: number) => string | undefined;

/** How each parameter is read; what it answers is what is wrong with it. */
const READERS: Readonly<Record<string, Read>> = {
  with: (value, into) => name(value, (one) => (into.with = one)),
  from: (value, into) => name(value, (one) => (into.from = one)),
  to: (value, into) => name(value, (one) => (into.to = one)),
  direction: (value, into) => {
    if (value !== 'in' && value !== 'out') return 'in or out';
    into.direction = value;
    return undefined;
  },
  answered: (value, into) => {
    if (value !== 'true' && value !== 'false') return 'true or false';
    into.answered = value === 'true';
    return undefined;
  },
  status: (value, into) => {
    const [, first, rest] = /^([1-6])(\d\d|xx)$/i.exec(value) ?? [];
    if (first === undefined || rest === undefined) return 'a status like 486, or 4xx for all of its kind';
    const least = Number(first) * 100;
    into.status = /x/i.test(rest) ? { least, most: least + 99 } : { least: Number(value), most: Number(value) };
    return undefined;
  },
  since: (value, into) => time(value, (at) => (into.since = at)),
  until: (value, into) => time(value, (at) => (into.until = /^\d{4}-\d\d-\d\d$/.test(value) ? at + DAY_MS - 1 : at)),
  minS: (value, into) => whole(value, { least: 0, most: MOST_S }, (n) => (into.minS = n)),
  maxS: (value, into) => whole(value, { least: 0, most: MOST_S }, (n) => (into.maxS = n)),
  text: (value, into) => {
    if (value === '' || value.length > LONGEST_TEXT) return `1 to ${LONGEST_TEXT} characters`;
    into.text = value;
    return undefined;
  },
  limit: (value, into, most) => whole(value, { least: 1, most }, (n) => (into.limit = n)),
  before: (value, into) => {
    const [, at, id] = /^(\d{1,16})(?:\.([\w-]{1,64}))?$/.exec(value) ?? [];
    if (at === undefined || !Number.isSafeInteger(Number(at)))
      return 'the startedAt of the last record, a dot and its id: 1780000000000.4f…';
    into.before = id === undefined ? { startedAt: Number(at) } : { startedAt: Number(at), id };
    return undefined;
  },
};

/** Names of the parameters, as they are told. */
export const CDR_PARAMETERS: readonly string[] = Object.keys(READERS);

/**
 * The query that texts by name mean, as they come in a URL or from a command line; or what is wrong with one of them, in
 * words that name it.
 */
export function readCdrQuery(
  parameters: Readonly<Record<string, unknown>>,
  of: { readonly user: string | undefined; readonly isOwn?: true; readonly mostRecords: number },
): { readonly query: CdrQuery } | { readonly problem: string } {
  const query: Fields = { limit: Math.min(DEFAULT_LIMIT, of.mostRecords) };
  if (of.user !== undefined) query.user = of.user;
  if (of.isOwn) query.isOwn = true;
  for (const [key, value] of Object.entries(parameters)) {
    const read = Object.hasOwn(READERS, key) ? READERS[key] : undefined;
    if (!read) return { problem: `${key.slice(0, 40)}: no such parameter; there are ${CDR_PARAMETERS.join(', ')}` };
    if (Array.isArray(value)) return { problem: `${key}: given more than once` };
    const wrong = typeof value === 'string' ? read(value, query, of.mostRecords) : 'a text is needed';
    if (wrong !== undefined) return { problem: `${key}: ${wrong}` };
  }
  if (query.direction !== undefined && query.user === undefined)
    return { problem: 'direction: in or out for whom? It needs user' };
  return { query };
}

/** As `before` takes it. */
export function cursorText({ startedAt, id }: CdrCursor): string {
  return id === undefined ? String(startedAt) : `${startedAt}.${id}`;
}

function name(value: string, take: (value: string) => void): string | undefined {
  if (value === '' || value.length > LONGEST_NAME) return `a user or a number, ${LONGEST_NAME} characters at most`;
  take(value);
  return undefined;
}

function whole(
  value: string,
  { least, most }: { least: number; most: number },
  take: (value: number) => void,
): string | undefined {
  const number = /^\d{1,16}$/.test(value) ? Number(value) : Number.NaN;
  if (!(number >= least && number <= most)) return `a whole number, ${least} to ${most}`;
  take(number);
  return undefined;
}

/** A date alone is that day here; a time without a zone is the time here. A `+` that a URL made a space is mended. */
function time(value: string, take: (atMs: number) => void): string | undefined {
  const text = value.replace(/ (?=\d\d:?\d\d$)/, '+');
  const isIso = /^\d{4}-\d\d-\d\d(?:T\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?(?:Z|[+-]\d\d:?\d\d)?)?$/.test(text);
  const at = /^\d{1,16}$/.test(text) ? Number(text) : isIso ? Date.parse(/T/.test(text) ? text : `${text}T00:00`) : NaN;
  if (!Number.isSafeInteger(at))
    return 'Unix milliseconds, or a time like 2026-12-24, 2026-12-24T20:00, 2026-12-24T19:00Z';
  take(at);
  return undefined;
}
