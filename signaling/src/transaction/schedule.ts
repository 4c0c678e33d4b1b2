import type { Transaction } from './transaction.ts';

/**
 * When transactions have something to do. Those that are under way have two deadlines, at which they repeat and at which they
 * end, and stand in a binary heap; those that have ended and only absorb repeats all wait equally long, so they stand in line,
 * which costs nothing however many there are.
 */
export class Schedule {
  readonly #heap: Transaction[] = [];
  /** By how long they wait. */
  readonly #lines = new Map<number, Line>();

  /** The earliest deadline, or undefined when there is none. */
  next(): number | undefined {
    let next = this.#heap[0]?.dueMs;
    for (const line of this.#lines.values()) {
      const first = line.first();
      if (first && (next === undefined || first.dueMs < next)) next = first.dueMs;
    }
    return next;
  }

  /** Removes and answers one transaction whose deadline has been reached; `isRepeat` says which of the two it was. */
  expire(nowMs: number): { readonly transaction: Transaction; readonly isRepeat: boolean } | undefined {
    const due = this.#heap[0];
    if (due && due.dueMs <= nowMs) {
      const isRepeat = due.repeatAtMs <= due.endAtMs;
      if (isRepeat) this.#set(due, Number.POSITIVE_INFINITY, due.endAtMs);
      else this.drop(due);
      return { transaction: due, isRepeat };
    }
    for (const line of this.#lines.values()) {
      const first = line.first();
      if (!first || first.dueMs > nowMs) continue;
      line.shift();
      return { transaction: first, isRepeat: false };
    }
    return undefined;
  }

  repeatAt(t: Transaction, atMs: number): void {
    this.#set(t, atMs, t.endAtMs);
  }

  endAt(t: Transaction, atMs: number): void {
    this.#set(t, t.repeatAtMs, atMs);
  }

  stopRepeating(t: Transaction): void {
    this.#set(t, Number.POSITIVE_INFINITY, t.endAtMs);
  }

  /** It has ended, and stays for so long. */
  absorb(t: Transaction, forMs: number, nowMs: number): void {
    this.drop(t);
    t.absorbsSinceMs = nowMs;
    t.dueMs = nowMs + forMs;
    const line = this.#lines.get(forMs) ?? new Line();
    this.#lines.set(forMs, line);
    line.push(t);
  }

  /** The one that has absorbed repeats for longest. */
  oldestAbsorbing(): Transaction | undefined {
    let oldest: Transaction | undefined;
    for (const line of this.#lines.values()) {
      const first = line.first();
      if (first && (!oldest || first.absorbsSinceMs < oldest.absorbsSinceMs)) oldest = first;
    }
    return oldest;
  }

  /** Both deadlines are off. One that stands in line is passed over there once its state is `terminated`. */
  drop(t: Transaction): void {
    this.#set(t, Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY);
  }

  #set(t: Transaction, repeatAtMs: number, endAtMs: number): void {
    t.repeatAtMs = repeatAtMs;
    t.endAtMs = endAtMs;
    const dueMs = Math.min(repeatAtMs, endAtMs);
    const heap = this.#heap;
    if (dueMs === Number.POSITIVE_INFINITY) {
      const at = t.place;
      if (at < 0) return;
      t.place = -1;
      const last = heap.pop()!;
      if (last === t) return;
      heap[at] = last;
      last.place = at;
      this.#up(at);
      this.#down(last.place);
      return;
    }
    t.dueMs = dueMs;
    if (t.place < 0) {
      t.place = heap.length;
      heap.push(t);
    }
    this.#up(t.place);
    this.#down(t.place);
  }

  #up(index: number): void {
    const heap = this.#heap;
    const moving = heap[index]!;
    let at = index;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      const above = heap[parent]!;
      if (above.dueMs <= moving.dueMs) break;
      heap[at] = above;
      above.place = at;
      at = parent;
    }
    heap[at] = moving;
    moving.place = at;
  }

  #down(index: number): void {
    const heap = this.#heap;
    const moving = heap[index]!;
    let at = index;
    for (;;) {
      let child = at * 2 + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && heap[child + 1]!.dueMs < heap[child]!.dueMs) child++;
      const below = heap[child]!;
      if (below.dueMs >= moving.dueMs) break;
      heap[at] = below;
      below.place = at;
      at = child;
    }
    heap[at] = moving;
    moving.place = at;
  }
}

/** Those before the first are cleared away when they are this many, and more than half. */
const SPENT = 1024;

/** First in, first out; what has been terminated elsewhere is passed over. */
class Line {
  #waiting: (Transaction | undefined)[] = [];
  #head = 0;

  first(): Transaction | undefined {
    while (this.#head < this.#waiting.length && this.#waiting[this.#head]!.state === 'terminated') this.shift();
    return this.#waiting[this.#head];
  }

  push(t: Transaction): void {
    this.#waiting.push(t);
  }

  shift(): void {
    this.#waiting[this.#head++] = undefined;
    if (this.#head === this.#waiting.length) {
      this.#waiting.length = 0;
      this.#head = 0;
    } else if (this.#head >= SPENT && this.#head * 2 > this.#waiting.length) {
      this.#waiting = this.#waiting.slice(this.#head);
      this.#head = 0;
    }
  }
}
