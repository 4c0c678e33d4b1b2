import type { UdpEndpoint } from './endpoint.ts';
import type { PacketBatch } from './port.ts';

const FREE = -1;
const WORDS = 5;

/**
 * A map from endpoint to a small number (an index of the caller's flows), looked up per packet without allocating:
 * open addressing, linear probing, deletion by back-shift, grown at half load. What somebody who knows this source and chooses
 * addresses and ports can't know is where they go: address and seed are multiplied before anything is added to them.
 */
export class EndpointTable {
  readonly #seed: number;
  /** Odd, of the seed. */
  readonly #factor: number;
  #mask: number;
  #keys: Int32Array;
  #values: Int32Array;
  #size = 0;

  /** @param seed any random 32-bit number. */
  constructor(seed: number, capacity = 64) {
    let slots = 16;
    while (slots < capacity * 2) slots *= 2;
    this.#seed = seed | 0;
    this.#factor = finish(finish((seed ^ 0x9e3779b9) | 0)) | 1;
    this.#mask = slots - 1;
    this.#keys = new Int32Array(slots * WORDS);
    this.#values = new Int32Array(slots).fill(FREE);
  }

  get size(): number {
    return this.#size;
  }

  /** The value of the source of packet i of the batch, or -1. */
  find(batch: PacketBatch, i: number): number {
    const at = 4 * i;
    const words = batch.address;
    const slot = this.#slot(words[at]! | 0, words[at + 1]! | 0, words[at + 2]! | 0, words[at + 3]! | 0, batch.port[i]!);
    return this.#values[slot]!;
  }

  /** The value of an endpoint, or -1. */
  get(at: UdpEndpoint): number {
    return this.#values[this.#slot(at.a, at.b, at.c, at.d, at.port)]!;
  }

  /** @param value 0 or more. */
  set(at: UdpEndpoint, value: number): void {
    let slot = this.#slot(at.a, at.b, at.c, at.d, at.port);
    if (this.#values[slot] === FREE) {
      if ((this.#size + 1) * 2 > this.#values.length) {
        this.#grow();
        slot = this.#slot(at.a, at.b, at.c, at.d, at.port);
      }
      this.#size++;
      this.#keys.set([at.a, at.b, at.c, at.d, at.port], slot * WORDS);
    }
    this.#values[slot] = value;
  }

  /** Whether it was there. */
  delete(at: UdpEndpoint): boolean {
    let hole = this.#slot(at.a, at.b, at.c, at.d, at.port);
    if (this.#values[hole] === FREE) return false;
    this.#size--;
    this.#values[hole] = FREE;
    for (let next = (hole + 1) & this.#mask; this.#values[next] !== FREE; next = (next + 1) & this.#mask) {
      const home = this.#home(next);
      // Move back what the hole would hide: its home lies cyclically outside (hole, next].
      if (((next - home) & this.#mask) < ((next - hole) & this.#mask)) continue;
      this.#keys.copyWithin(hole * WORDS, next * WORDS, next * WORDS + WORDS);
      this.#values[hole] = this.#values[next]!;
      this.#values[next] = FREE;
      hole = next;
    }
    return true;
  }

  /** How many slots are looked at for an endpoint: 1 where it collides with nothing. */
  probes(at: UdpEndpoint): number {
    const { a, b, c, d, port } = at;
    return ((this.#slot(a, b, c, d, port) - this.#hash(a, b, c, d, port)) & this.#mask) + 1;
  }

  #home(slot: number): number {
    const k = slot * WORDS;
    const keys = this.#keys;
    return this.#hash(keys[k]!, keys[k + 1]!, keys[k + 2]!, keys[k + 3]!, keys[k + 4]!);
  }

  /**
   * Two IPv4 endpoints are the same before the last lines only for the factors that solve Δa·factor = -Δport·constant: at most
   * one of 2^16, since the ports differ below that bit. Of IPv6 each further word meets a number that nobody outside knows.
   */
  #hash(a: number, b: number, c: number, d: number, port: number): number {
    let h = (this.#seed + Math.imul(a, this.#factor) + Math.imul(port, 0x85ebca6b)) | 0;
    if ((b | c | d) !== 0) {
      h = Math.imul(h ^ b ^ (h >>> 15), 0x85ebca6b);
      h = Math.imul(h ^ c ^ (h >>> 13), 0xc2b2ae35);
      h = Math.imul(h ^ d ^ (h >>> 16), 0x9e3779b1);
    }
    return finish(h) & this.#mask;
  }

  #slot(a: number, b: number, c: number, d: number, port: number): number {
    const keys = this.#keys;
    let slot = this.#hash(a, b, c, d, port);
    while (this.#values[slot] !== FREE) {
      const k = slot * WORDS;
      if (keys[k + 4] === port && keys[k] === a && keys[k + 1] === b && keys[k + 2] === c && keys[k + 3] === d) break;
      slot = (slot + 1) & this.#mask;
    }
    return slot;
  }

  #grow(): void {
    const keys = this.#keys;
    const values = this.#values;
    this.#keys = new Int32Array(keys.length * 2);
    this.#values = new Int32Array(values.length * 2).fill(FREE);
    this.#mask = values.length * 2 - 1;
    for (let slot = 0; slot < values.length; slot++) {
      if (values[slot] === FREE) continue;
      const k = slot * WORDS;
      const to = this.#slot(keys[k]!, keys[k + 1]!, keys[k + 2]!, keys[k + 3]!, keys[k + 4]!);
      this.#keys.set(keys.subarray(k, k + WORDS), to * WORDS);
      this.#values[to] = values[slot]!;
    }
  }
}

/** Lets the high bits act on the low ones. */
function finish(h: number): number {
  const mixed = Math.imul(h ^ (h >>> 16), 0x21f0aaad);
  return mixed ^ (mixed >>> 15);
}
