import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  findRtpExtension,
  firstRtpExtension,
  fromHex,
  hex,
  isRtcp,
  nextRtpExtension,
  PacketKind,
  packetKind,
  rtpExtensionData,
  rtpExtensionId,
  rtpExtensionLength,
  rtpHeaderLength,
  rtpMarker,
  rtpPaddingLength,
  rtpPayloadType,
  rtpSequence,
  rtpSsrc,
  rtpTimestamp,
  sequenceDistance,
  setRtpPayloadType,
  timestampDistance,
  writeRtpHeader,
} from '../index.ts';

const u32 = fc.integer({ min: 0, max: 0xffffffff });
const u16 = fc.integer({ min: 0, max: 0xffff });

test('a header is read as it was written, at any offset', () => {
  fc.assert(
    fc.property(u32, u16, u32, fc.nat(127), fc.boolean(), fc.nat(7), (ssrc, sequence, timestamp, pt, marker, at) => {
      const b = new Uint8Array(40);
      writeRtpHeader(b, at, { payloadType: pt, sequence, timestamp, ssrc, marker });
      assert.equal(rtpHeaderLength(b, at, 20), 12);
      assert.equal(rtpSsrc(b, at), ssrc);
      assert.equal(rtpSequence(b, at), sequence);
      assert.equal(rtpTimestamp(b, at), timestamp);
      assert.equal(rtpPayloadType(b, at), pt);
      assert.equal(rtpMarker(b, at), marker);
      assert.equal(rtpPaddingLength(b, at, 20, 12), 0);
      setRtpPayloadType(b, at, 8);
      assert.equal(rtpPayloadType(b, at), 8);
      assert.equal(rtpMarker(b, at), marker);
    }),
  );
});

test('CSRCs, extensions and padding count, and their truncated twins are refused', () => {
  const packet = fromHex(
    `b2 60 0001 00000002 00000003  0000000a 0000000b  bede 0002 10aa 2211 22 33 0000  70 61 79 00 0000 03`,
  )!;
  assert.equal(rtpHeaderLength(packet, 0, packet.length), 32);
  assert.equal(rtpPaddingLength(packet, 0, packet.length, 32), 3);
  for (let n = 0; n < 32; n++) assert.equal(rtpHeaderLength(packet, 0, n), -1, `${n}`);
  const one = firstRtpExtension(packet, 0, 32);
  assert.equal(rtpExtensionId(packet, 0, one), 1);
  const two = nextRtpExtension(packet, 0, 32, one);
  assert.equal(two, findRtpExtension(packet, 0, 32, 2));
  const from = rtpExtensionData(packet, 0, two);
  assert.equal(hex(packet.subarray(from, from + rtpExtensionLength(packet, 0, two))), '112233');
  assert.equal(nextRtpExtension(packet, 0, 32, two), -1);
  assert.equal(findRtpExtension(packet, 0, 32, 3), -1);
  const allPadding = packet.slice();
  allPadding[packet.length - 1] = 200;
  assert.equal(rtpPaddingLength(allPadding, 0, packet.length, 32), -1);
  allPadding[packet.length - 1] = 0;
  assert.equal(rtpPaddingLength(allPadding, 0, packet.length, 32), -1);
});

test('the two-byte form of header extensions', () => {
  const packet = fromHex('90 00 0001 00000002 00000003 1000 0002 05 00 00 14 03 aabbcc')!;
  assert.equal(rtpHeaderLength(packet, 0, packet.length), 24);
  assert.equal(rtpExtensionLength(packet, 0, findRtpExtension(packet, 0, 24, 5)), 0);
  const at = findRtpExtension(packet, 0, 24, 0x14);
  assert.equal(rtpExtensionLength(packet, 0, at), 3);
  assert.equal(packet[rtpExtensionData(packet, 0, at)], 0xaa);
  const unknownProfile = packet.slice();
  unknownProfile[12] = 0x20;
  assert.equal(firstRtpExtension(unknownProfile, 0, 24), -1);
  const overrun = packet.slice();
  overrun[20] = 9;
  assert.equal(findRtpExtension(overrun, 0, 24, 0x14), -1);
});

test('a port tells STUN, DTLS, ChannelData, RTP and RTCP apart (RFC 7983, RFC 5761)', () => {
  const kind = (first: number, second: number) => {
    const b = new Uint8Array(12);
    b.set([first, second]);
    return packetKind(b, 0, 12);
  };
  assert.equal(kind(0, 1), PacketKind.stun);
  assert.equal(kind(3, 1), PacketKind.stun);
  assert.equal(kind(4, 1), PacketKind.unknown);
  assert.equal(kind(22, 254), PacketKind.dtls);
  assert.equal(kind(0x40, 0), PacketKind.channelData);
  assert.equal(kind(0x50, 0), PacketKind.unknown);
  assert.equal(kind(0xc0, 0), PacketKind.unknown);
  for (let second = 0; second < 256; second++) {
    const rtcp = (second & 127) >= 64 && (second & 127) <= 95;
    assert.equal(isRtcp(new Uint8Array([0x80, second]), 0), rtcp);
    assert.equal(kind(0x80, second), rtcp ? PacketKind.rtcp : PacketKind.rtp, `${second}`);
  }
  assert.equal(packetKind(new Uint8Array(0), 0, 0), PacketKind.unknown);
});

test('distances wrap', () => {
  assert.equal(sequenceDistance(2, 65535), 3);
  assert.equal(sequenceDistance(65535, 2), -3);
  assert.equal(timestampDistance(10, 0xfffffff0), 26);
});

test('any bytes: no read beyond the packet, never thrown at', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 80 }), (b) => {
      if (b.length > 0) b[0] = 0x80 | (b[0]! & 0x3f);
      const header = rtpHeaderLength(b, 0, b.length);
      if (header < 0) return;
      assert.ok(header <= b.length);
      const padding = rtpPaddingLength(b, 0, b.length, header);
      assert.ok(padding <= b.length - header);
      for (let at = firstRtpExtension(b, 0, header); at >= 0; at = nextRtpExtension(b, 0, header, at)) {
        assert.ok(rtpExtensionData(b, 0, at) + rtpExtensionLength(b, 0, at) <= header);
      }
    }),
    { numRuns: 1000 },
  );
});
