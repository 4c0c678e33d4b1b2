import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import {
  RedBlocks,
  RtcpWriter,
  readRed,
  rtpPayloadType,
  rtpSequence,
  rtpTimestamp,
  sameBytes,
  seededRandom,
} from '@offhook/core';
import { line, mediaAt, Peer, rtp, sdpOf, WebRtcPeer } from '../test-kit.ts';
import { TestRelay } from '../test-relay.ts';
import { RedEncoder } from './red-encoder.ts';

const RED = { payloadType: 63, audio: 111 };

let relay: TestRelay;
let browser: WebRtcPeer;
let phone: Peer;
/** Where the phone sends. */
let at: { address: string; port: number };

before(async () => {
  relay = await TestRelay.start();
  const { ng } = relay;
  browser = await WebRtcPeer.open(relay.certificate);
  phone = await Peer.open();
  const offer = browser
    .sdp('actpass')
    .replace('SAVPF 111 0', 'SAVPF 111 63 0')
    .replace('a=sendrecv', 'a=rtpmap:63 red/48000/2\r\na=fmtp:63 111/111\r\na=sendrecv');
  const common = { 'call-id': 'c', 'from-tag': 'a', replace: ['origin'] };
  const toPhone = await ng.sdp({
    ...common,
    command: 'offer',
    sdp: offer,
    'transport-protocol': 'RTP/AVP',
    ICE: 'remove',
  });
  at = mediaAt(toPhone);
  const sdp = sdpOf(phone, 'audio', '111', ['a=rtpmap:111 opus/48000/2']);
  const toBrowser = await ng.sdp({ ...common, command: 'answer', 'to-tag': 'b', sdp });
  assert.match(line(toBrowser, 'm='), / 63 111$/);
  await browser.join(toBrowser);
  phone.send(sound(1, 9), at); // its address is confirmed
  assert.ok(await browser.nextRtp());
});

after(async () => {
  await relay.hangUp('c');
  await Promise.all([browser.close(), phone.close()]);
  await relay.stop();
});

const red = (event: string) => relay.metrics()[`offhook_media_red_total{event="${event}"}`]!;

/** 20 ms of sound that tell by their bytes which they are. */
function sound(sequence: number, ssrc: number): Uint8Array {
  return rtp({ ssrc, sequence, timestamp: sequence * 960, payloadType: 111, fill: sequence & 255, length: 60 });
}

test('what a browser sends as RED reaches the phone as Opus, with what was lost on the way', async () => {
  const encoder = new RedEncoder(RED);
  encoder.fix([2, 4]);
  const random = seededRandom(4);
  const lost = new Set<number>();
  const arrived: number[] = [];
  let withCopies = 0;
  const room = new Uint8Array(1400);
  for (let i = 100; i < 300; i++) {
    room.set(sound(i, 0x1234));
    const length = encoder.encode(room, 0, 72);
    if (i > 100 && i < 296 && random.next() < 0.1) {
      lost.add(i);
      continue;
    }
    if (length > 72) withCopies++;
    browser.sendRtp(room.slice(0, length));
    if (i === 250) browser.sendRtp(room.slice(0, length)); // twice: SRTP refuses it
    for (
      let packet = await phone.nextIn(128, 191, i === 299 ? 200 : 0);
      packet;
      packet = await phone.nextIn(128, 191, 0)
    )
      arrived.push(look(packet));
  }
  for (let packet = await phone.nextIn(128, 191, 300); packet; packet = await phone.nextIn(128, 191, 300))
    arrived.push(look(packet));
  assert.ok(lost.size > 10);
  assert.equal(new Set(arrived).size, arrived.length, 'once each');
  const missing = Array.from({ length: 200 }, (_, i) => 100 + i).filter((i) => !arrived.includes(i));
  const beyond = [...lost].filter((i) => lost.has(i + 2) && lost.has(i + 4));
  assert.deepEqual(missing, beyond);
  assert.equal(red('recovered'), lost.size - beyond.length);
  assert.equal(red('received'), withCopies);
});

function look(packet: Uint8Array): number {
  const sequence = rtpSequence(packet, 0);
  assert.deepEqual([rtpPayloadType(packet, 0), rtpTimestamp(packet, 0)], [111, sequence * 960]);
  assert.ok(sameBytes(packet.subarray(12), sound(sequence, 0).subarray(12)), `${sequence}`);
  return sequence;
}

test('a browser that reports loss gets copies, and none when it reports none', async () => {
  const next = async (sequence: number) => {
    phone.send(sound(sequence, 9), at);
    const packet = await browser.nextRtp();
    assert.ok(packet, `${sequence}`);
    return packet;
  };
  const reportLoss = (share: number) => {
    const block = { ssrc: 9, fractionLost: Math.round(share * 256), packetsLost: 1, highestSequence: 5 };
    const writer = new RtcpWriter(new Uint8Array(200)).receiverReport(0x1234, [
      { ...block, jitter: 0, lastSr: 0, delaySinceLastSr: 0 },
    ]);
    const length = browser.tx!.protectRtcp(writer.bytes, 0, writer.length);
    browser.peer.send(writer.bytes.slice(0, length), browser.remote.at);
  };
  for (let i = 2; i < 8; i++) assert.equal(rtpPayloadType(await next(i), 0), 111);
  reportLoss(0.1);
  let packet: Uint8Array = new Uint8Array(12);
  for (let i = 8; i < 30 && rtpPayloadType(packet, 0) !== 63; i++) packet = await next(i);
  const blocks = new RedBlocks();
  assert.ok(readRed(packet, 12, packet.length - 12, blocks));
  const own = rtpSequence(packet, 0);
  for (let i = 0; i < blocks.count; i++) {
    const of = own - blocks.timestampOffset[i]! / 960;
    assert.equal(blocks.payloadType[i], 111);
    const copy = packet.slice(blocks.at[i]!, blocks.at[i]! + blocks.length[i]!);
    assert.deepEqual(copy, sound(of, 9).slice(12));
  }
  assert.ok(blocks.count > 1);
  for (let i = 0; i < 20; i++) reportLoss(0);
  let last = 63;
  for (let i = own + 1; i < own + 40 && last !== 111; i++) last = rtpPayloadType(await next(i), 0);
  assert.equal(last, 111);
  assert.ok(red('sent') > 0);
});

test('rubbish that is called RED goes nowhere and disturbs nothing', async () => {
  const bad = rtp({ ssrc: 0x1234, sequence: 400, payloadType: 63, fill: 0xff });
  browser.sendRtp(bad);
  browser.sendRtp(sound(401, 0x1234));
  const packet = await phone.nextIn(128, 191);
  assert.equal(packet && look(packet), 401);
  assert.equal(relay.dropped('malformed'), 1);
});
