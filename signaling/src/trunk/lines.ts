import type { SipMessage } from '@offhook/core';
import { RateLimit } from '../auth/rate-limit.ts';

export interface LineLimits {
  readonly maxCalls: number;
  readonly maxCallsPerSecond: number;
  readonly maxCallsPerUser: number;
}

/** Why calls got no line, counted by cause. */
export type LineRefusal = 'lines' | 'user' | 'rate';

/** A call's place on a trunk. Giving it back once more does nothing. */
export interface Line {
  release(): void;
  /** Of a call out: the user whose share it counts to. */
  readonly payer?: string | undefined;
  /** Answers a challenge to a request of the call; undefined when it may not be answered. */
  authorize?(request: SipMessage, challenge: SipMessage): readonly [name: string, value: string] | undefined;
}

/** The lines of one trunk: calls of both directions share them. */
export class Lines {
  limits: LineLimits;
  readonly refused: Record<LineRefusal, number> = { lines: 0, user: 0, rate: 0 };
  readonly total = { in: 0, out: 0 };
  readonly #perUser = new Map<string, number>();
  readonly #rates = new RateLimit();
  #used = 0;

  constructor(limits: LineLimits) {
    this.limits = limits;
  }

  get used(): number {
    return this.#used;
  }

  /** A line for a call out of that user, or why there is none. */
  takeOut(user: string, nowMs: number): Line | LineRefusal {
    const { maxCalls, maxCallsPerUser } = this.limits;
    if (this.#used >= maxCalls) return this.#refuse('lines');
    const own = this.#perUser.get(user) ?? 0;
    if (own >= maxCallsPerUser) return this.#refuse('user');
    // Last: what is refused for another reason costs nothing of the rate.
    if (!this.mayBegin('out', nowMs)) return this.#refuse('rate');
    return this.#takeOf(user);
  }

  /** A line for a call that came in; undefined: all are in use. */
  takeIn(): Line | undefined {
    if (this.#used < this.limits.maxCalls) return this.#take('in', () => {});
    this.#refuse('lines');
    return undefined;
  }

  /** The line of a call that is up already, of the process before: limits are for new ones. */
  retake(payer: string | undefined): Line {
    if (payer === undefined) return this.#take('in', () => {});
    return this.#takeOf(payer);
  }

  #takeOf(user: string): Line {
    this.#perUser.set(user, (this.#perUser.get(user) ?? 0) + 1);
    return this.#take('out', () => {
      const left = (this.#perUser.get(user) ?? 1) - 1;
      if (left > 0) this.#perUser.set(user, left);
      else this.#perUser.delete(user);
    });
  }

  /** Whether one more call may begin in that direction just now. */
  mayBegin(direction: 'in' | 'out', nowMs: number): boolean {
    const perSecond = this.limits.maxCallsPerSecond;
    return this.#rates.take(direction, { perSecond, burst: Math.max(1, perSecond) }, nowMs);
  }

  #refuse(why: LineRefusal): LineRefusal {
    this.refused[why]++;
    return why;
  }

  #take(direction: 'in' | 'out', free: () => void): Line {
    this.#used++;
    this.total[direction]++;
    let isTaken = true;
    return {
      release: () => {
        if (!isTaken) return;
        isTaken = false;
        this.#used--;
        free();
      },
    };
  }
}
