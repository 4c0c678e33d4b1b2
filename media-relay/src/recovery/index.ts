export * from './key-frame-requests.ts';
export * from './loss-meter.ts';
export * from './nack-generator.ts';
export * from './red-decoder.ts';
export * from './red-encoder.ts';
export * from './red-policy.ts';
export * from './retransmission-buffer.ts';
