import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, request } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { PASSWORD, type RunningServer, startServer } from '../server/testkit/running.ts';
import { SipClient } from '../server/testkit/sip-client.ts';
import type { Account } from '../store/index.ts';
import { TransportHub } from '../transport/index.ts';
import { serveUpgrades } from './upgrade.ts';

interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly body: Record<string, unknown> & { error?: { code: string; message: string } };
}

async function call(
  server: RunningServer,
  method: string,
  path: string,
  o: { session?: string; body?: unknown; headers?: Record<string, string> } = {},
): Promise<Answer> {
  const response = await fetch(server.url + path, {
    method,
    headers: {
      connection: 'close',
      ...(o.session === undefined ? {} : { authorization: `Bearer ${o.session}` }),
      ...(o.body === undefined ? {} : { 'content-type': 'application/json' }),
      ...o.headers,
    },
    body: o.body === undefined ? undefined : typeof o.body === 'string' ? o.body : JSON.stringify(o.body),
  });
  const text = await response.text();
  const json = response.headers.get('content-type')?.includes('json') ? JSON.parse(text) : { text };
  return { status: response.status, headers: response.headers, body: json };
}

async function signIn(server: RunningServer, user = 'alice'): Promise<string> {
  const { status, body } = await call(server, 'POST', '/api/login', { body: { user, password: PASSWORD } });
  assert.equal(status, 200);
  return String(body.session);
}

/** A request whose Host and Origin are free, as a page on another name would send them. */
function raw(server: RunningServer, o: { method?: string; path: string; headers: Record<string, string> }) {
  return new Promise<number>((resolve, reject) => {
    const { method, path, headers } = o;
    const sent = request({ host: '127.0.0.1', port: server.ports.http, method, path, headers, agent: false }, (r) => {
      r.resume();
      resolve(r.statusCode ?? 0);
    });
    sent.on('error', reject);
    sent.end();
  });
}

test('a login link is good once, a password as often as it is right; the session opens the API', async () => {
  await using server = await startServer();
  const link = (await server.verb('login-link', { user: 'alice' })) as { token: string; url: string };
  assert.equal(link.url, `http://localhost:${server.ports.http}/#login=${link.token}`);
  const first = await call(server, 'POST', '/api/login', { body: { token: link.token } });
  assert.equal(first.status, 200);
  assert.deepEqual(first.body.account, { user: 'alice', displayName: 'alice', uri: 'sip:alice@example.test' });
  assert.equal(first.body.domain, 'example.test');
  assert.ok(Number(first.body.expiresAt) > Date.now() / 1000 + 3600);
  assert.equal(first.headers.get('cache-control'), 'no-store');
  const second = await call(server, 'POST', '/api/login', { body: { token: link.token } });
  assert.equal(second.status, 401);
  assert.equal(second.body.error?.code, 'bad_token');
  const session = await signIn(server);
  const me = await call(server, 'GET', '/api/me', { session });
  assert.equal(me.body.user, 'alice');
  for (const path of ['/api/me', '/api/turn', '/api/users', '/api/calls', '/api/registrations', '/api/settings'])
    for (const bad of [undefined, 'forged', `${session}x`])
      assert.equal((await call(server, 'GET', path, { session: bad })).status, 401, path);
});

test('a renewed session lives beside the old one; signing out ends both, a new password all', async () => {
  await using server = await startServer();
  const session = await signIn(server);
  const renewed = await call(server, 'POST', '/api/session/renew', { session, body: {} });
  assert.equal(renewed.status, 200);
  const next = String(renewed.body.session);
  assert.notEqual(next, session);
  const other = await signIn(server);
  for (const one of [session, next]) assert.equal((await call(server, 'GET', '/api/me', { session: one })).status, 200);
  assert.equal((await call(server, 'POST', '/api/logout', { session: next, body: {} })).status, 200);
  for (const one of [session, next]) {
    assert.equal((await call(server, 'GET', '/api/me', { session: one })).status, 401);
    assert.equal((await call(server, 'POST', '/api/session/renew', { session: one, body: {} })).status, 401);
  }
  assert.equal((await call(server, 'GET', '/api/me', { session: other })).status, 200, 'another sign-in');
  const { password } = (await server.verb('users', { op: 'passwd', user: 'alice' })) as { password: string };
  assert.ok(password.length >= 20, 'a generated password is long');
  assert.equal((await call(server, 'GET', '/api/me', { session: other })).status, 401);
  assert.equal((await call(server, 'POST', '/api/login', { body: { user: 'alice', password } })).status, 200);
});

