export * from './accounts.ts';
export * from './admission.ts';
export * from './authenticator.ts';
export { Lockout } from './lockout.ts';
export { NONCE_LIFETIME_MS } from './nonce.ts';
export { type Rate, RateLimit } from './rate-limit.ts';
export * from './sessions.ts';
