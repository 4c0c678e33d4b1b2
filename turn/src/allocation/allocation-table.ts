import { type Crypto, Deadlines, hex, type Random } from '@offhook/core';
import { EndpointTable, type PacketBatch, UdpEndpoint } from '@offhook/core/node';
import { RESERVATION_MS, type TurnLimits } from '../limits.ts';
import { Allocation, type AllocationOptions } from './allocation.ts';
import { PortPool } from './port-pool.ts';

/** The odd port of a pair, kept for whoever shows the token. */
export interface Reservation {
  readonly pool: PortPool;
  readonly port: number;
  /** Whose quota it counts for until it is redeemed or its time is over. */
  readonly user: string;
}

export interface AllocationTableOptions {
  /** Number of listeners. */
  readonly listeners: number;
  readonly relay: { readonly addresses: readonly string[]; readonly portMin: number; readonly portMax: number };
  readonly limits: TurnLimits;
  readonly random: Random;
  readonly crypto: Crypto;
}

/** Every allocation, found by its client's 5-tuple, by its relayed address and by its slot; with ports, quotas and expiry. */
export class AllocationTable {
  readonly pools: readonly PortPool[];
  readonly #options: AllocationTableOptions;
  readonly #slots: (Allocation | undefined)[] = [];
  readonly #freeSlots: number[] = [];
  readonly #clients: readonly EndpointTable[];
  readonly #relays: EndpointTable;
  readonly #perUser = new Map<string, number>();
  readonly #expiry = new Deadlines<Allocation>();
  readonly #reservations = new Map<string, Reservation>();
  readonly #reservationExpiry = new Deadlines<string>();
  #size = 0;
  #nextId = 1;

  constructor(options: AllocationTableOptions) {
    this.#options = options;
    const { random, relay } = options;
    this.#clients = Array.from({ length: options.listeners }, () => new EndpointTable(this.#seed(), 256));
    this.#relays = new EndpointTable(this.#seed(), 256);
    this.pools = relay.addresses.map(
      (address) =>
        new PortPool({
          address,
          family: address.includes(':') ? 6 : 4,
          portMin: relay.portMin,
          portMax: relay.portMax,
          random,
        }),
    );
  }

  get size(): number {
    return this.#size;
  }

  get reservations(): number {
    return this.#reservations.size;
  }

  /** Users with at least one allocation or reserved port. */
  get users(): number {
    return this.#perUser.size;
  }

