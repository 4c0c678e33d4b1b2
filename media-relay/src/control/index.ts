export type { ControlContext, ControlCounters } from './commands.ts';
export * from './event-hub.ts';
export * from './event-watch.ts';
export * from './listen.ts';
export * from './name-counts.ts';
export * from './warning-log.ts';
