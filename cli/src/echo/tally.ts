/** What came back once. */
export type Arrival =
  | { readonly kind: 'first'; readonly rttMs: number; readonly isReordered: boolean }
  | { readonly kind: 'again' }
  /** Never sent. */
  | { readonly kind: 'foreign' };

export interface Rtt {
  readonly min: number;
  readonly median: number;
  readonly p95: number;
  readonly max: number;
}

export interface TallyReport {
  readonly sent: number;
  readonly received: number;
  readonly lost: number;
  /** 0–100, one decimal. */
  readonly lostPercent: number;
  readonly duplicates: number;
  readonly reordered: number;
  /** Undefined when nothing came back. */
  readonly rttMs: Rtt | undefined;
}

/** Counts messages by their number, from 1, and how long each took. Monotonic ms. */
export class EchoTally {
  readonly #sentAtMs = new Map<number, number>();
  readonly #rttsMs = new Map<number, number>();
  #highest = 0;
  #duplicates = 0;
  #reordered = 0;

  get isComplete(): boolean {
    return this.#rttsMs.size === this.#sentAtMs.size;
  }

  get received(): number {
    return this.#rttsMs.size;
  }

  handleSent(n: number, nowMs: number): void {
    this.#sentAtMs.set(n, nowMs);
  }

  /** It could not be sent at all, or whoever asked stopped before its answer was due: it counts as nothing. */
  handleUnsent(n: number): void {
    if (!this.#rttsMs.has(n)) this.#sentAtMs.delete(n);
  }

  handleEcho(n: number, nowMs: number): Arrival {
    const sentAtMs = this.#sentAtMs.get(n);
    if (sentAtMs === undefined) return { kind: 'foreign' };
    if (this.#rttsMs.has(n)) {
      this.#duplicates++;
      return { kind: 'again' };
    }
    const rttMs = nowMs - sentAtMs;
    this.#rttsMs.set(n, rttMs);
    // RFC 4737 3: reordered is what comes after one with a higher number.
    const isReordered = n < this.#highest;
    if (isReordered) this.#reordered++;
    else this.#highest = n;
    return { kind: 'first', rttMs, isReordered };
  }

  /** Those that were sent after this moment and have not come back: too early to call them lost. */
  pendingSince(sinceMs: number): number[] {
    return [...this.#sentAtMs].filter(([n, atMs]) => atMs > sinceMs && !this.#rttsMs.has(n)).map(([n]) => n);
  }

  report(): TallyReport {
    const sent = this.#sentAtMs.size;
    const received = this.#rttsMs.size;
    const lost = sent - received;
    return {
      sent,
      received,
      lost,
      lostPercent: sent === 0 ? 0 : Math.round((lost / sent) * 1000) / 10,
      duplicates: this.#duplicates,
      reordered: this.#reordered,
      rttMs: rttOf([...this.#rttsMs.values()].sort((a, b) => a - b)),
    };
  }
}

function rttOf(sorted: readonly number[]): Rtt | undefined {
  if (sorted.length === 0) return undefined;
  const middle = sorted.length >> 1;
  const median = sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
  // nearest rank
  const p95 = sorted[Math.ceil(sorted.length * 0.95) - 1]!;
  return {
    min: toMicroseconds(sorted[0]!),
    median: toMicroseconds(median),
    p95: toMicroseconds(p95),
    max: toMicroseconds(sorted.at(-1)!),
  };
}

/** The lines at the end; `unordered` transports can double and overtake. */
export function reportLines(report: TallyReport, transport: 'ordered' | 'unordered'): string[] {
  const { sent, received, lostPercent, duplicates, reordered, rttMs } = report;
  const more = transport === 'unordered' ? `, ${duplicates} twice, ${reordered} out of order` : '';
  const lines = [`${sent} sent, ${received} came back, ${lostPercent} % lost${more}`];
  if (rttMs) {
    const { min, median, p95, max } = rttMs;
    lines.push(
      `round trip: min ${inMs(min)}, median ${inMs(median)}, 95th percentile ${inMs(p95)}, max ${inMs(max)} ms`,
    );
  }
  return lines;
}

/** Finer than that no clock here is. */
export function toMicroseconds(ms: number): number {
  return Math.round(ms * 1000) / 1000;
}

/** Three digits that count. */
export function inMs(ms: number): string {
  return ms >= 100 ? ms.toFixed(0) : ms >= 10 ? ms.toFixed(1) : ms.toFixed(2);
}
