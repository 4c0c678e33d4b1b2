import assert from 'node:assert/strict';
import { test } from 'node:test';
import { seededRandom } from '@offhook/core';
import { nodeCrypto, UdpEndpoint } from '@offhook/core/node';
import { DEFAULT_LIMITS } from '../limits.ts';
import { Allocation, CHANNEL_LIFETIME_MS } from './allocation.ts';
import { LookupKey } from './lookup-key.ts';
import { PortPool } from './port-pool.ts';
import { PERMISSION_LIFETIME_MS, type Permission, Relay } from './relay.ts';
import { SharedTables, sharedMemory } from './shared.ts';
import { UserUse } from './user-use.ts';

const MAX_LOOSE_PEERS = 64;
const MAX_PERMISSIONS = 4;
const NOTHING = new Uint8Array(0);

/** An allocation with one relayed address. */
function relayed() {
  const shared = new SharedTables(sharedMemory(1, 1, nodeCrypto), 0, nodeCrypto);
  const at = { address: '192.0.2.2' };
  const pool = new PortPool({ at, index: 0, portMin: 0, portMax: 0, random: seededRandom(1), shared });
  const owner = {
    listener: 0,
    client: endpoint(9, 9),
    connection: -1,
    username: 'alice',
    signature: undefined as never,
    use: new UserUse('alice', [0, 1]),
  };
  const limits = () => ({ ...DEFAULT_LIMITS, channels: 200, permissions: MAX_PERMISSIONS });
  const allocation = new Allocation({ id: 1, owner, allocateId: new Uint8Array(12), limits });
  const relay = new Relay({ id: 2, slot: 0, allocation, pool, port: 0, limits, seed: 1 });
  allocation.relays.push(relay);
  const key = new LookupKey();
  return {
    allocation,
    relay,
    /** The ports of that host, from 1 on, which stand ready for sending. */
    kept: (host = 1) => Array.from({ length: 1000 }, (_, i) => i + 1).filter((i) => relay.peerAt(endpoint(host, i))),
    /** As a packet from there finds it. */
    from: (host: number, port: number) => relay.peer(key.fill(endpoint(host, port), NOTHING, 0, 0), 0),
    isPermitted: (host: number, nowMs: number) =>
      relay.permission(key.addressOfEndpoint(endpoint(host, 0)), nowMs) !== undefined,
    send: (permission: Permission, from: number, to: number) => {
      for (let port = from; port <= to; port++) relay.addPeer(endpoint(1, port), permission, false);
    },
  };
}

/** A host by its number. */
function endpoint(host: number, port: number): UdpEndpoint {
  return UdpEndpoint.from({ address: `198.51.100.${host}`, port })!;
}

test('peers without a channel are kept ready up to a number; beyond it one gives way, never the newest', () => {
  const { relay, kept, from, send } = relayed();
  const permission = relay.permit(endpoint(1, 0), 0);
  send(permission, 1, MAX_LOOSE_PEERS);
  assert.equal(kept().length, MAX_LOOSE_PEERS);
  for (let port = MAX_LOOSE_PEERS + 1; port <= 300; port++) {
    assert.ok(from(1, kept()[0]!), 'the one found last may give way too');
    send(permission, port, port);
    assert.equal(kept().length, MAX_LOOSE_PEERS);
    assert.equal(from(1, port)?.endpoint.port, port);
  }
  const left = new Set(kept());
  for (let port = 1; port <= 300; port++) assert.equal(from(1, port) !== undefined, left.has(port), `${port}`);
});

test('a peer with a channel never gives way, and counts for none of the others', () => {
  const { allocation, relay, kept, send } = relayed();
  const permission = relay.permit(endpoint(1, 0), 0);
  send(permission, 1, 1);
  allocation.bind(0x4000, { relay, endpoint: endpoint(1, 1), permission: permission, isOwn: false }, 0);
  allocation.bind(0x4001, { relay, endpoint: endpoint(1, 2), permission: permission, isOwn: false }, 0);
  send(permission, 3, 300);
  assert.deepEqual(kept().slice(0, 2), [1, 2]);
  assert.equal(kept().length, 2 + MAX_LOOSE_PEERS);
  assert.equal(allocation.channel(0x4000, 0)?.endpoint.port, 1);
  assert.equal(allocation.channel(0x4001, 0)?.endpoint.port, 2);
});

