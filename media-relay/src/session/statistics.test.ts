import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  isRtcpCompound,
  type NgDictionary,
  RtcpWriter,
  readReportBlocks,
  readSenderInfo,
  rtcpSsrc,
  type SenderInfo,
  seededRandom,
} from '@offhook/core';
import type { UdpEndpoint, UdpPort } from '@offhook/core/node';
import { Router, type Transport, UNLIMITED } from '../forward/index.ts';
import { rtp } from '../test-kit.ts';
import { queryCall } from './query.ts';
import { statisticsOf } from './statistics.ts';
import { Bench, golden, PLAIN, plainAnswer, WEBRTC } from './test-bench.ts';

const A = 0xa0000001;
const B = 0xb0000001;

/** Two phones of a call, the relay between them, and what it sends to each: RTP is counted, RTCP kept. */
class Scene {
  readonly bench = new Bench();
  readonly router = new Router();
  readonly sent = new Map<Transport, Uint8Array[]>();

  constructor(start: (bench: Bench) => void) {
    start(this.bench);
    for (const t of this.call().legs.flatMap((leg) => leg.transports())) {
      const kept: Uint8Array[] = [];
      this.sent.set(t, kept);
      t.rtcpPort = { send: (bytes: Uint8Array) => kept.push(bytes.slice()) > 0 } as unknown as UdpPort;
      t.rtcpRemote ??= {} as UdpEndpoint;
      t.rtcpBudget = UNLIMITED;
      t.sendBudget = UNLIMITED;
    }
  }

  call(id = 'call') {
    return this.bench.book.find(id)!;
  }

  leg(n: number): Transport {
    return this.call().legs[n]!.transports()[0]!;
  }

  rtp(n: number, options: Parameters<typeof rtp>[0], nowMs: number): void {
    this.router.nowMs = nowMs;
    const packet = rtp(options);
    assert.ok(this.router.deliver(this.leg(n), packet, 0, packet.length, false) > 0);
  }

  /** A compound of a leg's peer; what leaves for the other one. */
  rtcp(n: number, write: (w: RtcpWriter) => RtcpWriter, nowMs: number): Uint8Array {
    this.router.nowMs = nowMs;
    const { bytes, length } = write(new RtcpWriter(new Uint8Array(1500)));
    return bytes.slice(0, this.router.deliver(this.leg(n), bytes, 0, length, true));
  }

  /** Lets every report that is due leave. */
  tick(nowMs: number): void {
    for (const t of this.sent.keys()) while (t.reports!.nextTimeout() <= nowMs) this.router.report(t, nowMs);
  }
}

const phones = (bench: Bench) => {
  bench.offer('a', plainAnswer(4000), {});
  bench.answer('a', 'b', plainAnswer(5000), {});
};
const info = (ssrc: number, n: number): SenderInfo => ({
  ssrc,
  ntpSeconds: n,
  ntpFraction: 0,
  rtpTimestamp: 8 * n,
  packets: n,
  octets: n,
});

test('each leg has its own losses, jitter, round trip and score, in query, as a record and for rtpengine’s clients', () => {
  const scene = new Scene(phones);
  const random = seededRandom(4);
  for (let ms = 0; ms < 30_000; ms += 20) {
    const sequence = ms / 20;
    if (sequence % 20 !== 7) scene.rtp(0, { ssrc: A, sequence }, ms); // 5 % of a's packets are lost before us
    scene.rtp(1, { ssrc: B, sequence }, ms + Math.floor(random.next() * 10));
    if (ms % 5000 === 0) {
      const report = scene.rtcp(0, (w) => w.senderReport(info(A, 1000 + ms)).sdes(A, 'a'), ms);
      assert.deepEqual(readSenderInfo(report, 0), info(A, 1000 + ms));
      // b reports 60 ms later, having kept it for 20: loses 10 % of what we send, with a jitter of 4 ms.
      const block = { ssrc: A, fractionLost: 26, packetsLost: ms / 500, highestSequence: sequence, jitter: 32 };
      const heard = { ...block, lastSr: ((1000 + ms) << 16) >>> 0, delaySinceLastSr: 1311 };
      assert.equal(scene.rtcp(1, (w) => w.receiverReport(B, [heard]).sdes(B, 'b'), ms + 60).length, 0);
    }
    scene.tick(ms);
  }
  const [a, b] = statisticsOf(scene.call(), 30_000);
  assert.deepEqual([a!.tag, b!.tag, a!.roundTripMs, Math.round(b!.roundTripMs!)], ['a', 'b', undefined, 40]);
  const received = a!.media[0]!.received!;
  assert.deepEqual([received.ssrc, received.codec, received.burstLength, received.jitterMs], [A, 'PCMU', 1, 0]);
  assert.ok(Math.abs(received.lossPercent - 5) < 0.5, `${received.lossPercent}`);
  assert.ok(Math.abs(received.mos! - 3.9) < 0.1, `${received.mos}`);
  assert.equal(received.model, 'G.107');
  const { sent } = b!.media[0]!;
  assert.deepEqual([sent!.ssrc, sent!.codec, sent!.jitterMs, Math.round(sent!.lossPercent)], [A, 'PCMU', 4, 10]);
  assert.ok(sent!.mos! > 3.2 && sent!.mos! < 3.4, `${sent!.mos}`);
  assert.ok(b!.media[0]!.received!.mos! > 4.3 && b!.media[0]!.received!.jitterMs > 1);

  const query = queryCall(scene.call(), 30_000, 1_800_000_000_000);
  const sources = query.SSRC as Record<string, NgDictionary>;
  assert.deepEqual(Object.keys(sources).sort(), [String(A), String(B)]);
  const source = sources[String(A)]!;
  const average = source['average MOS'] as NgDictionary;
  assert.deepEqual([average.MOS, average['packet loss'], average.jitter], [39, 5, 0]);
  assert.equal(source['cumulative loss'], 75);
  const lowest = source['lowest MOS'] as NgDictionary;
  assert.ok((lowest['reported at'] as number) > 1_799_999_965 && (lowest['reported at'] as number) <= 1_800_000_000);
  const tags = query.tags as Record<string, NgDictionary>;
  const media = (tags.b!.medias as NgDictionary[])[0]!;
  assert.equal((media.quality as NgDictionary)['rtt ms'], 40);
  assert.equal(((media.streams as NgDictionary[])[0] as NgDictionary).SSRC, B);
  scene.bench.end();
});

