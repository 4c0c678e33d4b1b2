/** Stops an event that hasn't happened yet. */
export type Cancel = () => void;

interface Event {
  readonly atMs: number;
  readonly order: number;
  run: ((nowMs: number) => void) | undefined;
}

/** Virtual monotonic time: it moves only when events are run, in order of time, those of one time in order of asking. */
export class VirtualClock {
  nowMs: number;
  readonly #heap: Event[] = [];
  #order = 0;
  #waiting = 0;

  constructor(startMs = 0) {
    this.nowMs = startMs;
  }

  /** Events that have neither happened nor been cancelled. */
  get pending(): number {
    return this.#waiting;
  }

  /** The time of the next event. */
  get nextMs(): number | undefined {
    while (this.#heap.length > 0 && !this.#heap[0]!.run) this.#pop();
    return this.#heap[0]?.atMs;
  }

  /** Runs `fn` at a time; a time in the past means now. */
  at(atMs: number, fn: (nowMs: number) => void): Cancel {
    const event: Event = { atMs: Math.max(atMs, this.nowMs), order: this.#order++, run: fn };
    this.#waiting++;
    this.#push(event);
    return () => {
      if (!event.run) return;
      event.run = undefined;
      this.#waiting--;
    };
  }

  /** Runs the next event; false when there is none. */
  step(): boolean {
    for (;;) {
      const event = this.#pop();
      if (!event) return false;
      const { run } = event;
      if (!run) continue;
      event.run = undefined;
      this.#waiting--;
      this.nowMs = event.atMs;
      run(this.nowMs);
      return true;
    }
  }

  /** Runs every event up to and including that time, then stands there. */
  run(untilMs: number): void {
    for (let next = this.nextMs; next !== undefined && next <= untilMs; next = this.nextMs) this.step();
    this.nowMs = Math.max(this.nowMs, untilMs);
  }

  #push(event: Event): void {
    const heap = this.#heap;
    let at = heap.push(event) - 1;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (before(heap[parent]!, event)) break;
      heap[at] = heap[parent]!;
      at = parent;
    }
    heap[at] = event;
  }

  #pop(): Event | undefined {
    const heap = this.#heap;
    const first = heap[0];
    const last = heap.pop();
    if (!first || !last || first === last) return first;
    let at = 0;
    for (;;) {
      let child = at * 2 + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && before(heap[child + 1]!, heap[child]!)) child++;
      if (before(last, heap[child]!)) break;
      heap[at] = heap[child]!;
      at = child;
    }
    heap[at] = last;
    return first;
  }
}

function before(a: Event, b: Event): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order);
}
