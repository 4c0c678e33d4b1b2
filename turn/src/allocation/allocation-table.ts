import { type Crypto, Deadlines, type Random } from '@offhook/core';
import { EndpointTable, type PacketBatch, type UdpEndpoint } from '@offhook/core/node';
import { RESERVATION_MS, type TurnLimits } from '../limits.ts';
import { Allocation, type AllocationOwner } from './allocation.ts';
import { PortPool } from './port-pool.ts';
import { Relay } from './relay.ts';
import type { RelayAddress } from './relay-address.ts';
import type { Buckets, SharedTables } from './shared.ts';
import { figuresOf, type UserFigures, UserUse } from './user-use.ts';

/** Users that have nothing any more whose figures are kept until others need the room. */
const PAST_USERS = 1000;

export interface RelayPorts {
  readonly addresses: readonly RelayAddress[];
  readonly portMin: number;
  readonly portMax: number;
}

export interface AllocationTableOptions {
  /** Number of listeners. */
  readonly listeners: number;
  readonly relay: RelayPorts;
  readonly limits: () => TurnLimits;
  readonly shared: SharedTables;
  readonly random: Random;
  readonly crypto: Crypto;
}

interface Reserved {
  readonly place: number;
  readonly token: Uint8Array;
  readonly pool: PortPool;
}

/** Every allocation of a thread, found by its client's 5-tuple and by its relays' slots; with quotas and expiry. */
export class AllocationTable {
  readonly pools: readonly PortPool[];
  readonly #options: AllocationTableOptions;
  readonly #byId = new Map<number, Allocation>();
  readonly #slots: (Relay | undefined)[] = [];
  readonly #freeSlots: number[] = [];
  /** By listener: from the client's endpoint to the slot of its first relay. */
  readonly #clients: readonly EndpointTable[];
  readonly #users = new Map<string, UserUse>();
  readonly #pastUsers = new Map<string, UserUse>();
  readonly #expiry = new Deadlines<Relay>();
  readonly #reservations = new Deadlines<Reserved>();
  #nextId = 1;

  constructor(options: AllocationTableOptions) {
    this.#options = options;
    const { random, relay, shared } = options;
    this.#clients = Array.from({ length: options.listeners }, () => new EndpointTable(this.#seed(), 256));
    this.pools = relay.addresses.map(
      (at, index) => new PortPool({ at, index, portMin: relay.portMin, portMax: relay.portMax, random, shared }),
    );
  }

  get size(): number {
    return this.#byId.size;
  }

  /** Users with at least one relayed address. */
  get users(): number {
    return this.#users.size;
  }

  all(): IterableIterator<Allocation> {
    return this.#byId.values();
  }

  /** The allocation of the 5-tuple that packet i came on, or undefined. */
  ofClient(listener: number, batch: PacketBatch, i: number): Allocation | undefined {
    const slot = this.#clients[listener]!.find(batch, i);
    return slot < 0 ? undefined : this.#slots[slot]?.allocation;
  }

  ofEndpoint(listener: number, client: UdpEndpoint): Allocation | undefined {
    const slot = this.#clients[listener]!.get(client);
    return slot < 0 ? undefined : this.#slots[slot]?.allocation;
  }

  at(slot: number): Relay | undefined {
    return this.#slots[slot];
  }

  /** Whether that endpoint is a relayed address of ours now, of whichever thread. Words as in `UdpEndpoint`. */
  isOwnRelay(family: 4 | 6, words: ArrayLike<number>, at: number, port: number): boolean {
    for (const pool of this.pools) {
      if (pool.family === family && pool.isLocal(words, at) && pool.isOpen(port)) return true;
    }
    return false;
  }

  /** Whether relayed addresses are made on that address. */
  isRelayAddress(family: 4 | 6, words: ArrayLike<number>): boolean {
    return this.pools.some((pool) => pool.family === family && pool.isLocal(words, 0));
  }

