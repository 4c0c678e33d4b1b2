import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  type ReportBlock,
  RtcpType,
  RtcpWriter,
  type RtpMap,
  readCname,
  readReportBlocks,
  readXrBlocks,
  rtcpEnd,
  rtcpSsrc,
  rtcpType,
  type SenderInfo,
  seededRandom,
  type XrBlock,
} from '@offhook/core';
import { rtp } from '../test-kit.ts';
import { FEEDBACK_INTERVAL_MS, HopReports, type HopSettings, PLAIN_INTERVAL_MS } from './hop-reports.ts';

const OWN = 0xabcdef01;
const PCMU: RtpMap = { payloadType: 0, encoding: 'PCMU', clockRate: 8000 };
const INFO: SenderInfo = {
  ssrc: 7,
  ntpSeconds: 0x11112222,
  ntpFraction: 0x33334444,
  rtpTimestamp: 5,
  packets: 6,
  octets: 7,
};

function hop(settings: Partial<HopSettings> = {}): HopReports {
  const reports = new HopReports({ ssrc: OWN, cname: 'relay', random: seededRandom(5) });
  reports.configure({
    formats: new Map([[0, PCMU]]),
    intervalMs: PLAIN_INTERVAL_MS,
    reducedSize: false,
    extended: new Set(),
    ...settings,
  });
  assert.equal(reports.handleTimeout(1), 0, 'the first call sets the timer');
  return reports;
}

/** One packet each 20 ms from `fromMs` to `toMs`; those whose number `isLost` names don't arrive. */
function hear(reports: HopReports, [fromMs, toMs]: [number, number], isLost = (_: number) => false, ssrc = 7): void {
  for (let ms = fromMs; ms < toMs; ms += 20) {
    const sequence = (ms / 20) & 0xffff;
    const packet = rtp({ ssrc, sequence, timestamp: ms * 8 });
    if (!isLost(ms / 20)) reports.received.handlePacket(packet, 0, packet.length, ms);
  }
}

function take(reports: HopReports, write: (writer: RtcpWriter) => RtcpWriter, nowMs: number): void {
  const { bytes, length } = write(new RtcpWriter(new Uint8Array(500)));
  for (let at = 0; at < length; at = rtcpEnd(bytes, at)) reports.handlePacket(bytes, at, nowMs);
}

/** The report that comes at the next timeout. */
function next(reports: HopReports): { atMs: number; types: number[]; blocks: ReportBlock[]; extended: XrBlock[] } {
  const atMs = reports.nextTimeout();
  const length = reports.handleTimeout(atMs);
  const bytes = reports.buffer.slice(0, length);
  const found = { atMs, types: [] as number[], blocks: [] as ReportBlock[], extended: [] as XrBlock[] };
  for (let at = 0; at < length; at = rtcpEnd(bytes, at)) {
    found.types.push(rtcpType(bytes, at));
    found.blocks.push(...readReportBlocks(bytes, at));
    found.extended.push(...readXrBlocks(bytes, at));
    assert.equal(rtcpSsrc(bytes, at), reports.ssrc);
    if (rtcpType(bytes, at) === RtcpType.sdes) assert.equal(readCname(bytes, at), 'relay');
  }
  return found;
}

test('reports come at random times around the mean of RFC 3550 6.3.1, and say nothing before there is something to say', () => {
  for (const intervalMs of [PLAIN_INTERVAL_MS, FEEDBACK_INTERVAL_MS]) {
    const reports = hop({ intervalMs });
    assert.deepEqual(next(reports).types, []);
    const waits: number[] = [];
    for (let n = 0; n < 400; n++) {
      const before = reports.nextTimeout();
      reports.handleTimeout(before);
      waits.push(reports.nextTimeout() - before);
      assert.equal(reports.handleTimeout(reports.nextTimeout() - 1), 0);
    }
    const mean = waits.reduce((a, b) => a + b) / waits.length / intervalMs;
    assert.ok(Math.min(...waits) >= (0.5 * intervalMs) / 1.2183 && Math.max(...waits) <= (1.5 * intervalMs) / 1.2182);
    assert.ok(Math.abs(mean - 1 / 1.21828) < 0.05, `${mean}`);
  }
});

