import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { type TestContext, test } from 'node:test';
import { createRequest, createResponse, parseSip, SipMessage, StreamFramer, type Via } from '@offhook/core';
import { monotonicMs, nodeCrypto } from '@offhook/core/node';
import type { Packet, Resource } from 'dns-packet';
import type { Located, Way } from '../locate/index.ts';
import { A, nameServer } from '../locate/testkit/name-server.ts';
import { listenTcp, listenUdp, TransportHub } from '../transport/index.ts';
import { SipCore } from './core.ts';
import { type NamedListener, Outside } from './outside.ts';
import { startServer } from './testkit/running.ts';

const SRV = (name: string, target: string, port: number, priority: number): Resource => ({
  name,
  type: 'SRV',
  ttl: 60,
  data: { priority, weight: 0, port, target },
});

/** The server's machine with listeners on 127.0.0.1 and what carries out its commands, as `startSignaling` composes them. */
async function place(t: TestContext, zone: readonly Resource[]) {
  const dns = await nameServer(t, ({ questions }: Packet) => {
    const [{ name, type }] = questions as [{ name: string; type: string }];
    return { answers: zone.filter((record) => record.name === name && record.type === type) };
  });
  const waiting: (() => void)[] = [];
  const received: SipMessage[] = [];
  const core = new SipCore({
    crypto: nodeCrypto,
    domain: 'example.test',
    isLocal: (host) => host === 'example.test',
    account: () => undefined,
    mediaPath: 'opaque',
    relays: 1,
    nowMs: monotonicMs(),
    addressOf: (flow) => outside.listeningFor(flow) ?? flow.local,
    sends: (transport, family) => outside.sends(transport, family),
  });
  const handle = (input: () => void): void => {
    input();
    for (let command = core.poll(); command; command = core.poll()) {
      if (command.kind === 'send') hub.send(command.flow, command.bytes);
      else if (command.kind === 'question' || command.kind === 'open' || command.kind === 'doubt')
        void outside.carryOut(command, core, handle);
    }
    for (const wake of waiting.splice(0)) wake();
  };
  const hub = new TransportHub({
    onMessage: (message, flow) => {
      received.push(message);
      handle(() => core.handleMessage(message, flow, monotonicMs()));
    },
    onFlowClosed: (flow) => handle(() => core.handleFlowClosed(flow, monotonicMs())),
    mayAnswer: () => true,
  });
  const at = { address: '127.0.0.1', port: 0 };
  const listeners: NamedListener[] = [
    { name: 'udp', listener: await listenUdp(hub, at) },
    { name: 'tcp', listener: await listenTcp(hub, at) },
  ];
  const settings = { nameServers: [dns.address] };
  const outside = new Outside({ settings, hub, listeners, onTrouble: () => {} });
  const until = async (condition: () => boolean) => {
    while (!condition()) await new Promise<void>((resolve) => waiting.push(resolve));
  };
  t.after(async () => {
    outside.close();
    hub.close();
    await Promise.all(listeners.map(({ listener }) => listener.close()));
    await until(() => hub.connections === 0);
    assert.equal(core.locator.waiting, 0);
  });
  /** Ways to a URI, one after the other. */
  const look = async (uri: string) => {
    const results: Located[] = [];
    handle(() => {
      core.locate(uri, monotonicMs(), (result) => results.push(result));
      core.handleTimeout(monotonicMs());
    });
    await until(() => results.length === 1);
    const next = async () => {
      const before = results.length;
      handle(() => {
        (results.at(-1) as Way).next(monotonicMs());
        core.handleTimeout(monotonicMs());
      });
      await until(() => results.length > before);
      return results.at(-1)!;
    };
    return { first: results[0]!, next };
  };
  const ask = async (way: Located): Promise<SipMessage> => {
    assert.ok('flow' in way, 'error' in way ? way.error : '');
    const message = createRequest({
      method: 'OPTIONS',
      uri: 'sip:example.org',
      from: '<sip:a@example.test>;tag=1',
      to: '<sip:example.org>',
      callId: 'c',
      cseq: 1,
    });
    const before = received.length;
    handle(() => {
      core.transactions.request(message, way.flow, monotonicMs());
      core.handleTimeout(monotonicMs());
    });
    await until(() => received.length > before);
    return received.at(-1)!;
  };
  return { listeners, look, ask, hub, dns };
}