  /** What the user holds and sends. */
  use(user: string): UserUse {
    const known = this.#users.get(user) ?? this.#pastUsers.get(user);
    return known ?? new UserUse(user, this.#options.shared.buckets(user));
  }

  /**
   * Whether this user, or all together, would hold more than they may with `ports` more (RFC 8656 7.2). Reserved ports
   * count: they are as taken as others. One that is redeemed gives its place up.
   */
  isQuotaReached(use: UserUse, ports: number, token?: Uint8Array): boolean {
    const { shared } = this.#options;
    const limits = this.#options.limits();
    const redeemed = token && shared.reservedFor(token);
    const isOwn = isSame(redeemed, use.buckets);
    const all = shared.heldByAll() + ports - (redeemed ? 1 : 0);
    const own = shared.held(use.buckets) + ports - (isOwn ? 1 : 0);
    return all > limits.allocations || own > limits.allocationsPerUser;
  }

  /** A new allocation without a relayed address. */
  add(owner: AllocationOwner, allocateId: Uint8Array): Allocation {
    const { limits } = this.#options;
    const allocation = new Allocation({ id: this.#nextId++, owner, allocateId, limits });
    this.#byId.set(allocation.id, allocation);
    return allocation;
  }

  /** A relayed address for it that waits for its socket. The caller has checked quota and taken the port. */
  addRelay(allocation: Allocation, pool: PortPool, port: number): Relay {
    const slot = this.#freeSlots.pop() ?? this.#slots.length;
    const { limits } = this.#options;
    const relay = new Relay({ id: this.#nextId++, slot, allocation, pool, port, limits, seed: this.#seed() });
    const { listener, client, use } = allocation.owner;
    this.#slots[slot] = relay;
    if (allocation.relays.length === 0) this.#clients[listener]!.set(client, slot);
    allocation.relays.push(relay);
    this.#options.shared.hold(use.buckets);
    this.#pastUsers.delete(use.user);
    this.#users.set(use.user, use);
    use.relays++;
    return relay;
  }

  extend(relay: Relay, expiresAtMs: number): void {
    relay.expiresAtMs = expiresAtMs;
    this.#expiry.set(relay, expiresAtMs);
  }

  /** Forgets a relayed address, and its allocation with the last one; gives port and quota back. */
  removeRelay(relay: Relay): void {
    if (this.#slots[relay.slot] !== relay) return;
    const { allocation, pool } = relay;
    const { listener, client, use } = allocation.owner;
    this.#slots[relay.slot] = undefined;
    this.#freeSlots.push(relay.slot);
    pool.give(relay.port);
    this.#expiry.delete(relay);
    allocation.dropRelay(relay);
    const [left] = allocation.relays;
    if (left) this.#clients[listener]!.set(client, left.slot);
    else this.#clients[listener]!.delete(client);
    this.#options.shared.release(use.buckets);
    if (--use.relays === 0) this.#retire(use);
    if (!left) this.#byId.delete(allocation.id);
  }

  /** An allocation that never got a relayed address. */
  remove(allocation: Allocation): void {
    for (const relay of [...allocation.relays]) this.removeRelay(relay);
    this.#byId.delete(allocation.id);
  }

  /** Keeps a taken port for thirty seconds; the eight bytes of its token, or undefined when too many are kept. */
  reserve(pool: PortPool, port: number, use: UserUse, nowMs: number): Uint8Array | undefined {
    const token = this.#options.crypto.randomBytes(8).slice();
    const place = this.#options.shared.reserve(token, { address: pool.index, port }, use.buckets);
    if (place === undefined) return undefined;
    this.#reservations.set({ place, token, pool }, nowMs + RESERVATION_MS);
    return token;
  }

  /** Hands out a reserved port, once; with `use` only to the user it was reserved for. */
  redeem(token: Uint8Array, use?: UserUse): { readonly pool: PortPool; readonly port: number } | undefined {
    const { shared } = this.#options;
    if (use && !isSame(shared.reservedFor(token), use.buckets)) return undefined;
    const reserved = shared.redeem(token);
    return reserved && { pool: this.pools[reserved.address]!, port: reserved.port };
  }

  /** One relayed address whose time is over; it still has to be removed. */
  expired(nowMs: number): Relay | undefined {
    return this.#expiry.expire(nowMs);
  }

  /** Gives back ports that nobody came for. */
  expireReservations(nowMs: number): void {
    for (let over = this.#reservations.expire(nowMs); over; over = this.#reservations.expire(nowMs)) {
      const reserved = this.#options.shared.unreserve(over.place, over.token);
      if (reserved) over.pool.give(reserved.port);
    }
  }

  nextTimeout(): number | undefined {
    const a = this.#expiry.next();
    const b = this.#reservations.next();
    return a === undefined ? b : b === undefined ? a : Math.min(a, b);
  }

  /** Of each user that has or had something. */
  figures(): UserFigures[] {
    return [...this.#users.values(), ...this.#pastUsers.values()].map(figuresOf);
  }

  #retire(use: UserUse): void {
    this.#users.delete(use.user);
    this.#pastUsers.set(use.user, use);
    if (this.#pastUsers.size <= PAST_USERS) return;
    for (const oldest of this.#pastUsers.keys()) {
      this.#pastUsers.delete(oldest);
      return;
    }
  }

  #seed(): number {
    return Math.floor(this.#options.random.next() * 0x1_0000_0000);
  }
}

function isSame(one: Buckets | undefined, other: Buckets): boolean {
  return one !== undefined && one[0] === other[0] && one[1] === other[1];
}
