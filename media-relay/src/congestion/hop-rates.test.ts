import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  isRtcpCompound,
  RtcpWriter,
  readRemb,
  readTmmbn,
  readTmmbr,
  readTransportCc,
  readTransportSequence,
  rtcpEnd,
  rtcpSsrc,
  rtpHeaderLength,
  seededRandom,
  type Tmmb,
  TransportCcReport,
  writeTmmbn,
  writeTmmbr,
  writeTransportCc,
} from '@offhook/core';
import { HopReports } from '../rtcp/index.ts';
import { rtp } from '../test-kit.ts';
import { HopRates, type RateSettings } from './hop-rates.ts';
import { noRates } from './rate-feedback.ts';

const OURS = 0xabc;
const PICTURES = 0xfe000001;
const SOUND = 0x11;
const ID = 3;

const SETTINGS: RateSettings = {
  sequenceId: ID,
  pictures: [96],
  numbered: [96, 111],
  extensions: undefined,
  form: 'remb',
  countsSound: false,
  rtx: undefined,
  repair: undefined,
};

/** Rates of one hop whose packets are read at once. */
class Hop {
  readonly counters = noRates();
  readonly reports = new HopReports({ ssrc: OURS, cname: 'c', random: seededRandom(1) });
  woken = 0;
  readonly rates = new HopRates({
    reports: this.reports,
    counters: this.counters,
    firstSequence: 65_530,
    wake: () => this.woken++,
  });

  constructor(settings: Partial<RateSettings> = {}) {
    this.rates.configure({ ...SETTINGS, ...settings });
  }

  /** Sends a packet in a buffer with room behind it; what it became. */
  send(packet: Uint8Array, nowMs: number): Uint8Array {
    const room = new Uint8Array(packet.length + 100);
    room.set(packet);
    return room.slice(0, this.rates.send(room, 0, packet.length, nowMs));
  }

  feedback(write: (bytes: Uint8Array) => number, nowMs: number): boolean {
    const bytes = new Uint8Array(1500);
    const length = write(bytes);
    assert.ok(isRtcpCompound(bytes, 0, length));
    return this.rates.handleFeedback(bytes, 0, nowMs);
  }

  /** REMB of the peer. */
  remb(bps: number, nowMs: number): void {
    assert.equal(
      this.feedback((b) => new RtcpWriter(b).remb(9, bps, [PICTURES]).length, nowMs),
      false,
    );
  }

  /** What the peer is told now: feedback of arrivals as their count, rates. */
  told(nowMs: number): (string | number)[] {
    const words: (string | number)[] = [];
    this.rates.handleTimeout(nowMs, true);
    const bytes = new Uint8Array(1200);
    const report = new TransportCcReport();
    for (let end = this.rates.write(bytes, 0, nowMs); end > 0; end = this.rates.write(bytes, 0, nowMs)) {
      assert.ok(isRtcpCompound(bytes, 0, end));
      for (let at = 0; at < end; at = rtcpEnd(bytes, at)) {
        if (readTransportCc(bytes, at, report)) words.push(report.count);
        const remb = readRemb(bytes, at);
        if (remb) words.push(`remb ${remb.bitrateBps} ${remb.ssrcs}`);
        for (const { ssrc, bitrateBps } of readTmmbr(bytes, at)) words.push(`tmmbr ${bitrateBps} ${ssrc}`);
        for (const { ssrc, bitrateBps } of readTmmbn(bytes, at) ?? [])
          words.push(`tmmbn ${bitrateBps} ${ssrc} from ${rtcpSsrc(bytes, at)}`);
      }
    }
    return words;
  }
}

const picture = (sequence: number, length = 1000) => rtp({ ssrc: PICTURES, sequence, payloadType: 96, length });
const sequenceOf = (packet: Uint8Array) =>
  readTransportSequence(packet, 0, rtpHeaderLength(packet, 0, packet.length), ID);

