import { type Random, type SocketAddress, seededRandom, socketKey } from '../base/index.ts';
import { Link, type LinkOptions } from '../link/index.ts';
import { type Cancel, VirtualClock } from './clock.ts';

/** What a node does with a datagram; the bytes are its own copy. */
export type Receive = (bytes: Uint8Array, from: SocketAddress, nowMs: number) => void;

/** A datagram network in virtual time: seeded, so that the same run happens again. */
export class VirtualNetwork {
  readonly clock: VirtualClock;
  readonly random: Random;
  /** Datagrams handed to `send`. */
  sent = 0;
  delivered = 0;
  /** Lost on a link. */
  lost = 0;
  /** Arrived where no node was. */
  unreachable = 0;
  readonly #nodes = new Map<string, Receive>();
  readonly #links = new Map<string, Link>();
  #elsewhere: Link;

  constructor(options: { readonly seed: number; readonly clock?: VirtualClock; readonly link?: LinkOptions }) {
    this.clock = options.clock ?? new VirtualClock();
    this.random = seededRandom(options.seed);
    this.#elsewhere = new Link({ ...options.link, random: this.random });
  }

  /** Datagrams to that address are handed to `receive`; the answer takes the node away again. A second node there is a bug. */
  addNode(address: SocketAddress, receive: Receive): Cancel {
    const key = socketKey(address);
    if (this.#nodes.has(key)) throw new Error(`${key} is taken`);
    this.#nodes.set(key, receive);
    return () => {
      this.#nodes.delete(key);
    };
  }

  hasNode(address: SocketAddress): boolean {
    return this.#nodes.has(socketKey(address));
  }

  /** Sets one direction between two addresses: an IP address stands for all its ports. Replaces an earlier one. */
  link(from: SocketAddress | string, to: SocketAddress | string, options: LinkOptions): Link {
    const link = new Link({ ...options, random: this.random });
    this.#links.set(`${name(from)} ${name(to)}`, link);
    return link;
  }

  /** Both directions. */
  connect(a: SocketAddress | string, b: SocketAddress | string, options: LinkOptions): void {
    this.link(a, b, options);
    this.link(b, a, options);
  }

  /** Every pair without a link of its own. */
  linkElsewhere(options: LinkOptions): void {
    this.#elsewhere = new Link({ ...options, random: this.random });
  }

  send(from: SocketAddress, to: SocketAddress, bytes: Uint8Array): void {
    this.sent++;
    const delivery = this.#between(from, to).decide(this.clock.nowMs, bytes.length);
    if (delivery === 'lost') {
      this.lost++;
      return;
    }
    const { deliverAtMs, duplicateAtMs } = delivery;
    const copy = bytes.slice();
    this.clock.at(deliverAtMs, (nowMs) => this.#deliver(copy, from, to, nowMs));
    if (duplicateAtMs !== undefined) {
      const second = bytes.slice();
      this.clock.at(duplicateAtMs, (nowMs) => this.#deliver(second, from, to, nowMs));
    }
  }

  at(atMs: number, fn: (nowMs: number) => void): Cancel {
    return this.clock.at(atMs, fn);
  }

  run(untilMs: number): void {
    this.clock.run(untilMs);
  }

  step(): boolean {
    return this.clock.step();
  }

  #between(from: SocketAddress, to: SocketAddress): Link {
    const links = this.#links;
    if (links.size === 0) return this.#elsewhere;
    return (
      links.get(`${socketKey(from)} ${socketKey(to)}`) ??
      links.get(`${socketKey(from)} ${to.address}`) ??
      links.get(`${from.address} ${socketKey(to)}`) ??
      links.get(`${from.address} ${to.address}`) ??
      this.#elsewhere
    );
  }

  #deliver(bytes: Uint8Array, from: SocketAddress, to: SocketAddress, nowMs: number): void {
    const receive = this.#nodes.get(socketKey(to));
    if (!receive) {
      this.unreachable++;
      return;
    }
    this.delivered++;
    receive(bytes, from, nowMs);
  }
}

function name(at: SocketAddress | string): string {
  return typeof at === 'string' ? at : socketKey(at);
}
