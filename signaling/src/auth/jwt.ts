import { fromBase64, text, utf8 } from '@offhook/core';
import { LONGEST_USER } from './lockout.ts';

/** Whose a token is, or what is wrong with it; undefined when it is of another kind. */
export type TokenCheck = (token: string, nowS: number) => { user: string } | { problem: string } | undefined;

/** With a public key only: a shared secret would have to lie where everybody's tokens could be made with it. */
export const JWT_ALGORITHMS = ['RS256', 'ES256', 'EdDSA'] as const;
export type JwtAlgorithm = (typeof JWT_ALGORITHMS)[number];

export interface JwtRules {
  /** Exactly as in `iss`. */
  readonly issuer: string;
  /** This server's name there: `aud` is it or has it. */
  readonly audience: string;
  readonly algorithms: readonly JwtAlgorithm[];
  /** Whether one of the issuer's keys (the one of that name, if the token names one) has signed these bytes. */
  readonly verify: (
    by: { readonly algorithm: JwtAlgorithm; readonly keyId?: string },
    data: Uint8Array,
    signature: Uint8Array,
  ) => boolean;
}

/** How far clocks may differ, seconds. */
const LEEWAY_S = 30;

/**
 * JSON Web Tokens in the compact form (RFC 7515 3.1, RFC 7519), as an OAuth server issues them: header.payload.signature.
 * The signature comes first, then who has issued it for whom, then the times; `sub` is the account.
 */
export function jwtCheck(rules: JwtRules): TokenCheck {
  return (token, nowS) => {
    const parts = token.split('.');
    if (parts.length !== 3) return undefined;
    const [head = '', body = '', tail = ''] = parts;
    const header = objectIn(head);
    const signature = fromBase64(tail);
    if (!header || !signature) return { problem: 'the token is malformed' };
    const algorithm = rules.algorithms.find((known) => known === header.alg);
    // RFC 8725 3.1: the algorithm is our choice, not the token's.
    if (!algorithm) return { problem: 'the token is signed in a way that is not accepted here' };
    // RFC 7515 4.1.11: what has to be understood and is not.
    if (header.crit !== undefined) return { problem: 'the token needs an extension that is not known here' };
    const keyId = typeof header.kid === 'string' ? header.kid : undefined;
    if (!rules.verify({ algorithm, keyId }, utf8(`${head}.${body}`), signature))
      return { problem: 'the token is not signed by a key that is known here' };
    const claims = objectIn(body);
    return claims ? inspect(claims, rules, nowS) : { problem: 'the token is malformed' };
  };
}

function inspect(
  { iss, aud, exp, nbf, sub }: Record<string, unknown>,
  { issuer, audience }: JwtRules,
  nowS: number,
): { user: string } | { problem: string } {
  if (iss !== issuer) return { problem: 'the token is of another issuer' };
  if (aud !== audience && !(Array.isArray(aud) && aud.includes(audience)))
    return { problem: 'the token is for another server' };
  if (typeof exp !== 'number') return { problem: 'the token has no end' };
  if (nowS >= exp + LEEWAY_S) return { problem: 'the token has expired' };
  if (nbf !== undefined && !(typeof nbf === 'number' && nowS >= nbf - LEEWAY_S))
    return { problem: 'the token is not good yet' };
  if (typeof sub !== 'string' || sub === '' || sub.length > LONGEST_USER)
    return { problem: 'the token is for no account here' };
  return { user: sub };
}

function objectIn(encoded: string): Record<string, unknown> | undefined {
  const bytes = fromBase64(encoded);
  try {
    const value: unknown = JSON.parse(text(bytes ?? new Uint8Array(0)));
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? (value as Record<string, unknown>)
      : undefined;
  } catch {
    return undefined;
  }
}
