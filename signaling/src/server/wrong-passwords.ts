import type { Source } from '../auth/index.ts';

const AGAIN_MS = 60_000;
/** Whoever guesses at many accounts is not allowed to fill the log: that many lines within the time. */
const MOST = 100;

/** Tells of wrong passwords, each account at each address once a minute. */
export class WrongPasswords {
  readonly #told = new Map<string, number>();
  readonly #warn: (words: string) => void;
  readonly #isUser: (user: string) => boolean;

  constructor(isUser: (user: string) => boolean, warn: (words: string) => void) {
    this.#isUser = isUser;
    this.#warn = warn;
  }

  handle(user: string, { address, transport }: Source, nowMs: number): void {
    for (const [key, atMs] of this.#told) {
      if (nowMs - atMs < AGAIN_MS) break; // in the order of time
      this.#told.delete(key);
    }
    const key = `${user} ${address}`;
    if (this.#told.size >= MOST || this.#told.has(key)) return;
    this.#told.set(key, nowMs);
    // What is no name of an account here may be a password in the wrong field.
    const who = this.#isUser(user) ? `for ${user}` : 'for an account that does not exist';
    this.#warn(`wrong password ${who}, from ${address} over ${transport.toUpperCase()}`);
  }
}
