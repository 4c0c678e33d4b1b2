export * from './commands.ts';
export * from './server.ts';
