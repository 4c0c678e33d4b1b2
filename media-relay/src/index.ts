export type { DirectionStatistics, LegStatistics } from './session/index.ts';
export { SrtpContext, type SrtpKeys } from './srtp/index.ts';
export { type MediaRelayConfig, type MediaRelaySettings, startMediaRelay } from './worker.ts';
