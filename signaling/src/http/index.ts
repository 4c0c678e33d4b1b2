export { describeBinding, describeCall } from './api.ts';
export { EventLog } from './event-log.ts';
export * from './http-server.ts';
