import { EndpointTable, type PacketBatch, type UdpEndpoint } from '@offhook/core/node';

/** Up to so many are looked through one by one: faster than hashing, and most allocations have one or two peers. */
const FEW = 8;

/** Things that each have an endpoint, found by it without allocating; a table is made only when there are many. */
export class EndpointList<T extends { readonly endpoint: UdpEndpoint }> {
  readonly #seed: number;
  readonly #items: T[] = [];
  #table: EndpointTable | undefined;

  /** @param seed any random 32-bit number, for the hash table. */
  constructor(seed: number) {
    this.#seed = seed;
  }

  get size(): number {
    return this.#items.length;
  }

  /** In no order; don't change the list while walking it. */
  get items(): readonly T[] {
    return this.#items;
  }

  /** The one at the source of packet i. */
  find(batch: PacketBatch, i: number): T | undefined {
    if (this.#table) return this.#items[this.#table.find(batch, i)];
    const items = this.#items;
    for (let n = 0; n < items.length; n++) if (items[n]!.endpoint.isSource(batch, i)) return items[n];
    return undefined;
  }

  get(at: UdpEndpoint): T | undefined {
    if (this.#table) return this.#items[this.#table.get(at)];
    const items = this.#items;
    for (let n = 0; n < items.length; n++) if (items[n]!.endpoint.equals(at)) return items[n];
    return undefined;
  }

  /** Its endpoint must not be in the list yet. */
  add(item: T): void {
    this.#items.push(item);
    // a table that is there holds all of them, also while they are few again
    if (this.#table) this.#table.set(item.endpoint, this.#items.length - 1);
    else if (this.#items.length > FEW) this.#index();
  }

  delete(item: T): void {
    const at = this.#items.indexOf(item);
    if (at < 0) return;
    this.#table?.delete(item.endpoint);
    const last = this.#items.pop()!;
    if (last !== item) {
      this.#items[at] = last;
      this.#table?.set(last.endpoint, at);
    }
    if (this.#items.length <= FEW / 2) this.#table = undefined;
  }

  #index(): void {
    this.#table = new EndpointTable(this.#seed, this.#items.length * 2);
    for (const [n, { endpoint }] of this.#items.entries()) this.#table.set(endpoint, n);
  }
}
