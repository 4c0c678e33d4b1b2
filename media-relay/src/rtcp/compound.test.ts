import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  fromHex,
  hex,
  isRtcpCompound,
  RtcpType,
  RtcpWriter,
  readReportBlocks,
  readSenderInfo,
  rtcpEnd,
  rtcpType,
  seededRandom,
} from '@offhook/core';
import fc from 'fast-check';
import { rtp } from '../test-kit.ts';
import { observeCompound, relayCompound } from './compound.ts';
import { HopReports } from './hop-reports.ts';

const INFO = { ssrc: 7, ntpSeconds: 0x11112222, ntpFraction: 0x33334444, rtpTimestamp: 5, packets: 6, octets: 7 };
const BLOCK = {
  ssrc: 8,
  fractionLost: 1,
  packetsLost: 2,
  highestSequence: 3,
  jitter: 4,
  lastSr: 5,
  delaySinceLastSr: 6,
};

function hop(seed: number): HopReports {
  return new HopReports({ ssrc: seed, cname: `hop ${seed}`, random: seededRandom(seed) });
}

/** A hop whose peer sends as SSRC 8, with one packet lost. */
function speaking(): HopReports {
  const far = hop(2);
  for (const sequence of [1, 2, 3, 5]) {
    const packet = rtp({ ssrc: 8, sequence });
    far.received.handlePacket(packet, 0, packet.length, sequence);
  }
  return far;
}

function relay(write: (w: RtcpWriter) => RtcpWriter, far: HopReports | 'nowhere' = speaking(), from = hop(1)) {
  const { bytes, length } = write(new RtcpWriter(new Uint8Array(1856), 4));
  const out = relayCompound(from, far === 'nowhere' ? undefined : far, { bytes, offset: 4, length }, 1000);
  assert.ok(out === 0 || isRtcpCompound(bytes, 4, out));
  const packets: number[] = [];
  for (let at = 4; at < 4 + out; at = rtcpEnd(bytes, at)) packets.push(at);
  return { bytes, out, packets, types: packets.map((at) => rtcpType(bytes, at)) };
}

test('a sender report passes with its times and counts, and blocks of ours about what the far peer sends', () => {
  const { bytes, packets, types } = relay((w) => w.senderReport(INFO, [BLOCK, BLOCK]).sdes(7, 'a').bye([7]));
  assert.deepEqual(types, [RtcpType.senderReport, RtcpType.sdes, RtcpType.bye]);
  assert.deepEqual(readSenderInfo(bytes, packets[0]!), INFO);
  const blocks = readReportBlocks(bytes, packets[0]!);
  assert.deepEqual(
    blocks.map(({ ssrc, packetsLost, highestSequence }) => [ssrc, packetsLost, highestSequence]),
    [[8, 1, 5]],
  );
  const none = relay((w) => w.senderReport(INFO, [BLOCK]).sdes(7, 'a'), hop(3));
  assert.deepEqual(readReportBlocks(none.bytes, 4), []);
  assert.equal(none.out, 28 + 12);
});

test('receiver reports and extended reports end here; in front of feedback an empty one stays', () => {
  assert.equal(relay((w) => w.receiverReport(7, [BLOCK]).sdes(7, 'a')).out, 0);
  assert.equal(relay((w) => w.receiverReport(7).sdes(7, 'a').extendedReport(7, [])).out, 0);
  const feedback = relay((w) => w.receiverReport(7, [BLOCK]).sdes(7, 'a').pli(7, 8));
  assert.deepEqual(feedback.types, [RtcpType.receiverReport, RtcpType.sdes, RtcpType.payloadFeedback]);
  assert.equal(hex(feedback.bytes.subarray(4, 12)), '80c9000100000007');
  const alone = relay((w) => w.pli(7, 8));
  assert.equal(hex(alone.bytes.subarray(4, 4 + alone.out)), '81ce00020000000700000008');
});

test('where nothing can be sent the compound is read all the same', () => {
  const from = hop(1);
  const { out } = relay((w) => w.senderReport(INFO, [BLOCK]).pli(7, 8), 'nowhere', from);
  assert.equal(out, 0);
  assert.equal(from.remote.all[0]?.ssrc, 8);
});

