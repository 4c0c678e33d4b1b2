import {
  type Link,
  type LinkOptions,
  type Random,
  type SocketAddress,
  seededRandom,
  VirtualNetwork,
} from '@offhook/core';

export const NEAR = '192.0.2.1';
export const FAR = '192.0.2.2';
const SAMPLE_MS = 20;
/** Rates are told for spans of this length. */
export const SPAN_MS = 200;

/** One curve's owner. */
export interface Sender {
  readonly name: string;
  readonly isForward: boolean;
  /** Bytes put on the line so far. */
  readonly sentBytes: number;
  /** Bytes that came out of it. */
  readonly receivedBytes: number;
  /** What it may send, where it keeps to a rate. */
  readonly targetBps: number | undefined;
}

/** A sender's curves: one figure per span. */
export interface Curve {
  readonly name: string;
  readonly isForward: boolean;
  readonly sentBps: number[];
  readonly receivedBps: number[];
  readonly targetBps: (number | undefined)[];
}

export interface Bottleneck {
  readonly forward: LinkOptions & { readonly capacity: NonNullable<LinkOptions['capacity']> };
  readonly backward?: LinkOptions;
}

/** Two places with one line each way between them, virtual time, and what is seen at the line. */
export class World {
  readonly net: VirtualNetwork;
  readonly random: Random;
  forward: Link;
  readonly backward: Link;
  readonly bottleneck: Bottleneck;
  readonly curves: Curve[] = [];
  /** Wait for the line each 20 ms. */
  readonly queueMs: number[] = [];
  readonly backwardQueueMs: number[] = [];
  readonly #senders: { readonly sender: Sender; readonly curve: Curve; sent: number; received: number }[] = [];
  #port = 1000;
  #spans = 0;

  constructor(seed: number, bottleneck: Bottleneck) {
    this.net = new VirtualNetwork({ seed });
    this.random = seededRandom(seed ^ 0x5eed);
    this.bottleneck = bottleneck;
    this.forward = this.net.link(NEAR, FAR, bottleneck.forward);
    this.backward = this.net.link(FAR, NEAR, bottleneck.backward ?? { delayMs: bottleneck.forward.delayMs });
    this.net.at(SAMPLE_MS, (nowMs) => this.#sample(nowMs));
  }

  /** A pair of addresses of its own: whose packets take the line, and the other end. */
  addresses(isForward: boolean): { readonly near: SocketAddress; readonly far: SocketAddress } {
    const port = this.#port++;
    const [near, far] = isForward ? [NEAR, FAR] : [FAR, NEAR];
    return { near: { address: near, port }, far: { address: far, port } };
  }

  /** From that time on the line is another one. */
  become(atMs: number, options: Bottleneck['forward']): void {
    this.net.at(atMs, () => {
      this.forward = this.net.link(NEAR, FAR, options);
    });
  }

  watch(sender: Sender): void {
    const { name, isForward } = sender;
    const none = Array.from({ length: this.#spans }, () => 0);
    const targetBps: (number | undefined)[] = none.map(() => undefined);
    const curve: Curve = { name, isForward, sentBps: none, receivedBps: [...none], targetBps };
    this.curves.push(curve);
    this.#senders.push({ sender, curve, sent: 0, received: 0 });
  }

  run(seconds: number): this {
    this.net.run(seconds * 1000);
    return this;
  }

  #sample(nowMs: number): void {
    this.queueMs.push(this.forward.waitMs(nowMs));
    this.backwardQueueMs.push(this.backward.waitMs(nowMs));
    if (nowMs % SPAN_MS === 0) {
      this.#spans++;
      for (const each of this.#senders) {
        const { sender, curve } = each;
        curve.sentBps.push(((sender.sentBytes - each.sent) * 8000) / SPAN_MS);
        curve.receivedBps.push(((sender.receivedBytes - each.received) * 8000) / SPAN_MS);
        curve.targetBps.push(sender.targetBps);
        each.sent = sender.sentBytes;
        each.received = sender.receivedBytes;
      }
    }
    this.net.at(nowMs + SAMPLE_MS, (at) => this.#sample(at));
  }
}

/** Mean of a curve between two times, bits a second. */
export function meanBps(curve: readonly number[], fromS: number, toS: number): number {
  const part = curve.slice(Math.round((fromS * 1000) / SPAN_MS), Math.round((toS * 1000) / SPAN_MS));
  return part.reduce((sum, bps) => sum + bps, 0) / part.length;
}

/** First second after `fromS` at which a second's mean has reached `bps`, counted from there, or infinity. */
export function secondsUntil(curve: readonly number[], fromS: number, bps: number): number {
  const width = 1000 / SPAN_MS;
  for (let at = Math.round((fromS * 1000) / SPAN_MS) + width; at <= curve.length; at++) {
    if (meanBps(curve, ((at - width) * SPAN_MS) / 1000, (at * SPAN_MS) / 1000) >= bps)
      return (at * SPAN_MS) / 1000 - fromS;
  }
  return Number.POSITIVE_INFINITY;
}

/** The wait that 95 of 100 samples between those times stay below, ms. */
export function queueP95(queueMs: readonly number[], spansS: readonly (readonly [number, number])[]): number {
  const part = spansS.flatMap(([from, to]) => queueMs.slice((from * 1000) / SAMPLE_MS, (to * 1000) / SAMPLE_MS));
  part.sort((a, b) => a - b);
  return part[Math.floor(part.length * 0.95)] ?? 0;
}

/** Jain's index: 1 when all are equal, 1/n when one has everything. */
export function fairness(rates: readonly number[]): number {
  const sum = rates.reduce((total, rate) => total + rate, 0);
  const squares = rates.reduce((total, rate) => total + rate * rate, 0);
  return squares === 0 ? 0 : (sum * sum) / (rates.length * squares);
}