test('a report tells losses, jitter and the last sender report, with its CNAME or in reduced size', () => {
  const reports = hop();
  hear(reports, [20, 2020], (n) => n % 10 === 5);
  take(reports, (w) => w.senderReport(INFO).sdes(7, 'phone'), 1000);
  const { atMs, types, blocks } = next(reports);
  assert.deepEqual(types, [RtcpType.receiverReport, RtcpType.sdes]);
  assert.equal(blocks.length, 1);
  const [block] = blocks;
  assert.deepEqual([block!.ssrc, block!.packetsLost, block!.jitter, block!.lastSr], [7, 10, 0, 0x22223333]);
  assert.equal(block!.fractionLost, Math.floor((10 / 99) * 256));
  assert.equal(block!.delaySinceLastSr, Math.floor((atMs - 1000) * 65.536));
  assert.deepEqual(next(reports).types, [], 'silence is not reported on');
  const short = hop({ reducedSize: true });
  hear(short, [20, 1000]);
  assert.deepEqual(next(short).types, [RtcpType.receiverReport]);
});

test('what a passing sender report has told the peer just now is not told again', () => {
  const reports = hop({ intervalMs: FEEDBACK_INTERVAL_MS });
  hear(reports, [20, 380], (n) => n === 9);
  const due = reports.nextTimeout();
  const [block] = reports.report(31, due - 100);
  assert.equal(block!.packetsLost, 1);
  hear(reports, [380, 420]);
  assert.deepEqual(next(reports).types, []);
  hear(reports, [420, 2000]);
  assert.deepEqual([next(reports).blocks[0]!.fractionLost, reports.report(31, 5000)], [0, []]);
});

test('a source that spoke for a moment only is reported on, whenever that was', () => {
  for (const beforeMs of [10, 200, 400, 900]) {
    const reports = hop({ intervalMs: FEEDBACK_INTERVAL_MS });
    next(reports);
    const began = Math.max(20, Math.floor((reports.nextTimeout() - beforeMs) / 20) * 20);
    hear(reports, [began, began + 60]);
    const told = [next(reports), next(reports), next(reports)].flatMap(({ blocks }) => blocks);
    assert.deepEqual(
      told.map(({ ssrc }) => ssrc),
      [7],
    );
  }
});

test('no more sources than asked for go into a passing report, and our own SSRC gives way to a peer that has it', () => {
  const reports = hop();
  for (const ssrc of [1, 2, 3, OWN]) hear(reports, [20, 200], undefined, ssrc);
  const told = [reports.report(2, 300), next(reports).blocks].map((blocks) => blocks.map(({ ssrc }) => ssrc));
  assert.deepEqual(told, [
    [1, 2],
    [3, OWN],
  ]);
  assert.notEqual(reports.ssrc, OWN);
});

test('the round trip from the report blocks about sender reports that passed (RFC 3550 6.4.1)', () => {
  const reports = hop();
  const { bytes } = new RtcpWriter(new Uint8Array(28)).senderReport(INFO);
  reports.forwarded(bytes, 0, 10_000);
  const block = { ssrc: 9, fractionLost: 26, packetsLost: 3, highestSequence: 5, jitter: 80 };
  const report = (lastSr: number, heldMs: number, nowMs: number) => {
    const delaySinceLastSr = Math.round(heldMs * 65.536);
    take(reports, (w) => w.receiverReport(1, [{ ...block, lastSr, delaySinceLastSr }]), nowMs);
    return reports.roundTripMs === undefined ? undefined : Math.round(reports.roundTripMs);
  };
  assert.equal(report(0, 0, 10_100), undefined);
  assert.equal(report(0x99999999, 50, 10_100), undefined, 'an unknown time');
  assert.equal(report(0x22223333, 500, 10_300), undefined, 'kept for longer than it was away');
  assert.equal(report(0x22223333, 50, 10_130), 80);
  assert.equal(report(0x22223333, 133, 10_130), 0, 'a clock of whole milliseconds');
  assert.deepEqual(
    reports.remote.all.map(({ ssrc, lossRate, jitter }) => [ssrc, lossRate, jitter]),
    [[9, 26 / 256, 80]],
  );
  for (let n = 1; n <= 20; n++) {
    const later = new RtcpWriter(new Uint8Array(28)).senderReport({ ...INFO, ntpSeconds: n });
    reports.forwarded(later.bytes, 0, 20_000 + n);
  }
  reports.roundTripMs = undefined;
  assert.equal(report(0x22223333, 0, 20_050), undefined, 'sixteen are remembered');
  assert.equal(report(0x00143333, 0, 20_050), 30);
});

