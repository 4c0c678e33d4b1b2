import { WARNING_KINDS, type Warning, type WarningKind } from '../session/index.ts';

/** Different texts that are remembered, and how long: some hold names that clients choose. */
const MAX_TEXTS = 256;
const REMEMBERED_MS = 3_600_000;
/** Lines of one minute at most. */
const LINES_A_MINUTE = 20;
const MINUTE_MS = 60_000;

/** Counts the warnings of answers by what they are about, and logs each text once an hour: some clients show them to nobody. */
export class WarningLog {
  readonly counts = Object.fromEntries(WARNING_KINDS.map((kind) => [kind, 0])) as Record<WarningKind, number>;
  readonly #log: (line: string) => void;
  readonly #texts = new Set<string>();
  #textsSinceMs = Number.NEGATIVE_INFINITY;
  #minuteSinceMs = Number.NEGATIVE_INFINITY;
  #lines = 0;

  constructor(log: (line: string) => void) {
    this.#log = log;
  }

  add({ about, words }: Warning, nowMs: number): void {
    this.counts[about]++;
    if (nowMs - this.#textsSinceMs >= REMEMBERED_MS) {
      this.#textsSinceMs = nowMs;
      this.#texts.clear();
    }
    if (this.#texts.has(words) || this.#texts.size >= MAX_TEXTS) return;
    if (nowMs - this.#minuteSinceMs >= MINUTE_MS) {
      this.#minuteSinceMs = nowMs;
      this.#lines = 0;
    }
    if (this.#lines >= LINES_A_MINUTE) return; // not remembered, so it is logged when it comes again later
    this.#lines++;
    this.#texts.add(words);
    this.#log(`answered with a warning: ${words.replaceAll(/\p{Cc}/gu, '?')}`);
  }
}
