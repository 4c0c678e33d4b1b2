import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import {
  copyAsRtx,
  isRtcpCompound,
  RtcpWriter,
  readNack,
  readRemb,
  readTransportCc,
  readTransportSequence,
  readU16,
  restoreFromRtx,
  rtcpEnd,
  rtpHeaderLength,
  rtpPayloadType,
  rtpSequence,
  rtpSsrc,
  TransportCcReport,
  writeTransportCc,
} from '@offhook/core';
import { type NgClient, Peer, rtp, videoSdp, WebRtcPeer } from '../test-kit.ts';
import { TestRelay } from '../test-relay.ts';

const EXTENSION = 'http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01';
const LEVEL = 'urn:ietf:params:rtp-hdrext:ssrc-audio-level';
const OF_ALICE = 0xa11ce;
const RTX_OF_ALICE = 0xa11cf;
const OF_BOB = 0xb0b;
/** Alice's number of the extension, and what she means by the others; Bob's client has numbers of its own. */
const ALICES_ID = 3;
const BOBS_ID = 5;

let relay: TestRelay;
let ng: NgClient;
let alice: WebRtcPeer;
let bob: WebRtcPeer;

function pictures(peer: WebRtcPeer, setup: 'actpass' | 'active', extmaps: string[], ssrcs: string[]): string {
  return videoSdp(peer, setup, [
    ...extmaps.map((one) => `a=extmap:${one}`),
    'a=rtpmap:96 VP8/90000',
    ...['nack', 'nack pli', 'transport-cc', 'goog-remb'].map((one) => `a=rtcp-fb:96 ${one}`),
    ...ssrcs,
  ]);
}

before(async () => {
  relay = await TestRelay.start();
  ng = relay.ng;
  alice = await WebRtcPeer.open(relay.certificate);
  bob = await WebRtcPeer.open(relay.certificate);
  const common = { 'call-id': 'r', 'from-tag': 'a', replace: ['origin'] };
  const offer = pictures(
    alice,
    'actpass',
    [`${ALICES_ID} ${EXTENSION}`, `${BOBS_ID} ${LEVEL}`],
    [`a=ssrc-group:FID ${OF_ALICE} ${RTX_OF_ALICE}`, `a=ssrc:${OF_ALICE} cname:a`, `a=ssrc:${RTX_OF_ALICE} cname:a`],
  );
  const webRtc = { 'transport-protocol': 'UDP/TLS/RTP/SAVPF', ICE: 'force' };
  const toBob = await ng.sdp({ ...common, ...webRtc, command: 'offer', sdp: offer });
  // He answers under other numbers than were offered (RFC 8285 5 forbids it): what means one thing here means another there.
  const answer = pictures(bob, 'active', [`${BOBS_ID} ${EXTENSION}`], [`a=ssrc:${OF_BOB} cname:b`]);
  const toAlice = await ng.sdp({ ...common, command: 'answer', 'to-tag': 'b', sdp: answer });
  for (const [peer, sdp] of [
    [alice, toAlice],
    [bob, toBob],
  ] as const) {
    peer.learn(sdp);
    assert.equal(await peer.check(), 0x0101);
  }
  assert.ok(await alice.handshake('client'), alice.failure);
  assert.ok(await bob.handshake('client'), bob.failure);
});

after(async () => {
  await relay.hangUp('r');
  await Promise.all([alice.close(), bob.close()]);
  await relay.stop();
});

type Counts = Record<'dropped' | 'totalstatistics', Record<string, number>>;
const count = (event: string) => relay.metrics()[`offhook_media_rates_total{event="${event}"}`]!;

/** A picture, of Alice's with her number, and a level under what is Bob's number of the numbers. */
function picture(sequence: number, { ssrc, id } = { ssrc: OF_ALICE, id: ALICES_ID }): Uint8Array {
  const plain = rtp({ ssrc, sequence, payloadType: 96, fill: sequence & 255, length: 800 });
  const extension = [0xbe, 0xde, 0, 2, (id << 4) | 1, sequence >> 8, sequence & 255, (BOBS_ID << 4) | 1, 9, 9, 0, 0];
  const bytes = new Uint8Array([...plain.subarray(0, 12), ...extension, ...plain.subarray(12)]);
  bytes[0]! |= 0x10;
  return bytes;
}

const numberOf = (bytes: Uint8Array, id: number) =>
  readTransportSequence(bytes, 0, rtpHeaderLength(bytes, 0, bytes.length), id);
const payload = (bytes: Uint8Array) => [...bytes.subarray(rtpHeaderLength(bytes, 0, bytes.length))];

