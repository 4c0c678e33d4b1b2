export { ArrivalLog } from './arrival-log.ts';
export { type CongestionCommand, type CongestionOptions, GoogleCongestionControl } from './google.ts';
export { HopRates } from './hop-rates.ts';
export { LayerChoice } from './layer-choice.ts';
export { noRates, type RateCounters } from './rate-feedback.ts';
export { sendRates } from './rate-output.ts';
export { RembThrottler } from './remb-throttler.ts';
export { ReportControl } from './report-control.ts';
export { PacketUse } from './send-history.ts';
