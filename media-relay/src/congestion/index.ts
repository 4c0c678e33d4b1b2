export { ArrivalLog } from './arrival-log.ts';
export { type CongestionCommand, type CongestionOptions, GoogleCongestionControl } from './google.ts';
export { LayerChoice } from './layer-choice.ts';
export { type RateForm, type RateRequest, RembThrottler } from './remb-throttler.ts';
export { type ReceiverReport, ReportControl } from './report-control.ts';
export { PacketUse } from './send-history.ts';