test('TURN credentials are those that coturn expects of a REST service', async () => {
  await using server = await startServer();
  const session = await signIn(server);
  const { body } = await call(server, 'GET', '/api/turn', { session });
  const username = String(body.username);
  assert.match(username, /^\d+:alice$/);
  assert.ok(Number.parseInt(username, 10) > Date.now() / 1000 + 3500);
  assert.equal(body.credential, createHmac('sha1', 'turn-secret').update(username).digest('base64'));
  assert.deepEqual(body.uris, ['turn:127.0.0.1:3478?transport=udp']);
});

test('TURN credentials are signed with another secret as soon as the admin socket says so', async () => {
  await using server = await startServer();
  const session = await signIn(server);
  await server.verb('turn-secret', { secret: 'another one' });
  const { body } = await call(server, 'GET', '/api/turn', { session });
  assert.equal(body.credential, createHmac('sha1', 'another one').update(String(body.username)).digest('base64'));
  await assert.rejects(server.verb('turn-secret', {}), /the secret is missing/);
});

test('people, own contacts and own calls', async () => {
  await using server = await startServer();
  const session = await signIn(server);
  await using browser = await SipClient.webSocket(`ws://127.0.0.1:${server.ports.http}/sip`, [
    'sip',
    `offhook.session.${session}`,
  ]);
  await browser.register({ user: 'alice', contact: '<sip:x@y.invalid>' });
  const people = await call(server, 'GET', '/api/users', { session });
  assert.deepEqual(people.body, [
    { user: 'alice', displayName: 'alice', online: true, status: 'available' },
    { user: 'bob', displayName: 'bob', online: false, status: 'offline' },
  ]);
  const mine = (await call(server, 'GET', '/api/registrations', { session })).body as unknown as { contact: string }[];
  assert.deepEqual(
    mine.map((b) => b.contact),
    ['sip:x@y.invalid'],
  );
  const bobs = await call(server, 'GET', '/api/registrations', { session: await signIn(server, 'bob') });
  assert.deepEqual(bobs.body, []);
  assert.deepEqual((await call(server, 'GET', '/api/calls', { session })).body, []);
});

test('what becomes of one’s own calls is read and changed; nonsense is refused in words and changes nothing', async () => {
  await using server = await startServer();
  const session = await signIn(server);
  const before = await call(server, 'GET', '/api/settings', { session });
  assert.deepEqual(before.body, { doNotDisturb: false, forward: { noAnswerS: 20 } });
  const body = { doNotDisturb: true, forward: { busy: 'bob' } };
  const after = { doNotDisturb: true, forward: { busy: 'bob', noAnswerS: 20 } };
  assert.deepEqual((await call(server, 'PATCH', '/api/settings', { session, body })).body, after);
  const bad = await call(server, 'PATCH', '/api/settings', { session, body: { forward: { busy: 'a b' } } });
  assert.deepEqual([bad.status, bad.body.error?.code], [400, 'bad_settings']);
  assert.match(bad.body.error?.message ?? '', /forward\.busy/);
  assert.deepEqual((await call(server, 'GET', '/api/settings', { session })).body, after);
  assert.equal((await call(server, 'PATCH', '/api/settings', { body })).status, 401);
});

test('guessing passwords is slowed down in words; unknown users look the same', async () => {
  await using server = await startServer();
  const guess = (user: string) => call(server, 'POST', '/api/login', { body: { user, password: 'wrong' } });
  const known = await guess('alice');
  const unknown = await guess('nobody');
  assert.deepEqual(known.body, unknown.body);
  assert.equal(known.status, 401);
  for (let i = 0; i < 4; i++) await guess('alice');
  const locked = await call(server, 'POST', '/api/login', { body: { user: 'alice', password: PASSWORD } });
  assert.equal(locked.status, 429);
  assert.equal(locked.headers.get('retry-after'), '1');
  assert.match(locked.body.error?.message ?? '', /too many wrong passwords/);
  assert.equal((await call(server, 'POST', '/api/login', { body: { user: 'bob', password: PASSWORD } })).status, 200);
});

test('what is not a login is refused with words and never with an inside', async () => {
  await using server = await startServer();
  const table: readonly (readonly [body: unknown, status: number])[] = [
    [{}, 400],
    [[], 400],
    ['{"user":', 400],
    ['null', 400],
    [{ user: 'alice' }, 400],
    [{ user: { $ne: 1 }, password: ['x'] }, 400],
    [{ user: 'a'.repeat(300), password: 'x' }, 400],
    [{ user: 'alice', password: 'x'.repeat(20_000) }, 413],
    ['{"__proto__":{"user":"alice"},"password":"x"}', 400],
  ];
  for (const [body, status] of table) {
    const answer = await call(server, 'POST', '/api/login', { body });
    assert.equal(answer.status, status, JSON.stringify(body).slice(0, 60));
    assert.ok((answer.body.error?.message ?? '').length > 10);
  }
  const form = await call(server, 'POST', '/api/login', {
    body: 'user=alice',
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
  });
  assert.equal(form.status, 415);
  assert.equal((await call(server, 'GET', '/api/nothing')).status, 404);
  assert.equal((await call(server, 'GET', '/../../etc/passwd')).status, 404);
  assert.equal((await call(server, 'GET', '/..%2f..%2fetc%2fpasswd')).status >= 400, true);
});

