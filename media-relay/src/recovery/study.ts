import {
  type Link,
  readNackInto,
  rtpSequence,
  type SocketAddress,
  seededRandom,
  VirtualNetwork,
  writeNack,
  writeRtpHeader,
} from '@offhook/core';
import { LossMeter } from './loss-meter.ts';
import { AUDIO_NACK, NackGenerator } from './nack-generator.ts';
import { NOT_DELIVERED, RedDecoder } from './red-decoder.ts';
import { RedEncoder } from './red-encoder.ts';
import { AUDIO_RETRANSMISSION, RetransmissionBuffer } from './retransmission-buffer.ts';

const SENDER: SocketAddress = { address: '192.0.2.1', port: 4000 };
const RELAY: SocketAddress = { address: '192.0.2.2', port: 5000 };
const SSRC = 0x0ff1ce;
const RED = { payloadType: 63, audio: 111 };
const PTIME_MS = 20;
const MINUTE_MS = 60_000;
const RTT_MS = 60;
const JITTER_MS = 8;
/** What comes later than this after it was spoken is of no use to an ear. */
const DEADLINE_MS = 200;
/** What a packet costs beside its payload: IPv4, UDP, RTP, an SRTP tag. */
const OVERHEAD = 56;

export interface Treatment {
  /** Distances of the copies; `adaptive` = after the loss that is measured. */
  readonly red?: readonly number[] | 'adaptive';
  readonly nack?: boolean;
}

/** What is compared. */
export const TREATMENTS: Readonly<Record<string, Treatment>> = {
  nothing: {},
  'RED {1}': { red: [1] },
  'RED {1,2}': { red: [1, 2] },
  'RED {2,4}': { red: [2, 4] },
  'RED {2,4,6}': { red: [2, 4, 6] },
  'RED as measured': { red: 'adaptive' },
  NACK: { nack: true },
  'RED and NACK': { red: 'adaptive', nack: true },
};

export interface MinuteOptions extends Treatment {
  readonly seed: number;
  /** Share of packets lost, both ways, 0–1. */
  readonly loss: number;
  /** Packets lost in a row on average; undefined = each on its own. */
  readonly burst?: number;
}

export interface MinuteResult {
  readonly packets: number;
  /** Packets whose first sending was lost. */
  readonly lost: number;
  /** Packets that neither came nor were recovered within the deadline. */
  readonly missing: number;
  /** Packets that left the decoder twice: none may. */
  readonly twice: number;
  /** Bytes sent, headers included, against those without any treatment. */
  readonly bytes: number;
  readonly plainBytes: number;
}

/**
 * One minute of Opus-like sound (40–80 bytes each 20 ms) from a sender to a relay over a lossy link of 60 ms round trip and 8 ms
 * jitter, in virtual time. NACKs go back over a link that loses as much.
 */
export function minuteOfSound(options: MinuteOptions): MinuteResult {
  return new Minute(options).run();
}

class Minute {
  readonly #options: MinuteOptions;
  readonly #network: VirtualNetwork;
  readonly #uplink: Link;
  readonly #red: RedEncoder | undefined;
  readonly #sent = new RetransmissionBuffer(AUDIO_RETRANSMISSION);
  readonly #decoder = new RedDecoder(RED);
  readonly #meter = new LossMeter();
  readonly #nack = new NackGenerator(AUDIO_NACK);
  readonly #deliveredAtMs = new Map<number, number>();
  readonly #scratch = new Uint8Array(1400);
  readonly #numbers = new Uint16Array(1000);
  #lost = 0;
  #twice = 0;
  #bytes = 0;
  #plainBytes = 0;
  #armed = false;

  constructor(options: MinuteOptions) {
    this.#options = options;
    this.#network = new VirtualNetwork({ seed: options.seed });
    const link = {
      lossProbability: options.loss,
      meanLossBurst: options.burst,
      delayMs: RTT_MS / 2 - JITTER_MS / 2,
      jitterMs: JITTER_MS,
    };
    this.#uplink = this.#network.link(SENDER, RELAY, link);
    this.#network.link(RELAY, SENDER, link);
    this.#network.addNode(SENDER, (bytes, _from, nowMs) => this.#answer(bytes, nowMs));
    this.#network.addNode(RELAY, (bytes, _from, nowMs) => this.#receive(bytes, nowMs));
    const { red } = options;
    this.#red = red && new RedEncoder(RED);
    if (red !== undefined && red !== 'adaptive') this.#red?.fix(red);
  }

