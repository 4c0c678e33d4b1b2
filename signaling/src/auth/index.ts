export * from './accounts.ts';
export * from './admission.ts';
export * from './authenticator.ts';
export { Bearer, type BearerOptions } from './bearer.ts';
export { JWT_ALGORITHMS, type JwtAlgorithm, jwtCheck } from './jwt.ts';
export { KeyFile } from './key-file.ts';
export { LONGEST_USER, Lockout } from './lockout.ts';
export { RateLimit } from './rate-limit.ts';
export * from './sessions.ts';
