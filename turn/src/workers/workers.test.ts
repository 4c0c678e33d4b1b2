import assert from 'node:assert/strict';
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { readdirSync, readlinkSync } from 'node:fs';
import { connect } from 'node:net';
import { type TestContext, test } from 'node:test';
import { hex, StunAttribute, StunMethod, type StunWriter, utf8 } from '@offhook/core';
import { batchedUdpProblem, nodeCrypto } from '@offhook/core/node';
import { code, TestClient, transport } from '../testkit/client.ts';
import { realSocket } from '../testkit/real.ts';
import { streamSocket } from '../testkit/stream-socket.ts';
import { REALM, SECRET } from '../testkit/world.ts';
import { Workers, type WorkersOptions } from './workers.ts';

const AT = { address: '127.0.0.1', port: 0 };
const RULES = {
  secrets: [SECRET],
  users: [],
  peers: { base: 'none', allow: [{ address: '127.0.0.1' }], deny: [] },
  limits: { allocationsPerUser: 100 },
} as const;

async function start(
  t: TestContext,
  more: Partial<WorkersOptions> = {},
): Promise<{ workers: Workers; said: string[] }> {
  const said: string[] = [];
  const workers = await Workers.start({
    workers: 3,
    listen: { udp: [AT], tcp: [AT], tls: [] },
    certificate: undefined,
    relay: { addresses: [{ address: '127.0.0.1' }], portMin: 0, portMax: 0 },
    realm: REALM,
    rules: RULES,
    sha256: true,
    natDiscovery: false,
    nonceKey: nodeCrypto.randomBytes(32).slice(),
    gatherUs: 500,
    implementation: 'auto',
    fixedPorts: false,
    warn: (words) => said.push(words),
    ...more,
  });
  t.after(() => workers.stop());
  return { workers, said };
}

async function clients(t: TestContext, workers: Workers, count: number, user = 'alice'): Promise<TestClient[]> {
  return Promise.all(
    Array.from({ length: count }, async () => {
      const socket = await realSocket();
      t.after(() => socket.close());
      return new TestClient(socket, workers.listening.udp[0]!, { user });
    }),
  );
}

