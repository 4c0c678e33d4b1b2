export { type TrunkConfig, type TrunkConfigs, trunkConfigProblems } from './config.ts';
export { Credentials } from './credentials.ts';
export type { Arrived, InboundTrunks, TrunkSource } from './inbound.ts';
export { TrunkLayer, type TrunkNews } from './layer.ts';
export type { Line } from './lines.ts';
export type { TrunkStatus } from './status.ts';
export * from './trunks.ts';
