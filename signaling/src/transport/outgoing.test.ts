import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, type TestContext, test } from 'node:test';
import { createServer as createTlsServer, type TLSSocket, type TlsOptions, Server as TlsServer } from 'node:tls';
import { createRequest, createResponse, parseSip, SipMessage, StreamFramer, text } from '@offhook/core';
import { ownCertificate } from '@offhook/core/node';
import type { Hop, Opened, TlsPeer } from '../locate/index.ts';
import type { Flow } from '../transaction/index.ts';
import { OutgoingConnections, TRANSPORT_LIMITS, TransportHub, type TransportLimits, tlsPeerProblem } from './index.ts';
import { connectTrouble } from './outgoing-words.ts';

const root = mkdtempSync(join(tmpdir(), 'oh-out-'));
after(() => rmSync(root, { recursive: true, force: true }));
let folders = 0;
const DAY_MS = 86_400_000;

/** A CA of its own and a certificate by it. */
const certificateFor = (names: readonly string[], nowMs = Date.now()) => {
  const { cert, key, caPath, certPath, keyPath } = ownCertificate({
    folder: join(root, String(folders++)),
    names,
    nowMs,
  });
  return { cert, key, caPath, certPath, keyPath };
};

/** A hub and its connections to elsewhere, and what came in. */
function bench(t: TestContext, limits: Partial<TransportLimits> = {}, tls?: TlsPeer) {
  const seen: { message: SipMessage; flow: Flow }[] = [];
  const gone: Flow[] = [];
  const troubles: string[] = [];
  const waiting: (() => void)[] = [];
  const wake = () => {
    for (const one of waiting.splice(0)) one();
  };
  const hub = new TransportHub(
    {
      onMessage: (message, flow) => {
        seen.push({ message, flow });
        wake();
      },
      onFlowClosed: (flow) => {
        gone.push(flow);
        wake();
      },
      mayAnswer: () => true,
    },
    { ...TRANSPORT_LIMITS, ...limits },
  );
  const onTrouble = (words: string) => {
    troubles.push(words);
    wake();
  };
  const outgoing = new OutgoingConnections(hub, { tls, onTrouble });
  const until = async (condition: () => boolean) => {
    while (!condition()) await new Promise<void>((resolve) => waiting.push(resolve));
  };
  t.after(async () => {
    outgoing.close();
    hub.close();
    await until(() => hub.connections === 0);
    assert.equal(hub.outgoing, 0);
  });
  return { hub, outgoing, seen, gone, troubles, until };
}

/** A server that does with each connection what the test wants. */
async function serverOf(t: TestContext, made: Server, onSocket: (socket: Socket) => void = () => {}) {
  const sockets = new Set<Socket>();
  made.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
  });
  made.on('tlsClientError', () => {});
  made.on(made instanceof TlsServer ? 'secureConnection' : 'connection', onSocket);
  made.listen(0, '127.0.0.1');
  await once(made, 'listening');
  t.after(async () => {
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => made.close(resolve));
  });
  return { port: (made.address() as AddressInfo).port, sockets };
}

const tlsServer = (t: TestContext, options: TlsOptions, onSocket?: (socket: Socket) => void) =>
  serverOf(
    t,
    createTlsServer(options, (socket) => socket.on('error', () => {})),
    onSocket,
  );

const tcp = (port: number): Hop => ({
  transport: 'tcp',
  address: '127.0.0.1',
  port,
  name: 'example.org',
  host: 'sip.example.org',
});
const tls = (port: number, name = 'example.org'): Hop => ({ ...tcp(port), transport: 'tls', name });
const flowOf = (opened: Opened): Flow => {
  assert.ok('flow' in opened, 'error' in opened ? opened.error : '');
  return opened.flow;
};
const errorOf = (opened: Opened): string => ('error' in opened ? opened.error : 'opened');

const options = () =>
  createRequest({
    method: 'OPTIONS',
    uri: 'sip:example.org',
    from: '<sip:a@b>;tag=1',
    to: '<sip:b>',
    callId: 'c',
    cseq: 1,
  })
    .prepend('via', 'SIP/2.0/TCP 127.0.0.1;branch=z9hG4bKx')
    .serialize();