/** The next picture for Bob, or the retransmission of that one; probes repeat others, or are nothing but padding. */
async function nextOfBob(waitMs = 2000, again?: number): Promise<Uint8Array | undefined> {
  for (let raw = await bob.peer.nextIn(128, 191, waitMs); raw; raw = await bob.peer.nextIn(128, 191, waitMs)) {
    if (raw[1]! >= 200 && raw[1]! <= 207) continue;
    const bytes = Uint8Array.from(raw);
    const length = bob.rx!.unprotect(bytes, 0, bytes.length);
    assert.ok(length > 0);
    const isRtx = rtpPayloadType(bytes, 0) === 97;
    const header = rtpHeaderLength(bytes, 0, length);
    if (again === undefined ? !isRtx : isRtx && readU16(bytes, header) === again) return bytes.slice(0, length);
  }
  return undefined;
}

/** Waits until the relay has told a peer something that `read` finds. */
async function told<T>(peer: WebRtcPeer, read: (bytes: Uint8Array, at: number) => T | undefined): Promise<T> {
  for (let raw = await peer.peer.nextIn(128, 191); raw; raw = await peer.peer.nextIn(128, 191)) {
    if (raw[1]! < 200 || raw[1]! > 207) continue;
    const bytes = Uint8Array.from(raw);
    const length = peer.rx!.unprotectRtcp(bytes, 0, bytes.length);
    assert.ok(length > 0 && isRtcpCompound(bytes, 0, length));
    for (let at = 0; at < length; at = rtcpEnd(bytes, at)) {
      const found = read(bytes, at);
      if (found !== undefined) return found;
    }
  }
  assert.fail('nothing of it was told');
}

function sendRtcp(peer: WebRtcPeer, ssrc: number, write: (bytes: Uint8Array, at: number) => number): void {
  const bytes = new Uint8Array(1500);
  const head = new RtcpWriter(bytes).receiverReport(ssrc).length;
  const out = peer.tx!.protectRtcp(bytes, 0, head + write(bytes, head));
  peer.peer.send(bytes.slice(0, out), peer.remote.at);
}

/** Bob's feedback: these numbers arrived, each 1 ms after the other. */
function arrived(bytes: Uint8Array, at: number, first: number, numbers: number): number {
  const arrivalMs = Float64Array.from({ length: 256 }, (_, i) => 5000 + i);
  const feedback = { sender: OF_BOB, media: OF_ALICE, baseSequence: first, feedbackCount: 0 };
  return writeTransportCc(bytes, at, { ...feedback, arrivalMs, first: 0, mask: 255, count: numbers }).length;
}

test('a sender gets feedback of the relay, the receiver numbers of the relay under its own identifier', async () => {
  const received: Uint8Array[] = [];
  for (let i = 0; i < 8; i++) {
    alice.sendRtp(picture(100 + i));
    received.push((await nextOfBob())!);
  }
  assert.deepEqual(
    received.map(payload),
    Array.from({ length: 8 }, (_, i) => payload(picture(100 + i))),
  );
  const numbers = received.map((bytes) => numberOf(bytes, BOBS_ID));
  for (const [i, number] of numbers.entries()) assert.ok(i === 0 || ((number - numbers[i - 1]!) & 0xffff) > 0);
  assert.ok(numbers.every((n) => n >= 0));
  assert.ok(
    received.every((bytes) => numberOf(bytes, ALICES_ID) < 0),
    'nothing under a number that was not agreed on',
  );
  const report = new TransportCcReport();
  const first = await told(alice, (bytes, at) =>
    readTransportCc(bytes, at, report) ? report.baseSequence : undefined,
  );
  assert.equal(first, 100);
  assert.ok(report.count > 0);
});

test("the receiver's feedback stays here, and its sender is told by REMB", async () => {
  alice.sendRtp(picture(108));
  const number = numberOf((await nextOfBob())!, BOBS_ID);
  const before = count('feedback');
  sendRtcp(bob, OF_BOB, (bytes, at) => arrived(bytes, at, number, 1));
  const remb = await told(alice, (bytes, at) => {
    assert.ok(!readTransportCc(bytes, at, new TransportCcReport()) || bytes[at + 7] !== OF_BOB, "Bob's own");
    return readRemb(bytes, at);
  });
  assert.equal(count('feedback'), before + 1);
  assert.deepEqual(remb.ssrcs, [OF_ALICE]);
  sendRtcp(bob, OF_BOB, (bytes, at) => new RtcpWriter(bytes, at).remb(OF_BOB, 120_000, [OF_ALICE]).length);
  const bps = await told(alice, (bytes, at) => {
    const found = readRemb(bytes, at)?.bitrateBps;
    return found === 120_000 ? found : undefined;
  });
  assert.equal(bps, 120_000);
});

