import assert from 'node:assert/strict';
import { createSocket, type RemoteInfo } from 'node:dgram';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer as createHttpServer } from 'node:http';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, type TestContext, test } from 'node:test';
import { createServer as createTlsServer, type TlsOptions } from 'node:tls';
import { ownCertificate, passingCertificate } from '@offhook/core/node';
import WebSocket, { WebSocketServer } from 'ws';
import { loopbackAddresses } from '../addresses.ts';
import { type EchoOptions, runEcho } from './client.ts';
import { echoIdentity } from './identity.ts';
import { EchoListener } from './listener.ts';
import { ECHO_LIMITS, type EchoLimits } from './port.ts';
import { parseEchoUrl, SCHEMES, type Scheme } from './url.ts';

const root = mkdtempSync(join(tmpdir(), 'oh-echo-'));
after(() => rmSync(root, { recursive: true, force: true }));
const DAY_MS = 86_400_000;
let folders = 0;

/** A CA of its own and a certificate by it. */
function certificateFor(names: readonly string[], nowMs = Date.now()) {
  const { cert, key, caPath, certPath, keyPath } = ownCertificate({
    folder: join(root, String(folders++)),
    names,
    nowMs,
  });
  return { cert, key, ca: readFileSync(caPath, 'utf8'), files: { cert: certPath, key: keyPath } };
}
const good = certificateFor(['127.0.0.1', '::1']);

/** An echo on loopback, and where each transport is; afterwards nobody is connected to it. */
async function listener(
  t: TestContext,
  limits: Partial<EchoLimits> = {},
  addresses: readonly string[] = ['127.0.0.1'],
) {
  const peers: string[] = [];
  const echo = await EchoListener.open({
    plan: SCHEMES.map((scheme) => ({ scheme, addresses, port: 0, isExact: true })),
    limits: { ...ECHO_LIMITS, ...limits },
    certificate: good,
    onPeer: (scheme, address) => peers.push(`${scheme} ${address}`),
  });
  t.after(async () => {
    await echo.close();
    assert.equal(echo.connections, 0);
  });
  const portOf = (scheme: Scheme) => echo.opened.find((one) => one.scheme === scheme)!.ports[0]!.port;
  return { echo, peers, portOf, url: (scheme: Scheme, host = '127.0.0.1') => `${scheme}://${host}:${portOf(scheme)}` };
}

/** What becomes of an echo that is asked for, and the lines that were said. */
async function ask(url: string, more: Partial<EchoOptions> = {}) {
  const target = parseEchoUrl(url);
  assert.ok(typeof target !== 'string', String(target));
  const lines: string[] = [];
  const trust = { ca: [good.ca], insecure: false };
  const options = { count: 3, intervalMs: 1, size: undefined, timeoutMs: 5000, signal: new AbortController().signal };
  const result = await runEcho({ target, trust, ...options, say: (line) => lines.push(line), ...more });
  return { ...result, lines, words: result.troubles.join('\n') };
}

/** A server of somebody else's; its port. */
async function foreign(t: TestContext, server: Server): Promise<number> {
  const sockets = new Set<Socket>();
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
  });
  server.on('tlsClientError', () => {});
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(async () => {
    for (const socket of sockets) socket.destroy();
    server.close();
    await once(server, 'close');
  });
  return (server.address() as AddressInfo).port;
}

const tlsServer = (options: TlsOptions) =>
  createTlsServer(options, (stream) => {
    stream.on('error', () => {});
    stream.pipe(stream);
  });

/** A UDP peer that does with each datagram what the test wants; its port. */
async function datagrams(t: TestContext, on: (bytes: Buffer, back: (bytes: Buffer) => void, from: RemoteInfo) => void) {
  const socket = createSocket('udp4');
  socket.on('message', (bytes, from) => on(bytes, (answer) => socket.send(answer, from.port, from.address), from));
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  t.after(() => socket.close());
  return socket.address().port;
}

