export * from './capacity.ts';
export * from './link.ts';
