import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  copyAsRtx,
  isRtcpCompound,
  RtcpType,
  RtcpWriter,
  readSenderInfo,
  rtcpCount,
  rtcpEnd,
  rtcpSsrc,
  rtcpType,
  rtpSequence,
  rtpSsrc,
  rtpTimestamp,
  writeNack,
  writeRtpHeader,
} from '@offhook/core';
import { VideoRepair } from '../recovery/index.ts';
import { followLayerReports, PictureKind, readLayerReports, Simulcast } from './index.ts';
import type { SimulcastEnds } from './simulcast.ts';

const ONE = 0x0ffff;
const RIDS = ['l', 'm', 'h'];
/** Sources of the layers, and of their retransmissions; bytes of a frame, at 20 a second: 80, 320 and 960 kb/s. */
const SOURCES = [0xa1, 0x900000a2, 0xa3];
const RTX = [0xb1, 0xb2, 0xb3];
const BYTES = [500, 2000, 6000];
const FRAME_MS = 50;
const EXTENSIONS = { rid: 10, repairedRid: 11, mid: 9 };
/** Payload types: VP8 and its RTX, and what a sender may go on with. */
const [VP8, VP8_RTX, H264, VP9, AV1, UNKNOWN] = [96, 97, 98, 99, 100, 101] as const;

function settings(rids: readonly string[] = RIDS, onSource: (ssrc: number) => void = () => {}) {
  const [kinds, originals] = [new Uint8Array(128), new Uint8Array(128)];
  kinds[VP8] = PictureKind.vp8;
  kinds[VP8_RTX] = PictureKind.rtx;
  kinds[H264] = PictureKind.h264;
  kinds[VP9] = PictureKind.vp9;
  kinds[AV1] = PictureKind.av1;
  kinds[UNKNOWN] = PictureKind.other;
  originals[VP8_RTX] = VP8;
  return { rids, mid: '1', extensions: EXTENSIONS, kinds, originals, onSource };
}

interface Fields {
  readonly ssrc: number;
  readonly sequence: number;
  readonly timestamp?: number;
  readonly rid?: string;
  readonly mid?: string;
  readonly id?: number;
  readonly isKey?: boolean;
  readonly temporal?: number;
  readonly length?: number;
  readonly payloadType?: number;
}

function packet(fields: Fields): Uint8Array {
  const { ssrc, sequence, timestamp = 0, rid, mid, id = EXTENSIONS.rid, isKey = false, temporal = 0 } = fields;
  const elements: number[] = [];
  const add = (number: number, words: string) =>
    elements.push((number << 4) | (words.length - 1), ...Buffer.from(words));
  if (mid !== undefined) add(EXTENSIONS.mid, mid);
  if (rid !== undefined) add(id, rid);
  while (elements.length % 4 !== 0) elements.push(0);
  const extension = elements.length > 0 ? [0xbe, 0xde, 0, elements.length / 4, ...elements] : [];
  const bytes = new Uint8Array(12 + extension.length + (fields.length ?? 100));
  const { payloadType = VP8 } = fields;
  writeRtpHeader(bytes, 0, { payloadType, sequence, timestamp, ssrc, marker: true });
  if (extension.length > 0) bytes[0]! |= 0x10;
  bytes.set(extension, 12);
  const heads: Record<number, number[]> = {
    [H264]: [isKey ? 0x67 : 0x41],
    [VP9]: [isKey ? 0x88 : 0xc8, 0x11],
    [AV1]: [isKey ? 0x18 : 0x10],
    [UNKNOWN]: [0, 0],
  };
  const vp8 = [0x90, 0xe0, 0x80, sequence, sequence, temporal << 6, isKey ? 0 : 1];
  bytes.set((heads[payloadType] ?? vp8).slice(0, fields.length), 12 + extension.length);
  return bytes;
}

/** A sender of three layers with clocks of their own, and a receiver whose line takes `bps`. */
class Scene {
  readonly repair = new VideoRepair();
  readonly simulcast = new Simulcast(ONE);
  bps: number | undefined = undefined;
  nowMs = 0;
  toldBps = 0;
  readonly ends: SimulcastEnds = {
    downlink: { downlinkBps: () => this.bps },
    requests: { handleRate: (bps) => (this.toldBps = bps) },
    repair: this.repair,
    farRepair: undefined,
  };
  /** So much longer than others a layer's packets are on their way. */
  readonly lateMs = [0, 0, 0];
  /** The sender makes no key frames. */
  isDeaf = false;
  /** Layers that are sent, and of how many temporal layers each. */
  sends = [true, true, true];
  temporals = 1;
  payloadType: number = VP8;
  /** What was asked of whom, and what the receiver got: time, layer by its length, sequence number, timestamp. */
  readonly asked: [number, number][] = [];
  readonly got: { atMs: number; layer: number; sequence: number; timestamp: number }[] = [];
  readonly #sequence = [65_000, 100, 30_000];
  /** Whether a key frame was asked for: it comes with the next frame. */
  readonly #owesKey = [true, true, true];

