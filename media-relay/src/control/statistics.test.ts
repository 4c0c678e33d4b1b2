import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Peer, plainSdp } from '../test-kit.ts';
import { TestRelay } from '../test-relay.ts';

test("statistics has rtpengine's counts of calls: managed, rejected, ended", async () => {
  const relay = await TestRelay.start({ maxCalls: 1 });
  const { ng } = relay;
  const phone = await Peer.open();
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
  await phone.close();
  await relay.stop();
});
