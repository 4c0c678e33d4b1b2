export { Journal } from './journal.ts';
export type { Cdr, CdrQuery, Entry } from './journal-schema.ts';
export * from './settings.ts';
export * from './store.ts';
