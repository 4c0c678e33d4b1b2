export * from './compound.ts';
export * from './hop-reports.ts';
export type { QualitySample } from './quality-history.ts';
export type { ReceivedStream } from './received-stream.ts';
export type { RemoteReport } from './remote-reports.ts';
export { scoreOf } from './score.ts';
