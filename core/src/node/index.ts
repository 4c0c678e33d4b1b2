export * from './admin.ts';
export * from './clock.ts';
export * from './crypto.ts';
export * from './part.ts';
export * from './udp/index.ts';
