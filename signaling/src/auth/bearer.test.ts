import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { mkdtempSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { base64url, createRequest, utf8 } from '@offhook/core';
import fc from 'fast-check';
import type { Flow, SipTransportName } from '../transaction/index.ts';
import { Bearer, type BearerOptions, JWT_ALGORITHMS, jwtCheck, KeyFile } from './index.ts';
import { issuer } from './testkit.ts';

const NOW_S = 1_800_000_000;
const folder = mkdtempSync(join(tmpdir(), 'oh-bearer-'));
after(() => rmSync(folder, { recursive: true, force: true }));

const flow = (transport: SipTransportName, address = '192.0.2.1'): Flow => ({
  id: 1,
  transport,
  local: { address: '192.0.2.9', port: 5060 },
  remote: { address, port: 5070 },
});
const request = (...authorization: string[]) =>
  createRequest({
    method: 'REGISTER',
    uri: 'sip:example.test',
    from: '<sip:alice@example.test>;tag=1',
    to: '<sip:alice@example.test>',
    callId: 'c',
    cseq: 1,
    headers: authorization.map((value) => ['Authorization', value] as const),
  });
const isUser = (user: string) => ['alice', 'bob'].includes(user);
const bearer = (options: Partial<BearerOptions> = {}) => {
  const checks = [
    (token: string) => (token === 'good' ? { user: 'alice' } : token === 'gone' ? { user: 'gone' } : undefined),
  ];
  return new Bearer({ checks, realm: 'example.test', isUser, ...options }, () => NOW_S);
};

test('a good token is as good as a password over TLS, WSS and loopback, and refused unread elsewhere (RFC 8898)', () => {
  const table: readonly (readonly [SipTransportName, address: string, 'account' | 403])[] = [
    ['tls', '192.0.2.1', 'account'],
    ['wss', '192.0.2.1', 'account'],
    ['ws', '127.0.0.1', 'account'],
    ['udp', '::1', 'account'],
    ['udp', '192.0.2.1', 403],
    ['tcp', '192.0.2.1', 403],
    ['ws', '192.0.2.1', 403],
  ];
  for (const [transport, address, expected] of table) {
    const b = bearer({ isAskedFor: true, authzServer: 'https://login.example.test' });
    const got = b.authenticate(request('Bearer good'), flow(transport, address));
    const wrong = b.authenticate(request('bearer  no'), flow(transport, address));
    if (expected === 'account') {
      assert.deepEqual(got, { kind: 'account', user: 'alice' });
      assert.equal(wrong?.kind, 'challenge');
      assert.deepEqual(b.counters, { accepted: 1, refused: 1, unencrypted: 0 });
    } else {
      assert.ok(got?.kind === 'refused' && got.status === 403);
      assert.match(got.why, /use TLS or WSS/);
      assert.deepEqual(wrong, got, 'whether it would have been good is not told');
      assert.equal(b.authenticate(request(), flow(transport, address)), undefined, 'nor is one asked for');
    }
  }
});

test('a token that is not good gets one challenge: where to get one, else by digest; the words say why', () => {
  const why = (token: string, options: Partial<BearerOptions> = {}) =>
    bearer(options).authenticate(request(`Bearer ${token}`), flow('tls'));
  assert.deepEqual(why('bad'), { kind: 'invalid', why: 'the token is not good (any more)' });
  assert.deepEqual(why('gone'), { kind: 'invalid', why: 'the token is for no account here' });
  for (const malformed of ['', 'a b', 'a"b', 'ä', 'x'.repeat(4097)])
    assert.deepEqual(why(malformed), { kind: 'invalid', why: 'the token is malformed' });
  assert.deepEqual(why('bad', { authzServer: 'https://login.example.test' }), {
    kind: 'challenge',
    why: 'the token is not good (any more)',
    wwwAuthenticate:
      'Bearer realm="example.test", authz_server="https://login.example.test", error="invalid_token", error_description="the token is not good (any more)"',
  });
});

test('without a token digest judges, unless tokens are asked for; a password beside a token counts', () => {
  const authzServer = 'https://login.example.test';
  const asking = bearer({ authzServer, isAskedFor: true });
  assert.equal(bearer({ authzServer }).authenticate(request(), flow('tls')), undefined);
  assert.deepEqual(asking.authenticate(request(), flow('tls')), {
    kind: 'challenge',
    why: 'no credentials were given',
    wwwAuthenticate: `Bearer realm="example.test", authz_server="${authzServer}"`,
  });
  assert.equal(asking.authenticate(request('Digest username="alice"'), flow('tls')), undefined);
  assert.equal(asking.authenticate(request('Bearer good', 'Digest username="alice"'), flow('tls')), undefined);
  assert.equal(asking.authenticate(request('Basic abc'), flow('tls')), undefined);
});

test('tokens are taken by signature, issuer, audience, times and account; all else is refused in words', () => {
  for (const algorithm of JWT_ALGORITHMS) {
    const by = issuer(algorithm);
    const path = join(folder, `${algorithm}.json`);
    writeFileSync(path, JSON.stringify({ keys: [by.jwk] }));
    const keys = new KeyFile(path, { onTrouble: assert.fail, nowMs: () => 0 });
    const rules = { issuer: 'https://login.example.test', audience: 'offhook', algorithms: [algorithm] };
    const check = jwtCheck({ ...rules, verify: keys.verify });
    const good = { iss: rules.issuer, aud: 'offhook', exp: NOW_S + 60, nbf: NOW_S - 60, sub: 'alice' };
    const table: readonly (readonly [claims: object, header: object, outcome: string | undefined])[] = [
      [{}, {}, undefined],
      [{ aud: ['other', 'offhook'] }, {}, undefined],
      [{ nbf: undefined }, { kid: undefined }, undefined],
      [{ exp: NOW_S - 29 }, {}, undefined],
      [{ nbf: NOW_S + 30 }, { typ: 'at+jwt' }, undefined],
      [{ exp: NOW_S - 30 }, {}, 'the token has expired'],
      [{ exp: undefined }, {}, 'the token has no end'],
      [{ exp: '9999999999' }, {}, 'the token has no end'],
      [{ nbf: NOW_S + 31 }, {}, 'the token is not good yet'],
      [{ nbf: 'now' }, {}, 'the token is not good yet'],
      [{ iss: 'https://evil.test' }, {}, 'the token is of another issuer'],
      [{ iss: undefined }, {}, 'the token is of another issuer'],
      [{ aud: 'offhook2' }, {}, 'the token is for another server'],
      [{ aud: undefined }, {}, 'the token is for another server'],
      [{ sub: '' }, {}, 'the token is for no account here'],
      [{ sub: 7 }, {}, 'the token is for no account here'],
      [{ sub: 'x'.repeat(65) }, {}, 'the token is for no account here'],
      [{}, { alg: 'none' }, 'the token is signed in a way that is not accepted here'],
      [{}, { alg: 'HS256' }, 'the token is signed in a way that is not accepted here'],
      [
        {},
        { alg: algorithm === 'RS256' ? 'ES256' : 'RS256' },
        'the token is signed in a way that is not accepted here',
      ],
      [{}, { crit: ['b64'] }, 'the token needs an extension that is not known here'],
      [{}, { kid: 'another' }, 'the token is not signed by a key that is known here'],
    ];
    for (const [claims, header, problem] of table)
      assert.deepEqual(
        check(by.token({ ...good, ...claims }, header), NOW_S),
        problem === undefined ? { user: 'alice' } : { problem },
        `${algorithm} ${JSON.stringify([claims, header])}`,
      );
    const [head, , tail] = by.token(good).split('.');
    const forged = base64url(utf8(JSON.stringify({ ...good, sub: 'bob' })));
    for (const token of [`${head}.${forged}.${tail}`, `${head}.${forged}.`, issuer(algorithm).token(good)])
      assert.deepEqual(check(token, NOW_S), { problem: 'the token is not signed by a key that is known here' });
    assert.equal(check('one.two', NOW_S), undefined, 'a session is none');
    for (const token of ['..', 'a.b.c', `${base64url(utf8('[]'))}.e30.e30`])
      assert.deepEqual(check(token, NOW_S), { problem: 'the token is malformed' });
  }
});

test('no bytes make the check of a token throw', () => {
  const by = issuer('EdDSA');
  const path = join(folder, 'any.json');
  writeFileSync(path, JSON.stringify({ keys: [by.jwk] }));
  const keys = new KeyFile(path, { onTrouble: assert.fail, nowMs: () => 0 });
  const check = jwtCheck({ issuer: 'i', audience: 'a', algorithms: JWT_ALGORITHMS, verify: keys.verify });
  const part = fc.oneof(
    fc.string({ maxLength: 50 }),
    fc.json().map((json) => base64url(utf8(json))),
    fc.constant(base64url(utf8('{"alg":"EdDSA"}'))),
    fc.uint8Array({ maxLength: 80 }).map(base64url),
  );
  fc.assert(
    fc.property(fc.array(part, { maxLength: 4 }), (parts) => {
      const verdict = check(parts.join('.'), 0);
      assert.ok(verdict === undefined || 'problem' in verdict);
    }),
  );
});

test('keys are read anew when their file changes; what can’t be used is told and the old ones are kept', () => {
  const [first, second] = [issuer('ES256'), issuer('EdDSA')];
  const path = join(folder, 'keys.json');
  const troubles: string[] = [];
  const clock = { now: 0 };
  let written = 0;
  const write = (content: string) => {
    writeFileSync(path, content);
    utimesSync(path, ++written, written);
  };
  write(JSON.stringify({ keys: [first.jwk] }));
  const keys = new KeyFile(path, { onTrouble: (words) => troubles.push(words), nowMs: () => clock.now });
  const data = utf8('data');
  const isGood = (by: typeof first) => keys.verify({ algorithm: by.algorithm }, data, by.sign(data));
  assert.deepEqual([isGood(first), isGood(second)], [true, false]);
  write(JSON.stringify({ keys: [second.jwk, { kty: 'RSA', use: 'enc' }, { kty: 'EC', crv: 'P-521' }] }));
  assert.equal(isGood(second), false, 'the file is not looked at for every token');
  clock.now = 2000;
  assert.deepEqual([isGood(first), isGood(second)], [false, true]);
  write('{ half');
  clock.now = 4000;
  assert.equal(isGood(second), true);
  rmSync(path);
  clock.now = 6000;
  assert.equal(isGood(second), true);
  assert.equal(troubles.length, 2);
  for (const words of troubles) assert.match(words, /^the old keys are kept: .*keys\.json: /);
});

test('a file without usable keys stops the start, in words', () => {
  const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 1024 });
  const table: readonly (readonly [content: string, words: RegExp])[] = [
    ['[]', /no JWK Set/],
    ['{"keys":[]}', /no key for signatures/],
    ['{"keys":[{"kty":"oct","k":"c2VjcmV0"}]}', /key 1 is secret/],
    [JSON.stringify({ keys: [privateKey.export({ format: 'jwk' })] }), /key 1 is secret/],
    [JSON.stringify({ keys: [publicKey.export({ format: 'jwk' })] }), /too short: 2048/],
    ['{"keys":[{"kty":"OKP","crv":"Ed25519","x":"AA"}]}', /key 1: /],
    [JSON.stringify({ keys: Array(65).fill({}) }), /64 keys at most/],
    ['null', /no JWK Set/],
  ];
  for (const [content, words] of table) {
    const path = join(folder, 'bad.json');
    writeFileSync(path, content);
    assert.throws(() => new KeyFile(path, { onTrouble: assert.fail, nowMs: () => 0 }), words, content);
  }
  const missing = join(folder, 'missing.json');
  assert.throws(() => new KeyFile(missing, { onTrouble: assert.fail, nowMs: () => 0 }), /missing\.json: ENOENT/);
});
