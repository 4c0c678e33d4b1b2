export * from './counters.ts';
export * from './latch.ts';
export * from './media-path.ts';
export * from './packets.ts';
export * from './router.ts';
export * from './ssrc-table.ts';
export * from './telephone-events.ts';
export * from './transport.ts';
