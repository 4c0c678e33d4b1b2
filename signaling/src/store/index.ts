export { cdrsAsCsv } from './cdr-csv.ts';
export { type CdrQuery, cursorText, readCdrQuery } from './cdr-query.ts';
export type { CdrPage } from './cdr-search.ts';
export { Journal } from './journal.ts';
export type { Cdr, Entry } from './journal-schema.ts';
export * from './settings.ts';
export * from './store.ts';
