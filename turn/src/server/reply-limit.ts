import type { PacketBatch } from '@offhook/core/node';

const BUCKETS = 4096;

/**
 * A token bucket per source (`networkOf` in numbers: an IPv4 address, or the first 64 bits of an IPv6 one) for everything we answer without knowing who asks, so that nobody is
 * flooded by us with a forged source. A fixed table: addresses that collide share a bucket, nothing is allocated.
 */
export class ReplyLimit {
  #perMs = 0;
  #burst = 0;
  readonly #seed: number;
  readonly #tokens: Float64Array;
  readonly #sinceMs: Float64Array;

  /** @param options.seed any random number, so that collisions can't be arranged. */
  constructor(options: { readonly perS: number; readonly burst: number; readonly seed: number }) {
    this.set(options);
    this.#seed = options.seed | 0;
    this.#tokens = new Float64Array(BUCKETS).fill(options.burst);
    this.#sinceMs = new Float64Array(BUCKETS).fill(Number.NEGATIVE_INFINITY);
  }

  /** What holds from now on. */
  set({ perS, burst }: { readonly perS: number; readonly burst: number }): void {
    this.#perMs = perS / 1000;
    this.#burst = burst;
  }

  /** Takes one token of the source of packet i; false when none is left. */
  take(batch: PacketBatch, i: number, nowMs: number): boolean {
    const bucket = this.#bucket(batch.address[4 * i]!, batch.address[4 * i + 1]!);
    const earned = (nowMs - this.#sinceMs[bucket]!) * this.#perMs;
    const tokens = Math.min(this.#burst, this.#tokens[bucket]! + earned);
    this.#sinceMs[bucket] = nowMs;
    this.#tokens[bucket] = tokens >= 1 ? tokens - 1 : tokens;
    return tokens >= 1;
  }

  #bucket(a: number, b: number): number {
    let h = Math.imul(a ^ this.#seed, 0x9e3779b1);
    h = Math.imul(h ^ b ^ (h >>> 15), 0x85ebca6b);
    return ((h ^ (h >>> 13)) >>> 0) & (BUCKETS - 1);
  }
}
