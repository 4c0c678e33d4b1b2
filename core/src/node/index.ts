export * from './admin.ts';
export * from './certificates/index.ts';
export * from './clock.ts';
export * from './crypto.ts';
export * from './openssl/index.ts';
export * from './part.ts';
export * from './part-flags.ts';
export { openFilesLimit, processFigures, udpReceiveBufferErrors } from './process-figures.ts';
export * from './udp/index.ts';