  constructor(rids: readonly string[] = RIDS) {
    this.repair.configure({
      payloadTypes: [96],
      nack: true,
      keyFrames: { pli: true, fir: false, info: false },
      inward: this.simulcast.inward,
    });
    this.simulcast.configure(settings(rids));
    this.simulcast.connect(this.ends);
  }

  /** The layer's clock: it began somewhere, and runs with its sender's. */
  timestampOf(layer: number, atMs = this.nowMs): number {
    return (0x7fffff00 + layer * 0x30000000 + atMs * 90) >>> 0;
  }

  run(seconds: number): this {
    for (const untilMs = this.nowMs + seconds * 1000; this.nowMs < untilMs; this.nowMs += FRAME_MS) {
      for (const layer of [0, 1, 2]) if (this.sends[layer]) this.#frame(layer);
      this.#hear();
    }
    return this;
  }

  get layer(): string | undefined {
    return this.simulcast.current;
  }

  #frame(layer: number): void {
    const isKey = this.#owesKey[layer]! && !this.isDeaf;
    this.#owesKey[layer] = false;
    this.#sequence[layer] = (this.#sequence[layer]! + 1) & 0xffff;
    const [ssrc, sequence, timestamp] = [
      SOURCES[layer]!,
      this.#sequence[layer]!,
      this.timestampOf(layer, this.nowMs - this.lateMs[layer]!),
    ];
    const temporal = isKey ? 0 : sequence % this.temporals;
    const bytes = packet({
      ssrc,
      sequence,
      timestamp,
      rid: RIDS[layer]!,
      mid: '1',
      isKey,
      temporal,
      length: BYTES[layer]!,
      payloadType: this.payloadType,
    });
    const length = this.simulcast.received(bytes, 0, bytes.length, this.nowMs);
    if (length === 0) return;
    assert.deepEqual([length, rtpSsrc(bytes, 0)], [bytes.length, ONE]);
    this.got.push({ atMs: this.nowMs, layer, sequence: rtpSequence(bytes, 0), timestamp: rtpTimestamp(bytes, 0) });
  }

  #hear(): void {
    if (!this.repair.isDue(this.nowMs)) return;
    const bytes = new Uint8Array(500);
    const length = this.repair.write(bytes, 1, { nowMs: this.nowMs, rttMs: 20 });
    for (let at = 0; at < length; at = rtcpEnd(bytes, at)) {
      if (rtcpType(bytes, at) !== RtcpType.payloadFeedback) continue;
      const ssrc = ((bytes[at + 8]! << 24) | (bytes[at + 9]! << 16) | (bytes[at + 10]! << 8) | bytes[at + 11]!) >>> 0;
      this.asked.push([this.nowMs, ssrc]);
      this.#owesKey[SOURCES.indexOf(ssrc)] = true;
    }
  }
}

test('the first layer goes on at once, then what the line takes, and the sender hears nothing of it but that it may send', () => {
  const scene = new Scene().run(0.3);
  assert.deepEqual([scene.layer, scene.asked], ['l', []], 'its first frame is a key frame');
  scene.run(3);
  assert.equal(scene.layer, 'l', 'the receiver has said nothing');
  scene.bps = 500_000;
  scene.run(0.5);
  assert.equal(scene.layer, 'm');
  assert.deepEqual(
    scene.asked.map(([, ssrc]) => ssrc),
    [SOURCES[1]],
  );
  scene.bps = 2_000_000;
  scene.run(0.5);
  assert.equal(scene.layer, 'h');
  scene.bps = 200_000;
  scene.run(0.3);
  assert.equal(scene.layer, 'l');
  scene.bps = 2_000_000;
  scene.run(7);
  assert.equal(scene.layer, 'l', 'not up again so soon');
  scene.run(4);
  assert.equal(scene.layer, 'h');
  assert.ok(scene.toldBps > 5e6);
  assert.deepEqual(
    scene.got.map(({ sequence }, i) => (sequence - scene.got[0]!.sequence - i) & 0xffff),
    scene.got.map(() => 0),
  );
  assert.deepEqual(
    scene.asked.map(([, ssrc]) => ssrc),
    [SOURCES[1], SOURCES[2], SOURCES[0], SOURCES[2]],
  );
});

