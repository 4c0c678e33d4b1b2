import { apart } from '../base/index.ts';

/** Compact forms (RFC 3261 7.3.3 and the IANA registry), by lower-case letter. */
const COMPACT: Readonly<Record<string, string>> = {
  a: 'accept-contact',
  b: 'referred-by',
  c: 'content-type',
  d: 'request-disposition',
  e: 'content-encoding',
  f: 'from',
  i: 'call-id',
  j: 'reject-contact',
  k: 'supported',
  l: 'content-length',
  m: 'contact',
  o: 'event',
  r: 'refer-to',
  s: 'subject',
  t: 'to',
  u: 'allow-events',
  v: 'via',
  x: 'session-expires',
  y: 'identity',
};

/** Names in their usual spelling, for lines that we write. */
const SPELLING: Readonly<Record<string, string>> = {
  'call-id': 'Call-ID',
  cseq: 'CSeq',
  'mime-version': 'MIME-Version',
  'www-authenticate': 'WWW-Authenticate',
  'min-se': 'Min-SE',
  rack: 'RAck',
  rseq: 'RSeq',
  'sip-etag': 'SIP-ETag',
  'sip-if-match': 'SIP-If-Match',
};

/** Names that were asked for before: there are few, and they are asked for with every message. */
const KNOWN = 256;
const canonical = new Map<string, string>();
const spelled = new Map<string, string>();

/** The lower-case long name that a header is known by. */
export function canonicalName(name: string): string {
  const known = canonical.get(name);
  if (known !== undefined) return known;
  const lower = name.toLowerCase();
  const long = lower.length === 1 ? (COMPACT[lower] ?? lower) : lower;
  if (canonical.size < KNOWN && name.length < 32) canonical.set(apart(name), long);
  return long;
}

/** Names as they were last written in messages, by a sum over their characters: a guess that is checked. */
const seen: ({ readonly written: string; readonly name: string } | undefined)[] = new Array(512).fill(undefined);

/** The name at that place of a text; what was seen before is recognised without being cut out. */
export function nameWithin(text: string, at: number, what: { length: number; sum: number }): string {
  const { length, sum } = what;
  const slot = sum & 511;
  const guess = seen[slot];
  if (guess?.written.length === length && text.startsWith(guess.written, at)) return guess.name;
  const written = text.slice(at, at + length);
  const name = canonicalName(written);
  if (length < 32) seen[slot] = { written: apart(written), name };
  return name;
}

export function spelling(name: string): string {
  const known = spelled.get(name);
  if (known !== undefined) return known;
  const text =
    SPELLING[name] ?? name.replace(/(^|-)([a-z])/g, (_, dash: string, letter: string) => dash + letter.toUpperCase());
  if (spelled.size < KNOWN && name.length < 32) spelled.set(name, text);
  return text;
}

/** Headers of which a message may have only one (RFC 3261 7.3.1, table 2): two would let two readers disagree. */
const ONCE = [
  'from',
  'to',
  'call-id',
  'cseq',
  'content-length',
  'max-forwards',
  'content-type',
  'expires',
  'event',
  'subscription-state',
  'sip-if-match',
];

/** Each with a bit of its own. */
export const SINGLE: ReadonlyMap<string, number> = new Map(ONCE.map((name, i) => [name, 1 << i]));
