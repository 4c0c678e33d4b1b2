import {
  type Driver,
  drive,
  readTransportSequence,
  rtpHeaderLength,
  type SocketAddress,
  writeRtpHeader,
  writeTransportSequence,
} from '@offhook/core';
import { ArrivalLog, type CongestionCommand, GoogleCongestionControl, PacketUse, RembThrottler } from '../index.ts';
import { MediaSource } from './media-source.ts';
import type { Sender, World } from './world.ts';

const EXTENSION = 5;
/** From the sender to us: a REMB takes that long, and media too. */
const UPSTREAM_MS = 20;
const FRONT = 16;

export interface MediaFlowOptions {
  readonly name: string;
  readonly startMs?: number;
  readonly endMs?: number;
  /** Most that the encoder makes. */
  readonly maxBps?: number;
  /** Added to the line's delay, each way. */
  readonly extraDelayMs?: number;
  /** Against the direction of the others. */
  readonly isBackward?: boolean;
  /** Nothing is sent by the encoder between these times. */
  readonly pauseMs?: readonly [number, number];
}

/**
 * A two-party call through a relay: the sender's encoder keeps to our REMB, the relay forwards onto the line with
 * transport-wide numbers, the receiver answers with feedback. All of it as bytes in a virtual network.
 */
export class MediaFlow implements Sender {
  readonly name: string;
  readonly isForward: boolean;
  readonly control: GoogleCongestionControl;
  sentBytes = 0;
  receivedBytes = 0;
  paddingBytes = 0;
  readonly #world: World;
  readonly #maxBps: number;
  readonly #extraMs: number;
  readonly #near: SocketAddress;
  readonly #far: SocketAddress;
  readonly #source: MediaSource;
  readonly #throttler = new RembThrottler('remb');
  readonly #log = new ArrivalLog(2);
  readonly #drivers: Driver[] = [];
  readonly #packet = new Uint8Array(FRONT + 1500);
  readonly #feedback = new Uint8Array(1200);
  #armedAtMs: number | undefined;
  #sequence = 0;
  #isOver = false;

  constructor(world: World, options: MediaFlowOptions) {
    const { name, startMs = 0, endMs, maxBps = 4_000_000, extraDelayMs = 0, isBackward = false } = options;
    this.name = name;
    this.isForward = !isBackward;
    this.#world = world;
    this.#maxBps = maxBps;
    this.#extraMs = extraDelayMs;
    const { near, far } = world.addresses(this.isForward);
    this.#near = near;
    this.#far = far;
    const firstSequence = Math.floor(world.random.next() * 0x10000);
    this.control = new GoogleCongestionControl({ firstSequence, maxBps });
    const { net } = world;
    this.#source = new MediaSource(net.clock, world.random, (use, bytes) =>
      this.#later(UPSTREAM_MS, () => this.#send(use, bytes)),
    );
    net.addNode(far, (bytes, _, nowMs) => this.#receive(bytes, nowMs));
    net.addNode(near, (bytes, _, nowMs) => this.#readFeedback(bytes, nowMs));
    world.watch(this);
    net.at(startMs, (nowMs) => this.#start(nowMs));
    if (endMs !== undefined) net.at(endMs, () => this.#end());
    const { pauseMs } = options;
    if (pauseMs) net.at(pauseMs[0], () => this.#source.stop());
    if (pauseMs) net.at(pauseMs[1], () => this.#source.start());
  }

  get targetBps(): number | undefined {
    return this.#drivers.length > 0 && !this.#isOver ? this.control.targetBps : undefined;
  }

  #start(nowMs: number): void {
    this.control.handleStart(nowMs);
    const { clock } = this.#world.net;
    this.#drivers.push(drive(this.control, clock, (command) => this.#execute(command)));
    this.#drivers.push(
      drive(this.#throttler, clock, ({ bps }) => this.#later(UPSTREAM_MS, () => this.#source.keepTo(bps))),
    );
    this.#source.start();
  }

  #end(): void {
    this.#isOver = true;
    this.#source.stop();
    for (const driver of this.#drivers) driver.stop();
  }

  #settle(): void {
    for (const driver of this.#drivers) driver.settle();
  }

  #execute(command: CongestionCommand): void {
    const { nowMs } = this.#world.net.clock;
    if (command.kind === 'padding') {
      this.paddingBytes += command.bytes;
      this.#send(PacketUse.padding, command.bytes);
    } else this.#throttler.handleRate(this.control.videoBps(this.#maxBps, nowMs), nowMs);
  }

  #later(ms: number, run: () => void): void {
    this.#world.net.at(this.#world.net.clock.nowMs + ms, run);
  }

  #send(use: PacketUse, bytes: number): void {
    if (this.#isOver) return;
    const { net } = this.#world;
    const sequence = this.control.handleSent(use, bytes, net.clock.nowMs);
    const header = { payloadType: 96, sequence: this.#sequence++ & 0xffff, timestamp: 0, ssrc: 1 };
    writeRtpHeader(this.#packet, FRONT, header);
    const start = writeTransportSequence(this.#packet, FRONT, 12, { id: EXTENSION, sequence });
    const packet = this.#packet.slice(start, start + bytes);
    this.sentBytes += bytes;
    if (this.#extraMs === 0) net.send(this.#near, this.#far, packet);
    else this.#later(this.#extraMs, () => net.send(this.#near, this.#far, packet));
    this.#settle();
  }

  #receive(bytes: Uint8Array, nowMs: number): void {
    this.receivedBytes += bytes.length;
    const sequence = readTransportSequence(bytes, 0, rtpHeaderLength(bytes, 0, bytes.length), EXTENSION);
    this.#log.handlePacket(sequence, 1, bytes.length, nowMs);
    const dueAtMs = this.#log.nextTimeout();
    if (dueAtMs === undefined || dueAtMs === this.#armedAtMs) return;
    this.#armedAtMs = dueAtMs;
    this.#world.net.at(dueAtMs, (at) => this.#answer(at));
  }

  #answer(nowMs: number): void {
    const { net } = this.#world;
    for (;;) {
      const length = this.#log.writeFeedback(this.#feedback, 0, nowMs);
      if (length === 0) return;
      const packet = this.#feedback.slice(0, length);
      this.#later(this.#extraMs, () => net.send(this.#far, this.#near, packet));
    }
  }

  #readFeedback(bytes: Uint8Array, nowMs: number): void {
    if (this.#isOver) return;
    this.control.handleFeedback(bytes, 0, nowMs);
    this.#settle();
  }
}
