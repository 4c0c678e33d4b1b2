import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RtcpWriter, readRemb, readTransportCc, TransportCcReport, writeTransportCc } from '@offhook/core';
import fc from 'fast-check';
import {
  PacketChunk,
  PacketStatus,
  ReceiverEstimatedMaxBitrate,
  RecvDelta,
  RtcpHeader,
  RunLengthChunk,
  StatusVectorChunk,
  TransportWideCC,
} from 'werift';

/** Gaps between arrivals in quarters of a millisecond, or lost. */
const packets = fc.array(
  fc.oneof({ weight: 3, arbitrary: fc.nat(255) }, { weight: 1, arbitrary: fc.constant('lost') }),
  {
    minLength: 1,
    maxLength: 100,
  },
);

test('feedback that we write is read by werift, packet by packet', () => {
  fc.assert(
    fc.property(packets, fc.nat(0xfffe), (gaps, baseSequence) => {
      let ms = 64_000;
      const times = gaps.map((gap) => {
        if (gap === 'lost') return Number.NaN;
        ms += (gap as number) / 4;
        return ms;
      });
      while (Number.isNaN(times.at(-1))) times.pop();
      const bytes = new Uint8Array(1200);
      const { length, count } = writeTransportCc(bytes, 0, {
        ...{ sender: 1, media: 2, baseSequence, feedbackCount: 3, first: 0, mask: 0xffff, count: times.length },
        arrivalMs: Float64Array.from(times),
      });
      assert.equal(count, times.length);
      if (count === 0) return;
      const data = Buffer.from(bytes.subarray(0, length));
      const read = TransportWideCC.deSerialize(data.subarray(4), RtcpHeader.deSerialize(data));
      assert.deepEqual(
        [read.senderSsrc, read.mediaSourceSsrc, read.baseSequenceNumber, read.packetStatusCount, read.fbPktCount],
        [1, 2, baseSequence, count, 3],
      );
      const received = times.filter((at) => !Number.isNaN(at));
      let at = read.referenceTime * 64;
      const theirs = read.recvDeltas.map(({ delta }) => {
        at += delta / 1000;
        return at;
      });
      assert.deepEqual(theirs, received);
    }),
  );
});

test('feedback that werift writes is read by us', () => {
  const chunks = fc.array(
    fc.oneof(
      fc.record({ run: fc.integer({ min: 1, max: 300 }), status: fc.nat(2) }),
      fc.record({ symbols: fc.array(fc.nat(2), { minLength: 7, maxLength: 7 }) }),
    ),
    { minLength: 1, maxLength: 12 },
  );
  const report = new TransportCcReport();
  fc.assert(
    fc.property(chunks, (parts) => {
      const statuses = parts.flatMap((part) =>
        'run' in part ? Array.from({ length: part.run }, () => part.status) : part.symbols,
      );
      const ticks = statuses.map((status, i) => {
        if (status === PacketStatus.TypeTCCPacketNotReceived) return Number.NaN;
        return status === PacketStatus.TypeTCCPacketReceivedSmallDelta ? i % 256 : i % 2 === 0 ? 700 : -600;
      });
      const recvDeltas = statuses.flatMap((type, i) =>
        Number.isNaN(ticks[i]) ? [] : [new RecvDelta({ type, delta: ticks[i]! * 250 })],
      );
      const written = new TransportWideCC({
        ...{ senderSsrc: 1, mediaSourceSsrc: 2, baseSequenceNumber: 65_000, packetStatusCount: statuses.length },
        ...{ referenceTime: 17, fbPktCount: 9, recvDeltas },
        packetChunks: parts.map((part) =>
          'run' in part
            ? new RunLengthChunk({ packetStatus: part.status, runLength: part.run })
            : new StatusVectorChunk({
                type: PacketChunk.TypeTCCStatusVectorChunk,
                symbolSize: 1,
                symbolList: part.symbols,
              }),
        ),
      }).serialize();
      // It leaves padding and length to whoever makes the header.
      const packet = new Uint8Array((written.length + 3) & ~3);
      packet.set(written);
      packet.set([(packet.length / 4 - 1) >> 8, packet.length / 4 - 1], 2);
      assert.ok(readTransportCc(packet, 0, report));
      assert.deepEqual([report.baseSequence, report.count, report.reference], [65_000, statuses.length, 17]);
      let ms = 0;
      const expected = ticks.map((delta) => {
        if (Number.isNaN(delta)) return delta;
        ms += delta / 4;
        return ms;
      });
      assert.deepEqual([...report.arrivalMs.subarray(0, report.count)], expected);
    }),
  );
});

test('REMB passes both ways', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 2 ** 31 }),
      fc.array(fc.nat(0xffffffff), { minLength: 1, maxLength: 5 }),
      (bps, ssrcs) => {
        const writer = new RtcpWriter(new Uint8Array(60)).remb(1, bps, ssrcs);
        const theirs = ReceiverEstimatedMaxBitrate.deSerialize(Buffer.from(writer.bytes.subarray(4, writer.length)));
        const ours = readRemb(writer.bytes, 0)!;
        assert.deepEqual([Number(theirs.bitrate), theirs.ssrcFeedbacks], [ours.bitrateBps, ssrcs]);
      },
    ),
  );
});
