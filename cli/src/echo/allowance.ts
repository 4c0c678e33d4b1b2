import { networkOf } from '@offhook/core';

/** How many sources of datagrams are known at a time; more can't be told apart, and get nothing until others are quiet. */
export const MAX_SOURCES = 10_000;
/** A datagram costs this much at least: its headers, and that small ones are no way around the rate. */
export const LEAST_COST = 64;

/** Bytes per second with one second's worth in reserve. */
export class ByteAllowance {
  readonly #bytesPerS: number;
  #left: number;
  #atMs: number;

  constructor(bytesPerS: number, nowMs: number) {
    this.#bytesPerS = bytesPerS;
    this.#left = bytesPerS;
    this.#atMs = nowMs;
  }

  /** Takes what is there; false, and nothing is taken, when it is not enough. */
  take(bytes: number, nowMs: number): boolean {
    this.#refill(nowMs);
    if (bytes > this.#left) return false;
    this.#left -= bytes;
    return true;
  }

  /** Takes in any case; answers how long to pause, in ms, until it is paid back. */
  spend(bytes: number, nowMs: number): number {
    this.#refill(nowMs);
    this.#left -= bytes;
    return this.#left >= 0 ? 0 : Math.ceil((-this.#left / this.#bytesPerS) * 1000);
  }

  isFull(nowMs: number): boolean {
    this.#refill(nowMs);
    return this.#left >= this.#bytesPerS;
  }

  #refill(nowMs: number): void {
    this.#left = Math.min(this.#bytesPerS, this.#left + ((nowMs - this.#atMs) / 1000) * this.#bytesPerS);
    this.#atMs = nowMs;
  }
}

/** The datagrams that each source may have answered; forged sources must not become a weapon or fill the memory. */
export class SourceAllowances {
  readonly #bytesPerS: number;
  readonly #most: number;
  readonly #sources = new Map<string, ByteAllowance>();
  #sweptMs = Number.NEGATIVE_INFINITY;

  constructor(bytesPerS: number, most = MAX_SOURCES) {
    this.#bytesPerS = bytesPerS;
    this.#most = most;
  }

  get size(): number {
    return this.#sources.size;
  }

  take(address: string, bytes: number, nowMs: number): boolean {
    const key = networkOf(address);
    let allowance = this.#sources.get(key);
    if (!allowance) {
      if (this.#sources.size >= this.#most && !this.#sweep(nowMs)) return false;
      allowance = new ByteAllowance(this.#bytesPerS, nowMs);
      this.#sources.set(key, allowance);
    }
    return allowance.take(Math.max(bytes, LEAST_COST), nowMs);
  }

  /** Forgets those that are owed nothing, once a second at most; whether there is room. */
  #sweep(nowMs: number): boolean {
    if (nowMs - this.#sweptMs < 1000) return false;
    this.#sweptMs = nowMs;
    for (const [key, allowance] of this.#sources) if (allowance.isFull(nowMs)) this.#sources.delete(key);
    return this.#sources.size < this.#most;
  }
}

/** Connections that are open, in all and by network. */
export class Admissions {
  readonly #most: number;
  readonly #perAddress: number;
  readonly #open = new Map<string, number>();
  #total = 0;

  constructor(most: number, perAddress: number) {
    this.#most = most;
    this.#perAddress = perAddress;
  }

  get total(): number {
    return this.#total;
  }

  /** Undefined: no more. Otherwise what has to be called, once, when the connection is closed. */
  admit(address: string): (() => void) | undefined {
    const key = networkOf(address);
    const own = this.#open.get(key) ?? 0;
    if (this.#total >= this.#most || own >= this.#perAddress) return undefined;
    this.#open.set(key, own + 1);
    this.#total++;
    let isOpen = true;
    return () => {
      if (!isOpen) return;
      isOpen = false;
      this.#total--;
      const left = this.#open.get(key)! - 1;
      if (left === 0) this.#open.delete(key);
      else this.#open.set(key, left);
    };
  }
}
