export * from './authenticator.ts';
export { Lockout } from './lockout.ts';
export { NONCE_LIFETIME_MS } from './nonce.ts';
export * from './sessions.ts';
