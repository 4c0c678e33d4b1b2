/** How much one key may ask for: so many a second in the long run, so many at once. */
export interface Rate {
  readonly perSecond: number;
  readonly burst: number;
}

const MAX_KEYS = 20_000;

/** Token buckets by key (addresses as `networkOf` has them), bounded: the one untouched longest is forgotten when there are too many. */
export class RateLimit {
  readonly #buckets = new Map<string, { tokens: number; atMs: number }>();

  get size(): number {
    return this.#buckets.size;
  }

  /** Takes one token; false when there is none left. */
  take(key: string, rate: Rate, nowMs: number): boolean {
    const known = this.#buckets.get(key);
    if (known) this.#buckets.delete(key);
    else if (this.#buckets.size >= MAX_KEYS) this.#buckets.delete(this.#buckets.keys().next().value!);
    const bucket = known ?? { tokens: rate.burst, atMs: nowMs };
    bucket.tokens = Math.min(rate.burst, bucket.tokens + ((nowMs - bucket.atMs) / 1000) * rate.perSecond);
    bucket.atMs = nowMs;
    this.#buckets.set(key, bucket);
    if (bucket.tokens < 1) return false;
    bucket.tokens--;
    return true;
  }
}
