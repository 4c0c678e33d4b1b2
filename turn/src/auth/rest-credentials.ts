import { type Crypto, turnRestPassword } from '@offhook/core';

/** A clock that is off by less than this, seconds, ends nobody's call. */
const CLOCK_TOLERANCE_S = 300;

/**
 * Time-limited credentials in coturn's form: user name `<unix expiry>[:<user>]`, password
 * base64(HMAC-SHA1(secret, user name)). Several secrets are good at once, so one can be replaced without a gap.
 */
export class RestCredentials {
  readonly #secrets: readonly string[];
  readonly #crypto: Crypto;

  constructor(secrets: readonly string[], crypto: Crypto) {
    this.#secrets = secrets;
    this.#crypto = crypto;
  }

  /** Whether it is a time-limited name whose time is over. */
  hasExpired(username: string, wallMs: number): boolean {
    const expiresAtS = expiry(username);
    return expiresAtS !== undefined && expiresAtS + CLOCK_TOLERANCE_S < wallMs / 1000;
  }

  /** The passwords this user name may sign with, one per secret; none when it is malformed or has expired. */
  passwords(username: string, wallMs: number): string[] {
    if (expiry(username) === undefined || this.hasExpired(username, wallMs)) return [];
    return this.#secrets.map((secret) => turnRestPassword(secret, username, this.#crypto));
  }
}

/** Whom quotas count for: what follows the time in a user name. */
export function quotaUser(username: string): string {
  return /^\d{1,12}:(.*)$/s.exec(username)?.[1] ?? username;
}

function expiry(username: string): number | undefined {
  const digits = /^(\d{1,12})(:|$)/.exec(username)?.[1];
  return digits === undefined ? undefined : Number(digits);
}