/** Answers each request by 200. */
const answering = (socket: Socket) => {
  const framer = new StreamFramer();
  socket.on('data', (chunk) => {
    framer.push(chunk);
    for (let next = framer.next(); next instanceof Uint8Array; next = framer.next()) {
      const message = parseSip(next);
      assert.ok(message instanceof SipMessage);
      socket.write(createResponse(message, 200, undefined, { toTag: 's' }).serialize());
    }
  });
};

test('TCP: one connection for all who want it at a time and later; its flow carries both ways and is known', async (t) => {
  const { hub, outgoing, seen, until } = bench(t);
  const server = await serverOf(t, createServer(), answering);
  const opened = await Promise.all([outgoing.open(tcp(server.port)), outgoing.open(tcp(server.port))]);
  const flow = flowOf(opened[0]);
  assert.equal(flowOf(opened[1]), flow);
  assert.equal(
    flowOf(await outgoing.open({ ...tcp(server.port), name: 'example.com' })),
    flow,
    'names matter to TLS alone',
  );
  const { transport, isKnown, isOutgoing, remote } = flow;
  assert.deepEqual({ transport, isKnown, isOutgoing }, { transport: 'tcp', isKnown: true, isOutgoing: true });
  assert.deepEqual(remote, { address: '127.0.0.1', port: server.port });
  hub.send(flow, options());
  await until(() => seen.length === 1);
  assert.deepEqual([seen[0]!.flow, seen[0]!.message.status], [flow, 200]);
  assert.deepEqual([server.sockets.size, hub.connections, hub.outgoing, hub.counters.connectionsOpened], [1, 1, 1, 1]);
});

test('TCP: when the other side hangs up the flow is gone, and the next who wants it gets a new one', async (t) => {
  const { outgoing, gone, until } = bench(t);
  const server = await serverOf(t, createServer());
  const flow = flowOf(await outgoing.open(tcp(server.port)));
  for (const socket of server.sockets) socket.end();
  await until(() => gone.includes(flow));
  assert.notEqual(flowOf(await outgoing.open(tcp(server.port))), flow);
});

test('what refuses is said in words, and is tried anew the next time', async (t) => {
  const { hub, outgoing } = bench(t);
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  const words = `sip.example.org:${port} refuses the connection`;
  assert.equal(errorOf(await outgoing.open(tcp(port))), words);
  assert.equal(errorOf(await outgoing.open(tls(port))), words);
  const again = createServer().listen(port, '127.0.0.1');
  await once(again, 'listening');
  t.after(() => again.close());
  flowOf(await outgoing.open(tcp(port)));
  assert.equal(hub.counters.connectionsNotOpened, 2);
});

test('connections to elsewhere have a limit of their own, and leave that of an address alone', async (t) => {
  const { hub, outgoing } = bench(t, { outgoing: 2, connectionsPerLoopbackAddress: 1, connections: 1 });
  const servers = await Promise.all([1, 2, 3].map(() => serverOf(t, createServer())));
  const opened = await Promise.all(servers.map(({ port }) => outgoing.open(tcp(port))));
  assert.deepEqual(
    opened.map((each) => 'flow' in each),
    [true, true, false],
  );
  assert.match(errorOf(opened[2]!), /: 2 connections to other servers are open already, no more are allowed$/);
  assert.equal(hub.admits({ address: '127.0.0.1', port: 1 }), true);
});

test('when there are too many, the one that has carried no message for longest makes way, if that is long', async (t) => {
  const { hub, outgoing, gone, until, seen } = bench(t, { outgoing: 2, idleMs: 150, crlfPingMs: 20, messageMs: 20 });
  const ponging = (socket: Socket) =>
    socket.on('data', (chunk) => {
      if (chunk.length === 4) socket.write('\r\n');
      else socket.write(createResponse(parseSip(chunk) as SipMessage, 200, undefined, { toTag: 's' }).serialize());
    });
  const servers = await Promise.all([1, 2, 3].map(() => serverOf(t, createServer(), ponging)));
  const [one, two, three] = servers.map(({ port }) => tcp(port)) as [Hop, Hop, Hop];
  const [first, second] = [flowOf(await outgoing.open(one)), flowOf(await outgoing.open(two))];
  assert.match(errorOf(await outgoing.open(three)), /no more are allowed/);
  await new Promise((resolve) => setTimeout(resolve, hub.limits.idleMs + 10)); // pongs go on meanwhile
  hub.send(first, options());
  await until(() => seen.length === 1);
  flowOf(await outgoing.open(three));
  await until(() => gone.length === 1);
  assert.equal(gone[0], second);
});

