import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { readVqReport, type VqMetrics, type VqReport, writeVqReport } from './index.ts';
import { VQ_NUMBERS } from './vq-report.ts';

const body = (...lines: string[]): string => lines.map((line) => `${line}\r\n`).join('');

/** In the order and with the habits of Yealink phones: metrics before the names, unknown values as 0, 127 and 65535. */
const YEALINK = body(
  'VQSessionReport: CallTerm',
  'LocalMetrics:',
  'Timestamps:START=2027-01-15T08:00:00Z STOP=2027-01-15T08:03:20Z',
  'SessionDesc:PT=9 PD=G722 SR=8000 PPS=50 PLC=3 SSUP=off',
  'CallID:0_1841922@192.0.2.31',
  'FromID:"Alice" <sip:alice@offhook.local>',
  'ToID:<sip:bob@offhook.local>',
  'LocalAddr:IP=192.0.2.31 PORT=11790 SSRC=0x24271b8b',
  'RemoteAddr:IP=192.0.2.1 PORT=45748 SSRC=0x00000000',
  'JitterBuffer:JBA=2 JBR=15 JBN=40 JBM=60 JBX=240',
  'PacketLoss:NLR=1.5 JDR=0.4',
  'BurstGapLoss:BLD=0.0 BD=0 GLD=0.7 GD=65535 GMIN=16',
  'Delay:RTD=0 ESD=97 SOWD=48 IAJ=6 MAJ=2',
  'Signal:SL=127 NL=-84 RERL=127',
  'QualityEst:RCQ=92 EXTRI=127 MOSLQ=4.1 MOSCQ=0.0',
  'DialogID:0_1841922@192.0.2.31;to-tag=744749146;from-tag=3683631',
);

test('a report as Yealink phones write it', () => {
  assert.deepEqual(readVqReport(YEALINK), {
    kind: 'session',
    isFinal: true,
    callId: '0_1841922@192.0.2.31',
    local: {
      startedAtMs: Date.UTC(2027, 0, 15, 8),
      stoppedAtMs: Date.UTC(2027, 0, 15, 8, 3, 20),
      payloadType: 9,
      codec: 'G722',
      sampleRateHz: 8000,
      packetsPerSecond: 50,
      concealment: 3,
      silenceSuppression: false,
      bufferKind: 2,
      bufferRate: 15,
      bufferNominalMs: 40,
      bufferMaxMs: 60,
      bufferLimitMs: 240,
      lossPercent: 1.5,
      discardPercent: 0.4,
      burstLossPercent: 0,
      burstMs: 0,
      gapLossPercent: 0.7,
      gapMin: 16,
      endSystemMs: 97,
      symmetricOneWayMs: 48,
      jitterMs: 6,
      meanAbsoluteJitterMs: 2,
      noiseDbm0: -84,
      ratingConversational: 92,
      mosListening: 4.1,
    },
    dialog: { callId: '0_1841922@192.0.2.31', toTag: '744749146', fromTag: '3683631' },
  });
});

test('an interval with both sides as Poly phones write it: folded lines, quotes, line feeds alone', () => {
  const text = [
    'VQIntervalReport',
    'CallID : a84b4c76e66710@192.0.2.7',
    'LocalID: Alice <sip:alice@offhook.local>',
    'RemoteID: Bob <sip:bob@offhook.local>',
    'OrigID: Alice <sip:alice@offhook.local>',
    'LocalMetrics:',
    'SessionDesc: PT = 18 PD="G.729 annex A" SR=8000',
    '\tFMTP="annexb=no" PLC=3 SSUP = on',
    'PacketLoss: NLR=0.05 JDR=0',
    'QualityEst: RLQ=88 MOSLQ=3.9',
    'MOSCQ=3.7',
    'RemoteMetrics:',
    'packetloss: nlr=2 JDR=3',
    'Delay: RTD=40',
    'DialogID: a84b4c76e66710@192.0.2.7',
    '',
  ].join('\n');
  assert.deepEqual(readVqReport(text), {
    kind: 'interval',
    callId: 'a84b4c76e66710@192.0.2.7',
    localId: 'Alice <sip:alice@offhook.local>',
    remoteId: 'Bob <sip:bob@offhook.local>',
    originatorId: 'Alice <sip:alice@offhook.local>',
    local: {
      payloadType: 18,
      codec: 'G.729 annex A',
      sampleRateHz: 8000,
      concealment: 3,
      silenceSuppression: true,
      lossPercent: 0.05,
      discardPercent: 0,
      ratingListening: 88,
      mosListening: 3.9,
      mosConversational: 3.7,
    },
    remote: { lossPercent: 2, discardPercent: 3, roundTripMs: 40 },
    dialog: { callId: 'a84b4c76e66710@192.0.2.7' },
  });
});

test('an alert says what became bad', () => {
  const alert = readVqReport(
    body('VQAlertReport: Type=NLR Severity=Critical Dir=Remote', 'CallID=c@x', 'LocalMetrics:'),
  );
  assert.deepEqual(alert, {
    kind: 'alert',
    alert: { type: 'NLR', severity: 'critical', side: 'remote' },
    callId: 'c@x',
    local: {},
  });
  assert.deepEqual(readVqReport('VQAlertReport'), { kind: 'alert', local: {} });
});

