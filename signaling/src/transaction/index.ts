export * from './flow.ts';
export * from './layer.ts';
export * from './timers.ts';
export type { ClientTransactionId, ServerTransactionId, TransactionCommand } from './transaction.ts';