for (const scheme of SCHEMES) {
  for (const host of loopbackAddresses()) {
    test(`${scheme} over ${host}: the greeting and what follows come back`, async (t) => {
      const { url, peers, echo } = await listener(t, {}, [host]);
      const { sent, received, lines, words, tls } = await ask(url(scheme, host.includes(':') ? `[${host}]` : host));
      assert.equal(words, '');
      assert.deepEqual([sent, received], [3, 3]);
      const texts = lines.filter((line) => line.startsWith('Hello')).map((line) => line.replace(/ {2}[\d.]+ ms$/, ''));
      assert.deepEqual(texts, ['Hello, Server!', 'Hello, Server! 2', 'Hello, Server! 3']);
      assert.deepEqual(peers, [`${scheme} ${host}`]);
      assert.equal(tls?.protocol, scheme === 'tls' || scheme === 'wss' ? 'TLSv1.3' : undefined);
      assert.ok(echo.counters.get(scheme)!.bytes >= 46);
    });
  }

  test(`${scheme}: the largest messages come back`, async (t) => {
    const { url } = await listener(t, { bytesPerS: 10_000_000 });
    const size = scheme === 'udp' ? 65_507 : 65_536;
    const { received, words } = await ask(url(scheme), { size });
    assert.equal(words, '');
    assert.equal(received, 3);
  });
}

test('a name is tried at all its addresses; nobody there is said', async (t) => {
  const { url, portOf, echo } = await listener(t);
  for (const scheme of SCHEMES) assert.equal((await ask(url(scheme, 'localhost'))).received, 3, scheme);
  const [udp, tcp] = [portOf('udp'), portOf('tcp')];
  await echo.close();
  assert.match(
    (await ask(`udp://localhost:${udp}`)).words,
    /127\.0\.0\.1:\d+ is there, but nobody listens on that UDP port/,
  );
  assert.match((await ask(`tcp://127.0.0.1:${tcp}`)).words, /^127\.0\.0\.1:\d+ refuses the connection/);
  assert.match((await ask(`wss://127.0.0.1:${tcp}`)).words, /^127\.0\.0\.1:\d+ refuses the connection/);
});

const DISTRUST: readonly [string, () => TlsOptions & { ca?: string }, RegExp][] = [
  [
    'self-signed',
    () => passingCertificate(['127.0.0.1'], Date.now()),
    /signed by nobody but itself; name that certificate in --ca <file>.*--fingerprint [0-9A-F:]{95}$/,
  ],
  [
    'of an unknown CA',
    () => ({ ...certificateFor(['127.0.0.1']), ca: undefined! }),
    /signed by an authority that is not trusted \(Offhook CA of .*\); name it in --ca <file>: that is tls\/ca\.pem in the data folder/,
  ],
  [
    'expired',
    () => certificateFor(['127.0.0.1'], Date.now() - 500 * DAY_MS),
    /its certificate is not good today: it has expired on 20\d\d-\d\d-\d\d$/,
  ],
  [
    'not yet valid',
    () => certificateFor(['127.0.0.1'], Date.now() + 5 * DAY_MS),
    /is not good (today: it is not good )?before|above its own is out of date/,
  ],
  [
    'of another name',
    () => certificateFor(['pbx.example']),
    /its certificate is for localhost, pbx\.example, not for 127\.0\.0\.1; call it by one of those names$/,
  ],
];

for (const [what, made, words] of DISTRUST)
  test(`a certificate ${what} is refused in words; --insecure goes on and says the same; its fingerprint is enough`, async (t) => {
    const { cert, key, ca } = made();
    const port = await foreign(t, tlsServer({ cert: cert!, key: key! }));
    const url = `tls://127.0.0.1:${port}`;
    const authorities = typeof ca === 'string' ? [ca] : [good.ca];
    const refused = await ask(url, { trust: { ca: authorities, insecure: false } });
    assert.match(refused.words, words);
    assert.equal(refused.sent, 0);
    const insecure = await ask(url, { trust: { ca: authorities, insecure: true } });
    assert.equal(insecure.received, 3);
    assert.ok(insecure.lines.some((line) => line.startsWith('NOT TRUSTED')));
    const fingerprint = insecure.tls!.fingerprint.toLowerCase().replaceAll(':', '');
    assert.equal((await ask(url, { trust: { ca: [], insecure: false, fingerprint } })).received, 3);
    const other = `00${fingerprint.slice(2)}`;
    const wrong = await ask(url, { trust: { ca: authorities, insecure: false, fingerprint: other } });
    assert.match(wrong.words, /its certificate is another one, with the fingerprint /);
  });

test('a self-signed certificate that is named as authority is trusted', async (t) => {
  const pair = passingCertificate(['127.0.0.1'], Date.now());
  const port = await foreign(t, tlsServer(pair));
  const { received, words } = await ask(`tls://127.0.0.1:${port}`, { trust: { ca: [pair.cert], insecure: false } });
  assert.equal(words, '');
  assert.equal(received, 3);
});

