export { ALLOW, type CallLimits, refusal } from './context.ts';
export * from './layer.ts';
export type { MediaPath } from './media.ts';
export type { CallSummary } from './summary.ts';
