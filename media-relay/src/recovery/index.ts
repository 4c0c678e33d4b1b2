export * from './hop-recovery.ts';
export * from './red-decoder.ts';
export * from './red-encoder.ts';
export type { RtxStream } from './retransmission-buffer.ts';
export * from './rtx-receiver.ts';
export * from './video-repair.ts';
