import { Recent } from './recent.ts';

/** How much one key may ask for: so many a second in the long run, so many at once. */
export interface Rate {
  readonly perSecond: number;
  readonly burst: number;
}

const MAX_KEYS = 20_000;

/** Token buckets by key (addresses as `networkOf` has them), bounded: those untouched longest are forgotten when there are too many. */
export class RateLimit {
  readonly #buckets = new Recent<{ tokens: number; atMs: number }>(MAX_KEYS);

  get size(): number {
    return this.#buckets.size;
  }

  /** Takes one token; false when there is none left. */
  take(key: string, rate: Rate, nowMs: number): boolean {
    let bucket = this.#buckets.touch(key);
    if (!bucket) {
      bucket = { tokens: rate.burst, atMs: nowMs };
      this.#buckets.set(key, bucket);
    }
    bucket.tokens = Math.min(rate.burst, bucket.tokens + ((nowMs - bucket.atMs) / 1000) * rate.perSecond);
    bucket.atMs = nowMs;
    if (bucket.tokens < 1) return false;
    bucket.tokens--;
    return true;
  }
}
