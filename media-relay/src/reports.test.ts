import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  type NgDictionary,
  type ReportBlock,
  RtcpType,
  RtcpWriter,
  readCname,
  readReportBlocks,
  readSenderInfo,
  rtcpEnd,
  rtcpType,
} from '@offhook/core';
import { monotonicMs } from '@offhook/core/node';
import { mediaAt, Peer, plainSdp, rtp, WebRtcPeer } from './test-kit.ts';
import { PLAIN, TestRelay, WEBRTC } from './test-relay.ts';

/** The packets of a compound. */
function packetsOf(bytes: Uint8Array): number[] {
  const packets: number[] = [];
  for (let at = 0; at < bytes.length; at = rtcpEnd(bytes, at)) packets.push(at);
  return packets;
}

test('over real sockets: a browser hears of its losses from the relay, under SRTCP, and query tells the round trip and the score', async (t) => {
  const relay = await TestRelay.start();
  const { ng } = relay;
  const a = await WebRtcPeer.open(relay.certificate);
  const b = await Peer.open();
  const bRtcp = await Peer.open();
  t.after(async () => {
    await Promise.all([a.close(), b.close(), bRtcp.close()]);
    await relay.stop();
  });
  const call = { 'call-id': 'r1', 'from-tag': 'a' };
  const toB = await ng.sdp({ command: 'offer', ...call, sdp: a.sdp('actpass'), ...PLAIN });
  const answer = plainSdp(b, [`a=rtcp:${bRtcp.at.port}`]);
  await a.join(await ng.sdp({ command: 'answer', ...call, 'to-tag': 'b', sdp: answer, ...WEBRTC }));
  const at = mediaAt(toB);

  /** The next SRTCP compound for the browser; media is skipped. */
  const nextRtcp = async (): Promise<Uint8Array> => {
    for (;;) {
      const bytes = Uint8Array.from((await a.peer.nextIn(128, 191, 20_000)) ?? assert.fail('no RTCP came'));
      if ((bytes[1]! & 0x60) !== 0x40) continue;
      const length = a.rx!.unprotectRtcp(bytes, 0, bytes.length);
      assert.ok(length > 0);
      return bytes.slice(0, length);
    }
  };
  for (let sequence = 1; sequence <= 41; sequence++) {
    if (sequence % 10 !== 5) a.sendRtp(rtp({ ssrc: 11, sequence, timestamp: 0 }));
    b.send(rtp({ ssrc: 22, sequence, timestamp: 0 }), at);
  }
  let block: ReportBlock;
  do {
    const own = await nextRtcp(); // one that came in the midst of the packets is followed by another
    const packets = packetsOf(own);
    assert.deepEqual(
      packets.map((p) => rtcpType(own, p)),
      [RtcpType.receiverReport, RtcpType.sdes],
    );
    assert.equal(readCname(own, packets[1]!)?.length, 16);
    block = readReportBlocks(own, 0)[0]!;
  } while (block.highestSequence < 41);
  assert.deepEqual([block.ssrc, block.packetsLost, block.highestSequence], [11, 4, 41]);

  const info = { ssrc: 22, ntpSeconds: 5, ntpFraction: 0, rtpTimestamp: 1, packets: 41, octets: 41 * 160 };
  const report = new RtcpWriter(new Uint8Array(200)).senderReport(info).sdes(22, 'phone');
  bRtcp.send(report.bytes.subarray(0, report.length), { address: at.address, port: at.port + 1 });
  const passed = await nextRtcp();
  assert.deepEqual(readSenderInfo(passed, 0), info);
  assert.equal(readCname(passed, packetsOf(passed)[1]!), 'phone');
  const askedMs = monotonicMs();
  const heard = { ssrc: 22, fractionLost: 0, packetsLost: 0, highestSequence: 41, jitter: 0, lastSr: 5 << 16 };
  const reply = new RtcpWriter(new Uint8Array(200)).receiverReport(11, [{ ...heard, delaySinceLastSr: 0 }]);
  const length = a.tx!.protectRtcp(reply.bytes, 0, reply.length);
  a.peer.send(reply.bytes.slice(0, length), a.remote.at);

  let quality: NgDictionary = {};
  let answered: NgDictionary = {};
  while (quality['rtt ms'] === undefined) {
    answered = await ng.call({ command: 'query', 'call-id': 'r1' }, 'json');
    const tags = answered.tags as Record<string, NgDictionary>;
    quality = (tags.a!.medias as NgDictionary[])[0]!.quality as NgDictionary;
  }
  const rttMs = quality['rtt ms'] as number;
  assert.ok(rttMs >= 0 && rttMs <= monotonicMs() - askedMs + 50, `${rttMs}`);
  const received = quality.received as NgDictionary;
  assert.deepEqual([received.SSRC, received.codec, received['E-model']], [11, 'PCMU', 'G.107']);
  const source = (answered.SSRC as Record<string, NgDictionary>)['11']!;
  assert.deepEqual([source.packets, source['cumulative loss']], [36, 4]);
  assert.ok((source['average MOS'] as NgDictionary).MOS !== undefined);
  assert.ok(relay.metrics().offhook_media_rtcp_reports_total! >= 1);
  const ended = await ng.call({ command: 'delete', 'call-id': 'r1' });
  assert.deepEqual(Object.keys(ended.SSRC as NgDictionary).sort(), ['11', '22']);
});
