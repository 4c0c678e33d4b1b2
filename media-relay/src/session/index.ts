export * from './book.ts';
export * from './dtls.ts';
export type { MediaHost } from './host.ts';
export * from './kind.ts';
export * from './ports.ts';
export * from './query.ts';
export * from './request.ts';
export * from './sdes.ts';
export * from './table.ts';
