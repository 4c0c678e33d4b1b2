import { base64, fromBase64 } from '../base/index.ts';

/** Password algorithms (RFC 8489 18.5). */
export const PasswordAlgorithm = { md5: 0x0001, sha256: 0x0002 } as const;
export type PasswordAlgorithmValue = (typeof PasswordAlgorithm)[keyof typeof PasswordAlgorithm];

/** The value of PASSWORD-ALGORITHMS that offers SHA-256 before MD5; both have no parameters (RFC 8489 14.11). */
export const PASSWORD_ALGORITHMS = new Uint8Array([0, 2, 0, 0, 0, 1, 0, 0]);

/** The value of PASSWORD-ALGORITHM, or undefined when it is malformed or none that we know (RFC 8489 14.12). */
export function passwordAlgorithm(value: Uint8Array): PasswordAlgorithmValue | undefined {
  if (value.length !== 4 || value[0] !== 0 || value[2] !== 0 || value[3] !== 0) return undefined;
  return value[1] === PasswordAlgorithm.md5 || value[1] === PasswordAlgorithm.sha256 ? value[1] : undefined;
}

/** What every nonce of a server that knows RFC 8489 begins with (9.2). */
const COOKIE = 'obMatJos2';

/** Security features, bits counted from the rightmost (RFC 8489 18.1 with errata 6268 and 6290). */
export interface SecurityFeatures {
  readonly passwordAlgorithms: boolean;
  readonly usernameAnonymity: boolean;
}

/** The thirteen characters in front of a nonce: `obMatJos2AAAB`. */
export function nonceCookie(features: SecurityFeatures): string {
  const bits = (features.passwordAlgorithms ? 1 : 0) | (features.usernameAnonymity ? 2 : 0);
  return COOKIE + base64(new Uint8Array([0, 0, bits]));
}

/** The features that a nonce announces; undefined when it has no cookie. */
export function nonceFeatures(nonce: string): SecurityFeatures | undefined {
  if (!nonce.startsWith(COOKIE)) return undefined;
  const bits = fromBase64(nonce.slice(COOKIE.length, COOKIE.length + 4));
  if (bits?.length !== 3) return undefined;
  return { passwordAlgorithms: (bits[2]! & 1) !== 0, usernameAnonymity: (bits[2]! & 2) !== 0 };
}
