interface Entry<K> {
  readonly key: K;
  atMs: number;
  index: number;
}

/**
 * Deadlines of many keys in a binary heap: `set` and `delete` cost O(log n), the earliest is read in O(1).
 * Times are monotonic milliseconds.
 */
export class Deadlines<K> {
  readonly #heap: Entry<K>[] = [];
  readonly #byKey = new Map<K, Entry<K>>();

  get size(): number {
    return this.#heap.length;
  }

  /** Sets or moves the deadline of a key. */
  set(key: K, atMs: number): void {
    const known = this.#byKey.get(key);
    if (known) {
      known.atMs = atMs;
      this.#up(known.index);
      this.#down(known.index);
      return;
    }
    const entry: Entry<K> = { key, atMs, index: this.#heap.length };
    this.#byKey.set(key, entry);
    this.#heap.push(entry);
    this.#up(entry.index);
  }

  delete(key: K): void {
    const entry = this.#byKey.get(key);
    if (!entry) return;
    this.#byKey.delete(key);
    const last = this.#heap.pop()!;
    if (last === entry) return;
    last.index = entry.index;
    this.#heap[entry.index] = last;
    this.#up(last.index);
    this.#down(last.index);
  }

  /** The earliest deadline, or undefined when there is none. */
  next(): number | undefined {
    return this.#heap[0]?.atMs;
  }

  /** Removes and answers one key whose deadline has been reached, or undefined. */
  expire(nowMs: number): K | undefined {
    const first = this.#heap[0];
    if (!first || first.atMs > nowMs) return undefined;
    this.delete(first.key);
    return first.key;
  }

  #up(index: number): void {
    let at = index;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (this.#heap[parent]!.atMs <= this.#heap[at]!.atMs) return;
      this.#swap(at, parent);
      at = parent;
    }
  }

  #down(index: number): void {
    let at = index;
    for (;;) {
      let least = at;
      for (const child of [at * 2 + 1, at * 2 + 2]) {
        if (child < this.#heap.length && this.#heap[child]!.atMs < this.#heap[least]!.atMs) least = child;
      }
      if (least === at) return;
      this.#swap(at, least);
      at = least;
    }
  }

  #swap(a: number, b: number): void {
    const x = this.#heap[a]!;
    const y = this.#heap[b]!;
    this.#heap[a] = y;
    this.#heap[b] = x;
    y.index = a;
    x.index = b;
  }
}
