/** The browser's clock for pure machines: re-armed from `nextTimeout()` after every input. */
export class Rearm {
  readonly #now: () => number;
  readonly #after: (ms: number, callback: () => void) => () => void;
  #cancel: (() => void) | undefined;

  constructor(now: () => number, after: (ms: number, callback: () => void) => () => void) {
    this.#now = now;
    this.#after = after;
  }

  at(deadlineMs: number | undefined, callback: () => void): void {
    this.#cancel?.();
    this.#cancel = deadlineMs === undefined ? undefined : this.#after(Math.max(0, deadlineMs - this.#now()), callback);
  }
}

/** `after` of a real page. */
export function afterTimeout(ms: number, callback: () => void): () => void {
  const id = setTimeout(callback, ms);
  return () => clearTimeout(id);
}
