import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { connect as connectTcp } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, type TestContext, test } from 'node:test';
import { type ConnectionOptions, connect, type TLSSocket } from 'node:tls';
import { createResponse, text } from '@offhook/core';
import { ownCertificate, ServerCertificate, type TlsSettings } from '@offhook/core/node';
import type { Flow } from '../transaction/index.ts';
import { listenTls, TRANSPORT_LIMITS, TransportHub, type TransportLimits } from './index.ts';

const root = mkdtempSync(join(tmpdir(), 'oh-stls-'));
after(() => rmSync(root, { recursive: true, force: true }));
let folders = 0;
const fresh = () => join(root, String(folders++));

const OPTIONS =
  'OPTIONS sip:offhook.local SIP/2.0\r\nVia: SIP/2.0/TLS phone.invalid;branch=z9hG4bKx;rport\r\n' +
  'From: <sip:a@b>;tag=1\r\nTo: <sip:b@b>\r\nCall-ID: c\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n';

interface How {
  readonly limits?: Partial<TransportLimits>;
  readonly settings?: Partial<TlsSettings>;
  readonly nowMs?: () => number;
}

/** A listener over TLS that answers every request by 200, and what it said. */
async function secure(t: TestContext, how: How = {}) {
  const folder = fresh();
  const said: string[] = [];
  const waiting: (() => void)[] = [];
  const wake = () => {
    for (const one of waiting.splice(0)) one();
  };
  const say = (words: string) => {
    said.push(words);
    wake();
  };
  const gone: Flow[] = [];
  const flows = new Set<Flow>();
  const hub = new TransportHub(
    {
      onMessage: (message, flow) => {
        flows.add(flow);
        hub.send(flow, createResponse(message, 200, undefined, { toTag: 't' }).serialize());
      },
      onFlowClosed: (flow) => {
        gone.push(flow);
        wake();
      },
      mayAnswer: () => true,
    },
    { ...TRANSPORT_LIMITS, ...how.limits },
  );
  const certificate = new ServerCertificate({
    settings: { folder, ...how.settings },
    names: () => ['127.0.0.1', 'offhook.local'],
    nowMs: how.nowMs ?? (() => Date.now()),
    log: { info: say, warn: say },
  });
  const listener = await listenTls(hub, { address: '127.0.0.1', port: 0 }, certificate, {
    onTrouble: (_remote, words) => say(words),
    onClientCertificate: (_remote, words) => say(words),
  });
  const { port } = listener.local;
  const ca = () => readFileSync(join(folder, 'ca.pem'));
  const clients: { destroy(): void }[] = [];
  t.after(async () => {
    for (const client of clients) client.destroy();
    hub.close();
    certificate.close();
    await listener.close();
    while (hub.connections > 0) await new Promise<void>((resolve) => waiting.push(resolve));
  });
  const open = async (options: ConnectionOptions = {}): Promise<TLSSocket> => {
    const socket = connect({ port, host: '127.0.0.1', ...options, ca: options.ca ?? ca() });
    clients.push(socket);
    await new Promise((resolve, reject) => socket.once('secureConnect', resolve).once('error', reject));
    socket.on('error', () => {});
    return socket;
  };
  const plain = async () => {
    const socket = connectTcp(port, '127.0.0.1');
    socket.on('error', () => {});
    clients.push(socket);
    await once(socket, 'connect');
    return socket;
  };
  const until = async (condition: () => boolean) => {
    while (!condition()) await new Promise<void>((resolve) => waiting.push(resolve));
  };
  const ask = async (socket: TLSSocket): Promise<string> => {
    socket.write(OPTIONS);
    const [bytes] = (await once(socket, 'data')) as [Buffer];
    return text(bytes);
  };
  return { hub, certificate, said, gone, flows, folder, open, plain, until, ask };
}

test('TLS: trusted by the own CA alone; messages, CRLF keep-alive, and the flow closes with its connection', async (t) => {
  const { hub, open, ask, flows, gone, until, said } = await secure(t);
  await assert.rejects(open({ ca: [] }), { code: 'UNABLE_TO_VERIFY_LEAF_SIGNATURE' });
  await until(() => said.some((words) => /does not trust our certificate/.test(words)));
  const client = await open({ servername: 'offhook.local' });
  assert.equal(client.authorized, true);
  assert.match(await ask(client), /^SIP\/2\.0 200 .*\r\nVia: SIP\/2\.0\/TLS phone\.invalid;.*received=127\.0\.0\.1/);
  client.write('\r\n\r\n');
  assert.equal(text(((await once(client, 'data')) as [Buffer])[0]), '\r\n');
  const [flow] = flows;
  assert.equal(flow?.transport, 'tls');
  client.destroy();
  await until(() => gone.includes(flow!));
  assert.equal(hub.counters.keepAlives, 1);
});

test('TLS: what is older than 1.2, and what is no TLS, is refused and told in words', async (t) => {
  const { hub, open, plain, until, said, ask } = await secure(t);
  await assert.rejects(open({ minVersion: 'TLSv1.1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT@SECLEVEL=0' }));
  await until(() => said.some((words) => /nothing newer than TLS 1\.1/.test(words)));
  const socket = await plain();
  socket.write(OPTIONS);
  await once(socket.resume(), 'close');
  await until(() => said.some((words) => /does not speak TLS on this port/.test(words)));
  assert.equal(hub.counters.handshakesFailed, 2);
  const old = await open({ maxVersion: 'TLSv1.2' });
  assert.equal(old.getProtocol(), 'TLSv1.2');
  assert.match(old.getCipher().name, /^ECDHE-ECDSA-(AES\d+-GCM|CHACHA20)/);
  assert.match(await ask(old), /^SIP\/2\.0 200/);
});

