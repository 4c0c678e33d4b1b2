export { ALLOW, type CallLimits, refusal, SUPPORTED, unknownNeeds } from './context.ts';
export * from './layer.ts';
export type { MediaPath } from './media.ts';
export type { CallSnapshot, FlowSnapshot, Reach } from './snapshot.ts';
export { type CallSummary, isParty, seenBy } from './summary.ts';
