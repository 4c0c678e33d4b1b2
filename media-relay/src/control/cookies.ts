/** Answers kept for retransmitted requests; a client gives up long before this (rtpengine's clients after some seconds). */
const KEEP_MS = 20_000;
const MAX_ANSWERS = 4096;
const MAX_BYTES = 16 * 1024 * 1024;

interface Entry {
  readonly atMs: number;
  /** Undefined while the request is being worked on. */
  answer: Uint8Array | undefined;
}

/** What was answered to which cookie, so that a repeated request is not carried out twice. Bounded in number and bytes. */
export class CookieCache {
  readonly #entries = new Map<string, Entry>();
  #bytes = 0;

  get size(): number {
    return this.#entries.size;
  }

  /** The answer given before, `pending` while there is none yet, undefined for a new request (which is then pending). */
  begin(key: string, nowMs: number): Uint8Array | 'pending' | undefined {
    this.#expire(nowMs);
    const known = this.#entries.get(key);
    if (known) return known.answer ?? 'pending';
    this.#entries.set(key, { atMs: nowMs, answer: undefined });
    return undefined;
  }

  finish(key: string, answer: Uint8Array): void {
    const entry = this.#entries.get(key);
    if (!entry || entry.answer) return;
    entry.answer = answer;
    this.#bytes += answer.length;
  }

  /** Entries stand in order of arrival: the oldest go first. */
  #expire(nowMs: number): void {
    for (const [key, entry] of this.#entries) {
      const full = this.#entries.size >= MAX_ANSWERS || this.#bytes > MAX_BYTES;
      if (!full && nowMs - entry.atMs < KEEP_MS) return;
      this.#entries.delete(key);
      this.#bytes -= entry.answer?.length ?? 0;
    }
  }
}