/** Until that many threads have been followed by others; how many there are then. */
async function restarted(workers: Workers, count: number): Promise<number> {
  while (workers.restarts < count || (await workers.status()).workers < 3) {
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  return (await workers.status()).workers;
}

/** Sockets and epoll descriptors of this process. */
function descriptors(): { readonly sockets: number; readonly epolls: number } {
  const links = readdirSync('/proc/self/fd').map((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`);
    } catch {
      return ''; // the one that the list was read by
    }
  });
  const count = (prefix: string) => links.filter((link) => link.startsWith(prefix)).length;
  return { sockets: count('socket:'), epolls: count('anon_inode:[eventpoll]') };
}

async function echo(t: TestContext): Promise<Socket> {
  const socket = createSocket('udp4', (bytes, from) => socket.send(bytes, from.port, from.address));
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  t.after(() => socket.close());
  return socket;
}

test('clients are spread over three threads, and each stays on its own', async (t) => {
  const { workers } = await start(t);
  const peer = await echo(t);
  const all = await clients(t, workers, 30);
  for (const one of all) {
    await one.allocate();
    assert.equal(code(await one.bind(0x4000, { address: '127.0.0.1', port: peer.address().port })), 0);
  }
  const spread = await workers.allocations();
  assert.equal(new Set(spread.map(({ worker }) => worker)).size, 3, JSON.stringify(spread));
  for (const one of all) {
    one.sendChannel(0x4000, utf8('there and back'));
    assert.equal(hex((await one.socket.receive())!.bytes.subarray(4)), hex(utf8('there and back')));
  }
  const status = await workers.status();
  assert.deepEqual([status.workers, status.allocations, status.users], [3, 30, 1]);
  const [figures] = await workers.figures();
  assert.deepEqual([figures!.allocations, figures!.packetsToPeers, figures!.packetsToClient], [30, 30, 30]);
  assert.equal((await workers.metrics()).offhook_turn_relay_ports_taken, 30);
  for (const one of all) assert.equal(code(await one.refresh(0)), 0);
  assert.equal((await workers.metrics()).offhook_turn_relay_ports_taken, 0);
});

test('a user’s quota, reserved ports and each other’s relayed addresses hold over all threads', async (t) => {
  const { workers } = await start(t, { rules: { ...RULES, limits: { allocationsPerUser: 6 } } });
  const all = await clients(t, workers, 10);
  const codes = [];
  for (const one of all) codes.push(code(await one.request(StunMethod.allocate, transport)));
  assert.deepEqual(codes, [0, 0, 0, 0, 0, 0, 486, 486, 486, 486]);
  // a port reserved on one thread is had on another
  const pair = (w: StunWriter) => w.bytes(StunAttribute.evenPort, new Uint8Array([0x80]));
  const [first] = await clients(t, workers, 1, 'bob');
  await first!.challenge();
  const even = await first!.request(StunMethod.allocate, (w) => {
    transport(w);
    pair(w);
  });
  const token = even.attribute(StunAttribute.reservationToken)!;
  const port = even.xorAddress(StunAttribute.xorRelayedAddress)!.port;
  let got: number | undefined;
  for (const one of await clients(t, workers, 4, 'bob')) {
    const answer = await one.request(StunMethod.allocate, (w) => {
      transport(w);
      w.bytes(StunAttribute.reservationToken, token);
    });
    got ??= answer.xorAddress(StunAttribute.xorRelayedAddress)?.port;
    if (code(answer) !== 0) assert.equal(code(answer), 508, 'once');
  }
  assert.equal(got, port + 1);
  const relayed = even.xorAddress(StunAttribute.xorRelayedAddress)!;
  const [carol] = await clients(t, workers, 1, 'carol');
  await carol!.allocate();
  assert.equal(code(await carol!.bind(0x4000, relayed)), 0);
});

test('a thread that dies takes only its own allocations with it, and is followed by another', async (t) => {
  const { workers, said } = await start(t);
  const all = await clients(t, workers, 30);
  for (const one of all) await one.allocate();
  const before = await workers.allocations();
  const lost = before.filter(({ worker }) => worker === 1).length;
  assert.ok(lost > 0 && lost < 30);
  await workers.kill(1);
  assert.equal(await restarted(workers, 1), 3);
  assert.equal((await workers.status()).allocations, 30 - lost);
  assert.equal((await workers.metrics()).offhook_turn_relay_ports_taken, 30 - lost);
  let kept = 0;
  for (const one of all) {
    const answer = await one.refresh(600);
    if (code(answer) === 0) kept++;
    else {
      assert.equal(code(answer), 437, 'it may allocate anew, with the nonce it has');
      await one.allocate();
    }
  }
  assert.equal(kept, 30 - lost, 'nobody else was moved');
  assert.match(said.join(), /worker 1 has ended/);
});

test('TCP clients are spread over the threads too, and rules and draining reach all of them', async (t) => {
  const { workers } = await start(t);
  const { address: host, port } = workers.listening.tcp[0]!;
  for (let i = 0; i < 12; i++) {
    const socket = connect({ host, port });
    await once(socket, 'connect');
    t.after(() => socket.destroy());
    await new TestClient(streamSocket(socket), { address: host, port }).allocate();
  }
  assert.ok(new Set((await workers.allocations()).map(({ worker }) => worker)).size > 1);
  await workers.drain({ address: '127.0.0.1', port: 9 });
  for (const one of await clients(t, workers, 6)) {
    assert.equal(code(await one.request(StunMethod.allocate, transport)), 300);
  }
  await workers.undrain();
  await workers.apply({ ...RULES, secrets: ['another'] });
  for (const one of await clients(t, workers, 6)) {
    assert.equal(code(await one.request(StunMethod.allocate, transport)), 401);
  }
});

test('one worker lives in the thread of the process; a port in use is skipped', async (t) => {
  const { workers } = await start(t, { workers: 1 });
  const taken = workers.listening.udp[0]!.port;
  const next = await start(t, {
    workers: 2,
    listen: { udp: [{ ...AT, port: taken }], tcp: [{ ...AT, port: taken }], tls: [] },
  });
  assert.notEqual(next.workers.listening.udp[0]!.port, taken);
  assert.ok(next.workers.listening.udp[0]!.port <= taken + 20);
});

/** Ends a thread; when this resolves the one that follows it is about to be started, or is starting and does not serve yet. */
async function killed(workers: Workers, worker: number, stage: 'ended' | 'starting'): Promise<void> {
  await workers.kill(worker);
  const turns = stage === 'starting' ? 20 : 0;
  for (let i = 0; i < turns; i++) await new Promise((resolve) => setImmediate(resolve));
}

for (const stage of ['ended', 'starting'] as const) {
  test(`new secrets that come while a thread is ${stage} hold on the next one: nobody gets in by the old ones`, async (t) => {
    const { workers } = await start(t);
    await killed(workers, 1, stage);
    await workers.apply({ ...RULES, secrets: ['another'] });
    await restarted(workers, 1);
    for (const one of await clients(t, workers, 30)) {
      assert.equal(code(await one.request(StunMethod.allocate, transport)), 401);
      one.secret = 'another';
      await one.allocate();
    }
    assert.equal(new Set((await workers.allocations()).map(({ worker }) => worker)).size, 3);
    // and on one that is started later
    await workers.kill(2);
    await restarted(workers, 2);
    for (const one of await clients(t, workers, 30)) {
      assert.equal(code(await one.request(StunMethod.allocate, transport)), 401);
    }
  });

  test(`stopped while a thread is ${stage}, nothing is left open`, async (t) => {
    const before = descriptors().sockets;
    const { workers, said } = await start(t);
    await killed(workers, 1, stage);
    await workers.stop();
    while (descriptors().sockets !== before) await new Promise((resolve) => setTimeout(resolve, 10));
    assert.equal(said.length, 1, said.join());
  });
}

test('a thread that is followed by another drains as all do, also when that began or ended meanwhile', async (t) => {
  const { workers } = await start(t, { pause: () => Promise.resolve() });
  const answers = async () => {
    const codes = new Set<number>();
    for (const one of await clients(t, workers, 20)) codes.add(code(await one.request(StunMethod.allocate, transport)));
    return [...codes];
  };
  await killed(workers, 1, 'starting');
  await workers.drain({ address: '127.0.0.1', port: 9 });
  await workers.drain();
  await restarted(workers, 1);
  assert.deepEqual(await answers(), [300]);
  await workers.kill(1);
  await restarted(workers, 2);
  assert.deepEqual(await answers(), [300]);
  await killed(workers, 1, 'starting');
  await workers.undrain();
  await restarted(workers, 3);
  assert.deepEqual(await answers(), [0]);
});

test('a thread that dies again and again is started after longer and longer times', async (t) => {
  const pauses: number[] = [];
  const { workers } = await start(t, {
    pause: async (ms) => {
      pauses.push(ms);
    },
  });
  for (let count = 1; count <= 6; count++) {
    await workers.kill(1);
    await restarted(workers, count);
  }
  await workers.kill(2);
  await restarted(workers, 7);
  assert.deepEqual(pauses, [1000, 2000, 4000, 8000, 8000]);
});

test('stopped while a thread waits to be started again, nothing is left open', async (t) => {
  const before = descriptors().sockets;
  let isWaiting: () => void;
  const waiting = new Promise<void>((resolve) => {
    isWaiting = resolve;
  });
  const { workers } = await start(t, {
    pause: (_, signal) => {
      isWaiting();
      return once(signal, 'abort');
    },
  });
  await workers.kill(0);
  await restarted(workers, 1);
  await workers.kill(0);
  await waiting;
  await workers.stop();
  while (descriptors().sockets !== before) await new Promise((resolve) => setTimeout(resolve, 10));
});

test('a thread that was killed leaves no socket behind, and its ports can be had again', {
  skip: (await batchedUdpProblem()) ?? false,
}, async (t) => {
  const { workers } = await start(t);
  const all = await clients(t, workers, 30);
  const before = descriptors();
  for (const one of all) await one.allocate();
  assert.equal(descriptors().sockets, before.sockets + 30);
  for (let worker = 0; worker < 3; worker++) {
    await workers.kill(worker);
    await restarted(workers, worker + 1);
  }
  assert.deepEqual(descriptors(), before);
  assert.equal((await workers.metrics()).offhook_turn_relay_ports_taken, 0);
});

test('each thread has its share of the connections that are allowed', async (t) => {
  const { workers } = await start(t, { rules: { ...RULES, limits: { connections: 6 } } });
  const { address: host, port } = workers.listening.tcp[0]!;
  const sockets = Array.from({ length: 60 }, () => connect({ host, port }).on('error', () => {}));
  t.after(() => sockets.map((socket) => socket.destroy()));
  while ((await workers.metrics()).offhook_turn_connections_refused_total !== 54) {
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  assert.equal((await workers.status()).connections, 6);
});
