import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { answerChallenge, createRequest, ha1, parseChallenge, type SipMessage, text, utf8 } from '@offhook/core';
import { nodeCrypto } from '@offhook/core/node';
import type { Account } from '../store/index.ts';
import { Authenticator, FAMILY_LIFETIME_S, Lockout, SESSION_LIFETIME_S, Sessions } from './index.ts';
import { Nonces } from './nonce.ts';

const REALM = 'example.test';
const FROM = { address: '192.0.2.1', transport: 'udp' } as const;
const accountOf = (user: string, password: string): Account => ({
  user,
  displayName: user,
  ha1Md5: ha1('MD5', user, REALM, password, nodeCrypto),
  ha1Sha256: ha1('SHA-256', user, REALM, password, nodeCrypto),
  createdAt: '',
});
const alice = accountOf('alice', 'secret-1');
const bob = accountOf('bob', 'secret-2');
const accounts = (user: string) => [alice, bob].find((a) => a.user === user);
const request = (authorization?: string, method = 'REGISTER', uri = 'sip:example.test'): SipMessage =>
  createRequest({
    method,
    uri,
    from: '<sip:alice@example.test>;tag=1',
    to: '<sip:alice@example.test>',
    callId: 'c',
    cseq: 1,
    headers: authorization ? [['Authorization', authorization]] : [],
  });

function setup(algorithm: 'MD5' | 'SHA-256' = 'MD5') {
  const authenticator = new Authenticator({ realm: REALM, crypto: nodeCrypto, account: accounts, algorithm });
  const challenge = (address = '192.0.2.1', nowMs = 0) => {
    const first = authenticator.authenticate(request(), { address, transport: 'udp' }, nowMs);
    assert.ok(first.kind === 'challenge');
    return parseChallenge(first.wwwAuthenticate)!;
  };
  const answer = (c: ReturnType<typeof challenge>, over: Partial<Parameters<typeof answerChallenge>[0]> = {}) =>
    answerChallenge(
      { challenge: c, username: 'alice', password: 'secret-1', method: 'REGISTER', uri: 'sip:example.test', ...over },
      nodeCrypto,
    )!;
  return { authenticator, challenge, answer };
}

for (const algorithm of ['MD5', 'SHA-256'] as const) {
  test(`the right password is accepted with ${algorithm}, each nonce-count once, in any near order`, () => {
    const { authenticator, challenge, answer } = setup(algorithm);
    const c = challenge();
    for (const nc of [1, 3, 2, 40, 39])
      assert.deepEqual(
        authenticator.authenticate(request(answer(c, { nc })), FROM, 10),
        { kind: 'account', user: 'alice' },
        String(nc),
      );
    for (const nc of [1, 2, 3, 40])
      assert.equal(
        authenticator.authenticate(request(answer(c, { nc })), FROM, 10).kind,
        'challenge',
        `replay of ${nc}`,
      );
  });
}

test('what does not fit is challenged anew, and only an expired nonce of ours is called stale', () => {
  const { authenticator, challenge, answer } = setup();
  const c = challenge();
  const outcome = (
    authorization: string,
    over: { address?: string; nowMs?: number; method?: string; uri?: string } = {},
  ) => {
    const result = authenticator.authenticate(
      request(authorization, over.method, over.uri),
      { ...FROM, ...(over.address === undefined ? {} : { address: over.address }) },
      over.nowMs ?? 10,
    );
    return result.kind === 'challenge'
      ? `${result.why}${parseChallenge(result.wwwAuthenticate)?.stale ? ', stale' : ''}`
      : result.kind;
  };
  assert.equal(outcome(answer({ ...c, realm: 'other' })), 'the credentials are for another realm');
  assert.equal(outcome('Basic abc'), 'no credentials were given');
  assert.equal(outcome(answer(c), { address: '192.0.2.9' }), 'the nonce is not ours');
  assert.equal(outcome(answer({ ...c, nonce: `${'0'.repeat(28)}forged` })), 'the nonce is not ours');
  assert.equal(outcome(answer(c, { password: 'wrong' })), 'user name or password is wrong');
  assert.equal(outcome(answer(c, { username: 'nobody' })), 'user name or password is wrong');
  assert.equal(outcome(answer(c), { method: 'INVITE' }), 'user name or password is wrong');
  assert.equal(outcome(answer(c), { uri: 'sip:600@example.test' }), 'user name or password is wrong');
  assert.equal(outcome(answer({ ...c, qop: [] })), 'user name or password is wrong');
  assert.equal(outcome(answer(c), { nowMs: 700_000 }), 'the nonce is stale, stale');
  assert.equal(outcome(answer(c)), 'account');
});

