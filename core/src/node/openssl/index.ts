export * from './cipher.ts';
export * from './library.ts';
export * from './tls.ts';