test("a switch waits for a key frame, which is asked for once a second; the receiver's wishes go to the layer that it gets", () => {
  const scene = new Scene().run(3);
  scene.isDeaf = true;
  scene.bps = 500_000;
  scene.run(2.5);
  assert.equal(scene.layer, 'l');
  assert.deepEqual(
    scene.asked,
    [3000, 4000, 5000].map((atMs) => [atMs, SOURCES[1]]),
  );
  scene.repair.handleKeyFrameWish(ONE, scene.nowMs);
  scene.run(0.1);
  assert.deepEqual(scene.asked.at(-1), [5500, SOURCES[0]]);
  scene.isDeaf = false;
  scene.run(1);
  assert.equal(scene.layer, 'm');
  scene.repair.handleKeyFrameWish(ONE, scene.nowMs);
  scene.run(1);
  assert.deepEqual(
    scene.asked.slice(4).map(([, ssrc]) => ssrc),
    [SOURCES[1], SOURCES[1]],
  );
});

for (const [name, payloadType] of Object.entries({ H264, VP9, AV1 })) {
  test(`a sender that goes on in ${name} is switched between at key frames, and hears the receiver's wishes`, () => {
    const scene = new Scene().run(3);
    scene.payloadType = payloadType;
    scene.isDeaf = true;
    scene.bps = 500_000;
    scene.run(2.5);
    const wishes = [3000, 4000, 5000].map((atMs) => [atMs, SOURCES[1]]);
    assert.deepEqual([scene.layer, scene.asked], ['l', wishes]);
    scene.repair.handleKeyFrameWish(ONE, scene.nowMs);
    scene.run(0.1);
    assert.deepEqual(scene.asked.at(-1), [5500, SOURCES[0]]);
    scene.isDeaf = false;
    scene.run(1);
    assert.equal(scene.layer, 'm');
  });
}

test("who lost H.264's parameter sets wishes for a key frame, and only who lost those", () => {
  const scene = new Scene();
  scene.payloadType = H264;
  const far = new VideoRepair();
  far.configure({ payloadTypes: [H264], nack: true, keyFrames: { pli: true, fir: false, info: false } });
  far.aim(scene.repair, scene.simulcast.inward);
  scene.simulcast.connect({ ...scene.ends, farRepair: far });
  scene.run(3);
  const sent = packet({ ssrc: ONE, sequence: 1, payloadType: H264 });
  far.sent(sent, 0, sent.length, scene.nowMs);
  const lacks = (...sequences: number[]) => {
    const nack = new Uint8Array(100);
    writeNack(nack, 0, { sender: 9, media: ONE, sequences: Uint16Array.from(sequences), count: sequences.length });
    assert.ok(!far.handleFeedback(nack, 0, scene.nowMs));
    scene.run(0.1);
    return scene.asked.splice(0).map(([, ssrc]) => ssrc);
  };
  const { sequence } = scene.got[0]!;
  assert.deepEqual(lacks(sequence + 1, sequence + 2), []);
  assert.deepEqual(lacks(sequence, sequence + 1), [SOURCES[0]]);
  assert.deepEqual(lacks(sequence), [], 'once');
});

test('of a codec that nobody looks into the layer wanted begins with its next picture, and a key frame is asked for', () => {
  const scene = new Scene().run(3);
  scene.payloadType = UNKNOWN;
  scene.run(1);
  scene.repair.handleKeyFrameWish(ONE, scene.nowMs);
  scene.run(0.1);
  assert.deepEqual(scene.asked, [[4000, SOURCES[0]]], 'a packet is no answer to a wish');
  scene.bps = 500_000;
  scene.run(3);
  assert.deepEqual([scene.layer, scene.asked.slice(1)], ['m', [[4100, SOURCES[1]]]]);
});

test('no layer of a codec that nobody looks into begins in the middle of a picture', () => {
  const scene = new Scene().run(3);
  scene.bps = 500_000;
  let sequence = 40_000;
  const send = (timestamp: number, length = 100) => {
    const source = { ssrc: SOURCES[1]!, payloadType: UNKNOWN, length };
    const bytes = packet({ ...source, sequence: sequence++, timestamp });
    return scene.simulcast.received(bytes, 0, bytes.length, scene.nowMs) > 0;
  };
  const last = scene.timestampOf(1, scene.nowMs - FRAME_MS);
  scene.nowMs += 100;
  assert.equal(send(last), false, 'the rest of the picture at hand, which makes it wanted');
  assert.deepEqual([send(last), send(last + 10, 0), scene.layer], [false, false, 'l'], 'padding is no picture');
  assert.deepEqual([send(last + 9000), send(last + 9000), scene.layer], [true, true, 'm']);
});

