export { describeBinding, describeCall } from './api.ts';
export * from './http-server.ts';
