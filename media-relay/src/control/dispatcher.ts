import { decodeNg, encodeNg, NG_LIMITS, type NgDictionary, type NgEncoding } from '@offhook/core';
import { type ControlContext, execute } from './commands.ts';
import { CookieCache } from './cookies.ts';
import type { EventFilter } from './event-hub.ts';

/** Requests waiting for their turn; more are dropped, the client repeats them. */
const MAX_WAITING = 1024;

/** A client of the NG protocol, whatever it came over. */
export interface NgLink {
  /** Tells its cookies from those of others. */
  readonly key: string;
  /** Sends an answer if the client is still there. */
  send(answer: Uint8Array, encoding: NgEncoding): void;
  /** From now on events are pushed to it; undefined ends that. Links over which nothing can be pushed have none. */
  subscribe?(filter: EventFilter | undefined, as: PushedAs): void;
}

/** How pushed events are written: with the cookie and in the encoding of the request. */
export interface PushedAs {
  readonly cookie: string;
  readonly encoding: NgEncoding;
}

/** Takes requests from all transports: one after the other, each once, with an answer always. */
export class NgDispatcher {
  readonly #context: ControlContext;
  readonly #cookies = new CookieCache();
  #queue: Promise<void> = Promise.resolve();
  #waiting = 0;

  constructor(context: ControlContext) {
    this.#context = context;
  }

  /** One message. `accepted`: its answer is sent later, `done`: it was sent, or none will be; `malformed`: see `malformedAnswer`. */
  handle(bytes: Uint8Array, link: NgLink, onAnswered?: () => void): 'accepted' | 'done' | 'malformed' {
    const { counters } = this.#context;
    const decoded = decodeNg(bytes);
    if (!decoded) {
      counters.malformed++;
      return 'malformed';
    }
    if (decoded.message.command === undefined && decoded.message.result !== undefined) {
      counters.malformed++; // an answer; answering it could go on for ever between two relays
      return 'done';
    }
    if (this.#waiting >= MAX_WAITING) {
      counters.overload++;
      return 'done';
    }
    const { cookie, message, encoding } = decoded;
    const key = `${link.key} ${cookie}`;
    const known = this.#cookies.begin(key, this.#context.monotonicMs());
    if (known !== undefined) {
      counters.repeated++;
      if (known !== 'pending') link.send(known, encoding);
      return 'done';
    }
    counters.requests++;
    this.#waiting++;
    this.#queue = this.#queue.then(async () => {
      let answer = encodeNg(cookie, await this.#answer(message, link, { cookie, encoding }), encoding);
      if (answer.length > NG_LIMITS.bytes - 100) {
        answer = encodeNg(cookie, { result: 'error', 'error-reason': 'the answer is too long' }, encoding);
      }
      this.#waiting--;
      this.#cookies.finish(key, answer);
      link.send(answer, encoding);
      onAnswered?.();
    });
    return 'accepted';
  }

  /** When what has begun is answered. */
  settled(): Promise<void> {
    return this.#queue;
  }

  /** A defect in one command must not take the other calls of this worker with it. */
  async #answer(message: NgDictionary, link: NgLink, as: PushedAs): Promise<NgDictionary> {
    try {
      return await execute(this.#context, message, { link, as });
    } catch (error) {
      this.#context.counters.errors++;
      return {
        result: 'error',
        'error-reason': `internal error: ${error instanceof Error ? error.message : 'unknown'}`,
      };
    }
  }
}
