import { base64url, type Crypto, hex, utf8 } from '@offhook/core';

/** How long a nonce is good for, milliseconds. */
export const NONCE_LIFETIME_MS = 600_000;

/** Uses of one nonce that may arrive out of order. */
const WINDOW = 32;
const MAX_USED = 50_000;

/**
 * Nonces that need no memory until they have been used well: time and source address under a keyed hash. The key is
 * drawn at start, so a nonce of an earlier process counts as unknown. After a success the nonce-count is remembered and
 * no value is accepted twice (RFC 7616 3.4.6).
 */
export class Nonces {
  readonly #crypto: Crypto;
  readonly #key: Uint8Array;
  readonly #lifetimeMs: number;
  /** nonce → highest count and a bit for each of the 32 before it. */
  readonly #used = new Map<string, { highest: number; seen: number; expiresAtMs: number }>();

  constructor(crypto: Crypto, lifetimeMs = NONCE_LIFETIME_MS) {
    this.#crypto = crypto;
    this.#key = crypto.randomBytes(32);
    this.#lifetimeMs = lifetimeMs;
  }

  make(address: string, nowMs: number): string {
    const time = Math.floor(nowMs).toString(16).padStart(12, '0');
    const salt = hex(this.#crypto.randomBytes(4));
    return `${time}${salt}${this.#mark(time + salt, address)}`;
  }

  /** `stale` means: it was ours and for that address, but its time is over. */
  check(nonce: string, address: string, nowMs: number): 'good' | 'stale' | 'unknown' {
    const head = nonce.slice(0, 20);
    if (!/^[0-9a-f]{20}$/.test(head)) return 'unknown';
    if (!this.#crypto.equal(utf8(nonce.slice(20)), utf8(this.#mark(head, address)))) return 'unknown';
    const age = nowMs - Number.parseInt(head.slice(0, 12), 16);
    return age >= -1000 && age <= this.#lifetimeMs ? 'good' : 'stale';
  }

  /** Takes note of a successful use; false when this count was used before, or is too old to know. */
  use(nonce: string, count: number, nowMs: number): boolean {
    const known = this.#used.get(nonce);
    if (!known) {
      if (this.#used.size >= MAX_USED) this.#forget(nowMs);
      this.#used.set(nonce, { highest: count, seen: 1, expiresAtMs: nowMs + this.#lifetimeMs });
      return count > 0;
    }
    const ahead = count - known.highest;
    if (ahead > 0) {
      known.seen = ahead >= WINDOW ? 1 : (known.seen << ahead) | 1;
      known.highest = count;
      return true;
    }
    if (-ahead >= WINDOW || ((known.seen >>> -ahead) & 1) === 1) return false;
    known.seen |= 1 << -ahead;
    return true;
  }

  /** Drops what has expired; when that is not enough, the oldest half. */
  #forget(nowMs: number): void {
    for (const [nonce, use] of this.#used) if (use.expiresAtMs < nowMs) this.#used.delete(nonce);
    for (const nonce of [...this.#used.keys()].slice(0, Math.max(0, this.#used.size - MAX_USED / 2)))
      this.#used.delete(nonce);
  }

  #mark(head: string, address: string): string {
    return base64url(this.#crypto.hmac('sha256', this.#key, utf8(`${head} ${address}`)).subarray(0, 15));
  }
}
