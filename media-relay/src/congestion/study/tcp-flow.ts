import { type Cancel, readU32, type SocketAddress, writeU32 } from '@offhook/core';
import type { Sender, World } from './world.ts';

const SEGMENT = 1500;
const ACK = 40;
const FIRST_WINDOW = 10;
/** Segments behind a gap that make it a loss. */
const REORDERING = 3;
/** Gaps that an acknowledgement names. */
const MOST_GAPS = 6;
/** Linux' least of what is added to the round trip. */
const LEAST_VARIATION_MS = 300;
const MOST_RTO_MS = 10_000;

export interface TcpFlowOptions {
  readonly startMs: number;
  /** What there is to send; without it, for ever. */
  readonly bytes?: number;
  readonly onDone?: (nowMs: number) => void;
}

/**
 * A TCP-like competitor: slow start and congestion avoidance (RFC 5681), recovery with selective acknowledgements
 * (RFC 6675, simplified: an acknowledgement names the gaps), retransmission timeout (RFC 6298).
 */
export class TcpFlow implements Sender {
  readonly name = 'TCP';
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
  readonly #sentAgain = new Set<number>();
  #expected = 0;
  #highest = -1;
  #acked = 0;
  #next = 0;
  #window = FIRST_WINDOW;
  #threshold = Number.POSITIVE_INFINITY;
  #recoverUntil = -1;
  #beyondGap = 0;
  #gaps: readonly number[] = [];
  #smoothedMs = Number.NaN;
  #variationMs = 0;
  #backoff = 1;
  #timer: Cancel | undefined;

  constructor(world: World, options: TcpFlowOptions) {
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

  /** As much as the window has room for: gaps first, then what is new. */
  #fill(): void {
    const lost = this.#gaps.filter((gap) => gap <= this.#recoverUntil && !this.#sentAgain.has(gap));
    let inFlight = this.#next - this.#acked - this.#beyondGap - lost.length;
    while (inFlight++ < Math.floor(this.#window)) {
      const gap = lost.shift();
      if (gap !== undefined) {
        this.#sentAgain.add(gap);
        this.#send(gap);
      } else if (this.#next < this.#segments) this.#send(this.#next++);
      else return;
    }
  }

  #send(segment: number): void {
    const { net } = this.#world;
    const packet = new Uint8Array(SEGMENT);
    writeU32(packet, 0, segment);
    // Karn: of what is sent twice no round trip is measured.
    this.#sentAtMs.set(segment, this.#sentAtMs.has(segment) ? Number.NaN : net.clock.nowMs);
    this.sentBytes += SEGMENT;
    net.send(this.#near, this.#far, packet);
    if (!this.#timer) this.#arm();
  }

  #receive(bytes: Uint8Array): void {
    this.receivedBytes += bytes.length;
    const segment = readU32(bytes, 0);
    if (segment >= this.#expected) this.#early.add(segment);
    this.#highest = Math.max(this.#highest, segment);
    while (this.#early.delete(this.#expected)) this.#expected++;
    const ack = new Uint8Array(ACK);
    writeU32(ack, 0, this.#expected);
    writeU32(ack, 4, this.#early.size);
    let gaps = 0;
    for (let at = this.#expected; at < this.#highest && gaps < MOST_GAPS; at++) {
      if (!this.#early.has(at)) writeU32(ack, 12 + 4 * gaps++, at);
    }
    writeU32(ack, 8, gaps);
    this.#world.net.send(this.#far, this.#near, ack);
  }

  #readAck(bytes: Uint8Array, nowMs: number): void {
    const acked = readU32(bytes, 0);
    if (acked < this.#acked) return;
    this.#beyondGap = readU32(bytes, 4);
    this.#gaps = Array.from({ length: readU32(bytes, 8) }, (_, i) => readU32(bytes, 12 + 4 * i));
    if (acked > this.#acked) this.#advance(acked, nowMs);
    if (this.#beyondGap >= REORDERING && this.#recoverUntil < 0) this.#recover();
    this.#fill();
  }

  #advance(acked: number, nowMs: number): void {
    const more = acked - this.#acked;
    this.#measure(nowMs - (this.#sentAtMs.get(acked - 1) ?? Number.NaN));
    for (let segment = this.#acked; segment < acked; segment++) this.#sentAtMs.delete(segment);
    this.#acked = acked;
    this.#next = Math.max(this.#next, acked);
    this.#backoff = 1;
    if (acked > this.#recoverUntil) {
      this.#recoverUntil = -1;
      this.#sentAgain.clear();
      // At most two for one acknowledgement, however much it covers (RFC 5681 3.1).
      this.#window += this.#window < this.#threshold ? Math.min(more, 2) : Math.min(more, 2) / this.#window;
    }
    this.#timer?.();
    this.#timer = undefined;
    if (acked >= this.#segments) this.#onDone?.(nowMs);
    else if (this.#next > acked) this.#arm();
  }

  #recover(): void {
    this.#threshold = Math.max(2, (this.#next - this.#acked) / 2);
    this.#window = this.#threshold;
    this.#recoverUntil = this.#next - 1;
    const [first] = this.#gaps;
    if (first === undefined) return;
    this.#sentAgain.add(first);
    this.#timer?.();
    this.#timer = undefined;
    this.#send(first);
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
    const waitMs = Math.max(LEAST_VARIATION_MS, 4 * this.#variationMs);
    const rtoMs = Math.min(
      MOST_RTO_MS,
      (Number.isNaN(this.#smoothedMs) ? 700 : this.#smoothedMs + waitMs) * this.#backoff,
    );
    const { net } = this.#world;
    this.#timer = net.at(net.clock.nowMs + rtoMs, () => this.#timeOut());
  }

  /** Everything that isn't known to have arrived counts as lost. */
  #timeOut(): void {
    this.#timer = undefined;
    this.#threshold = Math.max(2, (this.#next - this.#acked) / 2);
    this.#window = 1;
    this.#backoff = Math.min(this.#backoff * 2, 64);
    this.#recoverUntil = -1;
    this.#sentAgain.clear();
    this.#gaps = [];
    this.#beyondGap = 0;
    this.#next = this.#acked;
    this.#fill();
  }
}
