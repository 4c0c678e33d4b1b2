import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createRequest, isLoopback, type SipMessage } from '@offhook/core';
import { nodeCrypto } from '@offhook/core/node';
import type { Flow } from '../transaction/index.ts';
import { ADMISSION_LIMITS, Admission, Authenticator, Bearer, Lockout } from './index.ts';

const DOMAIN = 'example.test';
const EDGE = '192.0.2.7';
const isNear = (address: string) => isLoopback(address) || address === EDGE;
const flow = (address: string, transport: Flow['transport'] = 'udp'): Flow => ({
  id: 1,
  transport,
  local: { address: '192.0.2.1', port: 5060 },
  remote: { address, port: 5060 },
});
const request = (method: string, headers: readonly (readonly [string, string])[] = []): SipMessage =>
  createRequest({
    method,
    uri: `sip:${method === 'REGISTER' ? '' : 'bob@'}${DOMAIN}`,
    from: `<sip:alice@${DOMAIN}>;tag=1`,
    to: `<sip:alice@${DOMAIN}>`,
    callId: 'c',
    cseq: 1,
    headers: [['Via', `SIP/2.0/UDP ${EDGE};branch=z9hG4bKa`], ...headers],
  });

function setup() {
  const account = () => undefined;
  const realm = DOMAIN;
  const isUser = (user: string) => user === 'alice';
  const checks = [(token: string) => (token === 'good' ? { user: 'alice' } : undefined)];
  const authzServer = 'https://login.example.test';
  const admission = new Admission({
    crypto: nodeCrypto,
    authenticator: new Authenticator({ realm, crypto: nodeCrypto, account, isNear }),
    bearer: new Bearer({ checks, realm, isUser, authzServer }, () => 0),
    isNear,
    isUser,
    isLocal: (host) => host === DOMAIN,
    ownsDialog: () => false,
  });
  const reply = (message: SipMessage, on: Flow) => {
    const verdict = admission.admit(message, on, 0);
    return verdict !== 'drop' && 'reject' in verdict ? verdict.reject : undefined;
  };
  const status = (message: SipMessage, on: Flow) => {
    const verdict = admission.admit(message, on, 0);
    if (verdict === 'drop') return 'drop';
    return 'accept' in verdict ? `accepted ${verdict.accept.account}` : verdict.reject.status;
  };
  return { admission, status, reply };
}

test('an edge proxy speaks for many: strangers behind it have the budget of this machine’s, not of one phone', () => {
  const { admission, status } = setup();
  const { address, loopback } = ADMISSION_LIMITS;
  for (let i = 0; i < address.burst; i++) assert.equal(status(request('OPTIONS'), flow('192.0.2.8')), 401);
  assert.equal(status(request('OPTIONS'), flow('192.0.2.8')), 'drop');
  for (let i = 0; i < loopback.burst; i++) assert.ok(admission.mayAnswer(flow(EDGE), 0), String(i));
  assert.equal(admission.mayAnswer(flow(EDGE), 0), false);
});

test('one user behind an edge has the rates of one user', () => {
  const { status } = setup();
  const on = flow(EDGE, 'tls');
  const authorization = [['Authorization', 'Bearer good']] as const;
  for (let i = 0; i < ADMISSION_LIMITS.requests.burst; i++)
    assert.equal(status(request('REGISTER', authorization), on), 'accepted alice');
  assert.equal(status(request('REGISTER', authorization), on), 503);
});

test('whoever fails behind an edge slows that name down there, and does not shut it out', () => {
  const lockout = new Lockout(isNear);
  for (let i = 0; i < 30; i++) for (const address of [EDGE, '192.0.2.8']) lockout.failed('alice', address, 0);
  assert.equal(lockout.remainingMs('alice', EDGE, 0), 4000);
  assert.equal(lockout.remainingMs('alice', '192.0.2.8', 0), 900_000);
});

test('a token admits like a password, one challenge comes back for a bad one, and over plain UDP it is refused', () => {
  const { status, reply } = setup();
  const given = (token: string) => request('OPTIONS', [['Authorization', `Bearer ${token}`]]);
  assert.equal(status(given('good'), flow(EDGE, 'tls')), 'accepted alice');
  const challenged = reply(given('bad'), flow(EDGE, 'tls'));
  assert.equal(challenged?.status, 401);
  assert.deepEqual(
    challenged.headers('www-authenticate').map((value) => value.split(' ', 1)[0]),
    ['Bearer'],
  );
  assert.match(challenged.header('reason')!, /the token is not good/);
  for (const token of ['good', 'bad']) {
    const refused = reply(given(token), flow(EDGE));
    assert.equal(refused?.status, 403);
    assert.match(refused.header('reason')!, /use TLS or WSS/);
    assert.equal(refused.header('www-authenticate'), undefined);
  }
});

test('what a registration may require a call may not (RFC 3327, 5626, 5627)', () => {
  const { status } = setup();
  const on = flow(EDGE, 'tls');
  for (const tag of ['path', 'outbound', 'gruu', 'Path, OUTBOUND']) {
    const headers = [
      ['Authorization', 'Bearer good'],
      ['Require', tag],
    ] as const;
    assert.equal(status(request('REGISTER', headers), on), 'accepted alice', tag);
    assert.equal(status(request('INVITE', headers), on), 420, tag);
  }
  assert.equal(
    status(
      request('REGISTER', [
        ['Authorization', 'Bearer good'],
        ['Require', 'x'],
      ]),
      on,
    ),
    420,
  );
});