test('TLS: a certificate for the domain of the URI, by a CA that is named, at TLS 1.2 or 1.3', async (t) => {
  const own = certificateFor(['example.org']);
  for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
    const { hub, outgoing, seen, until } = bench(t, {}, { caPath: own.caPath });
    let servername: unknown;
    const server = await tlsServer(t, { cert: own.cert, key: own.key, maxVersion: version }, (socket) => {
      servername = (socket as TLSSocket & { servername: unknown }).servername;
      answering(socket);
    });
    const flow = flowOf(await outgoing.open(tls(server.port)));
    assert.deepEqual([flow.transport, flow.isOutgoing], ['tls', true]);
    hub.send(flow, options());
    await until(() => seen.length === 1);
    assert.equal(servername, 'example.org');
  }
});

test('TLS: each failure is said in words, and nothing is sent', async (t) => {
  const own = certificateFor(['example.org']);
  const other = certificateFor(['other.example.org']);
  const old = certificateFor(['example.org'], Date.now() - 500 * DAY_MS);
  const early = certificateFor(['example.org'], Date.now() + 500 * DAY_MS);
  const got: string[] = [];
  const listen = (socket: Socket) => socket.on('data', (chunk) => got.push(text(chunk)));
  const plainServer = async (onSocket: (socket: Socket) => void) => serverOf(t, createServer(), onSocket);
  const secure = (o: TlsOptions) => tlsServer(t, o, listen);
  const legacy = { minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT@SECLEVEL=0' } as const;
  const table: [server: { port: number }, peer: TlsPeer, words: RegExp][] = [
    [
      await secure(other),
      { caPath: other.caPath },
      /^: its certificate is for localhost, other\.example\.org, not for example\.org$/,
    ],
    [
      await secure(own),
      {},
      /^: its certificate is signed by an authority that is not trusted \(Offhook CA of .*\); name it in `ca`$/,
    ],
    [await secure(own), { caPath: other.caPath }, /an authority that is not trusted/],
    [await secure(old), { caPath: old.caPath }, /^: its certificate is not good today: it has expired on 20\d\d-/],
    [
      await secure(early),
      { caPath: early.caPath },
      /^: its certificate is not good today: it is not good before 20\d\d-/,
    ],
    [await secure({ ...own, ...legacy }), { caPath: own.caPath }, /^ offers nothing newer than TLS 1\.1/],
    [await plainServer((socket) => socket.write('SIP/2.0 400 Bad\r\n\r\n')), {}, /^ does not speak TLS on this port$/],
    [await plainServer(() => {}), {}, /^ took the connection, but does not speak TLS: nothing came within 0\.3 s$/],
    [await plainServer((socket) => socket.destroy()), {}, /^ hung up/],
    [
      await secure(own),
      { caPath: join(root, 'none.pem') },
      /none\.pem: there is no such file \(a certificate is wanted\)$/,
    ],
    [await secure(own), { caPath: own.keyPath }, /this is no certificate in PEM/],
    [await secure(own), { certPath: own.certPath, keyPath: other.keyPath }, /is not the key of/],
    [await secure({ ...own, maxVersion: 'TLSv1.2', ciphers: 'ECDHE-ECDSA-AES128-SHA256' }), {}, /no cipher in common/],
  ];
  for (const [server, peer, words] of table) {
    const { outgoing, hub } = bench(t, { connectMs: 300 });
    const error = errorOf(await outgoing.open(tls(server.port), peer));
    const hop = `sip.example.org:${server.port}`;
    assert.ok(error.startsWith(hop), error);
    assert.match(error.slice(hop.length), words);
    assert.equal(hub.connections, 0);
    outgoing.close();
  }
  assert.deepEqual(got, []);
});

test('settings that can’t be used are told beforehand', () => {
  const own = certificateFor(['example.org']);
  assert.equal(tlsPeerProblem({}), undefined);
  assert.equal(tlsPeerProblem(own), undefined);
  assert.match(tlsPeerProblem({ caPath: join(root, 'none.pem') })!, /none\.pem: there is no such file/);
  const other = certificateFor(['example.org']);
  assert.match(tlsPeerProblem({ certPath: own.certPath, keyPath: other.keyPath })!, /is not the key of/);
});

test('words for what can’t be brought about here', () => {
  const table: [code: string, words: string][] = [
    ['ETIMEDOUT', ' does not answer within 4 s'],
    ['EHOSTUNREACH', ' can’t be reached: there is no way to its network'],
    ['ENETUNREACH', ' can’t be reached: there is no way to its network'],
    ['EMFILE', ' was not called: this process has no file descriptors left'],
    ['EWHATEVER', ': something else'],
  ];
  for (const [code, words] of table)
    assert.equal(connectTrouble({ code, message: 'something else' }, 'connecting', 4000), words);
});

test('TLS: what of the certificate is checked can be less, for one peer; its connection is not another’s', async (t) => {
  const other = certificateFor(['other.example.org']);
  const { hub, outgoing } = bench(t);
  const server = await tlsServer(t, other);
  const open = (peer: TlsPeer) => outgoing.open(tls(server.port), peer);
  const byAuthority = flowOf(await open({ caPath: other.caPath, verify: 'authority' }));
  assert.match(errorOf(await open({ verify: 'authority' })), /not trusted/);
  const byNothing = flowOf(await open({ verify: 'none' }));
  assert.notEqual(byNothing, byAuthority);
  assert.match(errorOf(await open({ caPath: other.caPath })), /not for example\.org/);
  assert.equal(flowOf(await open({ verify: 'none' })), byNothing);
  assert.equal(hub.outgoing, 2);
});

const hasOpenssl = (() => {
  try {
    return execFileSync('openssl', ['version']).length > 0;
  } catch {
    return false;
  }
})();

test('RFC 5922: sip: URIs of a certificate count before DNS names; wildcards and addresses are taken', {
  skip: !hasOpenssl && 'no openssl',
}, async (t) => {
  const table: [names: string, name: string, isFine: boolean][] = [
    ['URI:sip:example.org,DNS:host.example.net', 'example.org', true],
    ['URI:sip:example.org,DNS:host.example.net', 'host.example.net', false],
    ['URI:sip:bob@example.org,DNS:host.example.net', 'example.org', false],
    ['URI:https://example.org,DNS:example.org', 'example.org', true],
    ['DNS:*.example.org', 'sip.example.org', true],
    ['DNS:*.example.org', 'example.org', false],
    ['IP:127.0.0.1', '127.0.0.1', true],
  ];
  for (const [i, [names, name, isFine]] of table.entries()) {
    const [certPath, keyPath] = [join(root, `san${i}.pem`), join(root, `san${i}.key`)];
    const made = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2', '-subj', '/CN=x'];
    const files = ['-keyout', keyPath, '-out', certPath];
    execFileSync('openssl', ['req', '-x509', ...made, '-addext', `subjectAltName=${names}`, ...files], {
      stdio: 'ignore',
    });
    const server = await tlsServer(t, { cert: readFileSync(certPath), key: readFileSync(keyPath) });
    const { outgoing } = bench(t, {}, { caPath: certPath });
    assert.equal('flow' in (await outgoing.open(tls(server.port, name))), isFine, `${names} for ${name}`);
  }
});

test('TLS: a server gets the certificate that it wants; without one it hangs up, and the log says why', async (t) => {
  const own = certificateFor(['example.org']);
  const ours = certificateFor(['pbx.example.net']);
  const shown = Promise.withResolvers<string>();
  const server = await tlsServer(t, { ...own, requestCert: true, rejectUnauthorized: false }, (socket) =>
    shown.resolve((socket as TLSSocket).getPeerX509Certificate()?.subjectAltName ?? 'none'),
  );
  const { outgoing } = bench(t);
  const { certPath, keyPath } = ours;
  flowOf(await outgoing.open(tls(server.port), { caPath: own.caPath, certPath, keyPath }));
  assert.match(await shown.promise, /pbx\.example\.net/);
  const strict = await tlsServer(t, { ...own, requestCert: true, rejectUnauthorized: true });
  const without = bench(t, {}, { caPath: own.caPath });
  const flow = flowOf(await without.outgoing.open(tls(strict.port)));
  await without.until(() => without.gone.includes(flow) && without.troubles.length > 0);
  const words = `sip.example.org:${strict.port} wants a certificate of ours: name it in \`cert\` and \`key\``;
  assert.deepEqual(without.troubles, [words]);
});

const QUICK = { messageMs: 20, crlfPingMs: 40, pongMs: 60 };

test('keep-alive: pings when nothing comes; who has answered one and stops is given up', async (t) => {
  const { hub, outgoing, gone, until } = bench(t, QUICK);
  let pings = 0;
  const server = await serverOf(t, createServer(), (socket) =>
    socket.on('data', (chunk) => {
      assert.equal(text(chunk), '\r\n\r\n');
      if (++pings <= 3) socket.write('\r\n');
    }),
  );
  const flow = flowOf(await outgoing.open(tcp(server.port)));
  await until(() => gone.includes(flow));
  assert.equal(pings, 4, 'a pong is not taken for the begin of a message');
  assert.equal(hub.counters.connectionsTimedOut, 1);
  assert.equal(hub.counters.keepAlives, 0, 'two pongs are not one ping');
});

test('keep-alive: who answers no ping is not pinged again, and stays until it has been idle for long', async (t) => {
  const { hub, outgoing, gone, until } = bench(t, { ...QUICK, idleMs: 400 });
  const got: string[] = [];
  const server = await serverOf(t, createServer(), (socket) => socket.on('data', (chunk) => got.push(text(chunk))));
  const beganMs = performance.now();
  const flow = flowOf(await outgoing.open(tcp(server.port)));
  await until(() => gone.includes(flow));
  assert.ok(performance.now() - beganMs >= 400);
  assert.deepEqual(got, ['\r\n\r\n']);
  assert.equal(hub.counters.connectionsTimedOut, 1);
});

test('a connection in doubt is closed when it has been silent for as long as a request takes, and not before', async (t) => {
  const { hub, outgoing, gone, until, seen } = bench(t, { unansweredMs: 100 });
  const server = await serverOf(t, createServer(), (socket) =>
    socket.once('data', (chunk) => {
      socket.write(createResponse(parseSip(chunk) as SipMessage, 503, undefined, { toTag: 's' }).serialize());
    }),
  );
  const flow = flowOf(await outgoing.open(tcp(server.port)));
  hub.send(flow, options());
  await until(() => seen.length === 1);
  hub.doubt(flow, performance.now());
  assert.equal(flowOf(await outgoing.open(tcp(server.port))), flow);
  hub.doubt(flow, performance.now() + 101);
  await until(() => gone.includes(flow));
  assert.equal(hub.counters.connectionsTimedOut, 1);
});

test('a server’s own pings are answered, and a message that it begins must be whole in time', async (t) => {
  const { hub, outgoing, gone, until } = bench(t, { messageMs: 50 });
  const server = await serverOf(t, createServer(), (socket) => {
    socket.write('\r\n\r\n');
    socket.once('data', (chunk) => {
      assert.equal(text(chunk), '\r\n');
      socket.write('OPTIONS sip:x');
    });
  });
  const flow = flowOf(await outgoing.open(tcp(server.port)));
  await until(() => gone.includes(flow));
  assert.deepEqual([hub.counters.keepAlives, hub.counters.connectionsTimedOut], [1, 1]);
});

test('closing gives up what is being opened', async (t) => {
  const { outgoing, hub } = bench(t);
  const server = await serverOf(t, createServer());
  const opening = outgoing.open(tls(server.port));
  outgoing.close();
  assert.match(errorOf(await opening), /hung up/);
  assert.equal(hub.outgoing, 0);
});
