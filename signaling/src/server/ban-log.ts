import type { Ban } from '../auth/index.ts';

/** Whoever forges datagrams of many addresses is not allowed to fill the log: that many lines within the time. */
const MOST = 60;
const AGAIN_MS = 60_000;

/** Tells of bans, one line each. */
export class BanLog {
  readonly #warn: (words: string) => void;
  #sinceMs = Number.NEGATIVE_INFINITY;
  #told = 0;
  #untold = 0;

  constructor(warn: (words: string) => void) {
    this.#warn = warn;
  }

  handle(ban: Ban, nowMs: number): void {
    if (nowMs - this.#sinceMs >= AGAIN_MS) {
      if (this.#untold > 0) this.#warn(`${this.#untold} more networks were banned: offhook bans lists them`);
      this.#sinceMs = nowMs;
      this.#told = 0;
      this.#untold = 0;
    }
    if (this.#told >= MOST) {
      this.#untold++;
      return;
    }
    this.#told++;
    this.#warn(inWords(ban));
  }
}

/** `203.0.113.7 is banned for 10 min: it asked for 23 accounts and signed in to none`. */
function inWords({ network, sinceMs, untilMs, isForgeable, words }: Ban): string {
  return `${network} is banned for ${duration(untilMs - sinceMs)}${isForgeable ? ' over UDP' : ''}: ${words}`;
}

function duration(ms: number): string {
  const minutes = Math.round(ms / 60_000);
  if (minutes < 60) return `${minutes} min`;
  return `${Math.floor(minutes / 60)} h${minutes % 60 > 0 ? ` ${minutes % 60} min` : ''}`;
}