test('our own reports go to each peer that sends, and to nobody else', () => {
  const scene = new Scene(phones);
  for (let ms = 20; ms < 10_000; ms += 20) {
    scene.rtp(0, { ssrc: A, sequence: ms / 20 }, ms);
    scene.tick(ms);
  }
  const toA = scene.sent.get(scene.leg(0))!;
  assert.ok(toA.length >= 1 && toA.length <= 4, `${toA.length}`);
  for (const report of toA) {
    assert.ok(isRtcpCompound(report, 0, report.length));
    assert.deepEqual([readReportBlocks(report, 0)[0]!.ssrc, rtcpSsrc(report, 0)], [A, scene.leg(0).reports!.ssrc]);
  }
  assert.equal(scene.sent.get(scene.leg(1))!.length, 0);
  const count = toA.length;
  assert.deepEqual([scene.router.reports, scene.leg(0).rtcpOut], [count, count]);
  scene.leg(0).rtcpBudget = 40;
  for (let ms = 10_000; ms < 20_000; ms += 20) {
    scene.rtp(0, { ssrc: A, sequence: ms / 20 }, ms);
    scene.tick(ms);
  }
  assert.equal(scene.router.reports, count, 'nothing to an address that nobody has answered from');
  scene.bench.end();
});

test('behind a splice the reports of the new source speak of the stream that the phone knows', () => {
  const scene = new Scene(phones);
  for (let n = 1; n <= 5; n++) scene.rtp(0, { ssrc: A, sequence: n, timestamp: 160 * n }, 20 * n);
  scene.leg(1).splice!.arm();
  for (let n = 900; n <= 905; n++) scene.rtp(0, { ssrc: 77, sequence: n, timestamp: 160 * n }, 20 * n);
  const report = scene.rtcp(
    0,
    (w) => w.senderReport({ ...info(77, 9), rtpTimestamp: 160 * 905 }).sdes(77, 'new'),
    20_000,
  );
  const got = readSenderInfo(report, 0)!;
  assert.deepEqual([got.ssrc, got.rtpTimestamp, rtcpSsrc(report, 28)], [A, 160 * 11, A]);
  const block = { ssrc: A, fractionLost: 128, packetsLost: 3, highestSequence: 11, jitter: 8 };
  scene.rtcp(1, (w) => w.receiverReport(B, [{ ...block, lastSr: 9 << 16, delaySinceLastSr: 0 }]), 20_050);
  const [, b] = statisticsOf(scene.call(), 20_100);
  assert.deepEqual([b!.roundTripMs, b!.media[0]!.sent!.lossPercent], [50, 50]);
  scene.bench.end();
});

test('an echo reports nothing of its own, but is measured; an opaque call has no reports at all', () => {
  const echo = new Scene((bench) => bench.echo(plainAnswer(4000)));
  const mask = echo.leg(0).ssrcMask;
  for (let ms = 20; ms < 10_000; ms += 20) {
    echo.rtp(0, { ssrc: A, sequence: ms / 20 }, ms);
    echo.tick(ms);
  }
  const back = echo.rtcp(0, (w) => w.senderReport(info(A, 7), []).sdes(A, 'a'), 10_000);
  assert.equal(rtcpSsrc(back, 0), (A ^ mask) >>> 0);
  const block = { ssrc: (A ^ mask) >>> 0, fractionLost: 64, packetsLost: 1, highestSequence: 9, jitter: 8 };
  const reported = { ...block, lastSr: 7 << 16, delaySinceLastSr: 0 };
  const answer = echo.rtcp(0, (w) => w.receiverReport(A, [reported]), 10_030);
  assert.deepEqual(readReportBlocks(answer, 0)[0], { ...reported, ssrc: A });
  const [leg] = statisticsOf(echo.call(), 10_100);
  assert.deepEqual([echo.router.reports, leg!.roundTripMs, leg!.media[0]!.sent!.lossPercent], [0, 30, 25]);
  assert.ok(leg!.media[0]!.received!.mos! > 4.3);
  echo.bench.end();

  const bench = new Bench();
  bench.offer('a', golden('chromium-audio-offer'), { ...WEBRTC, opaque: true });
  assert.equal(bench.book.find('call')!.legs[0]!.transports()[0]!.reports, undefined);
  assert.deepEqual(statisticsOf(bench.book.find('call')!, 0)[0]!.media, [{ index: 0, type: 'audio' }]);
  bench.end();
  bench.offer('a', golden('chromium-audio-offer'), PLAIN);
  const transports = bench.book.find('call')!.legs.map((leg) => leg.transports()[0]!);
  assert.ok(transports.every((t) => t.reports !== undefined));
  bench.end();
  assert.ok(
    transports.every((t) => t.reports === undefined),
    'no timer outlives its transport',
  );
});