test('guessing is slowed down per user and address; loopback is never shut out', () => {
  const lockout = new Lockout();
  for (let i = 0; i < 4; i++) lockout.failed('alice', '192.0.2.1', 0);
  assert.equal(lockout.remainingMs('alice', '192.0.2.1', 0), 0);
  lockout.failed('alice', '192.0.2.1', 0);
  assert.equal(lockout.remainingMs('alice', '192.0.2.1', 0), 1000);
  for (let i = 0; i < 20; i++) {
    lockout.failed('alice', '192.0.2.1', 0);
    lockout.failed('alice', '127.0.0.5', 0);
  }
  assert.equal(lockout.remainingMs('alice', '192.0.2.1', 0), 900_000);
  assert.equal(lockout.remainingMs('alice', '127.0.0.5', 0), 4000);
  assert.equal(lockout.remainingMs('bob', '192.0.2.1', 0), 0);
  lockout.succeeded('alice', '192.0.2.1');
  assert.equal(lockout.remainingMs('alice', '192.0.2.1', 0), 0);
  const { authenticator, challenge, answer } = setup();
  for (let i = 0; i < 5; i++) authenticator.authenticate(request(answer(challenge(), { password: 'no' })), FROM, 0);
  assert.deepEqual(authenticator.authenticate(request(answer(challenge())), FROM, 0), {
    kind: 'locked',
    retryAfterS: 1,
  });
  assert.equal(authenticator.authenticate(request(answer(challenge('192.0.2.1', 2000))), FROM, 2000).kind, 'account');
});

test('an address can’t push its failures for one user out by failing for very many others', () => {
  const lockout = new Lockout();
  for (let i = 0; i < 20; i++) lockout.failed('victim', '192.0.2.1', 0);
  for (let i = 0; i < 25_000; i++) lockout.failed(`name${i}`, '192.0.2.1', 1);
  assert.equal(lockout.remainingMs('victim', '192.0.2.1', 1000), 899_000);
  assert.ok(lockout.size <= 101, `${lockout.size}`);
  assert.ok(lockout.remainingMs('the next name', '192.0.2.1', 1000) > 0, 'further names count as one');
  assert.equal(lockout.remainingMs('the next name', '192.0.2.2', 1000), 0);
  lockout.failed('late', '192.0.2.1', 90_000_000);
  assert.equal(lockout.size, 1, 'a day later all are forgotten');
  for (let i = 0; i < 30_000; i++) lockout.failed('x', `10.0.${i >> 8}.${i & 255}`, 90_000_001);
  assert.ok(lockout.size <= 20_000, 'bounded in all');
  lockout.succeeded('x', '10.0.117.47');
  assert.equal(lockout.remainingMs('x', '10.0.117.47', 90_000_001), 0);
});

test('failures count for the whole /64 of an IPv6 address', () => {
  const lockout = new Lockout();
  for (let i = 0; i < 20; i++) lockout.failed('alice', `2001:db8::${i}`, 0);
  assert.equal(lockout.remainingMs('alice', '2001:db8::ffff:1', 0), 900_000);
  assert.equal(lockout.remainingMs('alice', '2001:db8:0:1::1', 0), 0);
});

