import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  fromHex,
  hex,
  isRtcpCompound,
  MAX_XR_BLOCKS,
  RtcpWriter,
  readXrBlocks,
  rewriteRtcpSsrc,
  type XrBlock,
  type XrStatistics,
  type XrVoipMetrics,
} from '../index.ts';

const METRICS: XrVoipMetrics = {
  kind: 'voipMetrics',
  ssrc: 0x22222222,
  lossRate: 0.0625,
  discardRate: 0,
  burstDensity: 0.5,
  gapDensity: 0.015625,
  burstMs: 120,
  gapMs: 4000,
  roundTripMs: 55,
  endSystemMs: 80,
  signalDbm0: -20,
  noiseDbm0: -68,
  echoReturnLossDb: undefined,
  gapMin: 16,
  r: 82,
  rExternal: undefined,
  mosListening: 4.1,
  mosConversational: 3.9,
  receiverConfiguration: 0xf0,
  bufferNominalMs: 40,
  bufferMaxMs: 60,
  bufferLimitMs: 300,
};
const STATISTICS: XrStatistics = {
  kind: 'statistics',
  ssrc: 0x33333333,
  beginSequence: 65_000,
  endSequence: 40,
  lost: 3,
  duplicates: 1,
  jitter: [0, 90, 12, 4],
  hops: [60, 61, 60, 0],
  isHopLimit: false,
};
const BLOCKS: XrBlock[] = [
  { kind: 'referenceTime', ntpSeconds: 3_900_000_000, ntpFraction: 0x80000000 },
  {
    kind: 'dlrr',
    delays: [
      { ssrc: 1, lastReference: 0xaabbccdd, delay: 0x10000 },
      { ssrc: 2, lastReference: 0, delay: 0 },
    ],
  },
  STATISTICS,
  METRICS,
];

function written(blocks: readonly XrBlock[]): Uint8Array {
  const writer = new RtcpWriter(new Uint8Array(1500)).extendedReport(0x11111111, blocks);
  return writer.bytes.subarray(0, writer.length);
}

test('every block is read as it was written', () => {
  const bytes = written(BLOCKS);
  assert.ok(isRtcpCompound(bytes, 0, bytes.length));
  assert.deepEqual(readXrBlocks(bytes, 0), BLOCKS);
});

test('the bytes of each block (RFC 3611 4.4 to 4.7)', () => {
  const content = (block: XrBlock) => hex(written([block]).subarray(8));
  assert.equal(hex(written([]).subarray(0, 8)), '80cf000111111111');
  assert.equal(content(BLOCKS[0]!), '04000002e875e90080000000'.replace('e875e900', (3_900_000_000).toString(16)));
  assert.equal(content(BLOCKS[1]!), '0500000600000001aabbccdd00010000000000020000000000000000');
  assert.equal(
    content(STATISTICS),
    '06e8000933333333fde80028000000030000000100000000000000' + '5a0000000c00000004' + '3c3d3c00',
  );
  assert.equal(content(METRICS), '07000008222222221000800400780fa000370050ecbc7f10527f2927f0000028003c012c');
});

test('blocks that are unknown, of a wrong length or cut off are skipped', () => {
  const unknown = '630000020000000000000000';
  const shortReference = '0400000100000000';
  const reference = '040000020000000100000002';
  const packet = (body: string) => {
    const words = body.length / 8 + 1;
    return fromHex(`80cf${words.toString(16).padStart(4, '0')}00000009${body}`)!;
  };
  const kinds = (body: string) => readXrBlocks(packet(body), 0).map((block) => block.kind);
  assert.deepEqual(kinds(unknown + shortReference + reference), ['referenceTime']);
  assert.deepEqual(kinds(`05000002${'00'.repeat(8)}${reference}`), ['referenceTime']);
  assert.deepEqual(kinds(`${reference}0700ffff00000000${reference}`), ['referenceTime']);
  assert.deepEqual(kinds(''), []);
  assert.deepEqual(kinds('05000000'), ['dlrr']);
  assert.deepEqual(readXrBlocks(fromHex('80cf0000')!, 0), []);
  assert.deepEqual(readXrBlocks(fromHex('80c8000100000001')!, 0), []);
  assert.equal(kinds(reference.repeat(MAX_XR_BLOCKS + 5)).length, MAX_XR_BLOCKS);
});

test('statistics without flags say nothing but their range', () => {
  const only: XrBlock = { kind: 'statistics', ssrc: 5, beginSequence: 1, endSequence: 9 };
  assert.deepEqual(readXrBlocks(written([only]), 0), [only]);
});

test('what does not fit is left out as a whole, and numbers beyond their field are held at its end', () => {
  const writer = new RtcpWriter(new Uint8Array(60)).receiverReport(1).extendedReport(1, BLOCKS);
  assert.equal(writer.length, 8);
  const [read] = readXrBlocks(written([{ ...METRICS, lossRate: 1, burstMs: 1e6, gapMs: -3 }]), 0) as [XrVoipMetrics];
  assert.deepEqual([read.lossRate, read.burstMs, read.gapMs], [255 / 256, 65_535, 0]);
});

test('sources of blocks are rewritten with the rest of the packet', () => {
  const bytes = written(BLOCKS);
  assert.ok(rewriteRtcpSsrc(bytes, 0, bytes.length, (ssrc) => ssrc + 1));
  const sources = readXrBlocks(bytes, 0).flatMap((block) => {
    if (block.kind === 'dlrr') return block.delays.map((delay) => delay.ssrc);
    return block.kind === 'referenceTime' ? [] : [block.ssrc];
  });
  assert.deepEqual(sources, [2, 3, 0x33333334, 0x22222223]);
});

test('any bytes: never thrown at', () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 4, maxLength: 200 }), fc.boolean(), (body, isPadded) => {
      const bytes = body.subarray(0, body.length & ~3);
      bytes[0] = isPadded ? 0xa0 : 0x80;
      bytes[1] = 207;
      bytes[2] = 0;
      bytes[3] = bytes.length / 4 - 1;
      if (isRtcpCompound(bytes, 0, bytes.length)) readXrBlocks(bytes, 0);
    }),
    { numRuns: 1000 },
  );
});
