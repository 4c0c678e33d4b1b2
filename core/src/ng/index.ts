export * from './bencode.ts';
export * from './limits.ts';
export * from './message.ts';
