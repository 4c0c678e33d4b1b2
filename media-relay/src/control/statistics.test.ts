import assert from 'node:assert/strict';
import { test } from 'node:test';
import { NgClient, Peer, plainSdp } from '../test-kit.ts';
import { startMediaRelay } from '../worker.ts';

test("statistics has rtpengine's counts of calls: managed, rejected, ended", async () => {
  const relay = await startMediaRelay({
    ng: { address: '127.0.0.1', port: 0 },
    mux: { addresses: ['127.0.0.1'], port: 0 },
    rtp: { address: '127.0.0.1', portMin: 0, portMax: 0 },
    mediaTimeoutS: 60,
    maxCalls: 1,
  });
  const [ng, phone] = [await NgClient.connect(relay.ports.ng!), await Peer.open()];
  const offer = (id: string, more = {}) =>
    ng.call({ command: 'offer', 'call-id': id, 'from-tag': 'a', sdp: plainSdp(phone), ...more });
  assert.equal((await offer('one')).result, 'ok');
  assert.equal((await offer('two')).result, 'error');
  assert.equal((await offer('three', { supports: ['load limit'] })).result, 'load limit');
  await ng.call({ command: 'delete', 'call-id': 'one' });
  await ng.call({ command: 'delete', 'call-id': 'one' });
  const { statistics } = await ng.call({ command: 'statistics' });
  const { totalstatistics: total } = statistics as { totalstatistics: Record<string, unknown> };
  const { uptime, managedsessions, rejectedsessions, timeoutsessions, regularterminatedsessions } = total;
  assert.match(String(uptime), /^\d+$/);
  assert.deepEqual([managedsessions, rejectedsessions, timeoutsessions, regularterminatedsessions], [1, 2, 0, 1]);
  assert.equal(relay.metrics()['offhook_media_ng_total{event="rejected"}'], 2);
  await Promise.all([phone.close(), ng.close()]);
  await relay.stop();
});
