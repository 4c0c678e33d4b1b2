import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { FakeConnection, FakeTrack, installFakeMedia } from '../testing/fake-media.ts';
import { type LocalMedia, PeerSession, RelayUnreachableError } from './peer.ts';

installFakeMedia();

const media = (change: Partial<LocalMedia> = {}): LocalMedia => ({
  audio: new FakeTrack('audio').track,
  configuration: {},
  ...change,
});

function session(local = media(), candidate = 'a=candidate:1 1 udp 1 192.0.2.1 9 typ host') {
  const seen: string[] = [];
  const timers: (() => void)[] = [];
  let pc: FakeConnection | undefined;
  const peer = new PeerSession(local, {
    createConnection: (configuration) => {
      pc = new FakeConnection(configuration, candidate);
      return pc.connection;
    },
    after: (_ms, callback) => {
      timers.push(callback);
      return () => {};
    },
    events: {
      track: (track) => seen.push(`track ${track.kind}`),
      path: (state) => seen.push(state),
      negotiated: () => {},
    },
  });
  return { peer, pc: pc!, seen, timers };
}

test('an offer leaves at the first candidate, without waiting for gathering', async () => {
  const { peer, pc } = session();
  const offer = await peer.getDescription();
  assert.match(offer.body, /a=candidate/);
  assert.equal(pc.connection.iceGatheringState, 'gathering');
  assert.equal(offer.contentType, 'application/sdp');
});

test('without any candidate it leaves after the patience: the relay finds us by our own checks', async () => {
  const { peer, timers, pc } = session(media(), '');
  const offer = peer.getDescription();
  await pc.described;
  await setImmediate();
  assert.equal(timers.length, 1);
  timers[0]!();
  assert.doesNotMatch((await offer).body, /a=candidate/);
});

test('a relay-only call without relay address fails as such', async () => {
  const { peer, timers, pc } = session(media({ configuration: { iceTransportPolicy: 'relay' } }), '');
  const offer = peer.getDescription();
  await pc.described;
  await setImmediate();
  assert.equal(timers.length, 1);
  timers[0]!();
  await assert.rejects(offer, RelayUnreachableError);
});

test('an ICE restart is asked for exactly once', async () => {
  const { peer, pc } = session();
  await peer.getDescription();
  await peer.setDescription('answer');
  peer.requestIceRestart();
  await peer.getDescription();
  await peer.setDescription('answer');
  await peer.getDescription();
  assert.deepEqual(pc.restarts, [false, true, false]);
});

test('a refused offer is rolled back, its new video line with it, and the next offer works', async () => {
  const { peer, pc } = session();
  await peer.getDescription();
  await peer.setDescription('answer');
  assert.equal(await peer.replaceVideo(new FakeTrack('video').track), true);
  await peer.getDescription();
  assert.equal(pc.connection.signalingState, 'have-local-offer');
  await peer.rollbackDescription();
  assert.equal(pc.connection.signalingState, 'stable');
  assert.deepEqual(
    pc.connection.getTransceivers().map((t) => `${t.receiver.track.kind} ${t.direction}`),
    ['audio sendrecv', 'video stopped'],
  );
  await peer.replaceVideo(undefined);
  await peer.getDescription();
  assert.equal(pc.connection.signalingState, 'have-local-offer');
});

test('DTMF goes out on the audio sender even when video came first in the offer', async () => {
  const { peer, pc } = session(media({ video: new FakeTrack('video').track }));
  pc.remoteOffer = ['video', 'audio'];
  await peer.setDescription('offer');
  await peer.getDescription();
  assert.equal(peer.sendDtmf('5'), true);
  assert.equal(peer.sendDtmf('#'), true);
  assert.deepEqual(pc.tones, { audio: '5#', video: '' });
});

test('a video offer answered without camera is received only; the camera later needs one new offer, then none', async () => {
  const { peer, pc } = session();
  pc.remoteOffer = ['audio', 'video'];
  await peer.setDescription('offer');
  await peer.getDescription();
  assert.equal(peer.receivesVideo, true);
  assert.equal(peer.sendsVideo, false);
  assert.equal(await peer.replaceVideo(new FakeTrack('video').track), true);
  await peer.getDescription();
  await peer.setDescription('answer');
  assert.equal(peer.sendsVideo, true);
  assert.equal(await peer.replaceVideo(undefined), false);
  assert.equal(await peer.replaceVideo(new FakeTrack('video').track), false);
});

test('a camera that stops is withdrawn by one offer, and comes back by another', async () => {
  const { peer } = session(media({ video: new FakeTrack('video').track }));
  assert.equal(peer.withdrawVideo(), false);
  await peer.getDescription();
  await peer.setDescription('answer');
  await peer.replaceVideo(undefined);
  assert.equal(peer.withdrawVideo(), true);
  await peer.getDescription();
  await peer.setDescription('answer');
  assert.deepEqual([peer.sendsVideo, peer.receivesVideo, peer.withdrawVideo()], [false, true, false]);
  assert.equal(await peer.replaceVideo(new FakeTrack('video').track), true);
  await peer.getDescription();
  await peer.setDescription('answer');
  assert.equal(peer.sendsVideo, true);
});

test('after close nothing is told and nothing is made', async () => {
  const { peer, pc, seen } = session();
  pc.change('connected');
  peer.close();
  pc.change('failed');
  assert.deepEqual(seen, ['connected']);
  await assert.rejects(peer.getDescription());
  await assert.rejects(peer.setDescription('x'));
});
