export * from './bencode.ts';
export * from './limits.ts';
export * from './message.ts';
export * from './stream.ts';
