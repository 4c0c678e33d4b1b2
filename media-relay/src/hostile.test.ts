import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { readU32 } from '@offhook/core';
import { nodeCrypto } from '@offhook/core/node';
import { mediaAt, Peer, plainSdp, rtp, WebRtcPeer } from './test-kit.ts';
import { PLAIN, TestRelay, WEBRTC } from './test-relay.ts';

// A call between a WebRTC peer and a plain phone that somebody disturbs. Further ones: worker.test.ts.

let relay: TestRelay;

before(async () => {
  relay = await TestRelay.start();
});

after(() => relay.stop());

const dropped = (reason: string) => relay.dropped(reason);

async function call(id: string) {
  const { ng } = relay;
  const web = await WebRtcPeer.open(relay.certificate);
  const desk = await Peer.open();
  const of = { 'call-id': id, 'from-tag': 'a' };
  const toDesk = await ng.sdp({ command: 'offer', ...of, sdp: web.sdp('actpass'), ...PLAIN });
  await web.join(await ng.sdp({ command: 'answer', ...of, 'to-tag': 'b', sdp: plainSdp(desk), ...WEBRTC }));
  const hangUp = async () => {
    await relay.hangUp(id);
    await Promise.all([web.close(), desk.close()]);
  };
  return { web, desk, at: mediaAt(toDesk), hangUp };
}

/** One packet each way. */
async function assertTalk({ web, desk, at }: Awaited<ReturnType<typeof call>>, sequence: number, ssrcs = [11, 22]) {
  const [toDesk, toWeb] = ssrcs.map((ssrc) => rtp({ ssrc, sequence }));
  web.sendRtp(toDesk!);
  assert.deepEqual(Uint8Array.from((await desk.nextIn(128, 191)) ?? []), toDesk!.slice());
  desk.send(toWeb!, at);
  assert.deepEqual(await web.nextRtp(), toWeb!.slice());
}

/** Lets the relay read what is on its way: its sockets hold some 250 packets. */
const breathe = () => new Promise((resolve) => setTimeout(resolve, 5));

test('both sides have the same SSRC (RFC 3550 8.2): each hears the other', async () => {
  const talk = await call('collision');
  for (let sequence = 1; sequence < 20; sequence++) await assertTalk(talk, sequence, [42, 42]);
  await talk.hangUp();
});

test('ten thousand bad packets from the very address of the peer cost the call nothing, nor the DTLS session', async () => {
  const talk = await call('errors');
  const { web } = talk;
  await assertTalk(talk, 1);
  const before = dropped('srtp');
  const flood = 10_000;
  for (let i = 0; i < flood; i++) {
    const forged = rtp({ ssrc: 11, sequence: 2 + (i % 60_000), fill: i & 0xff });
    web.peer.send(forged, web.remote.at);
    if (i % 10 === 0) {
      // A record of the session's epoch, and an alert that would end it.
      const record = Buffer.concat([Buffer.from('15fefd00010000000000', 'hex'), Buffer.from([0, i & 0xff, 0, 30])]);
      web.peer.send(Buffer.concat([record, nodeCrypto.randomBytes(30)]), web.remote.at);
    }
    if (i % 100 === 0) await breathe();
  }
  await breathe();
  assert.ok(dropped('srtp') - before > flood * 0.9, `${dropped('srtp') - before} were refused`);
  await assertTalk(talk, 2);
  assert.equal(await web.check(), 0x0101, 'the path is the same');
  await assertTalk(talk, 3);
  await talk.hangUp();
});

test('a thousand sources that each send the beginnings of streams to a plain port take nothing over', async () => {
  const talk = await call('injection');
  const { desk, at, web } = talk;
  await assertTalk(talk, 1);
  const injector = await Peer.open();
  for (let ssrc = 100; ssrc < 1100; ssrc++) {
    injector.send(rtp({ ssrc, sequence: ssrc }), at);
    if (ssrc % 100 === 0) await breathe();
  }
  await breathe();
  assert.equal(web.peer.waiting, 0, 'nothing of it reaches the far side');
  assert.equal(injector.waiting, 0, 'nothing is sent to it');
  await assertTalk(talk, 2);
  assert.equal(desk.waiting, 0);
  await injector.close();
  await talk.hangUp();
});

test('a neighbour at the address of the phone that sends a thousand streams leaves room for that of the phone', async () => {
  const talk = await call('churn');
  const { desk, at, web } = talk;
  const neighbour = await Peer.open();
  for (let sequence = 1; sequence <= 5; sequence++) neighbour.send(rtp({ ssrc: 5, sequence }), at);
  assert.ok(await web.nextRtp(), 'it has passed the probation');
  for (let ssrc = 1000; ssrc < 2200; ssrc++) {
    neighbour.send(rtp({ ssrc, sequence: 1 }), at);
    if (ssrc % 100 === 0) await breathe();
  }
  await breathe();
  while (await web.peer.nextIn(128, 191, 0));
  desk.send(rtp({ ssrc: 22, sequence: 1 }), at);
  assert.deepEqual(await web.nextRtp(), rtp({ ssrc: 22, sequence: 1 }).slice());
  await assertTalk(talk, 2);
  assert.equal(desk.waiting, 0);
  await neighbour.close();
  await talk.hangUp();
});

test('a phone that changes its SSRC with each packet is heard again as soon as it stays with one', async () => {
  const talk = await call('changes');
  const { desk, at, web } = talk;
  for (let ssrc = 1000; ssrc < 2200; ssrc++) {
    desk.send(rtp({ ssrc, sequence: 1 }), at);
    if (ssrc % 100 === 0) await breathe();
  }
  await breathe();
  while (await web.peer.nextIn(128, 191, 0));
  for (let sequence = 1; sequence <= 5; sequence++) desk.send(rtp({ ssrc: 77, sequence, fill: sequence }), at);
  let shared = 0;
  for (let sequence = 2; sequence <= 5; sequence++) {
    const heard = await web.nextRtp();
    assert.deepEqual(heard?.subarray(12), new Uint8Array(160).fill(sequence));
    shared = readU32(heard!, 8);
  }
  assert.notEqual(shared, 77);
  const report = new Uint8Array(28);
  report.set([0x80, 200, 0, 6, 0, 0, 0, 77]);
  desk.send(report, { ...at, port: at.port + 1 });
  const about = await web.peer.nextIn(128, 191);
  assert.ok(about && web.rx!.unprotectRtcp(about, 0, about.length) > 0);
  assert.deepEqual([about[1], readU32(about, 4)], [200, shared], 'its sender report speaks of the same stream');
  await talk.hangUp();
});
