import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  fromHex,
  hex,
  isFeedback,
  isRemb,
  isRtcpCompound,
  PayloadFeedback,
  RtcpType,
  RtcpWriter,
  readBye,
  readCname,
  readFir,
  readNack,
  readRemb,
  readReportBlocks,
  readSenderInfo,
  rewriteRtcpSsrc,
  rtcpEnd,
  rtcpMediaSsrc,
  rtcpSsrc,
  rtcpType,
} from '../index.ts';

const BLOCK = {
  ssrc: 0x11111111,
  fractionLost: 7,
  packetsLost: -2,
  highestSequence: 0x10002,
  jitter: 33,
  lastSr: 0xaabbccdd,
  delaySinceLastSr: 0x10000,
};
const INFO = { ssrc: 0x22222222, ntpSeconds: 3900000000, ntpFraction: 1, rtpTimestamp: 2, packets: 3, octets: 4 };

function everything(): Uint8Array {
  const writer = new RtcpWriter(new Uint8Array(400))
    .senderReport(INFO, [BLOCK, BLOCK])
    .receiverReport(0x33333333, [BLOCK])
    .sdes(0x22222222, 'alice@host')
    .pli(1, 0x11111111)
    .fir(1, 0x11111111, 5)
    .nack(1, 0x11111111, [65534, 65535, 3, 100])
    .remb(1, 2_500_000, [0x11111111, 0x33333333])
    .bye([0x22222222, 0x33333333]);
  return writer.bytes.subarray(0, writer.length);
}

function packets(b: Uint8Array): number[] {
  const found: number[] = [];
  for (let at = 0; at < b.length; at = rtcpEnd(b, at)) found.push(at);
  return found;
}

test('every packet is read as it was written', () => {
  const b = everything();
  assert.ok(isRtcpCompound(b, 0, b.length));
  const [sr, rr, sdes, pli, fir, nack, remb, bye] = packets(b) as [
    number,
    number,
    number,
    number,
    number,
    number,
    number,
    number,
  ];
  assert.deepEqual(readSenderInfo(b, sr), INFO);
  assert.deepEqual(readReportBlocks(b, sr), [BLOCK, BLOCK]);
  assert.deepEqual(readReportBlocks(b, rr), [BLOCK]);
  assert.equal(rtcpSsrc(b, rr), 0x33333333);
  assert.equal(readCname(b, sdes), 'alice@host');
  assert.ok(isFeedback(b, pli, RtcpType.payloadFeedback, PayloadFeedback.pli));
  assert.equal(rtcpMediaSsrc(b, pli), 0x11111111);
  assert.deepEqual(readFir(b, fir), [{ ssrc: 0x11111111, command: 5 }]);
  assert.deepEqual(readNack(b, nack), [65534, 65535, 3, 100]);
  assert.ok(isRemb(b, remb));
  assert.deepEqual(readRemb(b, remb), { bitrateBps: 2_500_000, ssrcs: [0x11111111, 0x33333333] });
  assert.deepEqual(readBye(b, bye), [0x22222222, 0x33333333]);
});

test('a PLI on the wire (RFC 4585 6.3.1)', () => {
  const writer = new RtcpWriter(new Uint8Array(12)).pli(0x01020304, 0x0a0b0c0d);
  assert.equal(hex(writer.bytes), '81ce0002010203040a0b0c0d');
  assert.equal(writer.pli(1, 2).length, 12);
});

test('an SDES chunk always ends in a zero', () => {
  for (let n = 0; n < 9; n++) {
    const writer = new RtcpWriter(new Uint8Array(40).fill(0xff)).sdes(1, 'x'.repeat(n));
    assert.equal(writer.length % 4, 0);
    assert.equal(writer.bytes[8 + 2 + n], 0);
    assert.equal(readCname(writer.bytes, 0), 'x'.repeat(n));
  }
});

