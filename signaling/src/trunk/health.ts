import { type Crypto, createRequest, hex, type SipMessage } from '@offhook/core';
import type { Locate } from '../locate/index.ts';
import type { Flow } from '../transaction/index.ts';
import { jittered } from './jitter.ts';
import { answerWords, type Client, failureWords } from './send.ts';
import { type Target, walk } from './targets.ts';

/** One lost answer is no news. */
const FAILURES_TO_DOWN = 2;
/** Where nothing is asked, at least the target's addresses are learned anew. */
const LEARN_MS = 300_000;
const FIRST_MS = 500;

export interface HealthOptions {
  readonly crypto: Crypto;
  readonly locate: Locate;
  /** From of the OPTIONS. */
  readonly from: string;
  /** 0: targets are always up. */
  readonly intervalMs: number;
  readonly send: (message: SipMessage, flow: Flow, client: Client, nowMs: number) => void;
  /** A target came up or went down. */
  readonly changed: (target: Target, nowMs: number) => void;
}

/**
 * Asks one target again and again whether it is there. Any final answer says yes, whatever it is, but 408 and 503; two
 * failures one after the other say no, the first answer afterwards yes again.
 */
export class Health {
  readonly #options: HealthOptions;
  readonly #target: Target;
  #dueMs: number | undefined;
  /** The check that is under way. */
  #current: object | undefined;

  constructor(target: Target, options: HealthOptions, nowMs: number) {
    this.#target = target;
    this.#options = options;
    this.#dueMs = nowMs + jittered(FIRST_MS, options.crypto);
  }

  nextTimeout(): number | undefined {
    return this.#dueMs;
  }

  handleTimeout(nowMs: number): void {
    if (this.#dueMs !== undefined && this.#dueMs <= nowMs) this.#check(nowMs);
  }

  stop(): void {
    this.#dueMs = undefined;
    this.#current = undefined;
  }

  #check(nowMs: number): void {
    const { locate, intervalMs } = this.#options;
    const current = {};
    this.#current = current;
    this.#dueMs = undefined;
    let words: string | undefined;
    walk({ locate, targets: [this.#target] }, nowMs, (found, now) => {
      if (this.#current !== current) return;
      if ('error' in found) {
        this.#done(intervalMs === 0 ? undefined : (words ?? found.error), now);
        return;
      }
      if (intervalMs === 0) {
        this.#done(undefined, now);
        return;
      }
      const { way } = found;
      const client: Client = {
        response: (message, _flow, later) => {
          if (this.#current !== current || message.status < 200) return;
          if (message.status !== 408 && message.status !== 503) {
            this.#done(undefined, later);
            return;
          }
          words = answerWords(message, this.#target.uri);
          way.next(later);
        },
        failed: (why, later) => {
          if (this.#current !== current) return;
          words = failureWords(why, this.#target.uri);
          way.next(later);
        },
      };
      this.#options.send(this.#request(), way.flow, client, now);
    });
  }

  #done(trouble: string | undefined, nowMs: number): void {
    const { intervalMs, crypto, changed } = this.#options;
    const target = this.#target;
    this.#current = undefined;
    // Around the interval: nine tenths to eleven.
    this.#dueMs = nowMs + jittered((intervalMs || LEARN_MS) * 0.9, crypto, 0.22);
    target.failures = trouble === undefined ? 0 : target.failures + 1;
    const isUp = trouble === undefined || (target.isUp && target.failures < FAILURES_TO_DOWN);
    target.isChecked = intervalMs > 0;
    target.why = trouble ?? '';
    if (isUp === target.isUp) return;
    target.isUp = isUp;
    changed(target, nowMs);
  }

  #request(): SipMessage {
    const { crypto, from } = this.#options;
    return createRequest({
      method: 'OPTIONS',
      uri: this.#target.uri,
      from: `${from};tag=${hex(crypto.randomBytes(8))}`,
      to: `<${this.#target.uri}>`,
      callId: hex(crypto.randomBytes(16)),
      cseq: 1,
      headers: [
        ['Accept', 'application/sdp'],
        ['User-Agent', 'Offhook'],
      ],
    });
  }
}