/** The peer answers every packet after 20 ms with what has arrived. */
function run(hop: Hop, { fromMs, toMs, bps }: { fromMs: number; toMs: number; bps: number }): void {
  const everyMs = 8_000_000 / bps;
  const arrivals = new Float64Array(64);
  const first = sequenceOf(hop.send(picture(0), fromMs));
  let count = 1;
  arrivals[0] = fromMs + 20;
  let base = first;
  let next = fromMs + everyMs;
  for (let nowMs = fromMs; nowMs < toMs; nowMs += 5) {
    for (; next <= nowMs && count < 64; next += everyMs) {
      const sequence = sequenceOf(hop.send(picture(count), next));
      if (count === 0) base = sequence;
      arrivals[count++] = next + 20;
    }
    if ((nowMs - fromMs) % 50 !== 0 || count === 0) continue;
    const feedback = { sender: 9, media: PICTURES, baseSequence: base, feedbackCount: 0, first: 0, mask: 63, count };
    const taken = hop.feedback((b) => writeTransportCc(b, 0, { ...feedback, arrivalMs: arrivals }).length, nowMs + 25);
    assert.equal(taken, false);
    count = 0;
  }
}

test('what is sent carries rising numbers, in place or in a header that grows; what is not agreed on carries none', () => {
  const hop = new Hop({ numbered: [96] });
  const packets = Array.from({ length: 8 }, (_, i) => hop.send(picture(i), i));
  assert.deepEqual(packets.map(sequenceOf), [65_530, 65_531, 65_532, 65_533, 65_534, 65_535, 0, 1]);
  assert.equal(packets[0]!.length, picture(0).length + 8);
  assert.deepEqual(packets[0]!.slice(20), picture(0).slice(12));
  const again = hop.send(packets[0]!, 10);
  assert.deepEqual([again.length, sequenceOf(again)], [packets[0]!.length, 2]);
  const sound = rtp({ ssrc: SOUND, sequence: 1, payloadType: 111 });
  assert.deepEqual(hop.send(sound, 10), sound);
  const foreign = packets[1]!.slice();
  foreign[1] = 111;
  assert.equal(sequenceOf(hop.send(foreign, 10)), -1, "the sender's own number is taken out");
  const long = rtp({ ssrc: PICTURES, sequence: 1, payloadType: 96, length: 1830 });
  assert.equal(hop.send(long, 11).length, long.length, 'no room for it');
});

test("numbers begin where the sender's are, so that the receiver sees no jump", () => {
  const far = new Hop();
  const hop = new Hop();
  for (let i = 0; i < 3; i++) far.send(picture(i), i);
  const packets = [3, 4, 5].map((i) => far.send(picture(i), i));
  assert.deepEqual(packets.map(sequenceOf), [65_533, 65_534, 65_535]);
  assert.deepEqual(
    packets.map((packet) => sequenceOf(hop.send(packet, 10))),
    [65_533, 65_534, 65_535],
  );
  assert.equal(sequenceOf(hop.send(picture(6), 11)), 0);
});

test('an element of another length under our identifier is taken out, and a number put in its place', () => {
  const hop = new Hop();
  const colliding = new Uint8Array([
    0x90, 96, 0, 1, 0, 0, 0, 0, 0xfe, 0, 0, 1, 0xbe, 0xde, 0, 1, 0x30, 0x5a, 0, 0, 7, 7,
  ]);
  const sent = hop.send(colliding, 0);
  assert.equal(sequenceOf(sent), 65_530);
  assert.deepEqual([...sent.slice(-2)], [7, 7]);
  assert.ok(!sent.slice(12, -2).includes(0x5a));
});

test('arrivals are told when they are due, and a tick finds them that nobody waits for', () => {
  const far = new Hop();
  const hop = new Hop();
  hop.rates.handleTimeout(0, true);
  for (let i = 0; i < 5; i++) {
    const bytes = far.send(picture(i), i);
    assert.equal(hop.rates.received(bytes, 0, bytes.length, 100 + i), bytes.length);
  }
  assert.ok(hop.rates.nextTimeout() <= 200);
  assert.deepEqual(hop.told(150), []);
  assert.deepEqual(hop.told(201), [5]);
  assert.deepEqual(hop.told(202), []);
  assert.equal(hop.counters.feedbackSent, 1);
});

test("the sender is told what the far side's downlink takes, at once when it falls", () => {
  const near = new Hop();
  const far = new Hop();
  near.rates.connect(far.rates);
  far.rates.connect(near.rates);
  const sent = picture(1);
  near.rates.received(sent, 0, sent.length, 0);
  assert.deepEqual(near.told(10), [], 'nothing is known yet');
  far.rates.handleTimeout(10, true);
  run(far, { fromMs: 20, toMs: 2020, bps: 600_000 });
  const [first] = near.told(2100);
  assert.match(String(first), new RegExp(`^remb \\d+ ${PICTURES}$`));
  const woken = near.woken;
  far.remb(200_000, 2200);
  assert.ok(near.woken > woken && near.rates.nextTimeout() <= 2200);
  assert.deepEqual(near.told(2200), [`remb 200000 ${PICTURES}`]);
});

