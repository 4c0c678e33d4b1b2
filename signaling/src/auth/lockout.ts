const MAX_ENTRIES = 20_000;
/** Failures that cost nothing, and the number after which the long lock comes. */
const FREE = 5;
const LONG = 20;
const LONG_MS = 900_000;
/** Loopback is slowed down, never shut out: whoever sits at the machine shall not lock its owner out. */
const LOOPBACK_MS = 4000;

/** Growing delays for wrong passwords, per user and source address: 1, 2, 4 … seconds after the fifth, 15 minutes after the twentieth. */
export class Lockout {
  readonly #failures = new Map<string, { count: number; untilMs: number }>();

  /** Milliseconds until that user may try again from there; 0 when now. */
  remainingMs(user: string, address: string, nowMs: number): number {
    const entry = this.#failures.get(key(user, address));
    return entry ? Math.max(0, entry.untilMs - nowMs) : 0;
  }

  failed(user: string, address: string, nowMs: number): void {
    const k = key(user, address);
    const count = (this.#failures.get(k)?.count ?? 0) + 1;
    const loopback = address.startsWith('127.') || address === '::1';
    const delay = count < FREE ? 0 : count >= LONG ? LONG_MS : 1000 * 2 ** (count - FREE);
    this.#failures.delete(k);
    if (this.#failures.size >= MAX_ENTRIES) this.#failures.delete(this.#failures.keys().next().value!);
    this.#failures.set(k, { count, untilMs: nowMs + Math.min(delay, loopback ? LOOPBACK_MS : LONG_MS) });
  }

  succeeded(user: string, address: string): void {
    this.#failures.delete(key(user, address));
  }
}

function key(user: string, address: string): string {
  return `${address} ${user}`;
}
