export * from './accounts.ts';
export * from './admission.ts';
export * from './authenticator.ts';
export { LONGEST_USER, Lockout } from './lockout.ts';
export { RateLimit } from './rate-limit.ts';
export * from './sessions.ts';
