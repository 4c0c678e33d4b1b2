import { openUdpPort, type UdpPort } from '@offhook/core/node';
import type { RtpInterface } from './interfaces.ts';
import type { PortPair } from './leg.ts';

/** Random places tried before the pool says it is full. */
const MAX_TRIES = 200;

/**
 * The worker's slice of RTP ports: an even one for RTP with the odd one behind it for RTCP (RFC 3550 11). It goes round
 * from a random start, so a port that was given back rests as long as possible. A range from 0 takes any free ports.
 */
export class PortPool {
  readonly address: string;
  readonly #first: number;
  readonly #pairs: number;
  readonly #used = new Set<number>();
  readonly #open = new Set<PortPair>();
  /** Ports that are not to be opened, with how often they were claimed. */
  readonly #claims = new Map<number, number>();
  #next: number;
  #oversizeOfClosed = 0;

  /** @param random in [0, 1), for the start. */
  constructor(range: { address: string; portMin: number; portMax: number }, random: number) {
    this.address = range.address;
    this.#first = range.portMin + (range.portMin & 1);
    this.#pairs = range.portMin === 0 ? 0 : Math.max(0, Math.floor((range.portMax - this.#first + 1) / 2));
    this.#next = Math.floor(random * this.#pairs);
  }

  /** Pairs in use. */
  get used(): number {
    return this.#open.size;
  }

  /** Pairs there are; 0 = no fixed range. */
  get size(): number {
    return this.#pairs;
  }

  /** Datagrams that were too long for a port of this pool, open or closed since. */
  get oversize(): number {
    let sum = this.#oversizeOfClosed;
    for (const { rtp, rtcp } of this.#open) sum += rtp.stats.oversize + rtcp.stats.oversize;
    return sum;
  }

  /** Pairs of the range that are left, those that phones on this machine took not counted. */
  get free(): number {
    return Math.max(0, this.#pairs - this.#open.size);
  }

  /** `count` pairs, or undefined (and none taken) when the range is exhausted. */
  async take(count: number): Promise<PortPair[] | undefined> {
    const pairs: PortPair[] = [];
    for (let i = 0; i < count; i++) {
      const pair = await this.#openPair();
      if (!pair) {
        for (const taken of pairs) this.give(taken);
        return undefined;
      }
      pairs.push(pair);
    }
    return pairs;
  }

  /** Whether that port is open here now. */
  has(port: number): boolean {
    return this.#used.has(port - (port & 1));
  }

  /** Somebody else has that port and media is sent there: it is not opened here until it is disclaimed as often. */
  claim(port: number): true {
    this.#claims.set(port, (this.#claims.get(port) ?? 0) + 1);
    return true;
  }

  disclaim(port: number): void {
    const left = (this.#claims.get(port) ?? 0) - 1;
    if (left > 0) this.#claims.set(port, left);
    else this.#claims.delete(port);
  }

  /** Ports that are claimed. */
  get claimed(): number {
    return this.#claims.size;
  }

  /** Closes a pair; its numbers may be used again. */
  give(pair: PortPair): void {
    if (!this.#open.delete(pair)) return;
    this.#used.delete(pair.rtp.local.port);
    pair.rtp.onReadable = undefined;
    pair.rtcp.onReadable = undefined;
    this.#oversizeOfClosed += pair.rtp.stats.oversize + pair.rtcp.stats.oversize;
    pair.rtp.close();
    pair.rtcp.close();
  }

  close(): void {
    for (const pair of [...this.#open]) this.give(pair);
  }

  async #openPair(): Promise<PortPair | undefined> {
    for (let tries = 0; tries < MAX_TRIES; tries++) {
      const port = this.#pairs > 0 ? this.#nextFree() : 0;
      if (port === undefined) return undefined;
      const rtp = await this.#try(port);
      if (!rtp) continue;
      const even = rtp.local.port % 2 === 0 && !this.#isClaimed(rtp.local.port);
      const rtcp = even ? await this.#try(rtp.local.port + 1) : undefined;
      if (!rtcp) {
        rtp.close();
        continue;
      }
      const pair = { rtp, rtcp };
      this.#used.add(rtp.local.port);
      this.#open.add(pair);
      return pair;
    }
    return undefined;
  }

  /** The next RTP port of the range that is neither open nor claimed. */
  #nextFree(): number | undefined {
    for (let i = 0; i < this.#pairs; i++) {
      const port = this.#first + 2 * this.#next;
      this.#next = (this.#next + 1) % this.#pairs;
      if (!this.#used.has(port) && !this.#isClaimed(port)) return port;
    }
    return undefined;
  }

  #isClaimed(rtpPort: number): boolean {
    return this.#claims.has(rtpPort) || this.#claims.has(rtpPort + 1);
  }

  async #try(port: number): Promise<UdpPort | undefined> {
    try {
      return await openUdpPort({ address: this.address, port, burst: 'few' });
    } catch {
      return undefined; // in use by somebody else
    }
  }
}

/** One pool for each address, with the same range of ports. */
export class PortPools {
  readonly #pools = new Map<string, PortPool>();

  /** @param random in [0, 1), for the start. */
  constructor(interfaces: readonly RtpInterface[], range: { portMin: number; portMax: number }, random: number) {
    for (const { address } of interfaces) {
      if (!this.#pools.has(address)) this.#pools.set(address, new PortPool({ ...range, address }, random));
    }
  }

  get used(): number {
    return this.#sum((pool) => pool.used);
  }

  get size(): number {
    return this.#sum((pool) => pool.size);
  }

  get free(): number {
    return this.#sum((pool) => pool.free);
  }

  get oversize(): number {
    return this.#sum((pool) => pool.oversize);
  }

  /** A pair on each of the interfaces, or undefined (and none taken) when a range is exhausted. */
  async take(interfaces: readonly RtpInterface[]): Promise<PortPair[] | undefined> {
    const pairs: PortPair[] = [];
    for (const { address } of interfaces) {
      const pair = await this.#pools.get(address)?.take(1);
      if (!pair) {
        for (const taken of pairs) this.give(taken);
        return undefined;
      }
      pairs.push(pair[0]!);
    }
    return pairs;
  }

  has(address: string, port: number): boolean {
    return this.#pools.get(address)?.has(port) === true;
  }

  /** On every address: a phone may be reached by several. */
  claim(port: number): true {
    for (const pool of this.#pools.values()) pool.claim(port);
    return true;
  }

  disclaim(port: number): void {
    for (const pool of this.#pools.values()) pool.disclaim(port);
  }

  give(pair: PortPair): void {
    for (const pool of this.#pools.values()) pool.give(pair);
  }

  close(): void {
    for (const pool of this.#pools.values()) pool.close();
  }

  #sum(of: (pool: PortPool) => number): number {
    let sum = 0;
    for (const pool of this.#pools.values()) sum += of(pool);
    return sum;
  }
}
