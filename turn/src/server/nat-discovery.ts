import type { SocketAddress } from '@offhook/core';

/** The four corners of NAT behaviour discovery: two addresses with two ports each (RFC 5780 6). */
export class NatDiscovery {
  readonly #listeners: readonly SocketAddress[];
  /** By listener: the one with the other address, with the other port, with both others. */
  readonly #others: ReadonlyMap<number, { readonly address: number; readonly port: number; readonly both: number }>;

  private constructor(
    listeners: readonly SocketAddress[],
    others: ReadonlyMap<number, { readonly address: number; readonly port: number; readonly both: number }>,
  ) {
    this.#listeners = listeners;
    this.#others = others;
  }

  /** @param listeners those over UDP, first in the server's list; undefined when no two of them make such a square. */
  static of(listeners: readonly SocketAddress[]): NatDiscovery | undefined {
    const others = new Map<number, { address: number; port: number; both: number }>();
    const find = (address: string, port: number) =>
      listeners.findIndex((at) => at.address === address && at.port === port);
    for (const [i, own] of listeners.entries()) {
      for (const other of listeners) {
        if (other.address === own.address || other.port === own.port) continue;
        if (other.address.includes(':') !== own.address.includes(':')) continue;
        const address = find(other.address, own.port);
        const port = find(own.address, other.port);
        if (address >= 0 && port >= 0 && !others.has(i)) {
          others.set(i, { address, port, both: find(other.address, other.port) });
        }
      }
    }
    return others.size > 0 ? new NatDiscovery(listeners, others) : undefined;
  }

  /** Whether requests to that listener can be answered from elsewhere. */
  serves(listener: number): boolean {
    return this.#others.has(listener);
  }

  /** OTHER-ADDRESS of a listener: the other address and the other port. */
  other(listener: number): SocketAddress {
    return this.#listeners[this.#others.get(listener)!.both]!;
  }

  /** The listener that answers, by the flags of CHANGE-REQUEST. */
  answering(listener: number, change: { readonly address: boolean; readonly port: boolean }): number {
    const others = this.#others.get(listener)!;
    if (change.address) return change.port ? others.both : others.address;
    return change.port ? others.port : listener;
  }
}
