export * from './clock.ts';
export * from './crypto.ts';
export * from './drive.ts';
export * from './network.ts';
