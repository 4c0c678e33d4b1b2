export { ALLOW, CALL_LIMITS, type CallLayerOptions, type CallLimits, reasonHeader, refusal } from './context.ts';
export * from './layer.ts';
export type { MediaPath } from './media.ts';