test('no TLS at the other end, one that is too old, and none in common are told apart', async (t) => {
  const { url, portOf } = await listener(t);
  assert.match((await ask(`tls://127.0.0.1:${portOf('tcp')}`)).words, /does not speak TLS on this port$/);
  assert.match((await ask(`wss://127.0.0.1:${portOf('ws')}`)).words, /does not speak TLS on this port$/);
  const silent = await foreign(
    t,
    createServer(() => {}),
  );
  assert.match(
    (await ask(`tls://127.0.0.1:${silent}`, { timeoutMs: 100 })).words,
    /does not speak TLS: nothing came within 0\.1 s$/,
  );
  const closing = await foreign(
    t,
    createServer((socket) => socket.destroy()),
  );
  assert.match((await ask(`tls://127.0.0.1:${closing}`)).words, /hung up during the TLS handshake$/);
  const old = { ...good, minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'ALL@SECLEVEL=0' } as const;
  const oldPort = await foreign(
    t,
    tlsServer({
      cert: old.cert,
      key: old.key,
      minVersion: old.minVersion,
      maxVersion: old.maxVersion,
      ciphers: old.ciphers,
    }),
  );
  assert.match((await ask(`tls://127.0.0.1:${oldPort}`)).words, /offers nothing newer than TLS 1\.1/);
  const https = await ask(`tcp://127.0.0.1:${portOf('tls')}`, { timeoutMs: 2000 });
  assert.match(
    https.words,
    /something else came back: .*it speaks TLS: tls:\/\/ or wss:\/\/ is meant|closed the connection|broke it off/,
  );
  assert.match((await ask(`ws://127.0.0.1:${portOf('tcp')}`, { timeoutMs: 500 })).words, /no WebSocket/);
  assert.match(
    (await ask(`ws://127.0.0.1:${portOf('wss')}`)).words,
    /no WebSocket server; if it speaks TLS, wss:\/\/ is meant$/,
  );
  assert.match((await ask(`${url('tcp').replace('tcp', 'ws')}/x`, { timeoutMs: 500 })).words, /WebSocket/);
});

test('a server that wants a certificate of ours is said, in TLS 1.2 and 1.3', async (t) => {
  for (const maxVersion of ['TLSv1.2', 'TLSv1.3'] as const) {
    const { cert, key, ca } = good;
    const port = await foreign(
      t,
      tlsServer({ cert, key, ca, requestCert: true, rejectUnauthorized: true, maxVersion }),
    );
    for (const scheme of ['tls', 'wss'])
      assert.match(
        (await ask(`${scheme}://127.0.0.1:${port}`)).words,
        /wants a certificate of ours: echo has none to show$/,
        `${scheme} ${maxVersion}`,
      );
  }
});

test('an HTTP server without a WebSocket is told by its status', async (t) => {
  const port = await foreign(
    t,
    createHttpServer((_, response) => response.writeHead(404).end()),
  );
  assert.match(
    (await ask(`ws://127.0.0.1:${port}/sip`)).words,
    /does not open a WebSocket \(HTTP 404\): it has nothing at the path \/sip$/,
  );
});

test('foreign echoes: one that greets first, one that hangs up at once, one that never answers', async (t) => {
  const greeting = await foreign(
    t,
    createServer((socket) => {
      socket.write('220 welcome\r\n');
      socket.pipe(socket);
    }),
  );
  const greeted = await ask(`tcp://127.0.0.1:${greeting}`);
  assert.equal(greeted.received, 3);
  assert.match(greeted.words, /something else came back: '220 welcome·' \(it is a mail or FTP server\)/);
  const server = createHttpServer();
  new WebSocketServer({ server }).on('connection', (socket) => {
    socket.send('Request served by x');
    socket.on('message', (data) => socket.send(data, { binary: false }));
  });
  assert.equal((await ask(`ws://127.0.0.1:${await foreign(t, server)}/.ws`)).received, 3);
  const closing = await foreign(
    t,
    createServer((socket) => socket.end()),
  );
  const closed = await ask(`tcp://127.0.0.1:${closing}`);
  assert.ok(closed.lost > 0);
  assert.match(closed.words, /closed the connection|broke it off/);
  const mute = await foreign(
    t,
    createServer(() => {}),
  );
  assert.match(
    (await ask(`tcp://127.0.0.1:${mute}`, { timeoutMs: 100 })).words,
    /took the connection, but sent nothing back within 0\.1 s: it is no echo/,
  );
});

