import { type Crypto, longTermKey, turnRestPassword } from '@offhook/core';

/** A clock that is off by less than this, seconds, ends nobody's call. */
const CLOCK_TOLERANCE_S = 300;
/** Longest user name, bytes (RFC 8489 14.3). */
const MAX_USERNAME = 513;

/**
 * Time-limited credentials in coturn's form: user name `<unix expiry>[:<user>]`, password
 * base64(HMAC-SHA1(secret, user name)). Several secrets are good at once, so one can be replaced without a gap.
 */
export class RestCredentials {
  readonly #secrets: readonly string[];
  readonly #realm: string;
  readonly #crypto: Crypto;

  constructor(options: { readonly secrets: readonly string[]; readonly realm: string; readonly crypto: Crypto }) {
    this.#secrets = options.secrets;
    this.#realm = options.realm;
    this.#crypto = options.crypto;
  }

  /** The long-term keys this user name may sign with, one per secret; none when it is malformed or has expired. */
  keys(username: string, wallMs: number): Uint8Array[] {
    const expiresAtS = expiry(username);
    if (expiresAtS === undefined || expiresAtS + CLOCK_TOLERANCE_S < wallMs / 1000) return [];
    return this.#secrets.map((secret) =>
      longTermKey(username, this.#realm, turnRestPassword(secret, username, this.#crypto), this.#crypto),
    );
  }
}

/** Whom quotas count for: what follows the time in a user name. */
export function quotaUser(username: string): string {
  const colon = username.indexOf(':');
  return colon < 0 ? username : username.slice(colon + 1);
}

function expiry(username: string): number | undefined {
  if (username.length > MAX_USERNAME) return undefined;
  const digits = /^(\d{1,12})(:|$)/.exec(username)?.[1];
  return digits === undefined ? undefined : Number(digits);
}
