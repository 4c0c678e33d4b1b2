export * from './client.ts';
export type { StreamCommand, StreamInput } from './event-stream.ts';
export * from './relay-sockets.ts';
export * from './relay-streams.ts';
