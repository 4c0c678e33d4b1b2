import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import {
  isFeedback,
  PayloadFeedback,
  RtcpType,
  RtcpWriter,
  readNack,
  readSenderInfo,
  readU16,
  rtcpEnd,
  rtcpMediaSsrc,
  rtcpType,
  rtpHeaderLength,
  rtpPayloadType,
  rtpSequence,
  rtpSsrc,
} from '@offhook/core';
import { type NgClient, Peer, rtp, videoSdp, WebRtcPeer } from '../test-kit.ts';
import { TestRelay } from '../test-relay.ts';

const TRANSPORT_CC = 'http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01';
const SDES = 'urn:ietf:params:rtp-hdrext:sdes';
const OF_BOB = 0xb0b;
const SOURCES: Readonly<Record<string, number>> = { l: 0xa1, h: 0xa2 };
const ID = 10;

let relay: TestRelay;
let ng: NgClient;
let alice: WebRtcPeer;
let bob: WebRtcPeer;
/** The one stream, and what is sent again of it. */
let one: number;
let again: number;

function pictures(peer: WebRtcPeer, setup: 'actpass' | 'active', lines: readonly string[]): string {
  return videoSdp(peer, setup, [
    `a=extmap:3 ${TRANSPORT_CC}`,
    'a=rtpmap:96 VP8/90000',
    ...['nack', 'nack pli', 'transport-cc', 'goog-remb'].map((kind) => `a=rtcp-fb:96 ${kind}`),
    ...lines,
  ]);
}

before(async () => {
  relay = await TestRelay.start();
  ng = relay.ng;
  alice = await WebRtcPeer.open(relay.certificate);
  bob = await WebRtcPeer.open(relay.certificate);
  const common = { 'call-id': 's', 'from-tag': 'a', replace: ['origin'] };
  const layers = [`a=extmap:${ID} ${SDES}:rtp-stream-id`, 'a=rid:l send', 'a=rid:h send', 'a=simulcast:send l;h'];
  const webRtc = { 'transport-protocol': 'UDP/TLS/RTP/SAVPF', ICE: 'force' };
  const offer = pictures(alice, 'actpass', layers);
  const toBob = await ng.sdp({ ...common, ...webRtc, command: 'offer', sdp: offer });
  [one, again] = /a=ssrc-group:FID (\d+) (\d+)/.exec(toBob)!.slice(1).map(Number) as [number, number];
  const answer = pictures(bob, 'active', [`a=ssrc:${OF_BOB} cname:b`]);
  const toAlice = await ng.sdp({ ...common, command: 'answer', 'to-tag': 'b', sdp: answer });
  assert.match(toAlice, /a=simulcast:recv l;h\r\n/);
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
  await relay.hangUp('s');
  await Promise.all([alice.close(), bob.close()]);
  await relay.stop();
});

function picture(rid: 'l' | 'h', sequence: number, isKey: boolean, ssrc = SOURCES[rid]!): Uint8Array {
  const plain = rtp({ ssrc, sequence, payloadType: 96, fill: sequence & 255, length: 300 });
  const extension = [0xbe, 0xde, 0, 1, ID << 4, rid.charCodeAt(0), 0, 0];
  const bytes = new Uint8Array([...plain.subarray(0, 12), ...extension, 0x10, isKey ? 0 : 1, ...plain.subarray(14)]);
  bytes[0]! |= 0x10;
  return bytes;
}

function send(rid: 'l' | 'h', sequence: number, isKey = false): void {
  alice.sendRtp(picture(rid, sequence, isKey));
}

interface Got {
  readonly ssrc: number;
  readonly sequence: number;
  readonly payloadType: number;
  readonly fill: number;
  /** Of RTX the number of what it repeats. */
  readonly original: number;
}

/** The next picture for Bob, or what is sent again; padding of probes is left out. */
async function next(payloadType = 96, waitMs = 2000): Promise<Got | undefined> {
  for (let raw = await bob.peer.nextIn(128, 191, waitMs); raw; raw = await bob.peer.nextIn(128, 191, waitMs)) {
    if (raw[1]! >= 200 && raw[1]! <= 207) continue;
    const bytes = Uint8Array.from(raw);
    const length = bob.rx!.unprotect(bytes, 0, bytes.length);
    assert.ok(length > 0);
    const header = rtpHeaderLength(bytes, 0, length);
    if (rtpPayloadType(bytes, 0) !== payloadType || (bytes[0]! & 0x20) !== 0) continue;
    const fill = bytes[length - 1]!;
    return {
      ssrc: rtpSsrc(bytes, 0),
      sequence: rtpSequence(bytes, 0),
      payloadType,
      fill,
      original: readU16(bytes, header),
    };
  }
  return undefined;
}

