export * from './cipher.ts';
export * from './library.ts';