test('when its far side is another one, the sender is told the start rate at once, and what that one takes as soon as it is known', () => {
  const near = new Hop();
  const [old, next, phone] = [new Hop(), new Hop(), new Hop({ sequenceId: 0 })];
  const sent = picture(1);
  near.rates.received(sent, 0, sent.length, 0);
  const takeTheirPlace = (far: Hop) => {
    near.rates.connect(undefined);
    near.rates.connect(far.rates);
    far.rates.connect(near.rates);
  };
  takeTheirPlace(old);
  assert.deepEqual(near.told(0), [], 'the first one: a browser begins by itself');
  old.rates.handleTimeout(0, true);
  run(old, { fromMs: 0, toMs: 500, bps: 300_000 });
  old.remb(70_000, 600);
  assert.deepEqual(near.told(600), [`remb 70000 ${PICTURES}`]);
  takeTheirPlace(old);
  assert.deepEqual(near.told(650), [], 'described anew it is the same one');
  const { woken } = near;
  takeTheirPlace(next);
  assert.ok(near.woken > woken && near.rates.nextTimeout() < 700);
  assert.deepEqual(near.told(800), [`remb 300000 ${PICTURES}`]);
  next.rates.handleTimeout(1000, true);
  run(next, { fromMs: 1000, toMs: 1500, bps: 300_000 });
  next.remb(120_000, 1600);
  assert.deepEqual(near.told(1600), [`remb 120000 ${PICTURES}`]);
  takeTheirPlace(phone);
  assert.deepEqual(near.told(2000), [`remb 4000000 ${PICTURES}`], 'which may never say anything: no limit');
  takeTheirPlace(next);
  assert.deepEqual(near.told(2300), [`remb 120000 ${PICTURES}`], 'what was known of it');
  // One that has agreed to feedback, is sent pictures and gives none is no reason to hold a sender at its start.
  const silent = new Hop();
  takeTheirPlace(silent);
  silent.send(picture(1), 3000);
  assert.deepEqual(near.told(3000), [`remb 300000 ${PICTURES}`]);
  assert.deepEqual(near.told(8100), [`remb 4000000 ${PICTURES}`]);
});

test('absurd caps: none at all and more than there is end within bounds, and the last one counts', () => {
  const near = new Hop();
  const far = new Hop();
  near.rates.connect(far.rates);
  const sent = picture(1);
  near.rates.received(sent, 0, sent.length, 0);
  far.rates.handleTimeout(10, true);
  run(far, { fromMs: 20, toMs: 520, bps: 300_000 });
  far.remb(0, 600);
  assert.equal(far.rates.describe().targetBps, 30_000);
  assert.deepEqual(near.told(600), [`remb 30000 ${PICTURES}`]);
  far.remb(2 ** 81, 700);
  const target = Number(far.rates.describe().targetBps);
  assert.ok(target >= 30_000 && target <= 4_000_000, `${target}`);
  assert.equal(far.counters.caps, 2);
  // Without feedback of arrivals the cap is all that is known.
  const plain = new Hop({ sequenceId: 0 });
  near.rates.connect(plain.rates);
  plain.remb(0, 800);
  assert.deepEqual(near.told(1000), [`remb 1000 ${PICTURES}`], 'libwebrtc takes 0 for no limit');
  plain.remb(2 ** 81, 1300);
  assert.deepEqual(near.told(1400), [`remb 4000000 ${PICTURES}`], 'what no 32 bits hold is not passed on');
});