test('a user name longer than any account’s is neither hashed nor looked up nor remembered', () => {
  let asked = 0;
  const account = (user: string) => {
    // Who a request says it is from is looked up for the challenge.
    if (user !== 'alice') asked++;
    return accounts(user);
  };
  const authenticator = new Authenticator({ realm: REALM, crypto: nodeCrypto, account });
  const first = authenticator.authenticate(request(), FROM, 0);
  assert.ok(first.kind === 'challenge');
  const challenge = parseChallenge(first.wwwAuthenticate)!;
  const guess = (username: string) => {
    const given = answerChallenge(
      { challenge, username, password: 'x', method: 'REGISTER', uri: 'sip:example.test' },
      nodeCrypto,
    );
    return authenticator.authenticate(request(given), FROM, 0).kind;
  };
  for (let i = 0; i < 30; i++) assert.equal(guess('a'.repeat(65)), 'challenge');
  assert.equal(asked, 0);
  assert.equal(guess('a'.repeat(64)), 'challenge');
  assert.equal(asked, 1);
});

test('a login token works once; a session until it ends, is ended, or the password changes', () => {
  let current: Account | undefined = alice;
  const sessions = new Sessions({
    crypto: nodeCrypto,
    secret: 's'.repeat(32),
    account: (u) => (u === 'alice' ? current : undefined),
  });
  const token = sessions.makeLoginToken('alice', 1000);
  assert.equal(sessions.takeLoginToken('forged', 1000), undefined);
  assert.equal(sessions.takeLoginToken(token, 1001), 'alice');
  assert.equal(sessions.takeLoginToken(token, 1001), undefined);
  assert.equal(sessions.takeLoginToken(sessions.makeLoginToken('alice', 1000), 1000 + 90_000), undefined);
  const { session, expiresAt } = sessions.start('alice', 1000);
  assert.equal(sessions.check(session, 1000)?.account.user, 'alice');
  assert.equal(sessions.check(session, expiresAt + 1), undefined);
  const [body, mark] = session.split('.') as [string, string];
  for (const bad of [
    '',
    'x',
    `${body}.`,
    `${body}.${mark}x`,
    `${body.slice(2)}.${mark}`,
    `${session}.x`,
    'a'.repeat(600),
    `bnVsbA.${mark}`,
  ])
    assert.equal(sessions.check(bad, 1000), undefined);
  const restarted = new Sessions({ crypto: nodeCrypto, secret: 's'.repeat(32), account: () => current });
  assert.equal(restarted.check(session, 1000)?.account.user, 'alice', 'survives a restart');
  current = accountOf('alice', 'new-password');
  assert.equal(sessions.check(session, 1000), undefined, 'a new password ends it');
  current = alice;
  sessions.end(session, 1000);
  assert.equal(sessions.check(session, 1000), undefined);
});

test('however many nonces others use, and however many oneself: none is good twice', () => {
  const nonces = new Nonces(nodeCrypto);
  let made = 0;
  const make = (nowMs: number) => nowMs.toString(16).padStart(12, '0') + (++made).toString(16).padStart(16, '0');
  const victim = make(0);
  assert.equal(nonces.use('alice', victim, 1, 0), true);
  for (let i = 0; i < 60_000; i++) assert.equal(nonces.use('mallory', make(i), 1, i), true);
  assert.equal(nonces.use('alice', victim, 1, 60_000), false);
  assert.equal(nonces.use('alice', victim, 2, 60_000), true, 'still alice’s own, so still good');
  const own = make(60_000);
  const unused = make(60_000);
  assert.equal(nonces.use('alice', own, 1, 60_000), true);
  for (let i = 1; i < 5000; i++) assert.equal(nonces.use('alice', make(60_000 + i), 1, 60_000 + i), true);
  assert.equal(nonces.use('alice', own, 1, 65_000), false, 'forgotten, and so is its time');
  assert.equal(nonces.use('alice', unused, 1, 65_000), false, 'stale: a phone asks for another by itself');
  for (let user = 0; user < 20; user++) {
    for (let i = 0; i < 4096; i++) nonces.use(`u${user}`, make(70_000), 1, 70_000);
  }
  const last = make(70_001);
  assert.equal(nonces.use('alice', last, 1, 70_001), true, 'all were forgotten: the next is as good as ever');
  assert.equal(nonces.use('mallory', victim, 1, 70_001), false);
});