test('rewriting maps each SSRC of a compound packet and nothing else', () => {
  const b = everything();
  const map = (ssrc: number) => (ssrc === 1 ? 1 : (ssrc ^ 0xf0000000) >>> 0);
  const before = b.slice();
  assert.ok(rewriteRtcpSsrc(b, 0, b.length, map));
  const [sr, rr, sdes, pli, fir, , remb, bye] = packets(b) as number[];
  assert.equal(rtcpSsrc(b, sr!), map(INFO.ssrc));
  assert.deepEqual(
    readReportBlocks(b, sr!).map((block) => block.ssrc),
    [map(BLOCK.ssrc), map(BLOCK.ssrc)],
  );
  assert.equal(rtcpSsrc(b, rr!), map(0x33333333));
  assert.equal(rtcpSsrc(b, sdes!), map(0x22222222));
  assert.equal(rtcpMediaSsrc(b, pli!), map(0x11111111));
  assert.equal(readFir(b, fir!)[0]!.ssrc, map(0x11111111));
  assert.equal(rtcpMediaSsrc(b, fir!), 0);
  assert.deepEqual(readRemb(b, remb!)!.ssrcs, [map(0x11111111), map(0x33333333)]);
  assert.deepEqual(readBye(b, bye!), [map(0x22222222), map(0x33333333)]);
  assert.ok(rewriteRtcpSsrc(b, 0, b.length, map));
  assert.deepEqual(b, before);
});

test('several SDES chunks and XR blocks are rewritten', () => {
  const sdes = fromHex('82ca0006 00000001 0103 616263 000000 00000002 01 02 6162 00000000')!;
  assert.ok(rewriteRtcpSsrc(sdes, 0, sdes.length, (ssrc) => ssrc + 16));
  assert.equal(hex(sdes.subarray(4, 8)), '00000011');
  assert.equal(hex(sdes.subarray(16, 20)), '00000012');
  const xr = fromHex('80cf0008 00000001  04000002 0000000000000000  05000003 00000002 0000000000000000')!;
  assert.ok(rewriteRtcpSsrc(xr, 0, xr.length, (ssrc) => ssrc + 16));
  assert.equal(hex(xr.subarray(4, 8)), '00000011');
  assert.equal(hex(xr.subarray(24, 28)), '00000012');
  assert.equal(hex(xr.subarray(12, 20)), '0000000000000000');
});

test('malformed compounds are refused and left as they are', () => {
  const good = everything();
  for (let n = 0; n < good.length; n++) {
    const whole = packets(good).includes(n) && n > 0;
    assert.equal(isRtcpCompound(good, 0, n), whole, `${n}`);
  }
  const version = good.slice();
  version[0] = 0x40;
  const copy = version.slice();
  assert.equal(
    rewriteRtcpSsrc(version, 0, version.length, () => 0),
    false,
  );
  assert.deepEqual(version, copy);
  assert.equal(isRtcpCompound(fromHex('a1c80001 00000009')!, 0, 8), false);
  assert.equal(isRtcpCompound(fromHex('a0c90001 00000000')!, 0, 8), false);
  assert.ok(isRtcpCompound(fromHex('a0c90002 00000000 00000004')!, 0, 12));
});

test('any bytes: nothing outside of the packet is touched, never thrown at', () => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.nat(31), fc.integer({ min: 192, max: 223 }), fc.array(fc.nat(255), { maxLength: 40 })), {
        minLength: 1,
        maxLength: 4,
      }),
      (parts) => {
        const out: number[] = [9, 9, 9];
        for (const [count, type, body] of parts) {
          const words = body.length >> 2;
          out.push(0x80 | count, type, words >> 8, words & 255, ...body.slice(0, words * 4));
        }
        const length = out.length - 3;
        const b = Uint8Array.from([...out, 9, 9, 9, 9, 9, 9, 9, 9]);
        assert.ok(rewriteRtcpSsrc(b, 3, length, (ssrc) => ~ssrc >>> 0));
        assert.equal(hex(b.subarray(0, 3)), '090909');
        assert.equal(hex(b.subarray(3 + length)), '0909090909090909');
        for (let at = 3; at < 3 + length; at = rtcpEnd(b, at)) {
          rtcpType(b, at);
          readSenderInfo(b, at);
          readReportBlocks(b, at);
          readCname(b, at);
          readBye(b, at);
          readNack(b, at);
          readFir(b, at);
          readRemb(b, at);
        }
      },
    ),
    { numRuns: 500 },
  );
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 60 }), (b) => {
      rewriteRtcpSsrc(b, 0, b.length, (ssrc) => ssrc);
    }),
  );
});

test('transport-wide feedback of libwebrtc, padded by two bytes, is well formed and rewritten', () => {
  const bytes = fromHex('afcd0006 00000001 0000002a 00010001 00000100 2001 00040000 0002'.replaceAll(' ', ''))!;
  assert.equal(isRtcpCompound(bytes, 0, bytes.length), true);
  assert.equal(
    rewriteRtcpSsrc(bytes, 0, bytes.length, (ssrc) => ssrc ^ 0x100),
    true,
  );
  assert.equal(rtcpMediaSsrc(bytes, 0), 0x12a);
});