test("a NACK of the receiver is answered by RTX; the sender's RTX arrives as what was lost, once", async () => {
  const sent: Uint8Array[] = [];
  for (const sequence of [109, 110, 112]) {
    alice.sendRtp(picture(sequence));
    sent.push((await nextOfBob())!);
  }
  sendRtcp(bob, OF_BOB, (bytes, at) => new RtcpWriter(bytes, at).nack(OF_BOB, OF_ALICE, [110]).length);
  const again = (await nextOfBob(2000, 110))!;
  assert.deepEqual([rtpPayloadType(again, 0), rtpSsrc(again, 0)], [97, RTX_OF_ALICE]);
  assert.ok(numberOf(again, BOBS_ID) > numberOf(sent[2]!, BOBS_ID), 'numbered like any other');
  const length = restoreFromRtx(again, 0, again.length, { payloadType: 96, ssrc: OF_ALICE });
  assert.deepEqual([rtpSequence(again, 0), payload(again.slice(0, length))], [110, payload(picture(110))]);
  // What is sent again costs nothing that later reports of ours would need.
  const own = picture(1, { ssrc: OF_BOB, id: BOBS_ID });
  bob.sendRtp(own);
  const arrivals = new TransportCcReport();
  await told(bob, (bytes, at) => readTransportCc(bytes, at, arrivals) || undefined);
  assert.deepEqual([arrivals.baseSequence, arrivals.count], [1, 1]);
  // What Alice has lost is asked for with her next packets.
  const read = (bytes: Uint8Array, at: number) => {
    const wanted = readNack(bytes, at);
    return wanted.length > 0 ? wanted : undefined;
  };
  await new Promise((resolve) => setTimeout(resolve, 15));
  alice.sendRtp(picture(113));
  await nextOfBob();
  const asked = await told(alice, read);
  assert.deepEqual(asked, [111]);
  const room = new Uint8Array(1000);
  for (const rtxSequence of [1, 2]) {
    const bytes = picture(111);
    const header = { payloadType: 97, ssrc: RTX_OF_ALICE, sequence: rtxSequence };
    const rtx = copyAsRtx({ bytes, offset: 0, length: bytes.length }, room, 0, header);
    alice.sendRtp(room.slice(0, rtx));
  }
  const recovered = (await nextOfBob())!;
  assert.deepEqual(
    [rtpPayloadType(recovered, 0), rtpSequence(recovered, 0), rtpSsrc(recovered, 0)],
    [96, 111, OF_ALICE],
  );
  assert.deepEqual(payload(recovered), payload(picture(111)));
  assert.equal(await nextOfBob(100), undefined);
  const { dropped, totalstatistics } = ((await ng.call({ command: 'statistics' })) as unknown as { statistics: Counts })
    .statistics;
  assert.deepEqual([dropped.repeated, totalstatistics.relayedpacketerrors], [1, 0], 'what comes twice is no error');
});

test('feedback of strangers, forged and garbled, is dropped or counted, and the call goes on', async () => {
  const stranger = await Peer.open();
  const dropped = () => relay.metrics()['offhook_media_packets_dropped_total{reason="stranger"}']!;
  const [before, taken] = [dropped(), count('feedback')];
  const bytes = new Uint8Array(200);
  const head = new RtcpWriter(bytes).receiverReport(OF_BOB).length;
  stranger.send(bytes.slice(0, head + arrived(bytes, head, 0, 100)), bob.remote.at);
  // From Bob's own address, but not under his key.
  bob.peer.send(bytes.slice(0, head + arrived(bytes, head, 0, 100) + 20), bob.remote.at);
  sendRtcp(bob, OF_BOB, (to, at) => {
    const length = arrived(to, at, 0, 100);
    to.fill(0xff, at + 20, at + length - 4);
    return length;
  });
  sendRtcp(bob, OF_BOB, (to, at) => new RtcpWriter(to, at).remb(OF_BOB, 2 ** 81, [OF_ALICE]).length);
  sendRtcp(bob, OF_BOB, (to, at) => new RtcpWriter(to, at).remb(OF_BOB, 0, [OF_ALICE]).length);
  const lowest = await told(alice, (to, at) => {
    const found = readRemb(to, at)?.bitrateBps;
    return found !== undefined && found <= 30_000 ? found : undefined;
  });
  assert.ok(lowest >= 0);
  assert.deepEqual([dropped() - before, count('feedback') - taken, count('badFeedback')], [1, 0, 1]);
  alice.sendRtp(picture(114));
  assert.deepEqual(payload((await nextOfBob())!), payload(picture(114)));
  await stranger.close();
});