test('copies of a request that are answered within two seconds get the same challenge, others never', () => {
  const authenticator = new Authenticator({ realm: REALM, crypto: nodeCrypto, account: accounts });
  const challenge = (of: SipMessage, nowMs: number, address: string = FROM.address) => {
    const answer = authenticator.authenticate(of, { ...FROM, address }, nowMs);
    assert.ok(answer.kind === 'challenge');
    return answer.wwwAuthenticate;
  };
  const first = challenge(request(), 4000.5);
  assert.equal(challenge(request(), 5500), first);
  assert.notEqual(challenge(request(), 6000), first);
  assert.notEqual(challenge(request(), 4000, '192.0.2.99'), first);
  assert.notEqual(challenge(request().set('call-id', 'another'), 4000), first);
});

test('with 1,000 new nonces a second the older half is forgotten at a time: one on its way to its first use stays good', () => {
  const nonces = new Nonces(nodeCrypto);
  const make = (i: number) => i.toString(16).padStart(12, '0') + i.toString(16).padStart(16, '0');
  const ON_ITS_WAY = 100;
  let most = 0;
  for (let i = 0; i < 200_000; i++) {
    assert.equal(nonces.use(`u${i % 200}`, make(i), 1, i + ON_ITS_WAY), true, `nonce ${i}`);
    most = Math.max(most, nonces.used);
  }
  assert.ok(most <= 50_000, `${most} are remembered`);
  assert.equal(nonces.use('u0', make(0), 2, 200_000), false, 'the oldest are good for nothing');
  assert.equal(nonces.use('u0', make(199_800), 1, 200_000), false, 'the newest are not good twice');
});

test('a nonce of an earlier process is stale, not wrong, and only with the same secret', () => {
  const make = (nonceSecret: string) =>
    new Authenticator({ realm: REALM, crypto: nodeCrypto, account: accounts, nonceSecret });
  const first = make('s'.repeat(20)).authenticate(request(), FROM, 5000);
  assert.ok(first.kind === 'challenge');
  const authorization = answerChallenge(
    {
      challenge: parseChallenge(first.wwwAuthenticate)!,
      username: 'alice',
      password: 'secret-1',
      method: 'REGISTER',
      uri: 'sip:example.test',
    },
    nodeCrypto,
  )!;
  const restarted = make('s'.repeat(20)).authenticate(request(authorization), FROM, 6000);
  assert.ok(restarted.kind === 'challenge' && /stale=true/.test(restarted.wwwAuthenticate));
  const other = make('t'.repeat(20)).authenticate(request(authorization), FROM, 6000);
  assert.ok(other.kind === 'challenge' && !/stale/.test(other.wwwAuthenticate));
});

test('unknown users cost as much work as known ones', () => {
  let hashes = 0;
  const counting = {
    ...nodeCrypto,
    hash: (...a: Parameters<typeof nodeCrypto.hash>) => {
      hashes++;
      return nodeCrypto.hash(...a);
    },
  };
  const authenticator = new Authenticator({ realm: REALM, crypto: counting, account: accounts });
  const work = (username: string) => {
    const first = authenticator.authenticate(request(), FROM, 0);
    assert.ok(first.kind === 'challenge');
    const challenge = parseChallenge(first.wwwAuthenticate)!;
    const authorization = answerChallenge(
      { challenge, username, password: 'wrong', method: 'REGISTER', uri: 'sip:example.test' },
      nodeCrypto,
    )!;
    hashes = 0;
    authenticator.authenticate(request(authorization), FROM, 0);
    return hashes;
  };
  assert.equal(work('alice'), 2, 'H(A2) and the response');
  assert.equal(work('nobody'), work('alice'));
});

test('what was renewed from one sign-in is one family: it ends together, other sign-ins go on, and not after thirty days', () => {
  const sessions = new Sessions({ crypto: nodeCrypto, secret: 's'.repeat(32), account: accounts });
  const first = sessions.start('alice', 1000);
  const second = sessions.renew(first.session, 2000)!;
  const third = sessions.renew(second.session, 3000)!;
  const elsewhere = sessions.start('alice', 1000);
  assert.notEqual(second.session, first.session);
  assert.equal(second.expiresAt, 2000 + SESSION_LIFETIME_S);
  assert.equal(sessions.check(third.session, 3000)?.family, first.family);
  assert.notEqual(elsewhere.family, first.family);
  assert.equal(sessions.end(third.session, 4000), first.family);
  for (const { session } of [first, second, third]) {
    assert.equal(sessions.check(session, 4000), undefined);
    assert.equal(sessions.renew(session, 4000), undefined);
    assert.equal(sessions.end(session, 4000), undefined);
  }
  assert.ok(sessions.check(elsewhere.session, 4000));
  let current = elsewhere;
  let nowS = 1000;
  for (; ; nowS += 3600) {
    const next = sessions.renew(current.session, nowS);
    if (!next) break;
    current = next;
  }
  assert.equal(current.expiresAt, 1000 + FAMILY_LIFETIME_S);
  assert.ok(nowS - 1000 <= FAMILY_LIFETIME_S + 3600);
});

