import { type Cancel, readU32, type SocketAddress, writeU32 } from '@offhook/core';
import type { Sender, World } from './world.ts';

const SEGMENT = 1500;
const ACK = 40;
const FIRST_WINDOW = 10;
const DUPLICATES = 3;
const LEAST_RTO_MS = 300;
const MOST_RTO_MS = 10_000;

export interface TcpFlowOptions {
  readonly name: string;
  readonly startMs: number;
  /** What there is to send; without it, for ever. */
  readonly bytes?: number;
  /** Added to the line's delay, each way. */
  readonly onDone?: (nowMs: number) => void;
}

/** A TCP-like competitor: slow start, congestion avoidance, fast retransmit and recovery (RFC 5681, RFC 6582), RTO (RFC 6298). */
export class TcpFlow implements Sender {
  readonly name: string;
  readonly isForward = true;
  readonly targetBps = undefined;
  sentBytes = 0;
  receivedBytes = 0;
  readonly #world: World;
  readonly #near: SocketAddress;
  readonly #far: SocketAddress;
  readonly #segments: number;
  readonly #onDone: ((nowMs: number) => void) | undefined;
  readonly #early = new Set<number>();
  readonly #sentAtMs = new Map<number, number>();
  #expected = 0;
  #acked = 0;
  #next = 0;
  #window = FIRST_WINDOW;
  #threshold = Number.POSITIVE_INFINITY;
  #duplicates = 0;
  #recoverUntil = -1;
  #smoothedMs = Number.NaN;
  #variationMs = 0;
  #backoff = 1;
  #timer: Cancel | undefined;

  constructor(world: World, options: TcpFlowOptions) {
    this.name = options.name;
    this.#world = world;
    this.#segments = options.bytes === undefined ? Number.POSITIVE_INFINITY : Math.ceil(options.bytes / SEGMENT);
    this.#onDone = options.onDone;
    const { near, far } = world.addresses(true);
    this.#near = near;
    this.#far = far;
    world.net.addNode(far, (bytes) => this.#receive(bytes));
    world.net.addNode(near, (bytes, _, nowMs) => this.#readAck(bytes, nowMs));
    world.net.at(options.startMs, () => this.#fill());
  }

  #fill(): void {
    while (this.#next < Math.min(this.#acked + Math.floor(this.#window), this.#segments)) this.#send(this.#next++);
  }

  #send(segment: number): void {
    const { net } = this.#world;
    const packet = new Uint8Array(SEGMENT);
    writeU32(packet, 0, segment);
    // Karn: of what is sent twice no round trip is measured.
    if (this.#sentAtMs.has(segment)) this.#sentAtMs.set(segment, Number.NaN);
    else this.#sentAtMs.set(segment, net.clock.nowMs);
    this.sentBytes += SEGMENT;
    net.send(this.#near, this.#far, packet);
    if (!this.#timer) this.#arm();
  }

  #receive(bytes: Uint8Array): void {
    this.receivedBytes += bytes.length;
    const segment = readU32(bytes, 0);
    if (segment >= this.#expected) this.#early.add(segment);
    while (this.#early.delete(this.#expected)) this.#expected++;
    const ack = new Uint8Array(ACK);
    writeU32(ack, 0, this.#expected);
    this.#world.net.send(this.#far, this.#near, ack);
  }

  #readAck(bytes: Uint8Array, nowMs: number): void {
    const acked = readU32(bytes, 0);
    if (acked > this.#acked) this.#advance(acked, nowMs);
    else if (this.#next > this.#acked && ++this.#duplicates === DUPLICATES && this.#acked > this.#recoverUntil)
      this.#retransmitFast();
    else if (this.#acked <= this.#recoverUntil) this.#window++;
    this.#fill();
  }

  #advance(acked: number, nowMs: number): void {
    const more = acked - this.#acked;
    this.#measure(nowMs - (this.#sentAtMs.get(acked - 1) ?? Number.NaN));
    for (let segment = this.#acked; segment < acked; segment++) this.#sentAtMs.delete(segment);
    this.#acked = acked;
    this.#next = Math.max(this.#next, acked);
    this.#duplicates = 0;
    this.#backoff = 1;
    if (acked <= this.#recoverUntil) {
      this.#send(acked);
      this.#window = Math.max(1, this.#window - more + 1);
    } else if (this.#recoverUntil >= 0) {
      this.#window = this.#threshold;
      this.#recoverUntil = -1;
    } else this.#window += this.#window < this.#threshold ? more : more / this.#window;
    this.#timer?.();
    this.#timer = undefined;
    if (acked >= this.#segments) this.#onDone?.(nowMs);
    else if (this.#next > acked) this.#arm();
  }

  #retransmitFast(): void {
    this.#threshold = Math.max(2, (this.#next - this.#acked) / 2);
    this.#window = this.#threshold + DUPLICATES;
    this.#recoverUntil = this.#next - 1;
    this.#send(this.#acked);
  }

  #measure(rttMs: number): void {
    if (Number.isNaN(rttMs)) return;
    if (Number.isNaN(this.#smoothedMs)) {
      this.#smoothedMs = rttMs;
      this.#variationMs = rttMs / 2;
      return;
    }
    this.#variationMs += (Math.abs(this.#smoothedMs - rttMs) - this.#variationMs) / 4;
    this.#smoothedMs += (rttMs - this.#smoothedMs) / 8;
  }

  #arm(): void {
    const measured = Number.isNaN(this.#smoothedMs) ? 1000 : this.#smoothedMs + 4 * this.#variationMs;
    const rtoMs = Math.min(MOST_RTO_MS, Math.max(LEAST_RTO_MS, measured) * this.#backoff);
    const { net } = this.#world;
    this.#timer = net.at(net.clock.nowMs + rtoMs, () => this.#timeOut());
  }

  #timeOut(): void {
    this.#timer = undefined;
    this.#threshold = Math.max(2, (this.#next - this.#acked) / 2);
    this.#window = 1;
    this.#backoff = Math.min(this.#backoff * 2, 64);
    this.#duplicates = 0;
    this.#recoverUntil = -1;
    this.#next = this.#acked;
    this.#fill();
  }
}