  run(): MinuteResult {
    const packets = MINUTE_MS / PTIME_MS;
    const random = seededRandom(this.#options.seed + 1);
    for (let i = 0; i < packets; i++) {
      const payload = 40 + Math.floor(random.next() * 41);
      this.#network.at(i * PTIME_MS, (nowMs) => this.#send(i, payload, nowMs));
    }
    if (this.#options.red === 'adaptive') this.#report(1000);
    this.#network.run(MINUTE_MS + 1000);
    let missing = 0;
    for (let i = 0; i < packets; i++) {
      const atMs = this.#deliveredAtMs.get(i);
      if (atMs === undefined || atMs - i * PTIME_MS > DEADLINE_MS) missing++;
    }
    return {
      packets,
      lost: this.#lost,
      missing,
      twice: this.#twice,
      bytes: this.#bytes,
      plainBytes: this.#plainBytes,
    };
  }

  #send(i: number, payload: number, nowMs: number): void {
    const bytes = this.#scratch.fill(i & 255);
    writeRtpHeader(bytes, 0, { payloadType: RED.audio, sequence: i, timestamp: i * 960, ssrc: SSRC });
    const length = this.#red ? this.#red.encode(bytes, 0, 12 + payload) : 12 + payload;
    if (this.#options.nack) this.#sent.sent(bytes, 0, length, nowMs);
    this.#plainBytes += payload + OVERHEAD;
    const lostBefore = this.#uplink.lost;
    this.#transmit(SENDER, RELAY, bytes.subarray(0, length));
    this.#lost += this.#uplink.lost - lostBefore;
  }

  #transmit(from: SocketAddress, to: SocketAddress, bytes: Uint8Array): void {
    if (from === SENDER) this.#bytes += bytes.length - 12 + OVERHEAD;
    this.#network.send(from, to, bytes);
  }

  #answer(bytes: Uint8Array, nowMs: number): void {
    const count = readNackInto(bytes, 0, this.#numbers);
    for (let n = 0; n < count; n++) {
      const length = this.#sent.take(this.#numbers[n]!, this.#scratch, 0, { nowMs, rttMs: RTT_MS });
      if (length > 0) this.#transmit(SENDER, RELAY, this.#scratch.subarray(0, length));
    }
  }

  #receive(bytes: Uint8Array, nowMs: number): void {
    const sequence = rtpSequence(bytes, 0);
    const isNacking = this.#options.nack === true;
    const wasAsked = isNacking && this.#nack.received(sequence, nowMs);
    this.#arm();
    const recovered = this.#decoder.receive(bytes, 0, bytes.length);
    // What came only because it was asked for, before its copy or behind it, was lost all the same.
    if (!wasAsked && !(isNacking && recovered === NOT_DELIVERED)) this.#meter.received(sequence);
    if (recovered === NOT_DELIVERED) return;
    for (let i = 0; i < recovered; i++) {
      this.#decoder.write(i, bytes, this.#scratch, 0);
      this.#deliver(this.#scratch, nowMs);
      // What a copy brought needs no retransmission.
      if (isNacking) this.#nack.received(rtpSequence(this.#scratch, 0), nowMs);
    }
    if (this.#decoder.own(bytes, 0, bytes.length) > 0) this.#deliver(bytes, nowMs);
  }

  #deliver(bytes: Uint8Array, nowMs: number): void {
    const sequence = rtpSequence(bytes, 0);
    if (this.#deliveredAtMs.has(sequence)) this.#twice++;
    else this.#deliveredAtMs.set(sequence, nowMs);
  }

  #arm(): void {
    const atMs = this.#nack.nextTimeout();
    if (atMs === undefined || this.#armed) return;
    this.#armed = true;
    this.#network.at(atMs, (nowMs) => {
      this.#armed = false;
      const count = this.#nack.collect(nowMs, RTT_MS, this.#numbers);
      const packet = this.#scratch;
      const length = writeNack(packet, 0, { sender: 1, media: SSRC, sequences: this.#numbers, count });
      if (length > 0) this.#transmit(RELAY, SENDER, packet.subarray(0, length));
      this.#arm();
    });
  }

  /** Once a second the sender learns what the relay measured, as by receiver reports. */
  #report(atMs: number): void {
    this.#network.at(atMs, (nowMs) => {
      this.#red?.adapt(this.#meter.loss, this.#meter.meanBurst);
      this.#meter.fade(0.9);
      if (nowMs < MINUTE_MS) this.#report(nowMs + 1000);
    });
  }
}

export interface Row {
  readonly loss: number;
  readonly burst: number | undefined;
  readonly treatment: string;
  /** Mean, lowest and highest of the minutes, percent. */
  readonly lostPercent: number;
  readonly residualPercent: number;
  readonly range: readonly [number, number];
  /** Bytes sent against none of it. */
  readonly bandwidth: number;
  readonly twice: number;
}

/** Many minutes with seeds 1 … `minutes`, as one row. */
export function row(
  name: string,
  treatment: Treatment,
  path: { readonly loss: number; readonly burst?: number; readonly minutes: number },
): Row {
  const { loss, burst, minutes } = path;
  const results = Array.from({ length: minutes }, (_, i) => minuteOfSound({ seed: i + 1, loss, burst, ...treatment }));
  const sum = (of: (r: MinuteResult) => number) => results.reduce((total, r) => total + of(r), 0);
  const residuals = results.map((r) => percent(r.missing / r.packets));
  return {
    loss,
    burst,
    treatment: name,
    lostPercent: percent(sum((r) => r.lost) / sum((r) => r.packets)),
    residualPercent: percent(sum((r) => r.missing) / sum((r) => r.packets)),
    range: [Math.min(...residuals), Math.max(...residuals)],
    bandwidth: Math.round((sum((r) => r.bytes) / sum((r) => r.plainBytes)) * 100) / 100,
    twice: sum((r) => r.twice),
  };
}

function percent(share: number): number {
  return Math.round(share * 10_000) / 100;
}