/** A SIP server over TCP that answers all by one status, and the Vias that it saw. */
async function sipServer(t: TestContext, status: number) {
  const vias: Via[] = [];
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    const framer = new StreamFramer();
    socket.on('error', () => {});
    socket.on('data', (chunk) => {
      framer.push(chunk);
      for (let next = framer.next(); next instanceof Uint8Array; next = framer.next()) {
        const message = parseSip(next) as SipMessage;
        vias.push(message.vias[0]!);
        socket.write(createResponse(message, status, undefined, { toTag: 's' }).serialize());
      }
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(async () => {
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => server.close(resolve));
  });
  return { port: (server.address() as AddressInfo).port, vias };
}

async function closedPort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

test('the first server refuses, the second says 503, the third answers; a second look finds it first (RFC 3263 4.3)', async (t) => {
  const [busy, good] = [await sipServer(t, 503), await sipServer(t, 200)];
  const { look, ask, hub, dns, listeners } = await place(t, [
    SRV('_sip._tcp.example.org', 'one.example.org', await closedPort(), 1),
    SRV('_sip._tcp.example.org', 'two.example.org', busy.port, 2),
    SRV('_sip._tcp.example.org', 'three.example.org', good.port, 3),
    ...['one', 'two', 'three'].map((host) => A(`${host}.example.org`, '127.0.0.1')),
  ]);
  const { first, next } = await look('sip:example.org');
  assert.equal((await ask(first)).status, 503);
  const way = await next();
  assert.equal((await ask(way)).status, 200);
  const { transport, host, port } = good.vias[0]!;
  const { port: listening } = listeners[1]!.listener.local;
  assert.deepEqual(
    { transport, host, port },
    { transport: 'TCP', host: '127.0.0.1', port: listening },
    'where we listen',
  );
  const asked = dns.queries.length;
  const again = await look('sip:example.org');
  assert.ok('flow' in again.first && 'flow' in way && again.first.flow === way.flow, 'the same connection');
  assert.equal(dns.queries.length, asked, 'nothing is asked twice');
  assert.equal(hub.outgoing, 2);
});

test('over UDP a listener of ours sends, and one on loopback reaches loopback alone', async (t) => {
  const server = createSocket('udp4').bind(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.close());
  server.on('message', (bytes, from) => {
    const message = parseSip(bytes);
    assert.ok(message instanceof SipMessage);
    server.send(createResponse(message, 200, undefined, { toTag: 's' }).serialize(), from.port, from.address);
  });
  const { look, ask } = await place(t, [A('sip.example.org', '127.0.0.1'), A('far.example.org', '192.0.2.1')]);
  const { first, next } = await look(`sip:sip.example.org:${server.address().port}`);
  assert.equal((await ask(first)).status, 200);
  assert.match(((await next()) as { error: string }).error, /^sip\.example\.org:\d+ \(UDP\) did not take the request$/);
  const far = await look('sip:far.example.org:5060');
  const words = 'far.example.org:5060 (192.0.2.1) can’t be reached over UDP: we listen on 127.0.0.1 alone';
  assert.deepEqual(far.first, { error: words });
});

test('settings that can’t be used keep the server from starting, in words', async () => {
  const caPath = '/nowhere/ca.pem';
  const outside = { nameServers: ['dns.example.org'], tls: { caPath, certPath: caPath, verify: 'perhaps' as 'full' } };
  await assert.rejects(startServer({ outside }), (error: Error) => {
    for (const words of [
      /outside\.nameServers: 'dns\.example\.org' is no address of a name server/,
      /outside\.tls: certPath and keyPath, both or none/,
      /outside\.tls\.verify: 'full', 'authority' or 'none'/,
      /outside\.tls: \/nowhere\/ca\.pem: there is no such file/,
    ])
      assert.match(error.message, words);
    return true;
  });
  await using server = await startServer({ outside: { nameServers: ['127.0.0.1:9'] } });
  assert.ok(server.ports.udp);
});
