export * from './hop-recovery.ts';
export * from './red-decoder.ts';
export * from './red-encoder.ts';
export * from './rtx-receiver.ts';
export * from './video-repair.ts';