test('pages from elsewhere get nothing: not by Origin, not by a foreign name for our address', async () => {
  await using server = await startServer({ http: { allowedOrigins: ['https://phone.example.org'] } });
  const port = server.ports.http;
  const post = (headers: Record<string, string>) =>
    raw(server, { method: 'POST', path: '/api/logout', headers: { 'content-length': '0', ...headers } });
  const fine = 401; // past the Origin check, without a session
  assert.equal(await post({ host: `localhost:${port}`, origin: `http://localhost:${port}` }), fine);
  assert.equal(await post({ host: `127.0.0.1:${port}`, origin: `http://127.0.0.1:${port}` }), fine);
  assert.equal(await post({ host: `127.0.0.1:${port}`, origin: 'https://phone.example.org' }), fine);
  assert.equal(await post({ host: `127.0.0.1:${port}` }), fine, 'programs send no Origin');
  for (const origin of [
    'http://evil.example',
    'null',
    `http://localhost:${Number(port) + 1}`,
    'https://phone.example.org.evil',
  ])
    assert.equal(await post({ host: `localhost:${port}`, origin }), 403, origin);
  assert.equal(
    await post({ host: `evil.example:${port}`, origin: `http://evil.example:${port}` }),
    403,
    'rebound name',
  );
});

test('the SIP WebSocket opens for our pages and programs only, and never with a false session', async () => {
  await using server = await startServer();
  const port = server.ports.http;
  const session = await signIn(server);
  const outcome = async (path: string, protocols: string[], origin?: string) => {
    try {
      await using client = await SipClient.webSocket(`ws://127.0.0.1:${port}${path}`, protocols, { origin });
      return client === undefined ? '' : 'open';
    } catch (error) {
      return (error as Error).message;
    }
  };
  const ours = `http://127.0.0.1:${port}`;
  assert.equal(await outcome('/sip', ['sip']), 'open');
  assert.equal(await outcome('/sip', ['sip'], ours), 'open');
  assert.equal(await outcome('/sip', ['sip', `offhook.session.${session}`], ours), 'open');
  assert.equal(await outcome('/sip', ['sip'], 'http://evil.example'), 'refused 403');
  assert.equal(await outcome('/sip', ['sip', `offhook.session.${session}`], 'null'), 'refused 403');
  assert.equal(await outcome('/sip', ['sip', 'offhook.session.forged'], ours), 'refused 401');
  assert.equal(await outcome('/sip', ['sip', `offhook.session.${session}x`], ours), 'refused 401');
  assert.equal(await outcome('/sip', [], ours), 'refused 400');
  assert.equal(await outcome('/sip', ['chat'], ours), 'refused 400');
  assert.equal(await outcome('/', ['sip'], ours), 'refused 404');
  server.part.drain?.();
  assert.equal(await outcome('/sip', ['sip'], ours), 'refused 503');
});

test('signing out closes the socket of that session; a message too large closes only its own', async () => {
  await using server = await startServer();
  const session = await signIn(server);
  const url = `ws://127.0.0.1:${server.ports.http}/sip`;
  await using mine = await SipClient.webSocket(url, ['sip', `offhook.session.${session}`]);
  await using large = await SipClient.webSocket(url);
  mine.sendRaw('x'.repeat(20_000));
  large.sendRaw('x'.repeat(20_000)); // without a session 16 kB are the most
  await large.closed;
  assert.equal((await mine.request('OPTIONS', 'alice')).status, 200);
  const renewed = await call(server, 'POST', '/api/session/renew', { session, body: {} });
  await call(server, 'POST', '/api/logout', { session: String(renewed.body.session), body: {} });
  await mine.closed;
});

