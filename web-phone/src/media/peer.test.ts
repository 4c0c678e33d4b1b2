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

/** `candidates`: what its connections find, the last of them each one that is opened later too. */
function session(local = media(), ...candidates: string[]) {
  const seen: string[] = [];
  const timers: (() => void)[] = [];
  const opened: FakeConnection[] = [];
  const peer = new PeerSession(local, {
    createConnection: (configuration) => {
      const pc = new FakeConnection(configuration, candidates[opened.length] ?? candidates.at(-1));
      opened.push(pc);
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
  return { peer, pc: opened[0]!, opened, seen, timers };
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

const keys = (fingerprint: string) => `v=0\r\na=fingerprint:sha-256 ${fingerprint}\r\n`;

test('a far side with other keys gets a connection of its own, with the tracks of now; the old one is shut when that is agreed', async () => {
  const { peer, pc, opened, seen } = session();
  await peer.getDescription();
  await peer.setDescription(keys('AA'));
  const microphone = new FakeTrack('audio').track;
  await peer.replaceAudio(microphone);
  await peer.setDescription(keys('aa'));
  await peer.getDescription();
  assert.equal(opened.length, 1, 'the same keys');

  await peer.setDescription(keys('BB'));
  assert.equal(opened.length, 2);
  pc.change('failed');
  assert.deepEqual([pc.closed, seen], [false, []], 'what the old one says is no longer of interest');
  await peer.getDescription();
  const [audio] = peer.connection.getTransceivers();
  assert.deepEqual([audio?.sender.track === microphone, audio?.direction, pc.closed], [true, 'sendrecv', true]);
  opened[1]!.change('connected');
  assert.deepEqual(seen, ['connected']);
  await peer.setDescription(keys('BB'));
  assert.equal(opened.length, 2);
});

test('when that offer comes to nothing the connection before it goes on', async () => {
  const { peer, pc, opened, seen } = session();
  await peer.getDescription();
  await peer.setDescription(keys('AA'));
  await peer.setDescription(keys('BB'));
  await peer.rollbackDescription();
  assert.equal(peer.connection, pc.connection);
  assert.deepEqual(
    opened.map(({ closed }) => closed),
    [false, true],
  );
  pc.change('connected');
  assert.deepEqual(seen, ['connected']);
  await peer.setDescription(keys('BB'));
  peer.close();
  assert.deepEqual(
    opened.map(({ closed }) => closed),
    [true, true, true],
  );
});

test('the connection before goes on too when the new one finds no way to the TURN server', async () => {
  const relayed = media({ configuration: { iceTransportPolicy: 'relay' } });
  const { peer, pc, opened, timers } = session(relayed, 'a=candidate:1 1 udp 1 192.0.2.1 9 typ relay', '');
  await peer.getDescription();
  await peer.setDescription(keys('AA'));
  await peer.setDescription(keys('BB'));
  const answer = peer.getDescription();
  await opened[1]!.described;
  await setImmediate();
  timers.at(-1)!();
  await assert.rejects(answer, RelayUnreachableError);
  await peer.rollbackDescription();
  assert.equal(peer.connection, pc.connection);
  assert.deepEqual(
    opened.map(({ closed }) => closed),
    [false, true],
  );
  peer.close();
});