test('over UDP lost, doubled and overtaken datagrams are counted; silence is said', async (t) => {
  const held: Buffer[] = [];
  const port = await datagrams(t, (bytes, back) => {
    const text = String(bytes);
    if (text.endsWith(' 2')) held.push(bytes);
    else if (!text.endsWith(' 4')) {
      back(bytes);
      if (text.endsWith(' 5')) {
        back(bytes);
        back(held[0]!);
        back(Buffer.from('who?'));
      }
    }
  });
  const result = await ask(`udp://127.0.0.1:${port}`, { count: 5, timeoutMs: 300 });
  assert.deepEqual(
    [result.sent, result.received, result.lost, result.lostPercent, result.duplicates, result.reordered],
    [5, 4, 1, 20, 1, 1],
  );
  assert.match(result.words, /something else came back: 'who\?'/);
  const silent = await datagrams(t, () => {});
  const nothing = await ask(`udp://127.0.0.1:${silent}`, { timeoutMs: 100 });
  assert.equal(nothing.lostPercent, 100);
  assert.match(nothing.words, /^nothing came back from .* within 0\.1 s: .* or a firewall drops UDP/);
});

test('stopped early: what is under way counts as nothing, what was lost before counts', async (t) => {
  const controller = new AbortController();
  let seen = 0;
  const port = await datagrams(t, (bytes, back) => {
    if (++seen === 3) controller.abort();
    else back(bytes);
  });
  const result = await ask(`udp://127.0.0.1:${port}`, { count: 100, intervalMs: 20, signal: controller.signal });
  assert.equal(result.lost, 0);
  assert.equal(result.sent, result.received);
  const aborted = await ask(`tcp://127.0.0.1:${port}`, { signal: AbortSignal.abort() });
  assert.equal(aborted.words, 'stopped before anything was sent');
});

/** Connections to a port until they are told that they are open or closed. */
async function connections(t: TestContext, port: number, count: number, from = '127.0.0.1') {
  const states = await Promise.all(
    Array.from({ length: count }, async () => {
      const socket = connect({ port, host: '127.0.0.1', localAddress: from });
      socket.on('error', () => {});
      t.after(() => socket.destroy());
      const closed = once(socket, 'close').then(
        () => 'refused',
        () => 'refused',
      );
      socket.write('x');
      const echoed = once(socket, 'data').then(
        () => 'open',
        () => 'refused',
      );
      return Promise.race([closed, echoed]);
    }),
  );
  return states.filter((state) => state === 'open').length;
}

test('connections of one address, and of all, end at their limits', async (t) => {
  const { portOf, echo } = await listener(t, { connections: 5, perAddress: 3 });
  assert.equal(await connections(t, portOf('tcp'), 3), 3, 'at the limit');
  assert.equal(await connections(t, portOf('tcp'), 1), 0, 'above one address');
  assert.match((await ask(`ws://127.0.0.1:${portOf('ws')}`)).words, /./, 'the limit is one of all transports');
  assert.equal(await connections(t, portOf('tcp'), 3, '127.0.0.2'), 2, 'above all');
  assert.equal(echo.counters.get('tcp')!.refused, 2);
});

test('a WebSocket message above the limit is refused by 1009 and said; a datagram above it gets nothing', async (t) => {
  const { url, echo } = await listener(t, { maxSize: 100 });
  assert.equal((await ask(url('ws'), { size: 100 })).received, 3, 'at the limit');
  assert.match(
    (await ask(url('ws'), { size: 101 })).words,
    /the message is too big for it; a smaller --size is needed/,
  );
  assert.equal((await ask(url('udp'), { size: 100 })).received, 3);
  assert.equal((await ask(url('udp'), { size: 101, timeoutMs: 100 })).received, 0);
  assert.equal(echo.counters.get('udp')!.dropped, 3);
});

test('datagrams above an address’s rate are dropped; connections are slowed down and lose nothing', async (t) => {
  const { url, echo } = await listener(t, { bytesPerS: 65_536 });
  const udp = await ask(url('udp'), { size: 30_000, count: 4, timeoutMs: 200 });
  assert.ok(udp.received === 2 || udp.received === 3, String(udp.received)); // a slow machine refills
  assert.ok(echo.counters.get('udp')!.dropped >= 1);
  for (const scheme of ['tcp', 'ws'] as const) {
    const started = performance.now();
    const { received } = await ask(url(scheme), { size: 32_768, count: 5 });
    assert.equal(received, 5);
    assert.ok(
      performance.now() - started > 400,
      `${scheme}: 160 KiB at 64 KiB/s, with 64 KiB in reserve and one read in advance`,
    );
  }
});

