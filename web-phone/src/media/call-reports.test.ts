import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CallReports } from './call-reports.ts';
import { type QualitySample, sampleFromStats } from './quality.ts';

const STARTED = { monotonicMs: 500, wallMs: Date.UTC(2027, 0, 15, 8) };
/** Of the second after the call was answered: 50 packets each way, the far side silent about ours. */
const sample = (second: number, change: Partial<QualitySample> = {}): QualitySample => ({
  ...sampleFromStats([], STARTED.monotonicMs + second * 1000),
  packetsReceived: second * 50,
  packetsSent: second * 50,
  jitterMs: 2,
  codec: 'opus',
  ...change,
});
const seconds = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, i) => from + i);

test('each ten seconds are reported by themselves, and the whole at the end', () => {
  const reports = new CallReports(STARTED);
  const lost = (s: number) => (s <= 10 ? 0 : (s - 10) * 5);
  const due = seconds(1, 23).flatMap((s) => {
    const report = reports.add(
      sample(s, { packetsLost: lost(s), packetsReceived: s * 50 - lost(s), remotePacketsLost: s, roundTripMs: 0.2 }),
    );
    return report ? [report] : [];
  });
  const at = (s: number) => STARTED.wallMs + s * 1000;
  const common = { codec: 'opus', jitterMs: 2, roundTripMs: 1 };
  assert.deepEqual(due, [
    {
      kind: 'interval',
      local: { startedAtMs: at(0), stoppedAtMs: at(10), lossPercent: 0, ...common },
      remote: { lossPercent: 2 },
    },
    {
      kind: 'interval',
      local: { startedAtMs: at(10), stoppedAtMs: at(20), lossPercent: 10, ...common },
      remote: { lossPercent: 2 },
    },
  ]);
  assert.deepEqual(reports.final(), {
    kind: 'session',
    isFinal: true,
    local: { startedAtMs: at(0), stoppedAtMs: at(23), lossPercent: (65 / 1150) * 100, ...common },
    remote: { lossPercent: 2 },
  });
});

test('what nobody has measured is not said', () => {
  const reports = new CallReports(STARTED);
  assert.equal(reports.final(), undefined);
  reports.add(sample(1, { packetsReceived: 0, codec: undefined }));
  const { local, remote } = reports.final()!;
  assert.deepEqual(local, { startedAtMs: STARTED.wallMs, stoppedAtMs: STARTED.wallMs + 1000 });
  assert.equal(remote, undefined);
});

test('another stream counts from nothing, and packets that come late are not lost', () => {
  const reports = new CallReports(STARTED);
  reports.add(sample(1, { packetsReceived: 90, packetsLost: 10, packetsSent: 100, remotePacketsLost: 5 }));
  reports.add(sample(2, { packetsReceived: 99, packetsLost: 1, packetsSent: 200, remotePacketsLost: 10 }));
  reports.add(sample(3, { packetsReceived: 97, packetsLost: 3, packetsSent: 100, remotePacketsLost: undefined }));
  const { local, remote } = reports.final()!;
  assert.equal(local.lossPercent, 2);
  assert.equal(remote?.lossPercent, (10 / 300) * 100);
});

test('what getStats tells of packets and codec is found, in whatever order it comes', () => {
  const { packetsSent, remotePacketsLost, codec } = sampleFromStats(
    [
      { type: 'codec', id: 'C1', mimeType: 'audio/PCMA' },
      { type: 'inbound-rtp', kind: 'audio', codecId: 'C2' },
      { type: 'outbound-rtp', kind: 'audio', packetsSent: 7 },
      { type: 'outbound-rtp', kind: 'video', packetsSent: 9 },
      { type: 'remote-inbound-rtp', kind: 'audio', packetsLost: 3 },
      { type: 'codec', id: 'C2', mimeType: 'audio/opus' },
    ],
    0,
  );
  assert.deepEqual([packetsSent, remotePacketsLost, codec], [7, 3, 'opus']);
});