test('a layer that its sender stops is left within two seconds, and nothing goes on where not even the least fits', () => {
  const scene = new Scene().run(2);
  scene.bps = 2_000_000;
  scene.run(3);
  assert.equal(scene.layer, 'h');
  scene.sends[2] = false;
  scene.run(2);
  assert.equal(scene.layer, 'm');
  scene.bps = 40_000;
  scene.run(0.5);
  const { length } = scene.got;
  scene.run(2);
  assert.deepEqual([scene.layer, scene.got.length], [undefined, length]);
  scene.bps = 120_000;
  scene.run(1);
  assert.equal(scene.layer, 'l', 'a picture needs no patience where there is none');
});

test('a layer that its sender had stopped is gone up to as soon as it has been active: that says nothing of the line', () => {
  const scene = new Scene().run(2);
  scene.bps = 2_000_000;
  scene.run(3);
  assert.equal(scene.layer, 'h');
  scene.sends[2] = false;
  scene.run(3);
  assert.equal(scene.layer, 'm');
  scene.sends[2] = true;
  scene.run(3);
  assert.equal(scene.layer, 'h');
});

test('layers that stay through another agreement go on without a gap, and their sources are told again', () => {
  const scene = new Scene().run(2);
  scene.bps = 2_000_000;
  scene.run(3);
  const told: number[] = [];
  scene.simulcast.configure(settings(['m', 'h'], (ssrc) => told.push(ssrc)));
  assert.deepEqual(told, SOURCES.slice(1));
  const { length } = scene.got;
  scene.run(1);
  assert.deepEqual([scene.layer, scene.got.length - length], ['h', 1000 / FRAME_MS]);
  scene.simulcast.configure(settings([]));
  scene.sends = [false, false, true];
  scene.run(1);
  assert.ok(scene.got.length - length >= (2000 - 200) / FRAME_MS, 'one stream waits for its key frame alone');
});

test('one stream is sent what it is told by others, and goes on whatever the line takes', () => {
  const scene = new Scene([]);
  scene.sends = [false, true, false];
  scene.run(2);
  scene.bps = 20_000;
  scene.run(3);
  assert.deepEqual([scene.got.length, scene.toldBps], [5000 / FRAME_MS, 0]);
});

test('a layer whose sender gives up its temporal layers goes on with what is left', () => {
  const scene = new Scene();
  scene.temporals = 3;
  scene.bps = 100_000;
  scene.run(3);
  scene.bps = 30_000;
  scene.run(1);
  assert.equal(scene.layer, 'l');
  scene.bps = 100_000;
  scene.temporals = 1;
  for (let second = 0; second < 10; second++) {
    const before = scene.got.length;
    scene.run(1);
    assert.ok(scene.got.length > before, `nothing in second ${second}`);
  }
});

test('rids come in any order: their rates say which is the least', () => {
  const scene = new Scene(['h', 'l', 'm']).run(4);
  scene.bps = 500_000;
  scene.run(4);
  assert.equal(scene.layer, 'm');
  scene.bps = 100_000;
  scene.run(0.5);
  assert.equal(scene.layer, 'l');
  scene.bps = 2_000_000;
  scene.run(10);
  assert.equal(scene.layer, 'h');
});

test('a receiver without any feedback gets what a single stream would be', () => {
  const scene = new Scene().run(9);
  assert.equal(scene.layer, 'l');
  scene.run(3);
  assert.equal(scene.layer, 'h');
});

/** A sender report of each layer as of now, with a description of its source. */
function reports(scene: Scene, layers: readonly number[]): { bytes: Uint8Array; length: number } {
  const writer = new RtcpWriter(new Uint8Array(1000));
  for (const layer of layers) {
    const ntp = 3_900_000_000_000 + scene.nowMs;
    const info = { ntpSeconds: Math.floor(ntp / 1000), ntpFraction: Math.floor(((ntp % 1000) / 1000) * 2 ** 32) };
    const rtpTimestampNow = scene.timestampOf(layer);
    writer.senderReport({ ssrc: SOURCES[layer]!, ...info, rtpTimestamp: rtpTimestampNow, packets: 7, octets: 7 }, []);
    writer.sdes(SOURCES[layer]!, 'me');
  }
  return { bytes: writer.bytes, length: writer.length };
}

