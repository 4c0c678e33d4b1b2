import type { Random } from '../base/index.ts';
import { CapacityQueue, type CapacityStep } from './capacity.ts';
import { LossModel } from './loss.ts';

export interface LinkOptions {
  /** 0–1. Default 0. */
  readonly lossProbability?: number;
  /** Packets lost in a row on average, at least 1; without it each packet is lost or not on its own. */
  readonly meanLossBurst?: number;
  /** One way, milliseconds. Default 0. */
  readonly delayMs?: number;
  /** Added to the delay, uniform in [0, jitterMs); so packets may overtake each other. Default 0. */
  readonly jitterMs?: number;
  /** A second copy of a packet arrives with its own jitter. 0–1, default 0. */
  readonly duplicateProbability?: number;
  /** Bits a second, or how they change; packets then wait for each other and stay in order. Default: no limit. */
  readonly capacity?: number | readonly CapacityStep[];
  /** The longest wait of a packet for the line, ms; beyond it packets are lost. Default 300. */
  readonly queueMs?: number;
}

/** When a packet arrives. The record is reused: read it before the next `decide`. */
export interface Delivery {
  readonly deliverAtMs: number;
  /** When its second copy arrives, or undefined. */
  readonly duplicateAtMs: number | undefined;
}

/** One direction of a network path: decides for each packet whether and when it arrives. The same seed decides the same. */
export class Link {
  readonly #options: Required<Omit<LinkOptions, 'meanLossBurst' | 'capacity' | 'queueMs'>>;
  readonly #queue: CapacityQueue | undefined;
  readonly #random: Random;
  readonly #loss: LossModel;
  readonly #delivery: { deliverAtMs: number; duplicateAtMs: number | undefined } = {
    deliverAtMs: 0,
    duplicateAtMs: undefined,
  };
  /** Packets decided upon. */
  packets = 0;
  packetBytes = 0;
  lost = 0;
  #lastMs = 0;

  constructor(options: LinkOptions & { readonly random: Random }) {
    const { lossProbability = 0, delayMs = 0, jitterMs = 0, duplicateProbability = 0 } = options;
    this.#options = { lossProbability, delayMs, jitterMs, duplicateProbability };
    this.#random = options.random;
    this.#loss = new LossModel(options.random, lossProbability, options.meanLossBurst);
    const { capacity, queueMs = 300 } = options;
    this.#queue = capacity === undefined ? undefined : new CapacityQueue(capacity, queueMs);
  }

  /** How long a packet that comes now would wait for the line, ms. */
  waitMs(nowMs: number): number {
    return this.#queue?.waitMs(nowMs) ?? 0;
  }

  /** @param bytes length of the packet. */
  decide(nowMs: number, bytes: number): Delivery | 'lost' {
    this.packets++;
    this.packetBytes += bytes;
    const { duplicateProbability } = this.#options;
    if (this.#loss.next()) {
      this.lost++;
      return 'lost';
    }
    const leftMs = this.#queue ? this.#queue.departure(nowMs, bytes) : nowMs;
    if (leftMs === undefined) {
      this.lost++;
      return 'lost';
    }
    this.#delivery.deliverAtMs = this.#inOrder(this.#arrival(leftMs));
    const twice = duplicateProbability > 0 && this.#random.next() < duplicateProbability;
    this.#delivery.duplicateAtMs = twice ? this.#arrival(leftMs) : undefined;
    return this.#delivery;
  }

  /** A line keeps its order; jitter behind it comes from the line too. */
  #inOrder(atMs: number): number {
    if (!this.#queue) return atMs;
    this.#lastMs = Math.max(this.#lastMs, atMs);
    return this.#lastMs;
  }

  #arrival(nowMs: number): number {
    const { delayMs, jitterMs } = this.#options;
    return nowMs + delayMs + (jitterMs > 0 ? this.#random.next() * jitterMs : 0);
  }
}