test('who taps feedback decides what goes on', () => {
  const from = hop(1);
  const seen: string[] = [];
  from.feedback = {
    handleFeedback: (bytes, at, nowMs) => {
      seen.push(`${rtcpType(bytes, at)} ${bytes[at]! & 31} ${nowMs}`);
      return rtcpType(bytes, at) === RtcpType.payloadFeedback;
    },
  };
  const both = relay((w) => w.receiverReport(7).nack(7, 8, [1, 2]).pli(7, 8).remb(7, 1e6, [8]), speaking(), from);
  assert.deepEqual(both.types, [RtcpType.receiverReport, RtcpType.payloadFeedback, RtcpType.payloadFeedback]);
  assert.deepEqual(seen, ['205 1 1000', '206 1 1000', '206 15 1000']);
  assert.equal(relay((w) => w.receiverReport(7).nack(7, 8, [1, 2]), speaking(), from).out, 0);
});

test('padding and extensions of a report are left out, other packets pass as they are', () => {
  // A sender report with four bytes of padding and a profile's extension of four bytes.
  const report = fromHex(`a0c80008 00000007${'11'.repeat(20)} deadbeef 00000004`)!;
  const bytes = new Uint8Array(1856);
  bytes.set(report);
  const out = relayCompound(hop(1), hop(3), { bytes, offset: 0, length: report.length }, 0);
  assert.equal(hex(bytes.subarray(0, out)), `80c8000600000007${'11'.repeat(20)}`);
  const unknown = fromHex('83d20002 00000007 01020304')!;
  const copy = unknown.slice();
  assert.equal(relayCompound(hop(1), hop(3), { bytes: copy, offset: 0, length: 12 }, 0), 12);
  assert.deepEqual(copy, unknown);
});

test('a long compound gains no blocks', () => {
  const { bytes, out } = relay((w) => {
    w.senderReport(INFO);
    while (w.length < 1180) w.pli(7, 8);
    return w;
  });
  assert.deepEqual([readReportBlocks(bytes, 4), out], [[], 28 + 96 * 12]);
});

test('an echo is read and not changed, and its round trip is measured', () => {
  const reports = hop(1);
  const { bytes, length } = new RtcpWriter(new Uint8Array(200)).senderReport(INFO, [BLOCK]).sdes(7, 'a');
  const before = bytes.slice();
  observeCompound(reports, bytes, 0, length, 5000);
  assert.deepEqual(bytes, before);
  const answer = new RtcpWriter(new Uint8Array(200)).receiverReport(7, [
    { ...BLOCK, lastSr: 0x22223333, delaySinceLastSr: 65_536 },
  ]);
  observeCompound(reports, answer.bytes, 0, answer.length, 6025);
  assert.equal(Math.round(reports.roundTripMs!), 25);
});

test('any well-formed compound: what goes on is well formed, no longer than allowed, and nothing else is touched', () => {
  const packet = fc.tuple(
    fc.nat(31),
    fc.constantFrom(200, 201, 202, 203, 204, 205, 206, 207, 192),
    fc.array(fc.nat(255), { maxLength: 80 }),
  );
  fc.assert(
    fc.property(fc.array(packet, { minLength: 1, maxLength: 6 }), (parts) => {
      const content = parts.flatMap(([count, type, body]) => {
        const words = body.length >> 2;
        return [0x80 | count, type, words >> 8, words & 255, ...body.slice(0, words * 4)];
      });
      const bytes = new Uint8Array(2000).fill(9);
      bytes.set(content, 3);
      const out = relayCompound(hop(1), speaking(), { bytes, offset: 3, length: content.length }, 0);
      const changed = Math.max(out, content.length);
      assert.ok(out === 0 || isRtcpCompound(bytes, 3, out));
      assert.ok(out <= Math.max(content.length, 1200));
      assert.ok(bytes.subarray(0, 3).every((b) => b === 9) && bytes.subarray(3 + changed).every((b) => b === 9));
    }),
    { numRuns: 500 },
  );
});
