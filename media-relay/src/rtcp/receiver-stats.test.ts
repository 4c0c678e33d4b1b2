import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type RtpMap, seededRandom } from '@offhook/core';
import { rtp } from '../test-kit.ts';
import { GAP_MIN, LossRuns } from './loss-runs.ts';
import { MAX_STREAMS, ReceiverStats } from './receiver-stats.ts';

const PCMU: RtpMap = { payloadType: 0, encoding: 'PCMU', clockRate: 8000 };
const OPUS: RtpMap = { payloadType: 111, encoding: 'opus', clockRate: 48_000 };
const EVENT: RtpMap = { payloadType: 101, encoding: 'telephone-event', clockRate: 8000 };

function stats(...maps: RtpMap[]): ReceiverStats {
  const all = new ReceiverStats();
  all.setFormats(new Map([PCMU, OPUS, EVENT, ...maps].map((map) => [map.payloadType, map])));
  return all;
}

/** Sends packets of these numbers, 20 ms apart. */
function send(all: ReceiverStats, sequences: readonly number[], ssrc = 7): void {
  for (const [i, sequence] of sequences.entries()) {
    const packet = rtp({ ssrc, sequence: sequence & 0xffff, timestamp: (sequence * 160) >>> 0 });
    all.handlePacket(packet, 0, packet.length, 20 * i);
  }
}

const range = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => from + i);

test('numbers, cycles and losses as in RFC 3550 A.1 and A.3', () => {
  // The first packet is on probation, so a stream that begins with number n counts from n + 1.
  const cases: [string, number[], { expected: number; received: number; highest: number }][] = [
    ['in order', range(10, 30), { expected: 19, received: 19, highest: 29 }],
    ['across the wrap', range(65_530, 65_550), { expected: 19, received: 19, highest: 65_549 }],
    ['two lost', [...range(10, 20), ...range(22, 30)], { expected: 19, received: 17, highest: 29 }],
    ['swapped', [1, 2, 3, 5, 4, 6], { expected: 5, received: 5, highest: 6 }],
    ['doubled', [1, 2, 3, 3, 4], { expected: 3, received: 4, highest: 4 }],
    ['late across the wrap', [65_533, 65_534, 65_536, 65_535, 65_537], { expected: 4, received: 4, highest: 65_537 }],
    ['one stray number', [1, 2, 3, 40_000, 4, 5], { expected: 4, received: 4, highest: 5 }],
    ['a new start', [1, 2, 3, 40_000, 40_001, 40_002], { expected: 2, received: 2, highest: 40_002 }],
    ['a gap of 2,999', [1, 2, 3001], { expected: 3000, received: 2, highest: 3001 }],
    ['no two in a row yet', [1, 3, 5, 7], { expected: 0, received: 0, highest: 7 }],
  ];
  for (const [name, sequences, { expected, received, highest }] of cases) {
    const all = stats();
    send(all, sequences);
    const stream = all.find(7)!;
    assert.deepEqual([stream.expected, stream.received, stream.extendedHighest], [expected, received, highest], name);
  }
});

test('a report block tells the losses since the one before it, and of the call', () => {
  const all = stats();
  send(all, [...range(0, 50), ...range(60, 101)]); // 100 expected, 10 lost
  const stream = all.find(7)!;
  stream.lastSr = 0xaabbccdd;
  stream.lastSrMs = 1000;
  assert.deepEqual(stream.report(1500), {
    ssrc: 7,
    fractionLost: Math.floor(0.1 * 256),
    packetsLost: 10,
    highestSequence: 100,
    jitter: stream.report(1500).jitter,
    lastSr: 0xaabbccdd,
    delaySinceLastSr: 32_768,
  });
  send(all, range(101, 201));
  const next = stream.report(2000);
  assert.deepEqual([next.fractionLost, next.packetsLost, next.highestSequence], [0, 10, 200]);
  send(all, [202, 202, 202]); // more came than were expected
  assert.deepEqual([stream.report(2100).fractionLost, stream.lossRate], [0, 9 / 202]);
});

test('jitter as in RFC 3550 A.8: each difference moves it by a sixteenth', () => {
  const all = stats();
  let expected = 0;
  let before: { atMs: number; timestamp: number } | undefined;
  const random = seededRandom(3);
  for (let n = 0; n < 500; n++) {
    const atMs = 1000 + 20 * n + Math.floor(random.next() * 15);
    const timestamp = (4_294_900_000 + 960 * n) >>> 0;
    const packet = rtp({ ssrc: 7, sequence: n, timestamp, payloadType: 111 });
    all.handlePacket(packet, 0, packet.length, atMs);
    if (n > 1) {
      const d = Math.abs((atMs - before!.atMs) * 48 - ((timestamp - before!.timestamp) | 0));
      expected += d - ((expected + 8) >> 4);
    }
    before = { atMs, timestamp };
  }
  const stream = all.find(7)!;
  assert.ok(Math.abs(stream.jitterMs - expected / 16 / 48) < 1e-9);
  assert.ok(stream.jitterMs > 3 && stream.jitterMs < 8, `${stream.jitterMs}`);
  assert.equal(stream.report(0).jitter, expected >> 4);
});

