import type { Allocation } from '../allocation/allocation.ts';
import type { AllocationTable } from '../allocation/allocation-table.ts';
import type { Relay } from '../allocation/relay.ts';
import type { Grant } from './request.ts';

/** Relay ports that turn out to be in use are skipped so many times. */
const MAX_TRIES = 20;

interface Opening {
  readonly relay: Relay;
  grant: Grant;
  tries: number;
}

/** How an allocation's sockets have come out, when all of them have. */
export interface Opened {
  readonly allocation: Allocation;
  readonly grant: Grant;
}

/** Relayed addresses that wait for their sockets, and what their clients will be answered. */
export class Openings {
  readonly #allocations: AllocationTable;
  readonly #openings = new Map<number, Opening>();
  readonly #refused = new Map<Allocation, Grant['refused']>();

  constructor(allocations: AllocationTable) {
    this.#allocations = allocations;
  }

  add(relay: Relay, grant: Grant): void {
    this.#openings.set(relay.id, { relay, grant, tries: 1 });
  }

  /** Nobody waits for that socket any more. */
  delete(relay: Relay): void {
    this.#openings.delete(relay.id);
    this.#refused.delete(relay.allocation);
  }

  /** The relay that a socket was asked for. */
  relay(id: number): Relay | undefined {
    return this.#openings.get(id)?.relay;
  }

  /** The socket is open. Answers the allocation when all of its sockets have been seen to. */
  opened(id: number): Opened | undefined {
    const opening = this.#openings.get(id);
    if (!opening) return undefined;
    this.#openings.delete(id);
    return this.#finish(opening);
  }

  /** Takes another port in place of one that is in use; whether there is one. */
  takeAnother(id: number, nowMs: number): Relay | undefined {
    const opening = this.#openings.get(id);
    const kind = opening?.grant.port ?? 'none';
    if (!opening || kind === 'none' || ++opening.tries > MAX_TRIES) return undefined;
    const { relay } = opening;
    const another = relay.pool.take(kind === 'pair' ? 'even-with-next' : kind);
    if (another === undefined) return undefined;
    if (kind === 'pair') {
      const before = opening.grant.token && this.#allocations.redeem(opening.grant.token);
      before?.pool.give(before.port);
      const token = this.#allocations.reserve(relay.pool, another + 1, relay.allocation.owner.use, nowMs);
      if (!token) relay.pool.give(another + 1);
      opening.grant = { ...opening.grant, token };
    }
    relay.pool.give(relay.port);
    relay.port = another;
    return relay;
  }

  /** The socket can't be had. */
  failed(id: number): Opened | undefined {
    const opening = this.#openings.get(id);
    if (!opening) return undefined;
    this.#openings.delete(id);
    const { relay } = opening;
    const { allocation } = relay;
    this.#refused.set(allocation, { family: relay.family, code: 508 });
    // The allocation has to outlive its last relay: it still has to be answered.
    if (allocation.relays.length > 1) this.#allocations.removeRelay(relay);
    return this.#finish(opening);
  }

  #finish({ relay, grant }: Opening): Opened | undefined {
    const { allocation } = relay;
    const waits = allocation.relays.some(({ id }) => this.#openings.has(id));
    if (waits) return undefined;
    const refused = this.#refused.get(allocation) ?? grant.refused;
    this.#refused.delete(allocation);
    return { allocation, grant: { ...grant, refused } };
  }
}
