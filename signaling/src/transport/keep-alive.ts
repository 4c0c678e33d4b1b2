import type { TransportLimits } from './hub.ts';

/** Keep-alives of one connection: a token bucket, because each of them is answered. */
export class KeepAlives {
  readonly #limits: TransportLimits;
  #tokens: number;
  #atMs = 0;

  constructor(limits: TransportLimits) {
    this.#limits = limits;
    this.#tokens = limits.keepAlivesAtOnce;
  }

  /** Whether one more is fine; when not, the connection is to be cut. */
  take(nowMs: number): boolean {
    const { keepAlivesPerSecond, keepAlivesAtOnce } = this.#limits;
    this.#tokens = Math.min(keepAlivesAtOnce, this.#tokens + ((nowMs - this.#atMs) / 1000) * keepAlivesPerSecond);
    this.#atMs = nowMs;
    return --this.#tokens >= 0;
  }
}
