import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isRtcpCompound, readTransportCc, rtcpMediaSsrc, rtcpSsrc, TransportCcReport } from '@offhook/core';
import fc from 'fast-check';
import { ArrivalLog } from './index.ts';

const buffer = new Uint8Array(1200);
const report = new TransportCcReport();

/** All feedback that is due: which numbers it covers, and which of them arrived when, as ms since `fromMs`. */
function due(log: ArrivalLog, nowMs: number, room = buffer.length): (readonly [number, number | 'lost'])[] {
  const told: (readonly [number, number | 'lost'])[] = [];
  for (;;) {
    const length = log.writeFeedback(buffer.subarray(0, room), 0, nowMs);
    if (length === 0) return told;
    assert.ok(isRtcpCompound(buffer, 0, length) && readTransportCc(buffer, 0, report));
    for (let i = 0; i < report.count; i++) {
      const ms = report.arrivalMs[i]!;
      told.push([(report.baseSequence + i) & 0xffff, Number.isNaN(ms) ? 'lost' : report.reference * 64 + ms]);
    }
  }
}

test('feedback comes 100 ms after the first packet, tells what arrived and what did not, then rests', () => {
  const log = new ArrivalLog(7);
  assert.equal(log.nextTimeout(), undefined);
  log.handlePacket(65534, 9, 1000, 1000);
  log.handlePacket(65535, 9, 1000, 1010);
  log.handlePacket(2, 9, 1000, 1020.25);
  assert.equal(log.nextTimeout(), 1100);
  assert.deepEqual(due(log, 1099), []);
  assert.deepEqual(due(log, 1100), [
    [65534, 1000],
    [65535, 1010],
    [0, 'lost'],
    [1, 'lost'],
    [2, 1020.25],
  ]);
  assert.deepEqual([rtcpSsrc(buffer, 0), rtcpMediaSsrc(buffer, 0)], [7, 9]);
  assert.equal(log.nextTimeout(), undefined);
  assert.deepEqual(due(log, 5000), []);
});

test('a late packet is told of after all, twice the same or far too late changes nothing', () => {
  const log = new ArrivalLog(7);
  for (const sequence of [10, 11, 13]) log.handlePacket(sequence, 9, 100, sequence);
  due(log, 200);
  log.handlePacket(12, 9, 100, 210);
  log.handlePacket(13, 9, 100, 211);
  assert.deepEqual(due(log, 460), [
    [12, 210],
    [13, 13],
  ]);
  log.handlePacket(900, 9, 100, 500);
  due(log, 800);
  log.handlePacket(300, 9, 100, 900);
  assert.deepEqual([log.ignored, log.nextTimeout(), due(log, 2000)], [2, undefined, []]);
});

test('the interval follows the bandwidth: 50 ms on a fast line, 250 ms on a slow one', () => {
  const interval = (bytes: number, everyMs: number) => {
    const log = new ArrivalLog(1);
    const dueAtMs: number[] = [];
    for (let i = 0; i < 2000 / everyMs; i++) {
      const nowMs = i * everyMs;
      const at = log.nextTimeout();
      if (at !== undefined && at <= nowMs) {
        dueAtMs.push(at);
        due(log, at);
      }
      log.handlePacket(i, 1, bytes, nowMs);
    }
    return dueAtMs.at(-1)! - dueAtMs.at(-2)!;
  };
  assert.equal(interval(1200, 5), 50);
  assert.equal(interval(20, 20), 250);
});

test('whatever arrives in whatever order, each number is told once or more, the last time as it was', () => {
  const packet = fc.record({
    step: fc.oneof(fc.integer({ min: 1, max: 4 }), fc.integer({ min: -6, max: 40 })),
    gap: fc.nat(30),
  });
  fc.assert(
    fc.property(fc.nat(0xffff), fc.array(packet, { minLength: 1, maxLength: 300 }), (first, packets) => {
      const log = new ArrivalLog(1);
      const arrived = new Map<number, number>();
      const told = new Map<number, number | 'lost'>();
      let at = first;
      let nowMs = 5000;
      for (const { step, gap } of packets) {
        nowMs += gap;
        at += step;
        if (log.nextTimeout()! <= nowMs) for (const [sequence, ms] of due(log, nowMs, 80)) told.set(sequence, ms);
        // Below the very first there is nothing to tell of.
        if (arrived.size > 0 || step > 0) log.handlePacket(at & 0xffff, 1, 100, nowMs);
        else continue;
        if (!arrived.has(at & 0xffff)) arrived.set(at & 0xffff, nowMs);
      }
      for (const [sequence, ms] of due(log, nowMs + 1000)) told.set(sequence, ms);
      for (const [sequence, ms] of arrived) assert.equal(told.get(sequence), ms, `${sequence}`);
      for (const [sequence, ms] of told) assert.equal(ms === 'lost', !arrived.has(sequence));
    }),
  );
});

test('a sender that begins anew, or sends any numbers at all, costs no more than a few packets', () => {
  fc.assert(
    fc.property(fc.array(fc.nat(0xffff), { maxLength: 40 }), (sequences) => {
      const log = new ArrivalLog(1);
      let packets = 0;
      sequences.forEach((sequence, i) => {
        log.handlePacket(sequence, 1, 100, i * 300);
        while (log.writeFeedback(buffer, 0, i * 300 + 299) > 0) packets++;
      });
      assert.ok(packets <= sequences.length * 4);
    }),
  );
});
