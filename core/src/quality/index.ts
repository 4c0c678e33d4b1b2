export * from './codecs.ts';
export * from './e-model.ts';
export { readVqReport } from './vq-read.ts';
export { VQ_EVENT, VQ_TYPE, type VqMetrics, type VqReport } from './vq-report.ts';
export { writeVqReport } from './vq-write.ts';
