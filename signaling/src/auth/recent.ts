/**
 * A bounded table that forgets what was untouched for longest, without an order to keep: there are two generations, and when
 * the younger one is full the older one is dropped whole. So it holds the `most / 2` entries touched last at least, and `most`
 * at most, and each step costs the same however many strangers fill it. (A Map that is emptied at its front is slow: each
 * look at its first key walks over what was deleted there.)
 */
export class Recent<V, K = string> {
  readonly #most: number;
  readonly #onForgotten: ((value: V) => void) | undefined;
  #young = new Map<K, V>();
  #old = new Map<K, V>();

  constructor(most: number, onForgotten?: (value: V) => void) {
    this.#most = most;
    this.#onForgotten = onForgotten;
  }

  get size(): number {
    return this.#young.size + this.#old.size;
  }

  /** Looks at an entry, which does not touch it. */
  peek(key: K): V | undefined {
    return this.#young.get(key) ?? this.#old.get(key);
  }

  /** An entry, which is young from now on. */
  touch(key: K): V | undefined {
    const young = this.#young.get(key);
    if (young !== undefined) return young;
    const old = this.#old.get(key);
    if (old !== undefined) this.set(key, old);
    return old;
  }

  set(key: K, value: V): void {
    this.#old.delete(key);
    this.#young.set(key, value);
    if (this.#young.size >= this.#most / 2) this.age();
  }

  /** Takes an entry out. */
  delete(key: K): V | undefined {
    const known = this.peek(key);
    this.#young.delete(key);
    this.#old.delete(key);
    return known;
  }

  /** Drops the older generation; what is young is the older one now. */
  age(): void {
    const forgotten = this.#old;
    this.#old = this.#young;
    this.#young = new Map();
    if (this.#onForgotten) for (const value of forgotten.values()) this.#onForgotten(value);
  }

  *[Symbol.iterator](): Generator<[K, V]> {
    yield* this.#old;
    yield* this.#young;
  }
}
