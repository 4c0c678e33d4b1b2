export { type MediaRelayConfig, type MediaRelaySettings, startMediaRelay } from './worker.ts';
