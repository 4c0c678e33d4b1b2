import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { after, before, test } from 'node:test';
import {
  encodeNg,
  isFeedback,
  PayloadFeedback,
  RtcpType,
  RtcpWriter,
  readNack,
  rtcpEnd,
  rtcpMediaSsrc,
  rtcpType,
  type SocketAddress,
} from '@offhook/core';
import { isRtcp, type NgClient, Peer, rtp, sdpOf, until, videoSdp, WebRtcPeer } from '../test-kit.ts';
import { PLAIN, TestRelay } from '../test-relay.ts';

const OF_PHONE = 77;
const OF_BROWSER = 0x99;
const FEEDBACK = ['a=rtcp-fb:96 nack', 'a=rtcp-fb:96 nack pli'];

let relay: TestRelay;
let ng: NgClient;
let browser: WebRtcPeer;
let phone: Peer;
let phoneRtcp: Peer;
let at: SocketAddress;
let rtcpAt: SocketAddress;

before(async () => {
  relay = await TestRelay.start({ ng: { address: '127.0.0.1', port: 0, tcpPort: 0 } });
  ng = relay.ng;
  browser = await WebRtcPeer.open(relay.certificate);
  phone = await Peer.open();
  phoneRtcp = await Peer.open();
  const common = { 'call-id': 'v', 'from-tag': 'a', replace: ['origin'] };
  const offer = videoSdp(browser, 'actpass', ['a=rtpmap:96 H264/90000', ...FEEDBACK]);
  const toPhone = await ng.sdp({ ...common, ...PLAIN, command: 'offer', sdp: offer });
  const port = Number(/m=video (\d+) RTP\/AVP 96\r/.exec(toPhone)?.[1]);
  at = { address: '127.0.0.1', port };
  rtcpAt = { address: '127.0.0.1', port: port + 1 };
  const sdp = sdpOf(phone, 'video', '96', ['a=rtpmap:96 H264/90000', `a=rtcp:${phoneRtcp.at.port}`]);
  const toBrowser = await ng.sdp({ ...common, command: 'answer', 'to-tag': 'b', sdp });
  assert.deepEqual(
    toBrowser.split('\r\n').filter((l) => l.startsWith('a=rtcp-fb')),
    FEEDBACK,
  );
  await browser.join(toBrowser);
});

after(async () => {
  await relay.hangUp('v');
  await Promise.all([browser.close(), phone.close(), phoneRtcp.close()]);
  await relay.stop();
});

const picture = (ssrc: number, sequence: number) =>
  rtp({ ssrc, sequence, payloadType: 96, fill: sequence, length: 900 });

function sendRtcp(write: (w: RtcpWriter) => RtcpWriter): void {
  const { bytes, length } = write(new RtcpWriter(new Uint8Array(200)).receiverReport(OF_BROWSER));
  const out = browser.tx!.protectRtcp(bytes, 0, length);
  browser.peer.send(bytes.slice(0, out), browser.remote.at);
}

/** The next RTP packet as it came, still encrypted. */
async function nextRaw(waitMs: number): Promise<Uint8Array | undefined> {
  for (;;) {
    const bytes = await browser.peer.nextIn(128, 191, waitMs);
    if (!bytes || !isRtcp(bytes)) return bytes && Uint8Array.from(bytes);
  }
}

/** The feedback in the next RTCP datagrams to the browser, until one has some. */
async function nextFeedback(waitMs: number): Promise<{ bytes: Uint8Array; at: number } | undefined> {
  for (;;) {
    const raw = await browser.peer.nextIn(128, 191, waitMs);
    if (!raw) return undefined;
    const bytes = Uint8Array.from(raw);
    if (!isRtcp(bytes)) continue;
    const length = browser.rx!.unprotectRtcp(bytes, 0, bytes.length);
    assert.ok(length > 0);
    for (let one = 0; one < length; one = rtcpEnd(bytes, one)) {
      const type = rtcpType(bytes, one);
      if (type === RtcpType.transportFeedback || type === RtcpType.payloadFeedback) return { bytes, at: one };
    }
  }
}