test('neither a key that is held down nor another clock is jitter, and jitter keeps its time under a new clock', () => {
  const all = stats();
  let n = 0;
  const packet = (payloadType: number, timestamp: number, atMs: number) => {
    const bytes = rtp({ ssrc: 7, sequence: n++, timestamp, payloadType });
    all.handlePacket(bytes, 0, bytes.length, atMs);
  };
  for (let i = 0; i < 20; i++) packet(0, 160 * i, 20 * i);
  for (let i = 20; i < 40; i++) packet(101, 3200, 20 * i);
  for (let i = 40; i < 60; i++) packet(0, 160 * i, 20 * i);
  assert.equal(all.find(7)!.jitterMs, 0);
  assert.equal(all.find(7)!.format?.encoding, 'PCMU');
  packet(0, 160 * 60, 20 * 60 + 16);
  const before = all.find(7)!.jitterMs;
  packet(111, 5, 20 * 61);
  packet(111, 5 + 960, 20 * 62);
  assert.ok(before > 0 && Math.abs(all.find(7)!.jitterMs - before * (15 / 16)) < 0.02);
  packet(111, 3_000_000_000, 20 * 63);
  packet(111, 3_000_000_960, 20 * 64);
  assert.ok(all.find(7)!.jitterMs < before, 'a jump of the timestamps is a new start');
});

test('a table that is full forgets the source that was silent longest', () => {
  const all = stats();
  for (let ssrc = 1; ssrc <= MAX_STREAMS; ssrc++) {
    const packet = rtp({ ssrc, sequence: 1 });
    all.handlePacket(packet, 0, packet.length, ssrc === 3 ? 0 : ssrc);
  }
  send(all, [1, 2, 3, 5], 99);
  assert.deepEqual([all.streams.length, all.find(3), all.find(1)?.ssrc], [MAX_STREAMS, undefined, 1]);
  assert.deepEqual([all.find(99)!.received, all.find(99)!.lost], [3, 1]);
  send(all, range(0, 100), 100);
  assert.equal(all.find(100)!.lost, 0, 'nothing of the forgotten one is left');
  for (let ssrc = 1000; ssrc < 3000; ssrc++) send(all, [1], ssrc);
  assert.equal(all.streams.length, MAX_STREAMS);
});

test('bursts and gaps of RFC 3611 4.7.2', () => {
  const told = (pattern: string) => {
    const runs = new LossRuns();
    for (const mark of pattern) mark === 'x' ? runs.lost(1) : runs.received(1);
    return {
      bursts: runs.bursts,
      burst: [runs.meanBurstPackets, runs.burstDensity],
      gap: [runs.meanGapPackets, runs.gapDensity],
      length: runs.burstLength,
    };
  };
  const gap = '.'.repeat(GAP_MIN);
  assert.deepEqual(told(''), { bursts: 0, burst: [0, 0], gap: [0, 0], length: 1 });
  assert.deepEqual(told(`${gap}x${gap}`), { bursts: 0, burst: [0, 0], gap: [33, 1 / 33], length: 1 });
  // Two losses with fifteen packets between them are one burst of seventeen; with sixteen between them there is none.
  const near = told(`${gap}x${'.'.repeat(15)}x${gap}`);
  assert.deepEqual(near, { bursts: 1, burst: [17, 2 / 17], gap: [16, 0], length: 1 });
  assert.equal(told(`${gap}x${gap}x${gap}`).bursts, 0);
  const two = told(`${gap}xxx${gap}xx.xx${gap}`);
  assert.deepEqual(two, { bursts: 2, burst: [4, 7 / 8], gap: [16, 0], length: 7 / 3 });
});

test('the mean burst is measured as the network makes it, late packets are no losses, and old losses fade', () => {
  const all = stats();
  const random = seededRandom(11);
  let isLosing = false;
  let n = 0;
  const run = (packets: number, mean: number) => {
    const kept: number[] = [];
    for (let i = 0; i < packets; i++, n++) {
      isLosing = random.next() < (isLosing ? 1 - 1 / mean : 0.05 / (0.95 * mean));
      if (!isLosing) kept.push(n);
    }
    for (let i = 3; i < kept.length; i += 7) [kept[i - 3], kept[i]] = [kept[i]!, kept[i - 3]!];
    send(all, kept);
  };
  run(20_000, 3);
  const stream = all.find(7)!;
  assert.ok(stream.losses.burstLength > 2 && stream.losses.burstLength < 4, `${stream.losses.burstLength}`);
  assert.ok(Math.abs(stream.lossRate - 0.05) < 0.01, `${stream.lossRate}`);
  run(20_000, 1);
  assert.ok(stream.losses.burstLength < 1.4, `${stream.losses.burstLength}`);
});
