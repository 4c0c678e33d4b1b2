import type { CdrQuery } from './cdr-query.ts';

/** A call detail record: one for each call that this server set up or tried to, written when it has ended. */
export interface Cdr {
  readonly id: string;
  readonly from: string;
  readonly to: string;
  /** Who took it. */
  readonly answeredBy?: string;
  /** The caller's name is the caller's alone. */
  readonly isPrivate?: boolean;
  /** Unix milliseconds. */
  readonly startedAt: number;
  readonly answeredAt?: number;
  readonly endedAt: number;
  /** 200 for a call that was talked, else the status the caller got. */
  readonly status: number;
  readonly reason: string;
  readonly media: string;
}

/** One thing to write; what is written together counts together or not at all. */
export type Entry =
  | { readonly kind: 'call'; readonly id: string; readonly snapshot: string }
  | { readonly kind: 'cdr'; readonly cdr: Cdr }
  | { readonly kind: 'binding'; readonly key: string; readonly snapshot: string }
  | { readonly kind: 'no-binding'; readonly key: string }
  | { readonly kind: 'message'; readonly id: string; readonly snapshot: string }
  | { readonly kind: 'no-message'; readonly id: string }
  | { readonly kind: 'subscription'; readonly tag: string; readonly snapshot: string }
  | { readonly kind: 'no-subscription'; readonly tag: string };

export type JournalRequest =
  | { readonly kind: 'write'; readonly id: number; readonly entries: readonly Entry[] }
  | { readonly kind: 'calls'; readonly id: number }
  | { readonly kind: 'bindings'; readonly id: number }
  | { readonly kind: 'messages'; readonly id: number }
  | { readonly kind: 'subscriptions'; readonly id: number }
  | { readonly kind: 'cdrs'; readonly id: number; readonly query: CdrQuery };

export type JournalReply =
  | { readonly id: number; readonly ok: unknown }
  | { readonly id: number; readonly error: string };

export const SCHEMA = `
  CREATE TABLE IF NOT EXISTS call (id TEXT PRIMARY KEY, snapshot TEXT NOT NULL) STRICT;
  CREATE TABLE IF NOT EXISTS binding (key TEXT PRIMARY KEY, snapshot TEXT NOT NULL) STRICT;
  CREATE TABLE IF NOT EXISTS message (place INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, snapshot TEXT NOT NULL) STRICT;
  CREATE TABLE IF NOT EXISTS subscription (tag TEXT PRIMARY KEY, snapshot TEXT NOT NULL) STRICT;
  CREATE TABLE IF NOT EXISTS cdr (
    id TEXT PRIMARY KEY, caller TEXT NOT NULL, callee TEXT NOT NULL, started_at INTEGER NOT NULL, answered_at INTEGER,
    ended_at INTEGER NOT NULL, status INTEGER NOT NULL, reason TEXT NOT NULL, media TEXT NOT NULL,
    answered_by TEXT, private INTEGER) STRICT;`;

/** Columns of `cdr` that older files lack. */
export const ADDED = { answered_by: 'TEXT', private: 'INTEGER' } as const;
/** By whoever is in a call, in the order that pages have; they take the place of those without the id. */
export const INDEXES = `
  CREATE INDEX IF NOT EXISTS cdr_by_caller ON cdr (caller, started_at, id);
  CREATE INDEX IF NOT EXISTS cdr_by_callee ON cdr (callee, started_at, id);
  CREATE INDEX IF NOT EXISTS cdr_by_answerer ON cdr (answered_by, started_at, id);
  CREATE INDEX IF NOT EXISTS cdr_by_start ON cdr (started_at, id);
  DROP INDEX IF EXISTS cdr_caller;
  DROP INDEX IF EXISTS cdr_callee;
  DROP INDEX IF EXISTS cdr_answered_by;
  DROP INDEX IF EXISTS cdr_started;`;