test('nothing is answered to a port of a service or to an echo’s own port', async (t) => {
  const { portOf, echo } = await listener(t);
  const other = createSocket('udp4');
  t.after(() => other.close());
  other.bind(portOf('udp'), '127.0.0.9');
  await once(other, 'listening');
  other.on('message', () => assert.fail('two echoes would never end'));
  other.send('x', portOf('udp'), '127.0.0.1');
  // The next datagram is answered, so the one before has been seen.
  assert.equal((await ask(`udp://127.0.0.1:${portOf('udp')}`)).received, 3);
  assert.equal(echo.counters.get('udp')!.dropped, 1);
});

test('an idle connection is closed, a WebSocket by 1001 in words', async (t) => {
  const { portOf, echo } = await listener(t, { idleMs: 50 });
  const socket = connect(portOf('tcp'), '127.0.0.1');
  await once(socket, 'close');
  const web = new WebSocket(`ws://127.0.0.1:${portOf('ws')}`);
  const [code, reason] = (await once(web, 'close')) as [number, Buffer];
  assert.equal(`${code} ${reason}`, '1001 nothing came for 0.05 s');
  assert.equal(echo.counters.get('tcp')!.idle, 1);
});

test('half-closed: what was sent before the end comes back, then the end', async (t) => {
  const { portOf } = await listener(t);
  const socket = connect({ port: portOf('tcp'), host: '127.0.0.1' });
  socket.end('Hello, Server!');
  let got = '';
  for await (const bytes of socket) got += String(bytes);
  assert.equal(got, 'Hello, Server!');
});

test('stopping says goodbye: a WebSocket gets 1001, streams their end', async (t) => {
  const { portOf, echo } = await listener(t);
  const web = new WebSocket(`ws://127.0.0.1:${portOf('ws')}`);
  await once(web, 'open');
  const socket = connect(portOf('tcp'), '127.0.0.1');
  socket.write('x');
  await once(socket, 'data');
  const ends = [once(web, 'close'), once(socket, 'end')];
  await echo.close();
  const [[code]] = (await Promise.all(ends)) as [[number], unknown];
  assert.equal(code, 1001);
});

test('a port that somebody has is an error when it was asked for, and passed over when it is the usual one', async (t) => {
  const port = await foreign(t, createServer());
  const options = { limits: ECHO_LIMITS, certificate: undefined };
  const plan = (isExact: boolean) => [{ scheme: 'tcp', addresses: ['127.0.0.1'], port, isExact }] as const;
  await assert.rejects(EchoListener.open({ ...options, plan: plan(true) }), {
    message: new RegExp(`^tcp 127\\.0\\.0\\.1:${port} is taken by (.* \\(pid ${process.pid}\\)|another program)$`),
  });
  const other = await EchoListener.open({ ...options, plan: plan(false) });
  assert.equal(other.opened[0]!.taken, port);
  const near = other.opened[0]!.ports[0]!.port;
  assert.ok(near > port && near <= port + 20, `${near} is near ${port}`);
  await other.close();
  await assert.rejects(
    EchoListener.open({ ...options, plan: [{ scheme: 'udp', addresses: ['192.0.2.77'], port: 0, isExact: true }] }),
    /is not an address of this machine/,
  );
});

test('the listener’s certificate: of files, by the own CA without touching what is there, or made for now', () => {
  const folder = join(root, String(folders++));
  const names = ['127.0.0.1', 'pbx.example'];
  const passing = echoIdentity({ files: undefined, folder, names, nowMs: Date.now() });
  assert.deepEqual([passing.trust, passing.caPath], ['fingerprint', undefined]);
  const before = ownCertificate({ folder, names: [], nowMs: Date.now() });
  const own = echoIdentity({ files: undefined, folder, names, nowMs: Date.now() });
  assert.deepEqual([own.trust, own.caPath], ['own', join(folder, 'ca.pem')]);
  assert.equal(readFileSync(before.certPath, 'utf8'), before.cert);
  const files = echoIdentity({ files: good.files, folder, names, nowMs: Date.now() });
  assert.equal(files.trust, 'nothing');
  assert.match(files.words, /for localhost, 127\.0\.0\.1, ::1, 395 days left, signed by Offhook CA of /);
  assert.throws(
    () => echoIdentity({ files: { cert: '/none', key: '/none' }, folder, names, nowMs: 0 }),
    /there is no such file/,
  );
});
