import { monotonicMs } from '@offhook/core/node';
import type { Logger } from 'pino';
import { type BearerOptions, JWT_ALGORITHMS, jwtCheck, KeyFile, type Sessions } from '../auth/index.ts';
import type { SignalingConfig } from '../config.ts';

/** Which tokens are taken in place of passwords: our own sessions, and those of a configured issuer. */
export function bearerOf({ sip }: SignalingConfig, sessions: Sessions, log: Logger): BearerOptions {
  const { bearer, challenge } = sip;
  if (!bearer) return { checks: [sessions.asToken] };
  const { issuer, audience, jwks, algorithms = JWT_ALGORITHMS, authzServer } = bearer;
  const keys = new KeyFile(jwks, { onTrouble: (words) => log.warn(words), nowMs: monotonicMs });
  log.info({ keys: keys.size, issuer }, 'tokens are taken');
  const check = jwtCheck({ issuer, audience, algorithms, verify: keys.verify });
  return { checks: [sessions.asToken, check], authzServer, isAskedFor: challenge === 'bearer' };
}