test("sender reports bring the layers' clocks together, and become reports of the one stream", () => {
  const scene = new Scene();
  scene.lateMs[0] = 40;
  scene.run(3);
  const { bytes, length } = reports(scene, [0, 1, 2]);
  readLayerReports(scene.simulcast, bytes, 0, length);
  const first = followLayerReports(scene.simulcast, bytes, 0, length);
  assert.ok(isRtcpCompound(bytes, 0, first));
  const types: number[] = [];
  for (let at = 0; at < first; at = rtcpEnd(bytes, at)) {
    types.push(rtcpType(bytes, at));
    assert.equal(rtcpSsrc(bytes, at), ONE);
  }
  const { senderReport, sdes, receiverReport } = RtcpType;
  assert.deepEqual(types, [senderReport, sdes, receiverReport, sdes, receiverReport, sdes]);
  const { packets, octets, rtpTimestamp: shown } = readSenderInfo(bytes, 0)!;
  assert.deepEqual([packets, octets, shown], [60, 60 * BYTES[0]!, scene.timestampOf(0)]);
  // The other layer's report comes later, and its packets are quicker: what counts is when the picture was taken.
  scene.run(0.7);
  const another = reports(scene, [2]);
  readLayerReports(scene.simulcast, another.bytes, 0, another.length);
  scene.bps = 2_000_000;
  scene.run(4);
  assert.equal(scene.layer, 'h');
  for (const { atMs, layer, timestamp } of scene.got) {
    const wrong = (timestamp - scene.timestampOf(0, atMs - scene.lateMs[layer]!)) | 0;
    assert.ok(Math.abs(wrong) <= 2, `${atMs} ms: ${wrong} ticks`);
  }
  const later = reports(scene, [2]);
  followLayerReports(scene.simulcast, later.bytes, 0, later.length);
  const drift = (readSenderInfo(later.bytes, 0)!.rtpTimestamp - scene.timestampOf(0)) | 0;
  assert.ok(Math.abs(drift) <= 2, `${drift} ticks`);
});

test('what of RTCP is about other layers alone goes nowhere; report blocks and feedback stay', () => {
  const scene = new Scene().run(1);
  const others = reports(scene, [1, 2]);
  assert.equal(followLayerReports(scene.simulcast, others.bytes, 0, others.length), 0);
  const block = {
    ssrc: 5,
    fractionLost: 0,
    packetsLost: 0,
    highestSequence: 1,
    jitter: 0,
    lastSr: 0,
    delaySinceLastSr: 0,
  };
  const info = { ssrc: SOURCES[2]!, ntpSeconds: 1, ntpFraction: 0, rtpTimestamp: 0, packets: 0, octets: 0 };
  const { bytes, length } = new RtcpWriter(new Uint8Array(500)).senderReport(info, [block]).pli(SOURCES[1]!, 99);
  const kept = followLayerReports(scene.simulcast, bytes, 0, length);
  assert.ok(isRtcpCompound(bytes, 0, kept));
  assert.deepEqual([rtcpType(bytes, 0), rtcpCount(bytes, 0), rtcpSsrc(bytes, 0)], [RtcpType.receiverReport, 1, ONE]);
  assert.deepEqual([...bytes.subarray(8, 12)], [0, 0, 0, 5]);
  assert.equal(rtcpSsrc(bytes, rtcpEnd(bytes, 0)), ONE);
  // Padded, and with more blocks said than there are.
  const odd = new RtcpWriter(new Uint8Array(500)).senderReport(info, [block]);
  odd.bytes[0] = 0xa0 | 31;
  odd.bytes[3]! += 1;
  odd.bytes[odd.length + 3] = 4;
  const behind = new RtcpWriter(odd.bytes, odd.length + 4).pli(SOURCES[1]!, 99);
  const left = followLayerReports(scene.simulcast, odd.bytes, 0, odd.length + 4 + behind.length);
  assert.ok(isRtcpCompound(odd.bytes, 0, left));
  assert.deepEqual([rtcpCount(odd.bytes, 0), rtcpEnd(odd.bytes, 0), rtcpSsrc(odd.bytes, 32)], [1, 32, ONE]);
  const bye = Uint8Array.of(0x81, 203, 0, 1, 0, 0, 0, SOURCES[0]!);
  assert.equal(followLayerReports(scene.simulcast, bye, 0, bye.length), 0, 'the one stream goes on');
});

