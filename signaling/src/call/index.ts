export { ALLOW, type CallLimits, reasonWords, refusal, SUPPORTED, unknownNeeds } from './context.ts';
export { endToEnd } from './end-to-end.ts';
export * from './layer.ts';
export type { Encryption, MediaPath } from './media.ts';
export { sessionMetrics } from './session-figures.ts';
export type { CallSnapshot, FlowSnapshot, Reach } from './snapshot.ts';
export { type CallSummary, isParty, type RelayedCall, seenBy } from './summary.ts';
