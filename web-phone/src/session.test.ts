import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Api, ApiError, readTime, renewDelayMs, type Session } from './session.ts';

const answering = (status: number, body: unknown) => {
  const seen: { path: string; init: RequestInit }[] = [];
  const api = new Api((path, init) => {
    seen.push({ path, init });
    return Promise.resolve(new Response(JSON.stringify(body), { status }));
  });
  return { api, seen };
};
const session: Session = {
  session: 's1',
  expiresAtMs: 5,
  user: 'alice',
  displayName: 'Alice',
  domain: 'offhook.local',
};

test('a one-time token becomes a session', async () => {
  const { api, seen } = answering(200, {
    session: 's1',
    expiresAt: 1_800_000_000_000,
    account: { user: 'alice', displayName: 'Alice', uri: 'sip:alice@offhook.local' },
    domain: 'offhook.local',
  });
  assert.deepEqual(await api.login({ token: 't' }), { ...session, expiresAtMs: 1_800_000_000_000 });
  assert.equal(seen[0]!.init.body, '{"token":"t"}');
});

test('rules for incoming calls are read whatever the server says, and changed by what is named', async () => {
  const { api, seen } = answering(200, { doNotDisturb: true, forward: { busy: 'bob', always: 7, noAnswerS: 20 } });
  const told = { doNotDisturb: true, forward: { always: undefined, busy: 'bob', noAnswer: undefined } };
  assert.deepEqual(await api.rules(session), told);
  assert.deepEqual(await api.changeRules(session, { forward: { busy: null } }), told);
  assert.deepEqual([seen[1]!.path, seen[1]!.init.method], ['/api/settings', 'PATCH']);
  assert.equal(seen[1]!.init.body, '{"forward":{"busy":null}}');
});

test('refusals carry status and code; silence is status 0', async () => {
  await assert.rejects(
    answering(401, { error: { code: 'bad_login', message: 'no' } }).api.login({ token: 't' }),
    (e: ApiError) => {
      assert.deepEqual([e.status, e.code], [401, 'bad_login']);
      return true;
    },
  );
  const dead = new Api(() => Promise.reject(new TypeError('failed to fetch')));
  await assert.rejects(dead.whoami(session), (e: ApiError) => e.status === 0);
});

test('people are read, odd entries left out', async () => {
  const { api, seen } = answering(200, [{ user: 'bob', displayName: '', online: true }, { nobody: 1 }, null]);
  assert.deepEqual(await api.people(session), [{ user: 'bob', displayName: 'bob', online: true, status: 'available' }]);
  assert.equal((seen[0]!.init.headers as Record<string, string>).authorization, 'Bearer s1');
});

test('presence is read as it is told, and from being online where it is not', async () => {
  const { api } = answering(200, [
    { user: 'a', online: true, status: 'on-the-phone', note: ' back at two ' },
    { user: 'b', online: true, status: 'asleep', note: 7 },
    { user: 'c', online: false, note: 'x'.repeat(300) },
  ]);
  assert.deepEqual(
    (await api.people(session)).map(({ status, note }) => [status, note?.length, note?.slice(0, 11)]),
    [
      ['on-the-phone', 11, 'back at two'],
      ['available', undefined, undefined],
      ['offline', 200, 'x'.repeat(11)],
    ],
  );
});

test('the own presence is asked and set', async () => {
  const { api, seen } = answering(200, { status: 'busy', note: 'in a meeting' });
  assert.deepEqual(await api.presence(session), { status: 'busy', note: 'in a meeting' });
  await api.setPresence(session, { status: 'away' });
  assert.deepEqual(
    seen.map(({ path, init }) => [init.method, path, init.body]),
    [
      ['GET', '/api/presence', undefined],
      ['PUT', '/api/presence', '{"status":"away"}'],
    ],
  );
});

test('a login answer without session is an error, not a half-signed-in phone', async () => {
  await assert.rejects(answering(200, { account: {} }).api.login({ token: 't' }), ApiError);
});

test('times come as seconds, milliseconds or text', () => {
  assert.equal(readTime(1_800_000_000), 1_800_000_000_000);
  assert.equal(readTime(1_800_000_000_000), 1_800_000_000_000);
  assert.equal(readTime('2027-01-15T08:00:00.000Z'), 1_800_000_000_000);
  assert.equal(readTime(undefined), 0);
});

test('renewal at half of what is left, within bounds', () => {
  assert.equal(renewDelayMs(600_000, 0), 300_000);
  assert.equal(renewDelayMs(1_000, 0), 30_000);
  assert.equal(renewDelayMs(1e12, 0), 1_800_000);
});