  *all(): IterableIterator<Allocation> {
    for (const allocation of this.#slots) if (allocation) yield allocation;
  }

  /** The allocation of the 5-tuple that packet i came on, or undefined. */
  ofClient(listener: number, batch: PacketBatch, i: number): Allocation | undefined {
    const slot = this.#clients[listener]!.find(batch, i);
    return slot < 0 ? undefined : this.#slots[slot];
  }

  at(slot: number): Allocation | undefined {
    return this.#slots[slot];
  }

  /** Whether packet i comes from one of our own relayed addresses. */
  isOwnRelay(batch: PacketBatch, i: number): boolean {
    return this.#relays.find(batch, i) >= 0;
  }

  isOwnRelayEndpoint(endpoint: UdpEndpoint): boolean {
    return this.#relays.get(endpoint) >= 0;
  }

  /** Whether relayed addresses are made on this IP address. */
  isRelayAddress(endpoint: UdpEndpoint): boolean {
    for (const { address } of this.pools) {
      const own = UdpEndpoint.from({ address, port: endpoint.port });
      if (own?.equals(endpoint)) return true;
    }
    return false;
  }

  /**
   * Whether this user, or all together, would hold more than they may with `ports` more (RFC 8656 7.2 step 9). Reserved
   * ports count: they are as taken as others. One that is redeemed gives its place up.
   */
  isQuotaReached(user: string, ports: number, redeemed?: Reservation): boolean {
    const { limits } = this.#options;
    const all = this.#size + this.#reservations.size + ports - (redeemed ? 1 : 0);
    const own = (this.#perUser.get(user) ?? 0) + ports - (redeemed?.user === user ? 1 : 0);
    return all > limits.allocations || own > limits.allocationsPerUser;
  }

  /** A new allocation that waits for its socket. The caller has checked quota and taken the port. */
  add(options: Pick<AllocationOptions, 'owner' | 'pool' | 'port'>): Allocation {
    const slot = this.#freeSlots.pop() ?? this.#slots.length;
    const { limits } = this.#options;
    const allocation = new Allocation({ ...options, id: this.#nextId++, slot, limits, seed: this.#seed() });
    const { listener, client, user } = allocation.owner;
    this.#slots[slot] = allocation;
    this.#clients[listener]!.set(client, slot);
    this.#count(user, 1);
    this.#size++;
    return allocation;
  }

  /** Its socket is open: peers may reach it until `expiresAtMs`. */
  opened(allocation: Allocation, relayed: UdpEndpoint, expiresAtMs: number): void {
    allocation.relayed = relayed;
    this.#relays.set(relayed, allocation.slot);
    this.extend(allocation, expiresAtMs);
  }

  extend(allocation: Allocation, expiresAtMs: number): void {
    allocation.expiresAtMs = expiresAtMs;
    this.#expiry.set(allocation, expiresAtMs);
  }

  /** Forgets it and gives its port and its place in the quota back. */
  remove(allocation: Allocation): void {
    if (this.#slots[allocation.slot] !== allocation) return;
    this.#slots[allocation.slot] = undefined;
    this.#freeSlots.push(allocation.slot);
    const { listener, client, user } = allocation.owner;
    this.#clients[listener]!.delete(client);
    if (allocation.relayed) this.#relays.delete(allocation.relayed);
    allocation.pool.give(allocation.port);
    this.#expiry.delete(allocation);
    this.#count(user, -1);
    this.#size--;
  }

  /** Keeps a taken port for thirty seconds; the eight bytes of its token. */
  reserve(reservation: Reservation, nowMs: number): Uint8Array {
    const token = this.#options.crypto.randomBytes(8);
    const key = hex(token);
    this.#reservations.set(key, reservation);
    this.#reservationExpiry.set(key, nowMs + RESERVATION_MS);
    this.#count(reservation.user, 1);
    return token;
  }

  /** What a token stands for, if it still does. */
  reserved(token: Uint8Array): Reservation | undefined {
    return this.#reservations.get(hex(token));
  }

  /** Hands out a reserved port, once. */
  redeem(token: Uint8Array): Reservation | undefined {
    const key = hex(token);
    this.#reservationExpiry.delete(key);
    return this.#unreserve(key);
  }

  /** One allocation whose time is over; it still has to be removed. */
  expired(nowMs: number): Allocation | undefined {
    return this.#expiry.expire(nowMs);
  }

  /** Gives back ports that nobody came for. */
  expireReservations(nowMs: number): void {
    for (;;) {
      const key = this.#reservationExpiry.expire(nowMs);
      if (key === undefined) return;
      const reservation = this.#unreserve(key);
      reservation?.pool.give(reservation.port);
    }
  }

  nextTimeout(): number | undefined {
    const a = this.#expiry.next();
    const b = this.#reservationExpiry.next();
    return a === undefined ? b : b === undefined ? a : Math.min(a, b);
  }

  #unreserve(key: string): Reservation | undefined {
    const reservation = this.#reservations.get(key);
    if (!reservation) return undefined;
    this.#reservations.delete(key);
    this.#count(reservation.user, -1);
    return reservation;
  }

  #count(user: string, change: 1 | -1): void {
    const count = (this.#perUser.get(user) ?? 0) + change;
    if (count > 0) this.#perUser.set(user, count);
    else this.#perUser.delete(user);
  }

  #seed(): number {
    return Math.floor(this.#options.random.next() * 0x1_0000_0000);
  }
}
