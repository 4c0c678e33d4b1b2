import type { Crypto } from '@offhook/core';
import { utf8 } from '@offhook/core';

const PORTS = 65_536;
/** Set in a port's byte when its socket is open; the rest is the thread it belongs to, from 1. */
const OPEN = 0x80;
const BUCKETS = 65_536;
const RESERVATIONS = 1024;
/** Words of one reservation: state, two of the token, relay address, port, thread, the user's buckets. */
const WORDS = 8;
const State = { free: 0, busy: 1, held: 2 } as const;

/** The memory itself, as it is handed to worker threads. */
export interface SharedMemory {
  readonly workers: number;
  /** By relay address: a byte for each port, and behind them how many are taken. */
  readonly ports: readonly SharedArrayBuffer[];
  readonly users: SharedArrayBuffer;
  readonly reservations: SharedArrayBuffer;
  /** Makes the buckets of users unpredictable. */
  readonly seed: Uint8Array;
}

/** Where a user is counted. */
export type Buckets = readonly [number, number];

/** What a token stands for. */
export interface ReservedPort {
  /** Index of the relay address. */
  readonly address: number;
  readonly port: number;
}

export function sharedMemory(workers: number, addresses: number, crypto: Crypto): SharedMemory {
  return {
    workers,
    ports: Array.from({ length: addresses }, () => new SharedArrayBuffer(PORTS + 4)),
    users: new SharedArrayBuffer((workers + 1) * BUCKETS * 4),
    reservations: new SharedArrayBuffer(RESERVATIONS * WORDS * 4),
    seed: crypto.randomBytes(16),
  };
}

/**
 * What all threads of a server have in common: which relay ports are taken and by whom, how many each user holds, and
 * ports that wait for their RESERVATION-TOKEN. Everything is one atomic step, nobody waits. What a thread held that has
 * ended is given back by `forget`.
 *
 * Users are counted in two buckets each, chosen by a keyed hash, and have the lesser of both: a user is only taken for
 * more than he has when strangers share both buckets.
 */
export class SharedTables {
  readonly #memory: SharedMemory;
  readonly #worker: number;
  readonly #ports: readonly Uint8Array[];
  readonly #taken: readonly Int32Array[];
  readonly #users: Int32Array;
  readonly #reservations: Int32Array;
  readonly #crypto: Crypto;

  /** @param worker 0 … workers-1 */
  constructor(memory: SharedMemory, worker: number, crypto: Crypto) {
    this.#memory = memory;
    this.#worker = worker;
    this.#crypto = crypto;
    this.#ports = memory.ports.map((buffer) => new Uint8Array(buffer, 0, PORTS));
    this.#taken = memory.ports.map((buffer) => new Int32Array(buffer, PORTS, 1));
    this.#users = new Int32Array(memory.users);
    this.#reservations = new Int32Array(memory.reservations);
  }

