import { base64url, type Crypto, fromBase64, utf8 } from '@offhook/core';

/** How long a nonce is good, seconds. */
export const NONCE_LIFETIME_S = 600;

/**
 * Nonces without memory: sixteen characters, base64url of the second it was made (32 bits) and 64 bits of
 * HMAC-SHA256 over that second and the client's address and port. So one client's nonce is worth nothing to another,
 * and an answer of 401 leaves nothing behind (RFC 8489 9.2.4, 5.4 of RFC 7616 allow any opaque text).
 */
export class Nonces {
  readonly #key: Uint8Array;
  readonly #crypto: Crypto;

  /** @param key 32 random bytes; the same for several processes that serve the same clients. */
  constructor(key: Uint8Array, crypto: Crypto) {
    this.#key = key;
    this.#crypto = crypto;
  }

  /** @param client the client's address and port as text. */
  make(client: string, nowMs: number): string {
    const second = Math.floor(nowMs / 1000);
    const bytes = new Uint8Array(12);
    new DataView(bytes.buffer).setUint32(0, second);
    bytes.set(this.#mac(client, second), 4);
    return base64url(bytes);
  }

  /** Whether we made it for this client within the last ten minutes. */
  check(nonce: string, client: string, nowMs: number): boolean {
    if (nonce.length !== 16) return false;
    const bytes = fromBase64(nonce);
    if (bytes?.length !== 12) return false;
    const second = new DataView(bytes.buffer).getUint32(0);
    const age = Math.floor(nowMs / 1000) - second;
    if (age < 0 || age > NONCE_LIFETIME_S) return false;
    return this.#crypto.equal(this.#mac(client, second), bytes.subarray(4));
  }

  #mac(client: string, second: number): Uint8Array {
    return this.#crypto.hmac('sha256', this.#key, utf8(`${second} ${client}`)).subarray(0, 8);
  }
}