/** What the relay tells a peer next that `read` finds. */
async function told<T>(peer: WebRtcPeer, read: (bytes: Uint8Array, at: number) => T | undefined): Promise<T> {
  for (let raw = await peer.peer.nextIn(128, 191); raw; raw = await peer.peer.nextIn(128, 191)) {
    if (raw[1]! < 200 || raw[1]! > 207) continue;
    const bytes = Uint8Array.from(raw);
    const length = peer.rx!.unprotectRtcp(bytes, 0, bytes.length);
    for (let at = 0; at < length; at = rtcpEnd(bytes, at)) {
      const found = read(bytes, at);
      if (found !== undefined) return found;
    }
  }
  assert.fail('nothing of it was told');
}

function sendRtcp(peer: WebRtcPeer, writer: RtcpWriter): void {
  const bytes = new Uint8Array(1500);
  bytes.set(writer.bytes.subarray(0, writer.length));
  peer.peer.send(bytes.slice(0, peer.tx!.protectRtcp(bytes, 0, writer.length)), peer.remote.at);
}

const report = (ssrc: number) => new RtcpWriter(new Uint8Array(500)).receiverReport(ssrc);

test('a receiver gets one layer under the source that it was told of; the other one is no error', async () => {
  const got: Got[] = [];
  for (let i = 0; i < 5; i++) {
    send('l', 0xfffe + i, i === 0);
    send('h', 500 + i, i === 0);
    got.push((await next())!);
  }
  assert.deepEqual(
    got.map(({ ssrc }) => ssrc),
    [one, one, one, one, one],
  );
  assert.deepEqual(
    got.map(({ sequence }) => sequence),
    [0xfffe, 0xffff, 0, 1, 2],
  );
  assert.deepEqual(
    got.map(({ fill }) => fill),
    [0xfe, 0xff, 0, 1, 2],
  );
  assert.equal(await next(96, 50), undefined);
  assert.equal(relay.dropped('layer'), 5);
  const { statistics } = (await ng.call({ command: 'statistics' })) as unknown as {
    statistics: { totalstatistics: { relayedpacketerrors: number } };
  };
  assert.equal(statistics.totalstatistics.relayedpacketerrors, 0);
});

test('NACK is answered by RTX of the one stream, PLI asks the layer that is forwarded, its gaps alone are asked for', async () => {
  sendRtcp(bob, report(OF_BOB).nack(OF_BOB, one, [0]));
  const repeated = (await next(97))!;
  assert.deepEqual([repeated.ssrc, repeated.original, repeated.fill], [again, 0, 0]);
  sendRtcp(bob, report(OF_BOB).pli(OF_BOB, one));
  const asked = await told(alice, (bytes, at) =>
    isFeedback(bytes, at, RtcpType.payloadFeedback, PayloadFeedback.pli) ? rtcpMediaSsrc(bytes, at) : undefined,
  );
  assert.equal(asked, SOURCES.l);
  send('h', 510);
  send('l', 5);
  assert.equal((await next())!.sequence, 5);
  await new Promise((resolve) => setTimeout(resolve, 15)); // a packet that was only overtaken isn't asked for
  send('h', 511);
  const missing = await told(alice, (bytes, at) => {
    const numbers = readNack(bytes, at);
    return numbers.length > 0 ? [rtcpMediaSsrc(bytes, at), ...numbers] : undefined;
  });
  assert.deepEqual(missing, [SOURCES.l, 3, 4]);
  send('l', 4);
  assert.equal((await next())!.sequence, 4);
});

test("the layer's sender report becomes the stream's, and the other layer's goes nowhere", async () => {
  const info = { ntpSeconds: 100, ntpFraction: 0, rtpTimestamp: 1234, packets: 99, octets: 99 };
  for (const ssrc of [SOURCES.h!, SOURCES.l!]) {
    sendRtcp(alice, new RtcpWriter(new Uint8Array(300)).senderReport({ ssrc, ...info }, []).sdes(ssrc, 'me'));
  }
  const seen: number[] = [];
  const found = await told(bob, (bytes, at) => {
    seen.push(rtcpType(bytes, at));
    return readSenderInfo(bytes, at);
  });
  assert.deepEqual([found.ssrc, found.rtpTimestamp, found.packets], [one, 1234, 7]);
  assert.ok(!seen.includes(RtcpType.sdes), "the other layer's came first, and was not passed");
});

test('who has not the keys moves no layer', async () => {
  const protect = (bytes: Uint8Array) => {
    const room = new Uint8Array(bytes.length + 32);
    room.set(bytes);
    return room.slice(0, alice.tx!.protect(room, 0, bytes.length));
  };
  const [bad, good] = [protect(picture('l', 1, true, 0x99)), protect(picture('l', 6, false))];
  bad[bad.length - 1]! ^= 1;
  const before = relay.dropped('srtp');
  const forged = [picture('l', 2, true, 0x99), picture('h', 3, true, 0x99), bad];
  for (const bytes of forged) alice.peer.send(bytes, alice.remote.at);
  const stranger = await Peer.open();
  for (const bytes of [...forged, good]) stranger.send(bytes, alice.remote.at);
  send('l', 7);
  assert.equal((await next())!.sequence, 7, 'nor does a packet that somebody else passes on');
  assert.ok(relay.dropped('srtp') >= before + forged.length);
  await stranger.close();
});
