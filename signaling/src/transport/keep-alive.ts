import { utf8 } from '@offhook/core';
import type { TransportLimits } from './hub.ts';

export const PING = utf8('\r\n\r\n');

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

/**
 * Our pings on a connection to another server (RFC 5626 4.4.1). "If a pong is not received within 10 seconds … the client
 * MUST treat the flow as failed" holds for who has answered one: many servers know no pings and only skip the empty lines, and to
 * those TCP's own keep-alive has to do.
 */
export class Pings {
  readonly #limits: TransportLimits;
  #heardMs: number;
  #pingedMs: number | undefined;
  #answers: 'unknown' | 'yes' | 'no' = 'unknown';

  constructor(limits: TransportLimits, nowMs: number) {
    this.#limits = limits;
    this.#heardMs = nowMs;
  }

  /** Whatever comes shows that somebody is there. */
  heard(nowMs: number): void {
    this.#heardMs = nowMs;
    this.#pingedMs = undefined;
  }

  /** What came between two messages without the pong at its begin, also one that is late. */
  withoutPong(chunk: Uint8Array): Uint8Array {
    const isPong = chunk[0] === 13 && chunk[1] === 10 && !(chunk[2] === 13 && chunk[3] === 10);
    if (!isPong) return chunk;
    this.#answers = 'yes';
    return chunk.subarray(2);
  }

  /** What is to be done now: ping, or give the connection up. */
  due(nowMs: number): 'ping' | 'dead' | undefined {
    const { crlfPingMs, pongMs } = this.#limits;
    if (this.#pingedMs !== undefined) {
      if (nowMs - this.#pingedMs <= pongMs) return undefined;
      if (this.#answers === 'yes') return 'dead';
      this.#answers = 'no';
      this.#pingedMs = undefined;
    }
    if (this.#answers === 'no' || nowMs - this.#heardMs < crlfPingMs) return undefined;
    this.#pingedMs = nowMs;
    return 'ping';
  }
}