test('reference times are answered, and ours measure the round trip (RFC 3611 4.4, 4.5)', () => {
  const reports = hop();
  hear(reports, [20, 2020]);
  take(reports, (w) => w.extendedReport(77, [{ kind: 'referenceTime', ntpSeconds: 3, ntpFraction: 0x80000000 }]), 2000);
  take(reports, (w) => w.extendedReport(77, [{ kind: 'referenceTime', ntpSeconds: 4, ntpFraction: 0x80000000 }]), 2010);
  const { atMs, types, extended } = next(reports);
  assert.deepEqual(types, [RtcpType.receiverReport, RtcpType.sdes, RtcpType.extendedReport]);
  const [dlrr, reference] = extended;
  const delay = Math.floor((atMs - 2010) * 65.536);
  assert.deepEqual(dlrr, { kind: 'dlrr', delays: [{ ssrc: 77, lastReference: 0x00048000, delay }] });
  assert.ok(reference?.kind === 'referenceTime');
  const lastReference = ((reference.ntpSeconds << 16) | (reference.ntpFraction >>> 16)) >>> 0;
  const answer = (ssrc: number): XrBlock => ({ kind: 'dlrr', delays: [{ ssrc, lastReference, delay: 6554 }] });
  take(reports, (w) => w.extendedReport(77, [answer(OWN + 1)]), atMs + 142);
  assert.equal(reports.roundTripMs, undefined, "another's");
  take(reports, (w) => w.extendedReport(77, [answer(OWN)]), atMs + 142);
  assert.equal(Math.round(reports.roundTripMs!), 42);
});

test('references are few: a peer that invents receivers is answered for the last four', () => {
  const reports = hop();
  for (let ssrc = 1; ssrc <= 50; ssrc++) {
    take(reports, (w) => w.extendedReport(ssrc, [{ kind: 'referenceTime', ntpSeconds: ssrc, ntpFraction: 0 }]), 100);
  }
  const [dlrr] = next(reports).extended;
  assert.deepEqual(dlrr?.kind === 'dlrr' && dlrr.delays.map((d) => d.ssrc), [47, 48, 49, 50]);
});

test('statistics and VoIP metrics for those who asked for them by a=rtcp-xr', () => {
  const reports = hop({ extended: new Set(['voip-metrics', 'stat-summary']) });
  hear(reports, [20, 2020], (n) => n % 25 === 3 || n % 25 === 4);
  const { extended } = next(reports);
  const [summary, metrics] = extended;
  assert.deepEqual(summary, { kind: 'statistics', ssrc: 7, beginSequence: 2, endSequence: 101, lost: 8 });
  assert.ok(metrics?.kind === 'voipMetrics');
  assert.equal(metrics.lossRate, Math.floor((8 / 99) * 256) / 256);
  assert.ok(metrics.burstMs > 35 && metrics.burstMs < 45, `${metrics.burstMs}`);
  assert.deepEqual([metrics.burstDensity, metrics.gapDensity, metrics.gapMin], [255 / 256, 0, 16]);
  const { latest } = reports.received.find(7)!.quality;
  assert.deepEqual([metrics.mosListening, metrics.r], [Math.round(latest!.mos * 10) / 10, Math.round(latest!.r)]);
});

test('the score of each interval: its lowest, highest and mean, whatever the length of the call', () => {
  const reports = hop({ intervalMs: FEEDBACK_INTERVAL_MS });
  let ms = 20;
  for (let n = 0; n < 100; n++) {
    const until = Math.floor(reports.nextTimeout() / 20) * 20;
    hear(reports, [ms, until], (sequence) => n === 50 && sequence % 5 === 0);
    ms = until;
    next(reports);
  }
  const { quality, bitrateBps } = reports.received.find(7)!;
  assert.equal(quality.count, 100);
  assert.ok(Math.abs(bitrateBps - 64_000) < 4000, `${bitrateBps}`);
  assert.ok(quality.lowest!.mos < 2.9 && quality.lowest!.lossPercent > 15, `${quality.lowest!.mos}`);
  assert.ok(quality.highest!.mos > 4.39 && quality.mean!.mos > 4.3 && quality.latest!.model === 'G.107');
  assert.ok(quality.progress.length >= 10 && quality.progress.length < 20);
});
