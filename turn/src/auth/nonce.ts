import { base64url, type Crypto, fromBase64, nonceCookie, type SecurityFeatures, utf8 } from '@offhook/core';

/** How long a nonce is good, seconds. */
export const NONCE_LIFETIME_S = 600;
/** Clocks of a fleet differ. */
const SKEW_S = 5;
/** Characters behind the cookie. */
const LENGTH = 16;

/**
 * Nonces without memory: the cookie with our security features where we have any (RFC 8489 9.2), and sixteen characters,
 * base64url of the second it was made (32 bits) and 64 bits of HMAC-SHA256 over that second and the client's address and
 * port. So one client's nonce is worth nothing to another, and an answer of 401 leaves nothing behind.
 */
export class Nonces {
  /** In front of every nonce; empty when there are no features, for the smallest answers. */
  readonly cookie: string;
  readonly #key: Uint8Array;
  readonly #crypto: Crypto;

  /** @param key 32 random bytes; the same for several processes that serve the same clients. */
  constructor(key: Uint8Array, features: SecurityFeatures, crypto: Crypto) {
    this.#key = key;
    this.cookie = features.passwordAlgorithms || features.usernameAnonymity ? nonceCookie(features) : '';
    this.#crypto = crypto;
  }

  /**
   * @param client the client's address and port as text.
   * @param wallMs wall clock, so that a nonce outlives a restart.
   */
  make(client: string, wallMs: number): string {
    const second = Math.floor(wallMs / 1000);
    const bytes = new Uint8Array(12);
    new DataView(bytes.buffer).setUint32(0, second);
    bytes.set(this.#mac(client, second), 4);
    return this.cookie + base64url(bytes);
  }

  /** Whether we made it for this client, with today's features, within the last ten minutes. */
  check(nonce: string, client: string, wallMs: number): boolean {
    if (nonce.length !== this.cookie.length + LENGTH || !nonce.startsWith(this.cookie)) return false;
    const bytes = fromBase64(nonce.slice(this.cookie.length));
    if (bytes?.length !== 12) return false;
    const second = new DataView(bytes.buffer).getUint32(0);
    const age = Math.floor(wallMs / 1000) - second;
    if (age < -SKEW_S || age > NONCE_LIFETIME_S) return false;
    return this.#crypto.equal(this.#mac(client, second), bytes.subarray(4));
  }

  #mac(client: string, second: number): Uint8Array {
    return this.#crypto.hmac('sha256', this.#key, utf8(`${second} ${client}`)).subarray(0, 8);
  }
}
