import { base64url, type Crypto, hex, utf8 } from '@offhook/core';

/** How long a nonce is good for, milliseconds. */
export const NONCE_LIFETIME_MS = 600_000;

/** Uses of one nonce that may arrive out of order. */
const WINDOW = 32;
const MAX_USED = 50_000;
/** Characters before the mark. */
const HEAD = 28;

/**
 * Nonces that need no memory until they have been used well: time, process and source address under a keyed hash. A
 * nonce of an earlier process is recognised as ours but stale, so that phones do not take the restart for a wrong
 * password. After a success the nonce-count is remembered and no value is accepted twice (RFC 7616 3.4.6).
 *
 *     time (12 hex digits, ms) · process (8) · salt (8) · HMAC-SHA256 of these and the address (20, base64url)
 */
export class Nonces {
  readonly #crypto: Crypto;
  readonly #key: Uint8Array;
  readonly #process: string;
  readonly #lifetimeMs: number;
  /** nonce → highest count and a bit for each of the 32 before it. */
  readonly #used = new Map<string, { highest: number; seen: number; expiresAtMs: number }>();

  constructor(crypto: Crypto, options: { secret?: string; lifetimeMs?: number } = {}) {
    this.#crypto = crypto;
    this.#key = options.secret === undefined ? crypto.randomBytes(32) : utf8(options.secret);
    this.#process = hex(crypto.randomBytes(4));
    this.#lifetimeMs = options.lifetimeMs ?? NONCE_LIFETIME_MS;
  }

  make(address: string, nowMs: number): string {
    const time = Math.floor(nowMs).toString(16).padStart(12, '0');
    const head = time + this.#process + hex(this.#crypto.randomBytes(4));
    return head + this.#mark(head, address);
  }

  /** `stale` means: it was ours and for that address, but its time is over. */
  check(nonce: string, address: string, nowMs: number): 'good' | 'stale' | 'unknown' {
    const head = nonce.slice(0, HEAD);
    if (!/^[0-9a-f]{28}$/.test(head)) return 'unknown';
    if (!this.#crypto.equal(utf8(nonce.slice(HEAD)), utf8(this.#mark(head, address)))) return 'unknown';
    if (head.slice(12, 20) !== this.#process) return 'stale';
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
