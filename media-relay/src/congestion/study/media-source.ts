import type { Random, VirtualClock } from '@offhook/core';
import { PacketUse } from '../index.ts';

const FRAMES_PER_S = 30;
const FRAME_MS = 1000 / FRAMES_PER_S;
const PAYLOAD = 1200;
/** Sizes of frames vary by so much around what the rate allows. */
const NOISE = 0.2;
/** libwebrtc's pacing: a frame leaves at 2.5 times its rate. */
const PACING = 2.5;
const AUDIO = { everyMs: 20, bytes: 100 };
const FIRST_BPS = 300_000;

/** A browser's sender: audio of 40 kb/s, and video that keeps to the rate it is told, frame by frame, paced. */
export class MediaSource {
  readonly #clock: VirtualClock;
  readonly #random: Random;
  readonly #send: (use: PacketUse, bytes: number) => void;
  #bps = FIRST_BPS;
  #run = 0;

  constructor(clock: VirtualClock, random: Random, send: (use: PacketUse, bytes: number) => void) {
    this.#clock = clock;
    this.#random = random;
    this.#send = send;
  }

  keepTo(bps: number): void {
    this.#bps = bps;
  }

  start(): void {
    const run = ++this.#run;
    this.#frame(run);
    this.#audio(run);
  }

  stop(): void {
    this.#run++;
  }

  #audio(run: number): void {
    if (run !== this.#run) return;
    this.#send(PacketUse.audio, AUDIO.bytes);
    this.#clock.at(this.#clock.nowMs + AUDIO.everyMs, () => this.#audio(run));
  }

  #frame(run: number): void {
    if (run !== this.#run) return;
    const { nowMs } = this.#clock;
    const noise = 1 + NOISE * (2 * this.#random.next() - 1);
    let left = Math.round(((this.#bps * noise) / FRAMES_PER_S / 8) * 1);
    let atMs = nowMs;
    while (left > 0) {
      const bytes = Math.max(60, Math.min(PAYLOAD, left));
      this.#clock.at(atMs, () => this.#send(PacketUse.video, bytes));
      atMs += (bytes * 8000) / (PACING * Math.max(this.#bps, 1));
      left -= bytes;
    }
    this.#clock.at(nowMs + FRAME_MS, () => this.#frame(run));
  }
}