test('a socket ends with the newest session of its family; a renewed one keeps it open, and who does not leave is cut', async () => {
  const nowS = () => performance.now() / 1000;
  const http = createServer();
  const hub = new TransportHub({ onMessage: () => {}, onFlowClosed: () => {}, mayAnswer: () => true });
  const endsAt = nowS() + 0.3;
  const upgrades = serveUpgrades({
    hub,
    allowed: [],
    isLocal: () => true,
    isDraining: () => false,
    nowS,
    check: (family) => ({ account: { user: 'alice' } as Account, family, expiresAt: endsAt }),
  });
  upgrades.serve(http);
  await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve));
  const { port } = http.address() as AddressInfo;
  const open = (family: string) =>
    SipClient.webSocket(`ws://127.0.0.1:${port}/sip`, ['sip', `offhook.session.${family}`]);
  {
    await using short = await open('short');
    await using long = await open('long');
    upgrades.renewed('long', endsAt + 0.4);
    await short.closed;
    assert.ok(nowS() >= endsAt && nowS() < endsAt + 0.4, 'at its end, before the other');
    await long.closed;
    assert.ok(nowS() >= endsAt + 0.4);
    await using silent = connect(port, '127.0.0.1');
    silent.write(
      'GET /sip HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n' +
        `Sec-WebSocket-Key: ${'A'.repeat(22)}==\r\nSec-WebSocket-Protocol: sip, offhook.session.s\r\n\r\n`,
    );
    await new Promise((resolve) => silent.resume().once('close', resolve));
  }
  hub.close();
  http.closeAllConnections();
  await new Promise((resolve) => http.close(resolve));
});

test('the page comes with a policy that lets nothing foreign in; without a build it says how to make one', async () => {
  await using server = await startServer();
  const root = server.config.http.webRoot;
  mkdirSync(join(root, 'assets'));
  writeFileSync(join(root, 'assets', 'a-1.js'), '1');
  const page = await call(server, 'GET', '/');
  assert.equal(page.status, 200);
  assert.equal(page.headers.get('cache-control'), 'no-cache');
  const policy = page.headers.get('content-security-policy') ?? '';
  assert.match(policy, /default-src 'self'/);
  assert.match(policy, new RegExp(`connect-src 'self' ws://127\\.0\\.0\\.1:${server.ports.http} wss://`));
  assert.doesNotMatch(policy, /unsafe|\*/);
  assert.equal(page.headers.get('x-content-type-options'), 'nosniff');
  assert.equal(page.headers.get('referrer-policy'), 'no-referrer');
  assert.match((await call(server, 'GET', '/assets/a-1.js')).headers.get('cache-control') ?? '', /immutable/);
  writeFileSync(join(root, '.secret'), 'x');
  assert.ok((await call(server, 'GET', '/.secret')).status >= 400);
  assert.equal((await call(server, 'GET', '/data/offhook.sqlite')).status, 404);
  assert.equal((await call(server, 'GET', '/sip')).status, 426);
  rmSync(join(root, 'index.html'));
  const missing = await call(server, 'GET', '/');
  assert.equal(missing.status, 503);
  assert.match(String(missing.body.text), /npm run build/);
});

test('health, readiness and metrics; metrics not for others', async () => {
  await using server = await startServer();
  assert.equal((await call(server, 'GET', '/healthz')).status, 200);
  assert.equal((await call(server, 'GET', '/readyz')).status, 200);
  const metrics = await call(server, 'GET', '/metrics');
  assert.match(String(metrics.body.text), /# TYPE sip_registrations gauge\nsip_registrations\{part="signaling"\} 0\n/);
  assert.equal((await call(server, 'GET', '/metrics', { headers: { 'x-forwarded-for': '192.0.2.1' } })).status, 403);
  const port = server.ports.http;
  const metricsAs = (host: string) => raw(server, { path: '/metrics', headers: { host } });
  assert.equal(await metricsAs(`localhost:${port}`), 200);
  assert.equal(await metricsAs(`[::1]:${port}`), 200);
  for (const foreign of [`evil.example:${port}`, `127.0.0.1.evil.example:${port}`, 'evil.example'])
    assert.equal(await metricsAs(foreign), 403, `DNS rebinding: '${foreign}'`);
  server.part.drain?.();
  const draining = await call(server, 'GET', '/readyz');
  assert.equal(draining.status, 503);
  assert.match(draining.body.error?.message ?? '', /being stopped/);
});

test('headers beyond the limit and half requests are cut off, others go on', async () => {
  await using server = await startServer();
  const answer = (text: string) =>
    new Promise<string>((resolve) => {
      let got = '';
      const socket = connect(Number(server.ports.http), '127.0.0.1', () => socket.write(text));
      socket.on('data', (d) => {
        got += d.toString();
      });
      socket.on('error', () => {});
      socket.on('close', () => resolve(got.slice(0, 12)));
    });
  assert.match(await answer(`GET / HTTP/1.1\r\nHost: x\r\nX: ${'y'.repeat(9000)}\r\n\r\n`), /HTTP\/1.1 431/);
  assert.match(await answer('rubbish\r\n\r\n'), /HTTP\/1.1 400/);
  assert.equal((await call(server, 'GET', '/healthz')).status, 200);
});
