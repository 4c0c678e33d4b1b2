export * from './decision.ts';
export * from './default.ts';
