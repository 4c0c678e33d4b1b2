export * from './capacity.ts';
export * from './link.ts';
export * from './loss.ts';
