export * from './flow.ts';
export * from './layer.ts';
export * from './timers.ts';
export type { TransactionCommand } from './transaction.ts';
