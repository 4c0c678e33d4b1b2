import { readFileSync } from 'node:fs';

export interface HangLimits {
  /** Silence after which a part that also does no work counts as hung. */
  readonly idleMs: number;
  /** Silence after which one counts as hung even though it uses the processor: an endless loop. */
  readonly busyMs: number;
}

export const HANG_LIMITS: HangLimits = { idleMs: 15_000, busyMs: 60_000 };

/** Less processor time than this share of the silence is no work. */
const BUSY_SHARE = 0.02;

/**
 * Tells a part that hangs from one that is merely busy: `tick` while a question is open, `answered` when it no longer is.
 * Silence is summed tick by tick, none counting for more than two intervals, so that a
 * machine (or a supervisor) that was suspended accuses nobody.
 */
export class HangDetector {
  readonly #limits: HangLimits;
  readonly #intervalMs: number;
  #silentMs = 0;
  #lastMs: number | undefined;
  #cpuAtStartMs: number | undefined;

  constructor(limits: HangLimits, intervalMs: number) {
    this.#limits = limits;
    this.#intervalMs = intervalMs;
  }

  answered(): void {
    this.#silentMs = 0;
    this.#lastMs = undefined;
  }

  /** A question is open at `nowMs`, and the part has used `cpuMs` of processor time so far, if that can be seen. */
  tick(nowMs: number, cpuMs: number | undefined): 'fine' | 'hung' {
    if (this.#lastMs === undefined) this.#cpuAtStartMs = cpuMs;
    else this.#silentMs += Math.min(nowMs - this.#lastMs, 2 * this.#intervalMs);
    this.#lastMs = nowMs;
    if (this.#silentMs >= this.#limits.busyMs) return 'hung';
    if (this.#silentMs < this.#limits.idleMs) return 'fine';
    const used = cpuMs === undefined || this.#cpuAtStartMs === undefined ? 0 : cpuMs - this.#cpuAtStartMs;
    return used > BUSY_SHARE * this.#silentMs ? 'fine' : 'hung';
  }

  get silentMs(): number {
    return this.#silentMs;
  }
}

/** Processor time of a process, in milliseconds; undefined where it can't be seen. */
export function cpuTimeMs(pid: number): number | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // proc_pid_stat(5): fields 14 and 15, in ticks of 10 ms (USER_HZ is 100 on every Linux that Node runs on)
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return (Number(fields[11]) + Number(fields[12])) * 10;
  } catch {
    return undefined;
  }
}
