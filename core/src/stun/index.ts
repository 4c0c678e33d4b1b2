export * from './channel-data.ts';
export * from './constants.ts';
export * from './crc32.ts';
export * from './credentials.ts';
export * from './message.ts';
export * from './password-algorithm.ts';
export * from './writer.ts';
