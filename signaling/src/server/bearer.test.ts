import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { issuer } from '../auth/testkit.ts';
import { DOMAIN, PASSWORD, type RunningServer, startServer } from './testkit/running.ts';
import { SipClient } from './testkit/sip-client.ts';

const folder = mkdtempSync(join(tmpdir(), 'oh-sbearer-'));
after(() => rmSync(folder, { recursive: true, force: true }));

const login = issuer('ES256');
const jwks = join(folder, 'keys.json');
writeFileSync(jwks, JSON.stringify({ keys: [login.jwk] }));
const bearer = {
  issuer: 'https://login.example.test',
  audience: 'offhook',
  jwks,
  authzServer: 'https://login.example.test/t',
};
const claims = { iss: bearer.issuer, aud: bearer.audience, exp: Math.floor(Date.now() / 1000) + 600, sub: 'alice' };
const places = [{ address: '127.0.0.1', port: 0 }];
const secure = (sip: object = {}) =>
  startServer({ sip: { tls: places, ...sip }, http: { tlsPort: 0 }, tls: { names: ['phone.example'] } });
const caOf = (server: RunningServer) => readFileSync(join(server.config.tls!.folder, 'ca.pem'));
let contacts = 0;
const registerWith = (phone: SipClient, token: string, user = 'alice') =>
  phone.request('REGISTER', user, [
    ['Contact', `<sip:${user}@client-${++contacts}.invalid>`],
    ['Authorization', `Bearer ${token}`],
  ]);

test('phones register over TLS and WSS with a token of the issuer, for themselves only', async () => {
  await using server = await secure({ bearer });
  const ca = caOf(server);
  await using tls = await SipClient.tls(server.ports.tls!, ca);
  await using wss = await SipClient.webSocket(`wss://localhost:${server.ports.https}/sip`, ['sip'], {
    ca,
    origin: `https://localhost:${server.ports.https}`,
  });
  for (const phone of [tls, wss]) {
    assert.equal((await registerWith(phone, login.token(claims))).status, 200);
    const other = await registerWith(phone, login.token(claims), 'bob');
    assert.deepEqual([other.status, /signed in as alice/.test(other.header('reason') ?? '')], [403, true]);
    for (const bad of [
      login.token({ ...claims, exp: 1 }),
      login.token({ ...claims, sub: 'nobody' }),
      issuer('ES256').token(claims),
      'rubbish',
    ]) {
      const answer = await registerWith(phone, bad);
      assert.equal(answer.status, 401);
      assert.equal(answer.headers('www-authenticate').length, 1);
      assert.match(
        answer.header('www-authenticate')!,
        /^Bearer realm="example.test", authz_server="https:.*invalid_token/,
      );
      assert.match(answer.header('reason')!, /the token /);
    }
  }
  const bindings = (await server.verb('registrations')) as { user: string; transport: string }[];
  assert.deepEqual(bindings.map((b) => `${b.user} ${b.transport}`).sort(), ['alice tls', 'alice wss']);
  // Requests other than REGISTER, and without a token: the password as ever.
  const options = await tls.request('OPTIONS', 'alice', [['Authorization', `Bearer ${login.token(claims)}`]]);
  assert.equal(options.status, 200);
  assert.match((await tls.request('OPTIONS', 'alice')).header('www-authenticate')!, /^Digest /);
  assert.equal((await tls.register({ user: 'bob', password: PASSWORD })).status, 200);
  const metrics = await (await fetch(`${server.url}/metrics`)).text();
  assert.match(metrics, /^sip_bearer_accepted_total\{part="signaling"\} 5$/m);
});

test('a session of the page is a token too, until it is signed out; a login link is none', async () => {
  await using server = await secure();
  const { token } = (await server.verb('login-link', { user: 'alice' })) as { token: string };
  await using phone = await SipClient.tls(server.ports.tls!, caOf(server));
  const refused = await registerWith(phone, token);
  assert.deepEqual([refused.status, refused.header('www-authenticate')?.slice(0, 7)], [401, 'Digest ']);
  const headers = { 'content-type': 'application/json' };
  const body = JSON.stringify({ token });
  const response = await fetch(`${server.url}/api/login`, { method: 'POST', headers, body });
  const { session } = (await response.json()) as { session: string };
  assert.equal((await registerWith(phone, session)).status, 200);
  const authorization = `Bearer ${session}`;
  await fetch(`${server.url}/api/logout`, { method: 'POST', headers: { ...headers, authorization }, body: '{}' });
  assert.equal((await registerWith(phone, session)).status, 401);
});

test('where tokens are asked for, phones on connections that are safe get that challenge, and only that', async () => {
  await using server = await secure({ bearer, challenge: 'bearer' });
  await using phone = await SipClient.tls(server.ports.tls!, caOf(server));
  const asked = await phone.request('REGISTER', 'alice');
  assert.deepEqual(asked.headers('www-authenticate'), [
    `Bearer realm="${DOMAIN}", authz_server="https://login.example.test/t"`,
  ]);
});

test('keys that can’t be read stop the start, in words', async () => {
  const missing = { ...bearer, jwks: join(folder, 'none.json') };
  await assert.rejects(secure({ bearer: missing }), /none\.json: ENOENT/);
});
