import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { AdminHandler } from '@offhook/core/node';
import { pino } from 'pino';
import { startSignaling } from '../server/server.ts';
import { DOMAIN, PASSWORD, startServer } from '../server/testkit/running.ts';
import { SipClient } from '../server/testkit/sip-client.ts';

test('no login token, session, password, digest response, TURN password or query string gets into the log', async () => {
  await using model = await startServer();
  const folder = mkdtempSync(join(tmpdir(), 'oh-log-'));
  let log = '';
  const sink = { write: (line: string) => (log += line) };
  const config = { ...model.config, dataDir: join(folder, 'data'), runDir: join(folder, 'run') };
  const part = await startSignaling(config, pino({ level: 'trace' }, sink));
  const secrets: string[] = [PASSWORD, config.sessionSecret, config.nonceSecret, config.turn.secret];
  try {
    const verbs = part.verbs as Readonly<Record<string, AdminHandler>>;
    const url = `http://127.0.0.1:${part.ports.http}`;
    const api = async (path: string, body?: unknown, session = '') => {
      const response = await fetch(`${url}${path}`, {
        method: body === undefined ? 'GET' : 'POST',
        headers: {
          connection: 'close',
          'content-type': 'application/json',
          cookie: 'c=cookie-secret-1',
          ...(session === '' ? {} : { authorization: `Bearer ${session}` }),
        },
        body: body === undefined ? undefined : typeof body === 'string' ? body : JSON.stringify(body),
      });
      return (await response.json().catch(() => ({}))) as Record<string, unknown>;
    };
    await verbs.users!({ op: 'add', user: 'alice', password: PASSWORD });
    const generated = (await verbs.users!({ op: 'add', user: 'bob' })) as { password: string };
    const link = (await verbs['login-link']!({ user: 'alice' })) as { token: string };
    const { session } = await api('/api/login', { token: link.token });
    await api('/api/login', { token: link.token });
    await api('/api/login', { user: 'alice', password: 'wrong-password-1' });
    await api('/api/login', '{"password":"broken-json-1');
    await api('/api/me?session=query-secret-1', undefined, 'forged-session-1');
    const renewed = await api('/api/session/renew', {}, String(session));
    const turn = await api('/api/turn', undefined, String(session));
    secrets.push(generated.password, link.token, String(session), String(renewed.session), String(turn.credential));
    secrets.push('wrong-password-1', 'broken-json-1', 'query-secret-1', 'forged-session-1', 'cookie-secret-1');
    for (const secret of secrets) assert.ok(secret.length > 8, secret);

    const spoil = (authorization: string) => {
      secrets.push(/ response="([^"]+)"/.exec(authorization)![1]!, /nonce="([^"]+)"/.exec(authorization)![1]!);
      return authorization;
    };
    {
      await using phone = await SipClient.udp(part.ports.udp!);
      const contact = '<sip:alice@127.0.0.1:5999>';
      for (const password of [PASSWORD, 'wrong-password-1'])
        await phone.register({ user: 'alice', password, contact, spoil });
      phone.sendRaw(`REGISTER sip:${DOMAIN} SIP/2.0\r\nAuthorization: Digest response="wrong-password-1"\r\n\r\n`);
      const offered = ['sip', `offhook.session.${renewed.session}`];
      await using browser = await SipClient.webSocket(
        `ws://127.0.0.1:${part.ports.http}/sip?t=query-secret-1`,
        offered,
      );
      await browser.register({ user: 'alice', contact: '<sip:x@y.invalid;transport=ws>' });
      await assert.rejects(
        SipClient.webSocket(`ws://127.0.0.1:${part.ports.http}/sip`, ['sip', 'offhook.session.forged-session-1']),
      );
      secrets.push('token-of-somebody-1');
      for (const token of [String(renewed.session), 'token-of-somebody-1', `${'e'.repeat(20)}.token-of-somebody-1.x`])
        await phone.request('REGISTER', 'alice', [['Authorization', `Bearer ${token}`]]);
      await api('/api/logout', {}, String(renewed.session));
      await browser.closed;
    }
  } finally {
    await part.stop();
    rmSync(folder, { recursive: true, force: true });
  }
  assert.match(log, /registered/, 'there is a log');
  for (const secret of secrets) assert.ok(!log.includes(secret), `'${secret}' is in the log`);
});
