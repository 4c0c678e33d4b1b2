/** What the next offer is for. Wishes that arrive while one is on its way are joined into the next. */
export interface Renegotiation {
  readonly iceRestart: boolean;
}

/** `gone`: the server no longer knows the call (481). */
export type RenegotiationOutcome = 'accepted' | 'rejected' | 'glare' | 'gone';

export type RenegotiationCommand = { readonly kind: 'offer'; readonly wish: Renegotiation };

/**
 * One re-INVITE at a time (RFC 3261 14.1). After 491 the owner of the Call-ID waits 2.1–4 s, the other side up to 2 s.
 * A restart wish is used once: it never leaks into a later offer. Results that belong to an older socket are ignored.
 */
export class RenegotiationMachine {
  readonly #random: () => number;
  readonly #ownsCallId: boolean;
  readonly #commands: RenegotiationCommand[] = [];
  #running: Renegotiation | undefined;
  #queued: Renegotiation | undefined;
  #retryAtMs: number | undefined;
  #generation = 0;

  constructor(options: { ownsCallId: boolean; random: () => number }) {
    this.#ownsCallId = options.ownsCallId;
    this.#random = options.random;
  }

  /** Pass it back to `handleOutcome` so that an answer from before `handleReset` changes nothing. */
  get generation(): number {
    return this.#generation;
  }

  handleWish(wish: Renegotiation): void {
    this.#queued = { iceRestart: wish.iceRestart || (this.#queued?.iceRestart ?? false) };
    this.#next();
  }

  handleOutcome(outcome: RenegotiationOutcome, generation: number, nowMs: number): void {
    if (generation !== this.#generation || !this.#running) return;
    const wish = this.#running;
    this.#running = undefined;
    if (outcome === 'glare') {
      this.#queued = { iceRestart: wish.iceRestart || (this.#queued?.iceRestart ?? false) };
      this.#retryAtMs = nowMs + (this.#ownsCallId ? 2_100 + this.#random() * 1_900 : this.#random() * 2_000);
      return;
    }
    this.#next();
  }

  /** The socket was replaced: whatever was on its way is void. */
  handleReset(): void {
    this.#generation++;
    this.#running = undefined;
    this.#next();
  }

  handleTimeout(nowMs: number): void {
    if (this.#retryAtMs === undefined || nowMs < this.#retryAtMs) return;
    this.#retryAtMs = undefined;
    this.#next();
  }

  nextTimeout(): number | undefined {
    return this.#retryAtMs;
  }

  poll(): RenegotiationCommand | undefined {
    return this.#commands.shift();
  }

  #next(): void {
    if (this.#running || !this.#queued || this.#retryAtMs !== undefined) return;
    this.#running = this.#queued;
    this.#queued = undefined;
    this.#commands.push({ kind: 'offer', wish: this.#running });
  }
}