  /** Takes a port unless somebody has it. */
  takePort(address: number, port: number): boolean {
    const isFree = Atomics.compareExchange(this.#ports[address]!, port, 0, this.#worker + 1) === 0;
    if (isFree) Atomics.add(this.#taken[address]!, 0, 1);
    return isFree;
  }

  /** The socket of a port that this thread has taken is open: from now on it is a relayed address. */
  openPort(address: number, port: number): void {
    Atomics.store(this.#ports[address]!, port, OPEN | (this.#worker + 1));
  }

  givePort(address: number, port: number): void {
    if (Atomics.exchange(this.#ports[address]!, port, 0) !== 0) Atomics.sub(this.#taken[address]!, 0, 1);
  }

  /** Whether a relay socket is open there, on whichever thread. A port that is only taken may be somebody else's. */
  isPortOpen(address: number, port: number): boolean {
    return (this.#ports[address]![port]! & OPEN) !== 0;
  }

  /** Ports that are taken on an address, by all threads. */
  portsTaken(address: number): number {
    return Atomics.load(this.#taken[address]!, 0);
  }

  /** The two buckets of a user; keep them. */
  buckets(user: string): Buckets {
    const mac = this.#crypto.hmac('sha256', this.#memory.seed, utf8(user));
    return [(mac[0]! << 8) | mac[1]!, (mac[2]! << 8) | mac[3]!];
  }

  /** What the user holds, on all threads. */
  held(buckets: Buckets): number {
    return Math.min(this.#sum(buckets[0]), this.#sum(buckets[1]));
  }

  /** One more that the user holds on this thread. */
  hold(buckets: Buckets): void {
    this.#count(this.#worker, buckets, 1);
  }

  release(buckets: Buckets): void {
    this.#count(this.#worker, buckets, -1);
  }

  /** What all users hold together, on all threads. */
  heldByAll(): number {
    let sum = 0;
    for (let worker = 0; worker < this.#memory.workers; worker++) sum += this.#users[worker]!;
    return sum;
  }

  /**
   * Keeps a port for whoever shows the token (eight bytes); it counts for its user until then. Answers its place, or
   * undefined when too many are kept.
   */
  reserve(token: Uint8Array, { address, port }: ReservedPort, buckets: Buckets): number | undefined {
    const words = this.#reservations;
    for (let place = 0; place < RESERVATIONS; place++) {
      const at = place * WORDS;
      if (Atomics.compareExchange(words, at, State.free, State.busy) !== State.free) continue;
      const [a, b] = tokenWords(token);
      words[at + 1] = a;
      words[at + 2] = b;
      words[at + 3] = address;
      words[at + 4] = port;
      words[at + 5] = this.#worker;
      words[at + 6] = buckets[0];
      words[at + 7] = buckets[1];
      this.hold(buckets);
      Atomics.store(words, at, State.held);
      return place;
    }
    return undefined;
  }

  /** Whom the port of that token counts for, if it is kept. */
  reservedFor(token: Uint8Array): Buckets | undefined {
    const at = this.#find(token) * WORDS;
    return at < 0 ? undefined : [this.#reservations[at + 6]!, this.#reservations[at + 7]!];
  }

  /** Hands a reserved port over, once. The port stays taken, by this thread from now on. */
  redeem(token: Uint8Array): ReservedPort | undefined {
    const place = this.#find(token);
    const reserved = place < 0 ? undefined : this.unreserve(place, token);
    if (reserved) Atomics.store(this.#ports[reserved.address]!, reserved.port, this.#worker + 1);
    return reserved;
  }

  /** Takes back the port at this place, unless somebody has come for it. */
  unreserve(place: number, token: Uint8Array): ReservedPort | undefined {
    const words = this.#reservations;
    const at = place * WORDS;
    if (Atomics.compareExchange(words, at, State.held, State.busy) !== State.held) return undefined;
    const [a, b] = tokenWords(token);
    const isIt = words[at + 1] === a && words[at + 2] === b;
    if (isIt) this.#count(words[at + 5]!, [words[at + 6]!, words[at + 7]!], -1);
    const reserved = { address: words[at + 3]!, port: words[at + 4]! };
    Atomics.store(words, at, isIt ? State.free : State.held);
    return isIt ? reserved : undefined;
  }

  /** Gives back everything that a thread held which has ended. */
  forget(worker: number): void {
    const base = (worker + 1) * BUCKETS;
    this.#users.fill(0, base, base + BUCKETS);
    this.#users[worker] = 0;
    for (const [address, ports] of this.#ports.entries()) {
      for (let port = 0; port < PORTS; port++) {
        if ((ports[port]! & ~OPEN) === worker + 1) this.givePort(address, port);
      }
    }
    const words = this.#reservations;
    for (let at = 0; at < words.length; at += WORDS) {
      if (words[at] !== State.free && words[at + 5] === worker) Atomics.store(words, at, State.free);
    }
  }

  #find(token: Uint8Array): number {
    const [a, b] = tokenWords(token);
    const words = this.#reservations;
    for (let place = 0; place < RESERVATIONS; place++) {
      const at = place * WORDS;
      if (words[at] === State.held && words[at + 1] === a && words[at + 2] === b) return place;
    }
    return -1;
  }

  #count(worker: number, buckets: Buckets, change: 1 | -1): void {
    const base = (worker + 1) * BUCKETS;
    Atomics.add(this.#users, base + buckets[0], change);
    if (buckets[1] !== buckets[0]) Atomics.add(this.#users, base + buckets[1], change);
    Atomics.add(this.#users, worker, change);
  }

  #sum(bucket: number): number {
    let sum = 0;
    for (let worker = 1; worker <= this.#memory.workers; worker++) sum += this.#users[worker * BUCKETS + bucket]!;
    return sum;
  }
}

function tokenWords(token: Uint8Array): [number, number] {
  const view = new DataView(token.buffer, token.byteOffset, 8);
  return [view.getInt32(0), view.getInt32(4)];
}
