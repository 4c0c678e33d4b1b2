import { isLoopback, networkOf } from '@offhook/core';

/** No account has a longer name (store/store.ts): what is longer is not looked up, hashed or remembered. */
export const LONGEST_USER = 64;

/** Names remembered in all, and for one address (IPv6: /64). */
const MAX_NAMES = 20_000;
const NAMES_PER_NETWORK = 100;
/** What all further names of one address count as together; no user has this name. */
const OTHERS = '';
/** Failures that cost nothing, and the number after which the long lock comes. */
const FREE = 5;
const LONG = 20;
const LONG_MS = 900_000;
/** Loopback is slowed down, never shut out: whoever sits at the machine shall not lock its owner out. */
const LOOPBACK_MS = 4000;
/** Failures are forgotten when none has been added for so long. */
const FORGET_MS = 86_400_000;

interface Failures {
  readonly count: number;
  readonly untilMs: number;
  readonly atMs: number;
}

/**
 * Growing delays for wrong passwords, per user and source: 1, 2, 4 … seconds after the fifth, 15 minutes after the
 * twentieth. Bounded without letting an address push its own entries out: from its hundredth name on, all further names
 * tried from there count as one.
 */
export class Lockout {
  readonly #isNear: (address: string) => boolean;
  /** Network → user → failures; the network that has failed most recently comes last. */
  readonly #networks = new Map<string, Map<string, Failures>>();
  #names = 0;

  /** @param isNear Addresses that are slowed down only: loopback, and edge proxies, behind which there are many. */
  constructor(isNear: (address: string) => boolean = isLoopback) {
    this.#isNear = isNear;
  }

  /** Names remembered. */
  get size(): number {
    return this.#names;
  }

  /** Milliseconds until that user may try again from there; 0 when now. */
  remainingMs(user: string, address: string, nowMs: number): number {
    const names = this.#networks.get(networkOf(address));
    const entry = names?.get(user) ?? (names && isFull(names) ? names.get(OTHERS) : undefined);
    return entry ? Math.max(0, entry.untilMs - nowMs) : 0;
  }

  failed(user: string, address: string, nowMs: number): void {
    const network = networkOf(address);
    const names = this.#networks.get(network) ?? new Map<string, Failures>();
    this.#networks.delete(network);
    this.#networks.set(network, names);
    if (!names.has(user) && isFull(names)) this.#forget(names, nowMs);
    const name = names.has(user) || !isFull(names) ? user : OTHERS;
    const old = names.get(name);
    if (!old) this.#names++;
    const count = old && nowMs - old.atMs < FORGET_MS ? old.count + 1 : 1;
    const delay = count < FREE ? 0 : count >= LONG ? LONG_MS : 1000 * 2 ** (count - FREE);
    const most = this.#isNear(address) ? LOOPBACK_MS : LONG_MS;
    names.set(name, { count, untilMs: nowMs + Math.min(delay, most), atMs: nowMs });
    while (this.#names > MAX_NAMES) this.#dropNetwork(this.#networks.keys().next().value!);
  }

  succeeded(user: string, address: string): void {
    const network = networkOf(address);
    const names = this.#networks.get(network);
    if (!names?.delete(user)) return;
    this.#names--;
    if (names.size === 0) this.#networks.delete(network);
  }

  #forget(names: Map<string, Failures>, nowMs: number): void {
    for (const [name, { atMs }] of names) {
      if (nowMs - atMs < FORGET_MS) continue;
      names.delete(name);
      this.#names--;
    }
  }

  #dropNetwork(network: string): void {
    this.#names -= this.#networks.get(network)!.size;
    this.#networks.delete(network);
  }
}

function isFull(names: ReadonlyMap<string, Failures>): boolean {
  return names.size >= NAMES_PER_NETWORK;
}
