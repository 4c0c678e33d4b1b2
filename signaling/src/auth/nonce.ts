import { apart, base64url, type Crypto, hex, utf8 } from '@offhook/core';

/** How long a nonce is good for, milliseconds. */
export const NONCE_LIFETIME_MS = 600_000;

/** Uses of one nonce that may arrive out of order. */
const WINDOW = 32;
/** Used nonces remembered of one user, and in all. */
const USED_PER_USER = 4096;
const MAX_USED = 50_000;
/** Copies of one request that come within it get the same nonce, mostly: the first is sent again after half a second. */
const SAME_MS = 2000;
/** Characters before the mark. */
const HEAD = 28;

/**
 * Nonces that need no memory until they have been used well: time, process and source address under a keyed hash. A
 * nonce of an earlier process is recognised as ours but stale, so that phones do not take the restart for a wrong
 * password. After a success the nonce-count is remembered and no value is accepted twice (RFC 7616 3.4.6): what has to be
 * forgotten because there is too much of it leaves a floor behind, and nonces from before it are good for nothing.
 *
 *     time (12 hex digits, ms) · process (8) · salt (8) · HMAC-SHA256 of these and the address (20, base64url)
 */
export class Nonces {
  readonly #crypto: Crypto;
  readonly #key: Uint8Array;
  readonly #process: string;
  readonly #lifetimeMs: number;
  readonly #saltSeed: number;
  /** User → the nonces it has used, oldest use first. */
  readonly #users = new Map<string, Used>();
  #size = 0;
  /** The last one that was found to be ours, and given to that address. */
  #genuine = { nonce: '', address: '' };
  /** Nonces that were made until then and are not remembered may have been used. */
  #floorMs = Number.NEGATIVE_INFINITY;

  constructor(crypto: Crypto, options: { secret?: string; lifetimeMs?: number } = {}) {
    this.#crypto = crypto;
    this.#key = options.secret === undefined ? crypto.randomBytes(32) : utf8(options.secret);
    this.#process = hex(crypto.randomBytes(4));
    this.#saltSeed = Number.parseInt(hex(crypto.randomBytes(4)), 16) | 0;
    this.#lifetimeMs = options.lifetimeMs ?? NONCE_LIFETIME_MS;
  }

  /** Used nonces that are remembered, some 170 bytes each. */
  get used(): number {
    return this.#size;
  }

  /** @param request what tells it from others: its copies are answered alike, though nothing is kept of it (RFC 3261 8.2.7) */
  make(address: string, nowMs: number, request?: string): string {
    const madeMs = request === undefined ? Math.floor(nowMs) : nowMs - (nowMs % SAME_MS);
    const time = madeMs.toString(16).padStart(12, '0');
    const salt = request === undefined ? hex(this.#crypto.randomBytes(4)) : this.#saltOf(request);
    const head = time + this.#process + salt;
    return head + this.#mark(head, address);
  }

  /** Tells requests apart (FNV-1a), no more: what nobody can make is the mark. */
  #saltOf(request: string): string {
    let sum = this.#saltSeed;
    for (let i = 0; i < request.length; i++) sum = Math.imul(sum ^ request.charCodeAt(i), 0x01000193);
    return (sum >>> 0).toString(16).padStart(8, '0');
  }

  /** `stale` means: it was ours and for that address, but its time is over. */
  check(nonce: string, address: string, nowMs: number): 'good' | 'stale' | 'unknown' {
    const head = nonce.slice(0, HEAD);
    // The same one is looked at twice in a row: has it come back, and is its answer right?
    if (nonce !== this.#genuine.nonce || address !== this.#genuine.address) {
      if (!/^[0-9a-f]{28}$/.test(head)) return 'unknown';
      if (!this.#crypto.equal(utf8(nonce.slice(HEAD)), utf8(this.#mark(head, address)))) return 'unknown';
      this.#genuine = { nonce, address };
    }
    if (head.slice(12, 20) !== this.#process) return 'stale';
    const age = nowMs - madeAt(nonce);
    return age >= -1000 && age <= this.#lifetimeMs ? 'good' : 'stale';
  }

  /** Takes note of that user's successful use; false when this count was used before, or is too old to know. */
  use(user: string, nonce: string, count: number, nowMs: number): boolean {
    const used = this.#users.get(user);
    const known = used?.nonces.get(nonce);
    if (!known) {
      const madeMs = madeAt(nonce);
      if (count <= 0 || madeMs <= Math.max(this.#floorMs, used?.floorMs ?? this.#floorMs)) return false;
      this.#remember(user, nonce, { highest: count, seen: 1, madeMs }, nowMs);
      return true;
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

  /** One user's nonces push out that user's only. */
  #remember(user: string, nonce: string, use: Use, nowMs: number): void {
    if (this.#size >= MAX_USED) this.#forget(nowMs);
    let used = this.#users.get(user);
    if (!used) {
      used = { nonces: new Map<string, Use>(), floorMs: Number.NEGATIVE_INFINITY };
      this.#users.set(apart(user), used);
    }
    if (used.nonces.size >= USED_PER_USER) {
      const [oldest, { madeMs }] = used.nonces.entries().next().value!;
      used.nonces.delete(oldest);
      used.floorMs = Math.max(used.floorMs, madeMs);
      this.#size--;
    }
    used.nonces.set(apart(nonce), use);
    this.#size++;
  }

  /** Drops what has expired; when that is not enough, the older half, and with it all nonces of that time. */
  #forget(nowMs: number): void {
    this.#forgetUntil(nowMs - this.#lifetimeMs - 1);
    if (this.#size <= MAX_USED / 2) return;
    const made = Float64Array.from(
      [...this.#users.values()].flatMap(({ nonces }) => [...nonces.values()].map((n) => n.madeMs)),
    );
    made.sort();
    // What is on its way to its first use was made just now, so no phone is asked twice.
    this.#floorMs = made[made.length >> 1]!;
    this.#forgetUntil(this.#floorMs);
  }

  #forgetUntil(atMs: number): void {
    for (const [user, { nonces }] of this.#users) {
      for (const [nonce, { madeMs }] of nonces) if (madeMs <= atMs && nonces.delete(nonce)) this.#size--;
      if (nonces.size === 0) this.#users.delete(user);
    }
  }

  #mark(head: string, address: string): string {
    return base64url(this.#crypto.hmac('sha256', this.#key, utf8(`${head} ${address}`)).subarray(0, 15));
  }
}

interface Use {
  /** The highest count, and a bit for each of the 32 before it. */
  highest: number;
  seen: number;
  readonly madeMs: number;
}

interface Used {
  readonly nonces: Map<string, Use>;
  /** The newest of those that had to be forgotten. */
  floorMs: number;
}

function madeAt(nonce: string): number {
  return Number.parseInt(nonce.slice(0, 12), 16);
}