test('sources are learnt from the extension alone, a layer has one at a time, and other sections pass', () => {
  const learnt: number[] = [];
  const simulcast = new Simulcast(ONE);
  simulcast.configure(settings(RIDS, (ssrc) => learnt.push(ssrc)));
  const send = (fields: Fields) => {
    const bytes = packet(fields);
    const length = simulcast.received(bytes, 0, bytes.length, 0);
    return length === 0 ? undefined : rtpSsrc(bytes, 0);
  };
  assert.equal(send({ ssrc: 7, sequence: 1, isKey: true }), undefined, 'it says nothing');
  assert.equal(
    send({ ssrc: 0, sequence: 1, isKey: true }),
    undefined,
    'nor does this one, whose source is a number as any',
  );
  assert.equal(simulcast.outward(0), 0);
  assert.equal(send({ ssrc: 7, sequence: 2, rid: 'x', isKey: true }), undefined, 'nobody agreed on that layer');
  assert.equal(send({ ssrc: 8, sequence: 1, rid: 'l', mid: '2' }), 8, 'of another section');
  assert.equal(send({ ssrc: 9, sequence: 1, payloadType: 111 }), 9, 'sound');
  assert.equal(send({ ssrc: 7, sequence: 3, rid: 'l', isKey: true }), ONE);
  assert.equal(send({ ssrc: 7, sequence: 4 }), ONE, 'browsers leave it out when they have been heard');
  assert.equal(send({ ssrc: 17, sequence: 4, rid: 'l' }), undefined, 'another source waits for its key frame');
  assert.equal(send({ ssrc: 7, sequence: 5 }), undefined);
  assert.equal(send({ ssrc: 17, sequence: 5, rid: 'l', isKey: true }), ONE);
  for (let ssrc = 1000; ssrc < 3000; ssrc++) send({ ssrc, sequence: 1, rid: 'l' });
  assert.equal(simulcast.layerOf(1000), undefined, 'nothing grows');
  assert.deepEqual(learnt.slice(0, 2), [7, 17]);
  assert.equal(send({ ssrc: 0, sequence: 1, rid: 'l', isKey: true }), ONE);
  assert.equal(send({ ssrc: 0, sequence: 2 }), ONE);
  assert.deepEqual([simulcast.source, simulcast.outward(0), simulcast.inward(ONE)], [0, ONE, 0]);
});

test('what comes as RTX of a layer takes its place, once, by its own extension; padding ends here', () => {
  const simulcast = new Simulcast(ONE);
  simulcast.configure(settings());
  const receive = (bytes: Uint8Array) => {
    const length = simulcast.received(bytes, 0, bytes.length, 0);
    return length === 0 ? undefined : [rtpSequence(bytes, 0), rtpSsrc(bytes, 0), length];
  };
  const layer = { ssrc: SOURCES[1]!, rid: 'm' };
  receive(packet({ ...layer, sequence: 10, isKey: true }));
  const [missing, late] = [packet({ ...layer, sequence: 11 }), packet({ ...layer, sequence: 12 })];
  receive(late);
  const rtx = (sequence: number) => {
    const original = packet({ ssrc: SOURCES[1]!, sequence: 11, rid: 'm', id: EXTENSIONS.repairedRid });
    const to = new Uint8Array(300);
    const header = { payloadType: 97, ssrc: RTX[1]!, sequence };
    return to.slice(0, copyAsRtx({ bytes: original, offset: 0, length: original.length }, to, 0, header));
  };
  assert.deepEqual(receive(rtx(1)), [11, ONE, missing.length]);
  assert.equal(receive(rtx(2)), undefined);
  const padding = packet({ ssrc: RTX[1]!, sequence: 3, payloadType: 97, length: 50 });
  padding[0]! |= 0x20;
  padding[padding.length - 1] = 50;
  assert.equal(receive(padding), undefined);
  assert.deepEqual(receive(packet({ ...layer, sequence: 13 }))?.slice(0, 2), [13, ONE]);
});

test('where layers were not agreed on, whatever comes is the one stream', () => {
  const simulcast = new Simulcast(ONE);
  simulcast.configure(settings([]));
  for (const [ssrc, isKey] of [
    [5, true],
    [6, false],
    [6, true],
  ] as const) {
    const bytes = packet({ ssrc, sequence: 1, isKey });
    assert.equal(simulcast.received(bytes, 0, bytes.length, 0) > 0, isKey);
  }
});