test("a browser's NACK is answered from what the relay has sent, and never reaches the phone", async () => {
  const sent: Uint8Array[] = [];
  for (let i = 1; i <= 6; i++) {
    phone.send(picture(OF_PHONE, i), at);
    sent.push((await nextRaw(2000))!);
  }
  sendRtcp((w) => w.nack(OF_BROWSER, OF_PHONE, [2, 5]));
  const again = [await nextRaw(2000), await nextRaw(2000)].map((bytes) => Buffer.from(bytes!).toString('hex'));
  assert.deepEqual(again.sort(), [sent[1]!, sent[4]!].map((bytes) => Buffer.from(bytes).toString('hex')).sort());
  assert.equal(relay.metrics()['offhook_media_repair_total{event="resent"}'], 2);
  assert.equal(await phoneRtcp.next(50), undefined);
});

test('what is missing from a browser is asked for, by us', async () => {
  let sequence = 0;
  const send = (skip = 0) => {
    sequence += 1 + skip;
    browser.sendRtp(picture(OF_BROWSER, sequence));
  };
  send();
  send();
  send(2);
  let found: { bytes: Uint8Array; at: number } | undefined;
  for (let tries = 0; tries < 100 && !found; tries++) {
    send();
    found = await nextFeedback(10);
  }
  assert.ok(found);
  assert.deepEqual([rtcpMediaSsrc(found.bytes, found.at), readNack(found.bytes, found.at)], [OF_BROWSER, [3, 4]]);
  browser.sendRtp(picture(OF_BROWSER, 3));
  browser.sendRtp(picture(OF_BROWSER, 4));
  const heard = new Set<number>();
  for (let bytes = await phone.next(200); bytes; bytes = await phone.next(200)) heard.add(bytes[3]!);
  assert.deepEqual(
    [...heard].sort((a, b) => a - b),
    Array.from({ length: sequence }, (_, i) => i + 1),
  );
});

test('many wishes for a key frame reach either side as one', async () => {
  for (let i = 0; i < 5; i++) sendRtcp((w) => w.pli(OF_BROWSER, OF_PHONE));
  const plis: number[] = [];
  for (let bytes = await phoneRtcp.next(300); bytes; bytes = await phoneRtcp.next(100)) {
    for (let one = 0; one < bytes.length; one = rtcpEnd(bytes, one)) {
      if (isFeedback(bytes, one, RtcpType.payloadFeedback, PayloadFeedback.pli)) plis.push(rtcpMediaSsrc(bytes, one));
    }
  }
  assert.deepEqual(plis, [OF_PHONE]);
  for (let i = 0; i < 5; i++) {
    const { bytes, length } = new RtcpWriter(new Uint8Array(100)).receiverReport(OF_PHONE).pli(OF_PHONE, OF_BROWSER);
    phoneRtcp.send(bytes.slice(0, length), rtcpAt);
  }
  const first = await nextFeedback(300);
  assert.ok(first && isFeedback(first.bytes, first.at, RtcpType.payloadFeedback, PayloadFeedback.pli));
  assert.equal(rtcpMediaSsrc(first.bytes, first.at), OF_BROWSER);
  assert.equal(await nextFeedback(100), undefined);
});

test('signalling asks for a key frame by a verb of ours, and hears when a phone without feedback is to be asked by INFO', async () => {
  const heard: string[] = [];
  const socket = connect(relay.ports.ngTcp!, '127.0.0.1');
  socket.on('data', (bytes) => heard.push(bytes.toString()));
  socket.write(encodeNg('e1', { command: 'events', kinds: ['key-frame'] }, 'bencode'));
  await until(() => heard.join('').includes('2:ok'));
  await new Promise((resolve) => setTimeout(resolve, 3000)); // no oftener, and the last test asked
  sendRtcp((w) => w.pli(OF_BROWSER, OF_PHONE));
  sendRtcp((w) => w.pli(OF_BROWSER, OF_PHONE));
  const event = '7:call-id1:v5:event9:key-frame3:tag1:b';
  await until(() => heard.join('').includes(event));
  const ask = (tag: string) => ng.call({ command: 'key-frame', 'call-id': 'v', 'from-tag': tag });
  assert.equal((await ask('a')).result, 'ok');
  browser.sendRtp(picture(OF_BROWSER, 9000));
  const found = await nextFeedback(1000);
  assert.ok(found && isFeedback(found.bytes, found.at, RtcpType.payloadFeedback, PayloadFeedback.pli));
  assert.equal(rtcpMediaSsrc(found.bytes, found.at), OF_BROWSER);
  assert.equal((await ask('nobody'))['error-reason'], 'Unknown call-id or tag');
  assert.equal(heard.join('').split(event).length, 2, 'once, though it was wished for twice');
  socket.destroy();
});
