import assert from 'node:assert/strict';
import { mock, test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { CallSession } from './call-session.ts';
import type { CallReport } from './media/call-reports.ts';
import type { PeerSession } from './media/peer.ts';
import { FakeTrack, installFakeMedia } from './testing/fake-media.ts';
import type { CallLeg } from './ua/signaling.ts';

installFakeMedia();
mock.timers.enable({ apis: ['setTimeout', 'setInterval'] });

/** A call with video both ways that has been answered; what it does to its leg is a line of `seen`. */
const videoCall = () => {
  const seen: string[] = [];
  const reports: CallReport[] = [];
  const peer = {
    sendsVideo: true,
    receivesVideo: true,
    connection: { getStats: async () => new Map<string, object>() },
    replaceVideo: async (track?: MediaStreamTrack) => {
      seen.push(track ? 'picture' : 'no picture');
      return track !== undefined;
    },
    withdrawVideo: () => true,
  };
  const leg: CallLeg = {
    remote: { user: 'bob', uri: 'sip:bob@x', displayName: undefined, video: true },
    peer: peer as unknown as PeerSession,
    events: undefined,
    answer: () => {},
    end: () => {},
    renegotiate: async (how) => {
      seen.push(how);
      return 'accepted';
    },
  };
  const call = new CallSession({
    direction: 'outgoing',
    name: 'Bob',
    uri: 'sip:bob@x',
    whom: 'other',
    video: true,
    onSound: () => {},
    onEnded: () => {},
    onDismiss: () => {},
    onVideoRefused: () => {},
    onReport: (from, report) => {
      assert.equal(from, leg);
      reports.push(report);
    },
  });
  call.attach(leg);
  call.adopt({ audio: new FakeTrack('audio').track, video: new FakeTrack('video').track, configuration: {} });
  leg.events!.answered();
  const remote = new FakeTrack('video').track;
  leg.events!.track(remote);
  return { call, leg, peer, remote, seen, reports };
};

const stop = async (call: CallSession): Promise<void> => {
  const stopped = call.stopCamera();
  mock.timers.tick(400);
  await stopped;
  await setImmediate();
};

test('a camera that stops is told by an offer, so that nobody looks at black', async () => {
  const { call, seen } = videoCall();
  await stop(call);
  assert.deepEqual(seen, ['no picture', 'keep-ice']);
  call.finish({ by: 'local', cause: 'hangup' });
});

test('without the server no offer is made that could not be answered', async () => {
  const { call, seen } = videoCall();
  call.setLink(false);
  await stop(call);
  assert.deepEqual(seen, ['no picture']);
  call.finish({ by: 'local', cause: 'hangup' });
});

test('the far side’s picture goes as soon as its track is muted, or its direction taken back', () => {
  const { call, leg, peer, remote } = videoCall();
  call.remoteVideoFlows.value = true;
  remote.dispatchEvent(new Event('mute'));
  assert.equal(call.remoteVideoFlows.value, false);
  assert.notEqual(call.remoteVideo.value, undefined);
  peer.receivesVideo = false;
  leg.events!.negotiated();
  assert.equal(call.remoteVideo.value, undefined);
  call.finish({ by: 'local', cause: 'hangup' });
});

test('how it ended is kept for the page', () => {
  const { call } = videoCall();
  call.finish({ by: 'remote', cause: 'hangup' });
  assert.deepEqual(call.outcome.value, { by: 'remote', cause: 'hangup' });
  call.finish({ by: 'local', cause: 'canceled' });
  assert.equal(call.outcome.value?.cause, 'hangup');
});

test('how it sounds is reported each ten seconds, and once more when it is over', async () => {
  const { call, leg, peer, reports } = videoCall();
  leg.events!.path('connected');
  let packets = 0;
  peer.connection.getStats = async () => {
    packets += 50;
    return new Map([
      ['in', { type: 'inbound-rtp', kind: 'audio', packetsReceived: packets, packetsLost: packets, jitter: 0.004 }],
    ]);
  };
  const startedMs = performance.now();
  mock.method(performance, 'now', () => startedMs + packets * 20);
  for (let s = 0; s < 25; s++) {
    mock.timers.tick(1000);
    await setImmediate();
  }
  call.finish({ by: 'remote', cause: 'hangup' });
  mock.restoreAll();
  assert.deepEqual(
    reports.map(({ kind, isFinal, local }) => [kind, isFinal, local.lossPercent, local.jitterMs]),
    [
      ['interval', undefined, 50, 4],
      ['interval', undefined, 50, 4],
      ['session', true, 50, 4],
    ],
  );
});

test('a call of which nothing was measured is not reported', () => {
  const { call, reports } = videoCall();
  call.finish({ by: 'local', cause: 'hangup' });
  assert.deepEqual(reports, []);
});
