/** From `atMs` on so many bits pass a second. */
export interface CapacityStep {
  readonly atMs: number;
  readonly bps: number;
}

/** A queue before a line of limited, changing rate: first in, first out, full ones lose what comes (drop tail). */
export class CapacityQueue {
  readonly #steps: readonly CapacityStep[];
  readonly #queueMs: number;
  #freeAtMs = 0;

  /** @param queueMs longest time a packet may wait for the line. Steps are in order of time; before the first it holds too. */
  constructor(capacity: number | readonly CapacityStep[], queueMs: number) {
    this.#steps = typeof capacity === 'number' ? [{ atMs: 0, bps: capacity }] : capacity;
    this.#queueMs = queueMs;
  }

  /** When the packet has left the line, or undefined: the queue is full. */
  departure(nowMs: number, bytes: number): number | undefined {
    const startMs = Math.max(nowMs, this.#freeAtMs);
    if (startMs - nowMs > this.#queueMs) return undefined;
    this.#freeAtMs = this.#after(startMs, bytes * 8);
    return this.#freeAtMs;
  }

  /** How long a packet that comes now would wait, ms. */
  waitMs(nowMs: number): number {
    return Math.max(0, this.#freeAtMs - nowMs);
  }

  bpsAt(nowMs: number): number {
    let bps = this.#steps[0]!.bps;
    for (const step of this.#steps) if (step.atMs <= nowMs) bps = step.bps;
    return bps;
  }

  /** The time at which `bits` more have passed. */
  #after(fromMs: number, bits: number): number {
    let left = bits;
    let atMs = fromMs;
    for (let i = 0; i < this.#steps.length; i++) {
      const nextMs = this.#steps[i + 1]?.atMs ?? Number.POSITIVE_INFINITY;
      if (nextMs <= atMs) continue;
      const perMs = this.#steps[i]!.bps / 1000;
      if (left <= (nextMs - atMs) * perMs) return atMs + left / perMs;
      left -= (nextMs - atMs) * perMs;
      atMs = nextMs;
    }
    return atMs;
  }
}
