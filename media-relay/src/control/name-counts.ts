/** Names kept at most, and characters of one: they come from outside. */
const MAX_NAMES = 64;
const MAX_LENGTH = 48;
/** Where those are counted for which there is no room. */
const OTHERS = '(others)';

/** How often names were met, bounded. */
export class NameCounts {
  readonly #counts = new Map<string, number>();

  add(name: string): void {
    const short = name.slice(0, MAX_LENGTH);
    const key = this.#counts.has(short) || this.#counts.size < MAX_NAMES ? short : OTHERS;
    this.#counts.set(key, (this.#counts.get(key) ?? 0) + 1);
  }

  /** Name → times. */
  toObject(): Record<string, number> {
    return Object.fromEntries(this.#counts);
  }
}