test('TLS: connections count before their handshake, and who does not finish it, or says nothing after it, is cut', async (t) => {
  const { hub, open, plain, until, gone } = await secure(t, {
    limits: { messageMs: 150, connectionsPerLoopbackAddress: 2 },
  });
  const waits = await plain();
  const silent = await open();
  assert.equal(hub.connections, 2);
  const third = await plain();
  await once(third.resume(), 'close');
  assert.equal(hub.counters.connectionsRefused, 1);
  await Promise.all([once(waits.resume(), 'close'), once(silent.resume(), 'close')]);
  await until(() => gone.length === 2);
  assert.equal(hub.connections, 0);
});

test('TLS: phones are asked for a certificate when there is a CA for them; the verdict is told, and nobody is refused', async (t) => {
  const clients = fresh();
  const good = ownCertificate({ folder: clients, names: ['desk.example'], nowMs: Date.now() });
  const foreign = ownCertificate({ folder: fresh(), names: ['other.example'], nowMs: Date.now() });
  const { open, ask, said } = await secure(t, { settings: { ca: good.caPath } });
  const verdicts = async (options: ConnectionOptions) => {
    const from = said.length;
    assert.match(await ask(await open(options)), /^SIP\/2\.0 200/);
    return said.slice(from);
  };
  assert.deepEqual(await verdicts({}), ['the client gave no certificate']);
  // The certificate is one for servers, so that its purpose is wrong; its chain is right.
  const [words] = await verdicts({ cert: good.cert, key: good.key });
  assert.match(words!, /^the client's certificate \(localhost\) is not good: INVALID_PURPOSE/);
  const openssl = (...args: string[]) => execFileSync('openssl', args, { cwd: clients, stdio: 'pipe' });
  const ec = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
  openssl('req', '-new', ...ec, '-subj', '/CN=desk', '-keyout', 'desk.key', '-out', 'desk.csr');
  openssl(
    'x509',
    '-req',
    '-in',
    'desk.csr',
    '-CA',
    'ca.pem',
    '-CAkey',
    'ca.key',
    '-CAcreateserial',
    '-out',
    'desk.pem',
  );
  const desk = { cert: readFileSync(join(clients, 'desk.pem')), key: readFileSync(join(clients, 'desk.key')) };
  assert.deepEqual(await verdicts(desk), ["the client's certificate (desk) is good"]);
  const [other] = await verdicts({ cert: foreign.cert, key: foreign.key });
  assert.match(other!, /^the client's certificate \(localhost\) is not good: UNABLE_TO_(VERIFY|GET)/);
});

test('a new certificate is served to new connections, old ones stay; a bad pair or an expired one is refused, the old one kept', async (t) => {
  const one = fresh();
  const two = fresh();
  const first = ownCertificate({ folder: one, names: ['127.0.0.1', 'one.example'], nowMs: Date.now() });
  const second = ownCertificate({ folder: two, names: ['127.0.0.1', 'two.example'], nowMs: Date.now() });
  const past = ownCertificate({ folder: fresh(), names: ['127.0.0.1'], nowMs: Date.UTC(2020, 1, 1) });
  const folder = mkdtempSync(join(root, 'live-'));
  const files = { cert: join(folder, 'cert.pem'), key: join(folder, 'key.pem') };
  copyFileSync(first.certPath, files.cert);
  copyFileSync(first.keyPath, files.key);
  const { certificate, open, ask, said, until } = await secure(t, { settings: files });
  const ca = [readFileSync(first.caPath), readFileSync(second.caPath)];
  const names = (socket: TLSSocket) => socket.getPeerCertificate().subjectaltname ?? '';
  const old = await open({ ca });
  assert.match(names(old), /one\.example/);
  assert.match(certificate.reload(), /the same as before/);

  writeFileSync(files.cert, past.cert);
  writeFileSync(files.key, past.key);
  assert.throws(() => certificate.reload(), /cert\.pem: it has expired on 2021-/);
  writeFileSync(files.cert, second.cert);
  assert.throws(() => certificate.reload(), /key\.pem is not the key of .*cert\.pem/);
  assert.match(names(await open({ ca })), /one\.example/);
  // The folder is watched: what the half-finished change left behind is told once …
  await until(() => said.some((words) => /^the old certificate is kept: .*don't belong together/.test(words)));
  assert.match(certificate.warning ?? '', /the old certificate is kept/);
  // … and the whole one is taken, renamed into place as tools do it.
  writeFileSync(join(folder, 'new'), second.key);
  renameSync(join(folder, 'new'), files.key);
  await until(() =>
    said.some((words) => /^a new certificate is served: for localhost, 127\.0\.0\.1, two\.example/.test(words)),
  );
  assert.match(names(await open({ ca })), /two\.example/);
  assert.equal(certificate.warning, undefined);
  assert.match(await ask(old), /^SIP\/2\.0 200/, 'the old connection still works');
});

test('an own certificate is renewed when it ends and when a name is new, by the look that is taken hourly', async (t) => {
  let nowMs = Date.now();
  const { certificate, said } = await secure(t, { nowMs: () => nowMs });
  const from = said.length;
  certificate.check();
  assert.deepEqual(said.slice(from), []);
  nowMs += 370 * 86_400_000;
  certificate.check();
  assert.match(
    said.slice(from).join('\n'),
    /^made a certificate \(the old one ends\) in .*\na new certificate is served: for /,
  );
  assert.equal(certificate.facts.daysLeft, 395);
});