test('each account may have an algorithm of its own, each transport another; who is unknown gets the transport’s', () => {
  const carol = { ...accountOf('carol', 'secret-3'), digest: 'SHA-256' as const };
  const dave = { ...accountOf('dave', 'secret-4'), digest: 'MD5' as const };
  const account = (user: string) => [alice, carol, dave].find((a) => a.user === user);
  const authenticator = new Authenticator({
    realm: REALM,
    crypto: nodeCrypto,
    account,
    algorithm: { tls: 'SHA-256' },
  });
  const from = (user: string, method: string, authorization?: string) => {
    const message = request(authorization, method);
    // A REGISTER is for whom To names, whoever sends it.
    return message.set(method === 'REGISTER' ? 'to' : 'from', `<sip:${user}@example.test>;tag=1`);
  };
  const table: readonly (readonly [user: string, transport: 'udp' | 'tls' | 'wss', expected: string])[] = [
    ['alice', 'udp', 'MD5'],
    ['alice', 'tls', 'SHA-256'],
    ['alice', 'wss', 'MD5'],
    ['carol', 'udp', 'SHA-256'],
    ['dave', 'tls', 'MD5'],
    ['nobody', 'udp', 'MD5'],
    ['nobody', 'tls', 'SHA-256'],
    ['x'.repeat(65), 'tls', 'SHA-256'],
  ];
  let sources = 0;
  const passwords: Record<string, string> = { alice: 'secret-1', carol: 'secret-3', dave: 'secret-4' };
  for (const [user, transport, expected] of table) {
    for (const method of ['REGISTER', 'INVITE']) {
      const source = { address: `192.0.2.${++sources}`, transport };
      const first = authenticator.authenticate(from(user, method), source, 0);
      assert.ok(first.kind === 'challenge');
      const challenge = parseChallenge(first.wwwAuthenticate)!;
      assert.equal(challenge.algorithm, expected, `${user} ${transport} ${method}`);
      const password = passwords[user] ?? 'guess';
      const given = (algorithm = expected) =>
        answerChallenge(
          { challenge: { ...challenge, algorithm }, username: user, password, method, uri: 'sip:example.test' },
          nodeCrypto,
        );
      const other = expected === 'MD5' ? 'SHA-256' : 'MD5';
      assert.equal(authenticator.authenticate(from(user, method, given(other)), source, 0).kind, 'challenge');
      const kind = authenticator.authenticate(from(user, method, given()), source, 0).kind;
      assert.equal(kind, passwords[user] === undefined ? 'challenge' : 'account', `${user} ${transport} ${method}`);
    }
  }
});

test('a used nonce is all that is kept of the message that brought it', () => {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  const nonces = new Nonces(nodeCrypto);
  const count = 5000;
  const use = (i: number) => {
    const made = nonces.make('192.0.2.1', 1000 + i);
    const message = text(utf8(`REGISTER ${'x'.repeat(2000)}${i}\r\nAuthorization: Digest nonce="${made}"\r\n`));
    const at = message.indexOf('nonce="') + 7;
    assert.ok(nonces.use(`user${i % 50}`, message.slice(at, at + made.length), 1, 1000 + i));
  };
  for (let i = 0; i < 500; i++) use(i);
  collect();
  const before = process.memoryUsage().heapUsed;
  for (let i = 0; i < count; i++) use(500 + i);
  collect();
  const bytes = (process.memoryUsage().heapUsed - before) / count;
  assert.ok(bytes < 600, `${bytes} bytes each, and a message has 2000`);
});