test('feedback that is garbled or about numbers never sent is counted or ignored, and moves nothing', () => {
  const hop = new Hop();
  hop.rates.handleTimeout(0, true);
  run(hop, { fromMs: 10, toMs: 1010, bps: 500_000 });
  const before = hop.rates.describe().targetBps;
  const good = new Uint8Array(1500);
  const arrivalMs = new Float64Array(64).fill(1000);
  const feedback = { sender: 9, media: 1, baseSequence: 30_000, feedbackCount: 0, arrivalMs, first: 0, mask: 63 };
  const { length } = writeTransportCc(good, 0, { ...feedback, count: 50 });
  assert.equal(hop.rates.handleFeedback(good, 0, 1100), false);
  assert.equal(hop.counters.badFeedback, 0);
  const random = seededRandom(5);
  let bad = 0;
  for (let i = 0; i < 2000; i++) {
    const bytes = good.slice(0, length);
    for (let n = 0; n < 4; n++) bytes[12 + Math.floor(random.next() * (length - 12))] = Math.floor(random.next() * 256);
    if (!isRtcpCompound(bytes, 0, length)) continue;
    assert.equal(hop.rates.handleFeedback(bytes, 0, 1100), false);
  }
  bad = hop.counters.badFeedback;
  assert.ok(bad > 0);
  const cut = new Uint8Array([0x8f, 205, 0, 4, 0, 0, 0, 9, 0, 0, 0, 1, 0, 5, 0xff, 0xff, 0, 0, 0, 0]);
  assert.equal(hop.rates.handleFeedback(cut, 0, 1100), false);
  assert.equal(hop.counters.badFeedback, bad + 1);
  const after = Number(hop.rates.describe().targetBps);
  assert.ok(after >= 30_000 && after <= 4_000_000);
  assert.equal(after, before);
  const mute = new Hop({ sequenceId: 0 });
  assert.equal(mute.rates.handleFeedback(good, 0, 0), false, 'never agreed on: it goes nowhere');
  assert.equal(mute.counters.badFeedback, 1);
});

test('TMMBR: asked until it is confirmed; that of the peer is a cap and is answered, one about others is not ours', () => {
  const near = new Hop({ form: 'tmmbr' });
  const far = new Hop({ sequenceId: 0 });
  near.rates.connect(far.rates);
  const sent = picture(1);
  near.rates.received(sent, 0, sent.length, 0);
  far.send(picture(1), 0);
  const entry = (ssrc: number, bitrateBps: number): Tmmb => ({ ssrc, bitrateBps, overheadBytes: 40 });
  assert.equal(
    far.feedback((b) => writeTmmbr(b, 0, 0x77, [entry(123, 1000)]), 0),
    false,
  );
  assert.deepEqual([far.counters.caps, far.told(0)], [0, []]);
  far.feedback((b) => writeTmmbr(b, 0, 0x77, [entry(PICTURES, 250_000)]), 0);
  assert.deepEqual(far.told(10), [`tmmbn 250000 ${0x77} from ${PICTURES}`]);
  assert.deepEqual(near.told(10), [`tmmbr 249856 ${PICTURES}`.replace('249856', String(rounded(250_000)))]);
  assert.equal(near.told(1010).length, 1, 'again');
  near.feedback((b) => writeTmmbn(b, 0, 0x55, [entry(1234, 250_000)]), 1020);
  assert.equal(near.told(2010).length, 1, 'that was somebody else');
  near.feedback((b) => writeTmmbn(b, 0, 0x55, [entry(OURS, 250_000)]), 2020);
  assert.equal(near.counters.confirmations, 1);
  assert.deepEqual(near.told(5000), []);
});

/** Seventeen bits of a rate. */
function rounded(bps: number): number {
  const exponent = Math.max(0, Math.ceil(Math.log2((bps + 1) / 2 ** 17)));
  return Math.floor(bps / 2 ** exponent) * 2 ** exponent;
}

test('a peer that never gives the feedback it agreed to is judged by its reports', () => {
  const near = new Hop();
  const far = new Hop();
  near.rates.connect(far.rates);
  const sent = picture(1);
  near.rates.received(sent, 0, sent.length, 0);
  const bytes = new Uint8Array(200);
  for (let nowMs = 0; nowMs <= 9000; nowMs += 20) {
    far.send(picture(nowMs / 20), nowMs);
    if (nowMs % 1000 === 0) {
      const lost = nowMs > 7000 ? 128 : 0;
      const block = {
        fractionLost: lost,
        packetsLost: 0,
        highestSequence: 1,
        jitter: 0,
        lastSr: 0,
        delaySinceLastSr: 0,
      };
      new RtcpWriter(bytes).receiverReport(9, [{ ...block, ssrc: PICTURES }]);
      far.reports.handlePacket(bytes, 0, nowMs);
    }
    if (nowMs % 100 === 0) far.rates.handleTimeout(nowMs, true);
    if (nowMs === 4900) assert.deepEqual(near.told(nowMs), []);
  }
  const [told] = near.told(9100);
  const bps = Number(/^remb (\d+)/.exec(String(told))?.[1]);
  assert.ok(bps > 200_000 && bps < 400_000, `${told}`);
});
