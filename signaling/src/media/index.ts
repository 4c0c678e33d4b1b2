export * from './client.ts';
export * from './relay-sockets.ts';
