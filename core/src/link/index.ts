export * from './link.ts';
export * from './loss.ts';