test('values that say nothing, and lines of others, are left out', () => {
  const local = (...lines: string[]) => readVqReport(body('VQIntervalReport', 'LocalMetrics:', ...lines))!.local;
  const nothing = [
    'Timestamps: START=0 STOP=yesterday',
    'PacketLoss: NLR=-1 JDR=101',
    'Delay: RTD=65535 IAJ=1e3 ESD=NaN MAJ=',
    'QualityEst: RLQ=127 RCQ=-1 MOSLQ=5.0 MOSCQ=0.9',
    'SessionDesc: PT=128 SR=0 PD="" SSUP=maybe PLC=4',
    'x-Metrics: NLR=5 RTD=10',
    'AdaptiveAlg: IN_LEG=a JBN=5',
    `PacketLoss: ${'a'.repeat(1200)} NLR=5`,
    `Delay: RTD=${'9'.repeat(900)}`,
  ];
  for (const line of nothing) assert.deepEqual(local(line), {}, line);
  assert.deepEqual(local('PacketLoss: NLR=5', 'PacketLoss: NLR=101').lossPercent, 5);
});

test('what is no report, or is too long, is none; of two reports it is the first', () => {
  for (const text of ['', '\r\n', 'VQSession', 'v=0\r\ns=-', 'CallID: a', `VQSessionReport\n${'x\n'.repeat(10_000)}`])
    assert.equal(readVqReport(text), undefined);
  const two = readVqReport(body('VQIntervalReport', 'CallID: a', 'VQSessionReport', 'CallID: b'));
  assert.deepEqual(two, { kind: 'interval', callId: 'a', local: {} });
  for (const callId of ['a b', 'x'.repeat(257), ''])
    assert.equal(readVqReport(body('VQSessionReport', `CallID: ${callId}`))!.callId, undefined);
});

const words = fc.stringMatching(/^[!-~]([ -~]{0,20}[!-~])?$/);
const token = fc.stringMatching(/^[\w.@-]{1,20}$/);
const optional = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: undefined });
/** Leaves out what is undefined, as the reader does. */
const known = <T extends object>(value: T): T =>
  Object.fromEntries(Object.entries(value).filter(([, v]) => v !== undefined)) as T;
const metrics = fc
  .record({
    ...Object.fromEntries(
      Object.entries(VQ_NUMBERS).map(([field, { min, max, decimals }]) => {
        const scale = 10 ** decimals;
        return [field, optional(fc.integer({ min: min * scale, max: Math.round(max * scale) }).map((n) => n / scale))];
      }),
    ),
    startedAtMs: optional(fc.integer({ min: 0, max: 253_402_300_799_999 })),
    stoppedAtMs: optional(fc.integer({ min: 0, max: 253_402_300_799_999 })),
    codec: optional(words),
    silenceSuppression: optional(fc.boolean()),
  })
  .map((value) => known(value) as VqMetrics);
const report: fc.Arbitrary<VqReport> = fc
  .record({
    kind: fc.constantFrom('session' as const, 'interval' as const),
    isFinal: optional(fc.constant(true)),
    callId: optional(token),
    localId: optional(words),
    remoteId: optional(words),
    originatorId: optional(words),
    local: metrics,
    remote: optional(metrics),
    dialog: optional(
      fc.record({ callId: token, toTag: optional(token), fromTag: optional(token) }).map((dialog) => known(dialog)),
    ),
  })
  .map((value) => known(value));

test('what is written is read as it was', () => {
  fc.assert(fc.property(report, (one) => assert.deepEqual(readVqReport(writeVqReport(one)), one)));
});

test('what would break a line, or is out of range, is not written', () => {
  const text = writeVqReport({
    kind: 'session',
    callId: 'a\r\nRemoteMetrics: ',
    local: { codec: 'x\ny', lossPercent: 101, roundTripMs: 0, mosListening: Number.NaN, startedAtMs: 1e18 },
  });
  assert.equal(text, body('VQSessionReport', 'CallID: aRemoteMetrics: ', 'LocalMetrics:', 'SessionDesc: PD="xy"'));
});

test('nothing makes the reader throw', () => {
  const pieces = fc.constantFrom(
    'VQSessionReport',
    'CallID',
    'PacketLoss',
    'NLR',
    ':',
    '=',
    '"',
    '\\',
    ' ',
    '\r\n',
    '\n\t',
  );
  fc.assert(fc.property(fc.string({ unit: 'binary' }), (text) => void readVqReport(text)));
  fc.assert(fc.property(fc.array(fc.oneof(pieces, fc.string())), (parts) => void readVqReport(parts.join(''))));
});

test('lines made to be tried in many ways cost no more than others', () => {
  const body = (line: string) => `VQSessionReport\r\n${`${line}\r\n`.repeat(8)}`;
  const fastest = (text: string) =>
    Math.min(
      ...Array.from({ length: 5 }, () => {
        const began = performance.now();
        assert.ok(readVqReport(text));
        return performance.now() - began;
      }),
    );
  const plain = fastest(body('A'.repeat(2000)));
  for (const line of [`A${' '.repeat(1996)}\rx`, `A${'\t '.repeat(998)}\u2028x`, `A:${' '.repeat(1990)}"\r`])
    assert.ok(fastest(body(line)) < 200 * plain + 20, JSON.stringify(line.slice(0, 5)));
});
