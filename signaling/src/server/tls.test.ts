import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { request } from 'node:https';
import { networkInterfaces, tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import type { SipMessage } from '@offhook/core';
import { ownCertificate } from '@offhook/core/node';
import { PASSWORD, type RunningServer, startServer } from './testkit/running.ts';
import { SipClient } from './testkit/sip-client.ts';

const folder = mkdtempSync(join(tmpdir(), 'oh-sstls-'));
after(() => rmSync(folder, { recursive: true, force: true }));

const has6 = Object.values(networkInterfaces()).some((list) => list?.some(({ address }) => address === '::1'));
const skip6 = has6 ? false : 'no IPv6 here';
const HOSTS = has6 ? ['127.0.0.1', '::1'] : ['127.0.0.1'];
const places = HOSTS.map((address) => ({ address, port: 0 }));

const everywhere = () =>
  startServer({
    sip: { udp: places, tcp: places, tls: places },
    http: { addresses: HOSTS, tlsPort: 0 },
    tls: { names: ['phone.example'] },
  });

const caOf = (server: RunningServer) => readFileSync(join(server.config.tls!.folder, 'ca.pem'));

/** One HTTPS request, trusting the own CA alone. */
function https(
  server: RunningServer,
  o: { path: string; method?: string; headers?: Record<string, string>; body?: unknown },
) {
  const { method = 'GET', path } = o;
  const host = '127.0.0.1';
  const headers = { 'content-type': 'application/json', ...o.headers };
  return new Promise<{ status: number; text: string }>((resolve, reject) => {
    const port = server.ports.https;
    const ca = caOf(server);
    const sent = request(
      { host, port, path, method, headers, ca, servername: 'localhost', agent: false },
      (response) => {
        let text = '';
        response.setEncoding('utf8');
        response.on('data', (chunk: string) => {
          text += chunk;
        });
        response.on('end', () => resolve({ status: response.statusCode ?? 0, text }));
      },
    );
    sent.on('error', reject);
    sent.end(o.body === undefined ? undefined : JSON.stringify(o.body));
  });
}

const bindings = async (server: RunningServer) =>
  (await server.verb('registrations')) as { transport: string; contact: string }[];

test('phones register over TLS and WSS with the own CA; each connection is a flow of its own transport', async () => {
  await using server = await everywhere();
  const ca = caOf(server);
  const registered = async (phone: SipClient, transport: string) => {
    const contact = `<sip:alice@phone.invalid;transport=${transport}>`;
    const answer = await phone.register({ user: 'alice', password: PASSWORD, contact });
    assert.equal(answer.status, 200);
    return answer;
  };
  {
    await using phone = await SipClient.tls(server.ports.tls!, ca);
    await registered(phone, 'tls');
    const url = `wss://localhost:${server.ports.https}/sip`;
    await using page = await SipClient.webSocket(url, ['sip'], { ca });
    await registered(page, 'ws');
    const transports = (await bindings(server)).map(({ transport }) => transport);
    assert.deepEqual(transports.sort(), ['tls', 'wss']);
  }
  await assert.rejects(SipClient.webSocket(`wss://localhost:${server.ports.https}/sip`, ['sip']), /unable to verify/);
});

test('HTTPS serves the page, the API and health beside HTTP, to pages of our own names alone', async () => {
  await using server = await everywhere();
  const port = server.ports.https;
  assert.match((await https(server, { path: '/' })).text, /<title>phone<\/title>/);
  const login = (host: string, origin = `https://${host}`) =>
    https(server, {
      path: '/api/login',
      method: 'POST',
      headers: { host, origin },
      body: { user: 'alice', password: PASSWORD },
    });
  for (const name of ['localhost', '127.0.0.1', '[::1]', 'example.test', 'phone.example'])
    assert.equal((await login(`${name}:${port}`)).status, 200, name);
  assert.equal((await login(`evil.example:${port}`)).status, 403);
  assert.equal((await login(`localhost:${port}`, 'null')).status, 403);
  assert.equal((await https(server, { path: '/metrics', headers: { host: `localhost:${port}` } })).status, 200);
  const ready = await fetch(`http://127.0.0.1:${server.ports.http}/readyz`, { headers: { connection: 'close' } });
  assert.equal(ready.status, 200);
  server.part.drain?.();
  assert.equal((await https(server, { path: '/readyz' })).status, 503);
});

test('over ::1: UDP, TCP, TLS, WebSocket and HTTPS, on the same ports as over 127.0.0.1', { skip: skip6 }, async () => {
  await using server = await everywhere();
  const ca = caOf(server);
  const { udp, tcp, tls, http, https: securePort } = server.ports as Record<string, number>;
  const phones = [
    await SipClient.udp(udp!, '::1'),
    await SipClient.tcp(tcp!, '::1'),
    await SipClient.tls(tls!, ca, '::1'),
    await SipClient.webSocket(`ws://[::1]:${http}/sip`),
    await SipClient.webSocket(`wss://[::1]:${securePort}/sip`, ['sip'], { ca }),
  ];
  try {
    for (const [i, phone] of phones.entries()) {
      const contact = `<sip:alice@[::1]:${40_000 + i}>`;
      const answer: SipMessage = await phone.register({ user: 'alice', password: PASSWORD, contact });
      assert.equal(answer.status, 200);
      assert.equal(answer.vias[0]?.received, '::1');
      assert.ok((answer.header('contact') ?? '').includes(contact), answer.header('contact'));
      assert.equal(
        (await phone.request('OPTIONS', 'alice', [], `sip:[::1]:${udp}`)).status,
        401,
        '[::1] is this server',
      );
    }
    const transports = (await bindings(server)).map(({ transport }) => transport);
    assert.deepEqual(transports.sort(), ['tcp', 'tls', 'udp', 'ws', 'wss']);
  } finally {
    for (const phone of phones) await phone[Symbol.asyncDispose]();
  }
});

test('reload says in words what came of it; the status names the certificate', async () => {
  await using server = await everywhere();
  assert.match(await server.part.reload!(), /^the certificate is the same as before, good until 20/);
  const { certificate, warnings } = server.part.details!() as { certificate: string; warnings: unknown };
  assert.match(
    certificate,
    /^for localhost, example\.test, [^,]+, [^,]+ and \d+ more; signed by Offhook CA of .*\(395 days\)$/,
  );
  assert.deepEqual(warnings, []);
});

test('files that are replaced are served to new HTTPS, WSS and TLS connections; those that are open go on', async () => {
  const of = (name: string) =>
    ownCertificate({ folder: join(folder, name), names: ['127.0.0.1', `${name}.example`], nowMs: Date.now() });
  const [one, two] = [of('one'), of('two')];
  const files = { cert: join(folder, 'live.pem'), key: join(folder, 'live.key') };
  const put = ({ cert, key }: { cert: string; key: string }) => {
    writeFileSync(files.cert, cert);
    writeFileSync(files.key, key);
  };
  put(one);
  await using server = await startServer({ sip: { tls: places }, http: { tlsPort: 0 }, tls: files });
  const ca = Buffer.concat([one, two].map(({ caPath }) => readFileSync(caPath)));
  const { tls, https: port } = server.ports as Record<string, number>;
  const url = `wss://127.0.0.1:${port}/sip`;
  await using phone = await SipClient.tls(tls!, ca);
  await using page = await SipClient.webSocket(url, ['sip'], { ca });
  put(two);
  assert.match(
    await server.part.reload!(),
    /^a new certificate is served: for localhost, 127\.0\.0\.1, two\.example; /,
  );
  const onlyNew = readFileSync(two.caPath);
  await using newPhone = await SipClient.tls(tls!, onlyNew);
  await using newPage = await SipClient.webSocket(url, ['sip'], { ca: onlyNew });
  for (const each of [phone, page, newPhone, newPage])
    assert.equal((await each.request('OPTIONS', 'alice')).status, 401);
  writeFileSync(files.key, one.key);
  await assert.rejects(
    async () => server.part.reload!(),
    /^Error: the old certificate is kept: .*live\.key is not the key of .*live\.pem/,
  );
  await using last = await SipClient.tls(tls!, onlyNew);
  assert.equal((await last.request('OPTIONS', 'alice')).status, 401);
});

test('a certificate of the user’s that can’t be used is an error in words; a damaged CA of our own leaves all but TLS', async () => {
  const cert = join(folder, 'missing.pem');
  await assert.rejects(startServer({ tls: { cert, key: cert } }), /missing\.pem: there is no such file/);
  const tls = join(folder, 'tls');
  mkdirSync(tls);
  writeFileSync(join(tls, 'ca.pem'), 'rubbish');
  await using server = await startServer({ sip: { tls: places }, http: { tlsPort: 0 }, tls: { folder: tls } });
  assert.deepEqual(Object.keys(server.ports).sort(), ['http', 'tcp', 'udp']);
  const { warnings } = server.part.details!() as { warnings: string[] };
  assert.match(warnings[0] ?? '', /^no TLS: .*ca\.key is missing, damaged/);
  assert.equal(await server.part.reload!(), warnings[0]);
  await using phone = await SipClient.udp(server.ports.udp!);
  assert.equal((await phone.request('OPTIONS', 'alice')).status, 401);
});