test('peers whose channels have run out are some of the many again, and as bounded', () => {
  const { allocation, relay, kept, send } = relayed();
  const permission = relay.permit(endpoint(1, 0), 0);
  for (let i = 1; i <= 100; i++)
    allocation.bind(0x4000 + i, { relay, endpoint: endpoint(1, i), permission: permission, isOwn: false }, 0);
  assert.equal(kept().length, 100);
  allocation.dropExpiredChannels(CHANNEL_LIFETIME_MS - 1);
  assert.equal(kept().length, 100);
  allocation.dropExpiredChannels(CHANNEL_LIFETIME_MS);
  assert.equal(kept().length, MAX_LOOSE_PEERS);
  send(permission, 501, 600);
  assert.equal(kept().length, MAX_LOOSE_PEERS);
  // and they can be bound again, which makes room for others
  const again = kept().slice(0, 10);
  for (const [i, port] of again.entries())
    allocation.bind(0x5000 + i, { relay, endpoint: endpoint(1, port), permission: permission, isOwn: false }, 0);
  send(permission, 601, 700);
  assert.equal(kept().length, MAX_LOOSE_PEERS + 10);
  assert.deepEqual(
    again.filter((port) => !relay.peerAt(endpoint(1, port))),
    [],
  );
});

test('expired permissions make room, those that were refreshed and those of a channel don’t', () => {
  const { allocation, relay, isPermitted } = relayed();
  const permissions = [1, 2, 3, 4].map((host) => relay.permit(endpoint(host, 0), 0));
  for (const host of [1, 2, 3]) relay.addPeer(endpoint(host, 5000), permissions[host - 1]!, false);
  allocation.bind(0x4000, { relay, endpoint: endpoint(4, 5000), permission: permissions[3]!, isOwn: false }, 0);
  const hasRoom = (hosts: readonly number[], nowMs: number) =>
    relay.hasPermissionRoom(
      hosts.map((host) => endpoint(host, 0)),
      nowMs,
    );
  assert.ok(hasRoom([1, 2, 3, 4], 0), 'to refresh takes no room');
  assert.equal(hasRoom([5], PERMISSION_LIFETIME_MS - 1), false);
  relay.permit(endpoint(1, 0), 1000);
  assert.equal(isPermitted(2, PERMISSION_LIFETIME_MS - 1), true);
  assert.equal(isPermitted(2, PERMISSION_LIFETIME_MS), false);
  assert.equal(isPermitted(1, PERMISSION_LIFETIME_MS), true);
  assert.equal(relay.permissions(PERMISSION_LIFETIME_MS), 1);
  assert.equal(hasRoom([5, 6, 7], PERMISSION_LIFETIME_MS), false, 'one is live, and one may come back by its channel');
  assert.ok(hasRoom([5, 6], PERMISSION_LIFETIME_MS));
  assert.deepEqual(
    [1, 2, 3, 4].map((host) => relay.peerAt(endpoint(host, 5000)) !== undefined),
    [true, false, false, true],
    'peers go with their permissions',
  );
  for (const host of [5, 6]) relay.permit(endpoint(host, 0), PERMISSION_LIFETIME_MS);
  assert.equal(hasRoom([7], CHANNEL_LIFETIME_MS - 1), true, 'that of the first has expired meanwhile');
  assert.equal(isPermitted(4, CHANNEL_LIFETIME_MS - 1), false);
  allocation.bind(
    0x4000,
    { relay, endpoint: endpoint(4, 5000), permission: relay.permit(endpoint(4, 0), 500_000), isOwn: false },
    500_000,
  );
  assert.equal(isPermitted(4, 500_001), true);
});

test('peers that are forbidden are cut off: their permissions, and those that stand ready, but no others', () => {
  const { allocation, relay, from, isPermitted } = relayed();
  const permissions = [1, 2].map((host) => relay.permit(endpoint(host, 0), 0));
  for (const host of [1, 2]) relay.addPeer(endpoint(host, 5000), permissions[host - 1]!, false);
  allocation.bind(0x4000, { relay, endpoint: endpoint(1, 6000), permission: permissions[0]!, isOwn: false }, 0);
  assert.ok(from(1, 5000));
  const isFirst = ({ a }: UdpEndpoint) => a === endpoint(1, 0).a;
  allocation.enforce({
    mayPermit: (address) => !isFirst(address),
    verdict: (peer) => (isFirst(peer) ? 'forbidden' : 'allowed'),
  });
  assert.deepEqual([isPermitted(1, 1), isPermitted(2, 1)], [false, true]);
  assert.deepEqual([from(1, 5000), from(2, 5000)?.endpoint.port], [undefined, 5000]);
  assert.equal(allocation.channel(0x4000, 1), undefined);
});
