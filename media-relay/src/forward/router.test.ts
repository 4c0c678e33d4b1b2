import assert from 'node:assert/strict';
import { test } from 'node:test';
import { UdpEndpoint, type UdpPort } from '@offhook/core/node';
import type { HopRecovery } from '../recovery/index.ts';
import { rtp } from '../test-kit.ts';
import { MediaPath } from './media-path.ts';
import { Router } from './router.ts';
import { Transport, UNCONFIRMED_PACKETS } from './transport.ts';

/** Two plain transports whose only sections are connected. */
function connected(): { near: Transport; far: Transport } {
  const [near, far] = [new Transport(0, 4), new Transport(1, 4)];
  const [here, there] = [new MediaPath(0), new MediaPath(0)];
  for (const [path, transport] of [
    [here, near],
    [there, far],
  ] as const) {
    path.transport = transport;
    transport.sections = [path];
  }
  here.peer = there;
  there.peer = here;
  far.port = { send: () => true } as unknown as UdpPort;
  far.remote = UdpEndpoint.from({ address: '192.0.2.1', port: 4000 })!;
  return { near, far };
}

function deliver(router: Router, t: Transport, sequence: number): number {
  const packet = rtp({ ssrc: 7, sequence });
  return router.deliver(t, packet, 0, packet.length, false);
}

test('what waits for keys costs nothing of what may go to an address that has not answered: the handshake needs it', () => {
  const { near, far } = connected();
  const router = new Router();
  far.secured = true;
  far.sendBudget = UNCONFIRMED_PACKETS;
  for (let sequence = 0; sequence < 2 * UNCONFIRMED_PACKETS; sequence++)
    assert.equal(deliver(router, near, sequence), 0);
  assert.equal(router.drops.unready, 2 * UNCONFIRMED_PACKETS);
  assert.equal(far.sendBudget, UNCONFIRMED_PACKETS);
  assert.ok(far.send(new Uint8Array(1)));
});

test('a packet goes where its section leads at that moment', () => {
  const { near, far } = connected();
  const router = new Router();
  assert.ok(deliver(router, near, 1) > 0);
  const other = new Transport(2, 4);
  other.port = far.port;
  other.remote = UdpEndpoint.from({ address: '192.0.2.2', port: 4000 })!;
  const [here] = near.sections;
  here!.peer!.transport = other;
  assert.ok(deliver(router, near, 2) > 0);
  assert.equal(router.to, other.remote);
  here!.peer!.transport = undefined;
  assert.equal(deliver(router, near, 3), 0);
  here!.peer!.transport = far;
  assert.ok(deliver(router, near, 4) > 0);
  assert.equal(router.to, far.remote);
  here!.peer = undefined;
  assert.equal(deliver(router, near, 5), 0);
  assert.deepEqual([router.drops.unroutable, far.packetsOut, other.packetsOut], [2, 2, 1]);
});

test('a telephone event inside of RED is blocked like one that is not', () => {
  const { near } = connected();
  const router = new Router();
  near.watch(new Set([101]), { media: false, events: true });
  const own = (bytes: Uint8Array, offset: number, length: number) => {
    bytes[offset + 1] = 101;
    return length;
  };
  const red = { format: { payloadType: 0 }, receive: () => 0, decoder: { own } };
  near.recovery = red as unknown as HopRecovery;
  assert.equal(deliver(router, near, 1), 0);
  assert.equal(router.drops.blocked, 1);
  near.watch(new Set([101]), { media: false, events: false });
  assert.ok(deliver(router, near, 2) > 0);
});
