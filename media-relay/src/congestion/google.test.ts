import assert from 'node:assert/strict';
import { test } from 'node:test';
import { drive, VirtualClock, writeTransportCc } from '@offhook/core';
import fc from 'fast-check';
import { type CongestionCommand, type CongestionOptions, GoogleCongestionControl, PacketUse } from './index.ts';

const FEEDBACK_MS = 50;
const ONE_WAY_MS = 25;

/** A peer at the end of a line that delays and loses as it is told; no queue. */
class Peer {
  readonly clock = new VirtualClock(1000);
  readonly control: GoogleCongestionControl;
  readonly commands: CongestionCommand[] = [];
  isDeaf = false;
  loss: (sequence: number) => boolean = () => false;
  delayMs: (nowMs: number) => number = () => ONE_WAY_MS;
  readonly #buffer = new Uint8Array(1200);
  readonly #arrivalMs = new Float64Array(0x10000).fill(Number.NaN);
  readonly #driver;
  #next: number;
  #highest: number;

  constructor(options: Partial<CongestionOptions> = {}) {
    const firstSequence = options.firstSequence ?? 65_000;
    this.control = new GoogleCongestionControl({ ...options, firstSequence });
    this.#next = firstSequence;
    this.#highest = firstSequence - 1;
    this.#driver = drive(this.control, this.clock, (command) => {
      this.commands.push(command);
      if (command.kind === 'padding') this.send(PacketUse.padding, command.bytes);
    });
    this.clock.at(this.clock.nowMs + FEEDBACK_MS, () => this.#answer());
  }

  start(): this {
    this.control.handleStart(this.clock.nowMs);
    this.#driver.settle();
    return this;
  }

  send(use: PacketUse, bytes: number): void {
    const { nowMs } = this.clock;
    const sequence = this.control.handleSent(use, bytes, nowMs);
    assert.equal(sequence, (this.#highest + 1) & 0xffff);
    this.#highest++;
    this.#arrivalMs[sequence] = this.loss(sequence) ? Number.NaN : nowMs + this.delayMs(nowMs);
    this.#driver.settle();
  }

  /** Media at that rate, packets of 1,000 bytes evenly. */
  media(bps: number, forMs: number): this {
    const everyMs = 8_000_000 / bps;
    const endMs = this.clock.nowMs + forMs;
    for (let at = this.clock.nowMs; at < endMs; at += everyMs)
      this.clock.at(at, () => this.send(PacketUse.video, 1000));
    this.clock.run(endMs);
    return this;
  }

  run(ms: number): this {
    this.clock.run(this.clock.nowMs + ms);
    return this;
  }

  #answer(): void {
    const { nowMs } = this.clock;
    this.clock.at(nowMs + FEEDBACK_MS, () => this.#answer());
    let count = this.#highest + 1 - this.#next;
    while (count > 0 && this.#arrivalMs[(this.#next + count - 1) & 0xffff]! > nowMs) count--;
    if (count === 0 || this.isDeaf) return;
    const { length, count: told } = writeTransportCc(this.#buffer, 0, {
      ...{ sender: 1, media: 2, feedbackCount: 0, arrivalMs: this.#arrivalMs, mask: 0xffff, count },
      ...{ baseSequence: this.#next & 0xffff, first: this.#next & 0xffff },
    });
    this.#next += told;
    const copy = this.#buffer.slice(0, length);
    if (length > 0) this.clock.at(nowMs + ONE_WAY_MS, (at) => this.control.handleFeedback(copy, 0, at));
    if (length > 0) this.clock.at(nowMs + ONE_WAY_MS, () => this.#driver.settle());
  }
}

test('when nothing is sent, padding is asked for and the estimate grows: nobody waits for the other', () => {
  const peer = new Peer({ maxBps: 3_000_000 }).start().run(3000);
  assert.ok(peer.commands.some(({ kind }) => kind === 'padding'));
  assert.ok(peer.control.targetBps > 2_000_000, `${peer.control.targetBps}`);
  const { rttMs } = peer.control;
  assert.ok(rttMs! >= 50 && rttMs! <= 110, `${rttMs}`);
});

test('a shell that has no padding to send is not asked without end', () => {
  const control = new GoogleCongestionControl({ firstSequence: 1 });
  const clock = new VirtualClock();
  let asked = 0;
  control.handleStart(0);
  drive(control, clock, () => asked++);
  clock.run(20_000);
  assert.ok(asked > 0 && asked < 2500, `${asked}`);
  assert.equal(control.targetBps, 300_000);
});

test('before the start, and without feedback at all, nothing is asked and nothing is promised', () => {
  const control = new GoogleCongestionControl({ firstSequence: 1, startBps: 500_000 });
  assert.deepEqual([control.nextTimeout(), control.poll(), control.targetBps], [undefined, undefined, 500_000]);
});

test('a peer that never sends feedback is not taken for one that fell silent', () => {
  const peer = new Peer({ startBps: 400_000 });
  peer.isDeaf = true;
  peer.start().media(300_000, 10_000);
  assert.deepEqual([peer.control.targetBps, peer.control.feedbackPackets], [400_000, 0]);
});

test('loss alone lowers the rate, though no delay ever changes; 5 % at random hardly do', () => {
  let seed = 1;
  const random = () => {
    seed = (Math.imul(seed, 1_103_515_245) + 12_345) & 0x7fffffff;
    return seed / 0x7fffffff;
  };
  const clean = new Peer({ maxBps: 1_000_000 }).start().media(900_000, 8000);
  const light = new Peer({ maxBps: 1_000_000 }).start().media(900_000, 2000);
  light.loss = () => random() < 0.05;
  light.media(900_000, 6000);
  assert.ok(light.control.targetBps > 0.8 * clean.control.targetBps, `${light.control.targetBps}`);
  const heavy = new Peer({ maxBps: 1_000_000 }).start().media(900_000, 2000);
  heavy.loss = () => random() < 0.4;
  heavy.media(900_000, 5000);
  assert.ok(heavy.control.targetBps < 0.5 * clean.control.targetBps, `${heavy.control.targetBps}`);
});

test('a queue that builds up lowers the rate below what arrives', () => {
  const peer = new Peer({ maxBps: 2_000_000 }).start().media(1_000_000, 3000);
  const before = peer.control.targetBps;
  const sinceMs = peer.clock.nowMs;
  peer.delayMs = (nowMs) => ONE_WAY_MS + (nowMs - sinceMs) / 4;
  peer.media(1_000_000, 1000);
  assert.ok(peer.control.targetBps < 800_000 && before > 1_200_000, `${before} ${peer.control.targetBps}`);
});

test('silence of the peer lowers the rate step by step; when it is heard again, what was there is back in a second', () => {
  const peer = new Peer({ maxBps: 2_000_000 }).start().media(1_000_000, 3000);
  const before = peer.control.targetBps;
  peer.isDeaf = true;
  peer.loss = () => true;
  peer.media(500_000, 3500);
  assert.ok(peer.control.targetBps < before);
  peer.media(500_000, 6500);
  assert.ok(peer.control.targetBps < 0.3 * before, `${peer.control.targetBps}`);
  peer.isDeaf = false;
  peer.loss = () => false;
  peer.media(300_000, 1500);
  assert.ok(peer.control.targetBps > 0.8 * before, `${peer.control.targetBps}`);
});

test('a REMB bounds the target at once and is taken back; the least rate stays', () => {
  const peer = new Peer({ maxBps: 2_000_000 }).start().media(1_000_000, 3000);
  const { control, clock } = peer;
  const before = control.targetBps;
  control.handleCap(200_000, clock.nowMs);
  assert.equal(control.targetBps, 200_000);
  assert.deepEqual(control.poll(), { kind: 'target', bps: 200_000 });
  control.handleCap(Number.POSITIVE_INFINITY, clock.nowMs);
  assert.equal(control.targetBps, before);
  control.handleCap(1, clock.nowMs);
  assert.equal(control.targetBps, 30_000);
});

test('audio is subtracted first, then repair, and video that is left too little gets nothing', () => {
  const control = new GoogleCongestionControl({ firstSequence: 1, startBps: 300_000 });
  for (let ms = 0; ms <= 5000; ms += 20) {
    control.handleSent(PacketUse.audio, 100, ms);
    control.handleSent(PacketUse.repair, 50, ms);
  }
  const share = control.videoBps(1e9, 5000);
  assert.ok(Math.abs(share - (300_000 - 40_000 - 20_000)) < 2000, `${share}`);
  assert.equal(control.videoBps(100_000, 5000), 100_000);
  control.handleCap(60_000, 5000);
  assert.equal(control.videoBps(1e9, 5000), 0);
});

test('any bytes as feedback are refused or taken, the target stays between its limits', () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ minLength: 20, maxLength: 60 }), { maxLength: 20 }), (packets) => {
      const peer = new Peer({ firstSequence: 0, maxBps: 1_000_000 }).start().media(500_000, 300);
      packets.forEach((tail, i) => {
        const bytes = new Uint8Array(tail.length & ~3);
        bytes.set(tail.subarray(0, bytes.length));
        bytes.set([0x8f, 205, 0, bytes.length / 4 - 1]);
        peer.control.handleFeedback(bytes, 0, peer.clock.nowMs + i);
        const { targetBps } = peer.control;
        assert.ok(targetBps >= 30_000 && targetBps <= 1_000_000);
      });
    }),
    { numRuns: 50 },
  );
});

test('feedback that speaks of far more than was sent is not read, until there is more to speak of', () => {
  const control = new GoogleCongestionControl({ firstSequence: 0 });
  // 4,096 numbers, all lost, in 24 bytes.
  const bytes = Uint8Array.from(Buffer.from('8fcd0005000000010000000200001000000000001fff0000', 'hex'));
  const send = (count: number) => {
    for (let i = 0; i < count; i++) control.handleSent(PacketUse.video, 1000, 0);
  };
  send(1000);
  for (let i = 0; i < 1000; i++) control.handleFeedback(bytes, 0, 10);
  assert.deepEqual([control.feedbackPackets, control.badFeedback], [1, 999]);
  send(1000);
  for (let i = 0; i < 1000; i++) control.handleFeedback(bytes, 0, 20);
  assert.deepEqual([control.feedbackPackets, control.badFeedback], [2, 1998]);
  const cut = bytes.slice();
  cut.fill(0, 20); // a run of no packet
  send(1000);
  assert.equal(control.handleFeedback(cut, 0, 30), false);
  for (let i = 0; i < 1000; i++) control.handleFeedback(bytes, 0, 30);
  assert.deepEqual([control.feedbackPackets, control.badFeedback], [2, 2999], 'what can not be read costs the same');
});
