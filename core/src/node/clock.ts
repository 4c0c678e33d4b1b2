import { performance } from 'node:perf_hooks'; // the global of that name is a getter, which costs as much as the call

/** Monotonic milliseconds since an arbitrary start; the only clock the machines see as `nowMs`. */
export function monotonicMs(): number {
  return performance.now();
}

/**
 * One re-armable timer for one machine or a whole layer of them: `arm(machine.nextTimeout())` after every drain.
 * It fires never before the deadline. A deadline that moves away, as most do, costs nothing: the system's timer stays as it
 * is, and is set anew when it has come.
 */
export class MachineTimer {
  readonly #onTimeout: (nowMs: number) => void;
  #handle: NodeJS.Timeout | undefined;
  #atMs = Number.POSITIVE_INFINITY;
  /** When the system's timer comes. */
  #wakesMs = Number.POSITIVE_INFINITY;

  constructor(onTimeout: (nowMs: number) => void) {
    this.#onTimeout = onTimeout;
  }

  /** Sets, moves or (undefined) clears the deadline, in monotonic milliseconds. */
  arm(atMs: number | undefined): void {
    const at = atMs ?? Number.POSITIVE_INFINITY;
    this.#atMs = at;
    if (at === Number.POSITIVE_INFINITY) {
      // Nothing is to come: the process may end.
      clearTimeout(this.#handle);
      this.#wakesMs = at;
      return;
    }
    if (at >= this.#wakesMs) return;
    clearTimeout(this.#handle);
    this.#wakesMs = at;
    const wait = Math.min(Math.max(Math.ceil(at - monotonicMs()), 0), 0x7fffffff);
    this.#handle = setTimeout(() => this.#fire(), wait);
  }

  #fire(): void {
    const now = monotonicMs();
    const at = this.#atMs;
    this.#wakesMs = Number.POSITIVE_INFINITY;
    this.#atMs = Number.POSITIVE_INFINITY;
    if (now < at) this.arm(at);
    else this.#onTimeout(now);
  }
}
