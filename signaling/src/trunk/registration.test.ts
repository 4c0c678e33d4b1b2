import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createResponse, parseAuthorization, type SipMessage } from '@offhook/core';
import { good, granted, Provider, REGISTERING, registrar, type Script, trunkStage } from './test-kit.ts';

const authorization = (message: SipMessage | undefined) => parseAuthorization(message?.header('authorization') ?? '');
const one = (script: Script) => new Provider('192.0.2.1', script);
const registering = (provider: Provider, more = {}) =>
  trunkStage({ p: { ...REGISTERING, ...more } }, { 'one.example': [provider] });

for (const algorithm of ['MD5', 'SHA-256'] as const)
  for (const status of [401, 407] as const)
    test(`registers with ${algorithm} after a ${status}, and refreshes with the same Call-ID at half of the time`, () => {
      const provider = one(registrar({ algorithm, status }));
      const s = registering(provider);
      assert.equal(provider.of('REGISTER').length, 2);
      const [first, second] = provider.of('REGISTER') as [SipMessage, SipMessage];
      assert.equal(second.callId, first.callId);
      assert.equal(second.cseq.number, first.cseq.number + 1);
      assert.equal(first.uri, 'sip:provider.example');
      assert.equal(first.to.uri.toString(), 'sip:acct@provider.example');
      assert.equal(s.status().registeredForS, 600);
      assert.equal(s.status().isUp, true);
      s.advance(269_000);
      assert.equal(provider.of('REGISTER').length, 2);
      s.advance(32_000);
      // One round trip: the nonce is used once more, its count goes up.
      const [, , third] = provider.of('REGISTER') as [SipMessage, SipMessage, SipMessage];
      assert.equal(provider.of('REGISTER').length, 3);
      assert.equal(third.cseq.number, 3);
      assert.equal(third.callId, first.callId);
      assert.match(third.header(status === 401 ? 'authorization' : 'proxy-authorization')!, /nc=00000002/);
      s.stop();
    });

test('a long registration is refreshed after nine tenths', () => {
  const provider = one(good);
  const s = registering(provider, { register: { ...REGISTERING.register, expiresS: 7200 } });
  s.advance(5_800_000);
  assert.equal(provider.of('REGISTER').length, 1);
  s.advance(700_000);
  assert.equal(provider.of('REGISTER').length, 2);
  s.stop();
});

test('the granted time is what counts, of our own contact among others', () => {
  const provider = one((request) => {
    const own = request.header('contact')!.replace(/expires=\d+/, 'expires=120');
    return { status: 200, headers: [['Contact', `<sip:desk@192.0.2.77>;expires=3600, ${own}`]] };
  });
  const s = registering(provider);
  assert.equal(s.status().registeredForS, 120);
  s.advance(61_000);
  assert.equal(provider.of('REGISTER').length, 2);
  s.stop();
});

test('a stale nonce is replaced and answered; a server that calls all of them stale is not answered for ever', () => {
  let n = 1;
  const provider = one(registrar({ nonce: () => `n${n}` }));
  const s = registering(provider);
  n = 2;
  s.advance(301_000);
  const all = provider.of('REGISTER');
  assert.equal(all.length, 4);
  assert.deepEqual(
    all.map((m) => authorization(m)?.nonce),
    [undefined, 'n1', 'n1', 'n2'],
  );
  assert.equal(s.status().isUp, true);
  s.stop();

  const endless = one(registrar({ nonce: () => `e${n++}` }));
  const t = registering(endless);
  assert.ok(endless.of('REGISTER').length <= 5, `${endless.of('REGISTER').length} REGISTERs`);
  assert.match(t.status().why, /refuses the password/);
  t.stop();
});

test('a wrong password: one answer to a challenge, then words and a retry after half an hour', () => {
  const provider = one(registrar({ password: 'other' }));
  const s = registering(provider);
  assert.equal(provider.of('REGISTER').length, 2);
  assert.match(s.status().why, /not registered: the provider refuses the password/);
  s.advance(23 * 60_000);
  assert.equal(provider.of('REGISTER').length, 2);
  s.advance(8 * 60_000);
  // The old nonce ahead, and one answer to the new challenge.
  assert.equal(provider.of('REGISTER').length, 4);
  s.stop();
});

test('403 says that the password is refused, and a call out hears it', () => {
  const provider = one(() => ({ status: 403 }));
  const s = registering(provider);
  assert.match(s.status().why, /the provider refuses the password \(sip:one.example answers 403 Forbidden\)/);
  const caller = { user: 'bob', payer: 'bob', isPrivate: false };
  const dialled = s.core.trunks.dial({ trunk: 'p', number: '030123', caller }, 0);
  assert.ok('status' in dialled && dialled.status === 503);
  assert.match(dialled.words, /refuses the password/);
  s.advance(23 * 60_000);
  assert.equal(provider.of('REGISTER').length, 1);
  s.stop();
});

test('423: the wish is raised to Min-Expires once', () => {
  const wishes: number[] = [];
  const provider = one((request) => {
    wishes.push(request.expires!);
    return request.expires! < 1800 && request.expires !== 0
      ? { status: 423, headers: [['Min-Expires', 1800]] }
      : granted(request);
  });
  const s = registering(provider);
  assert.deepEqual(wishes, [600, 1800]);
  assert.equal(s.status().registeredForS, 1800);
  s.stop();

  const never = one((request) => ({ status: 423, headers: [['Min-Expires', request.expires! * 2]] }));
  const t = registering(never);
  assert.equal(never.of('REGISTER').length, 2);
  assert.match(t.status().why, /423/);
  t.stop();
});

test('failures are repeated after 30 s, a minute, two … half an hour, with jitter', () => {
  const provider = one(() => ({ status: 404 }));
  const s = registering(provider);
  const times: number[] = [0];
  for (let count = 1; times.length < 10; ) {
    s.advance(1000);
    if (provider.of('REGISTER').length > count) {
      count++;
      times.push(s.clock.now);
    }
  }
  const gaps = times.slice(1).map((at, i) => at - times[i]!);
  for (const [i, gap] of gaps.entries()) {
    const wait = Math.min(30_000 * 2 ** i, 24 * 60_000);
    assert.ok(gap >= wait && gap <= wait * 1.25 + 1000, `${gap} ms after failure ${i + 1}`);
  }
  assert.ok(Math.max(...gaps) <= 30 * 60_000 + 1000);
  assert.match(s.status().why, /sip:one.example answers 404 Not Found/);
  s.stop();
});

test('503 with Retry-After: nothing before that, and the next target at once', () => {
  const first = new Provider('192.0.2.1', () => ({ status: 503, headers: [['Retry-After', 400]] }));
  const second = new Provider('192.0.2.2', good);
  const config = { ...REGISTERING, targets: ['sip:one.example', 'sip:two.example'] };
  const s = trunkStage({ p: config }, { 'one.example': [first], 'two.example': [second] });
  assert.equal(second.of('REGISTER').length, 1);
  assert.equal(s.status().isUp, true);
  s.stop();

  const alone = one(() => ({ status: 503, headers: [['Retry-After', 400]] }));
  const t = registering(alone);
  t.advance(399_000);
  assert.equal(alone.of('REGISTER').length, 1);
  alone.script = good;
  t.advance(102_000);
  assert.equal(alone.of('REGISTER').length, 2);
  assert.equal(t.status().isUp, true);
  t.stop();
});

test('a Retry-After of years is not believed', () => {
  const provider = one(() => ({ status: 503, headers: [['Retry-After', 99_999_999]] }));
  const s = registering(provider);
  s.advance(3_599_000);
  assert.equal(provider.of('REGISTER').length, 1);
  s.advance(902_000);
  assert.equal(provider.of('REGISTER').length, 2);
  s.stop();
});

test('a dead address: the next one of the same target, then the next target', () => {
  const dead = new Provider('192.0.2.1', () => undefined);
  const dead2 = new Provider('192.0.2.2', () => undefined);
  const alive = new Provider('192.0.2.3', good);
  const config = { ...REGISTERING, targets: ['sip:one.example', 'sip:two.example'] };
  const s = trunkStage({ p: config }, { 'one.example': [dead, dead2], 'two.example': [alive] });
  s.advance(32_001);
  assert.ok(dead2.of('REGISTER').length > 0);
  s.advance(32_001);
  assert.equal(alive.of('REGISTER').length, 1);
  assert.equal(s.status().isUp, true);
  s.stop();
});

test('an expired registration is over, and said so', () => {
  const provider = one(good);
  const s = registering(provider);
  assert.equal(s.status().isUp, true);
  provider.script = () => undefined;
  s.advance(601_000);
  assert.equal(s.status().isUp, false);
  assert.match(s.status().why, /not registered: sip:one.example does not answer/);
  provider.script = good;
  s.advance(1_800_000);
  assert.equal(s.status().isUp, true);
  s.stop();
});

test('stop takes the contact back, with credentials', () => {
  const provider = one(registrar({}));
  const s = registering(provider);
  s.stop();
  const last = provider.of('REGISTER').at(-1)!;
  assert.equal(last.expires, 0);
  assert.match(last.header('contact')!, /;expires=0/);
  assert.ok(authorization(last));
});

test('stop in the middle of a REGISTER takes back what it may have done', () => {
  const provider = one(() => undefined);
  const s = registering(provider);
  s.stop();
  assert.equal(provider.of('REGISTER').at(-1)!.expires, 0);
});

test('changed settings: the old contact is taken back, the new one registered; unchanged ones go on', () => {
  const provider = one(good);
  const s = registering(provider);
  s.core.configureTrunks({ p: REGISTERING }, s.clock.now);
  s.settle();
  s.pump();
  assert.equal(provider.of('REGISTER').length, 1);
  const changed = { ...REGISTERING, register: { user: 'other', password: 'pw' } };
  s.core.configureTrunks({ p: changed }, s.clock.now);
  s.advance(1);
  const [, gone, fresh] = provider.of('REGISTER');
  assert.equal(gone!.expires, 0);
  assert.equal(fresh!.to.uri.user, 'other');
  s.core.configureTrunks({}, s.clock.now);
  s.settle();
  s.pump();
  assert.equal(provider.of('REGISTER').at(-1)!.expires, 0);
  assert.deepEqual(s.core.trunks.status(0), []);
  s.stop();
});

test('the contact is the same after a restart, and not to be guessed', () => {
  const contact = () => {
    const provider = one(good);
    const s = registering(provider);
    const value = provider.of('REGISTER')[0]!.header('contact')!;
    s.stop();
    return value;
  };
  const user = /<sip:([^@]+)@/.exec(contact())![1]!;
  assert.match(user, /^[0-9a-f]{24}$/);
});

test('a connection that goes is made anew within seconds', () => {
  const provider = new Provider('192.0.2.1', good, { transport: 'tls' });
  const s = registering(provider);
  s.core.handleFlowClosed(provider.flow, s.clock.now);
  s.advance(5_000);
  assert.equal(provider.of('REGISTER').length, 1); // the flow is gone; the way out of it fails
  assert.match(s.status().why || 'gone', /gone/);
  s.stop();
});

test('Service-Route is how calls travel from then on; unusable ones are left out', () => {
  const provider = one((request) =>
    granted(request, [
      ['Service-Route', '<sip:edge@edge.provider.example;lr>, <sip:strict.example>'],
      ['Service-Route', '<sip:core.example;lr>'],
    ]),
  );
  const edge = new Provider('192.0.2.8', good);
  const s = trunkStage({ p: REGISTERING }, { 'one.example': [provider], 'edge.provider.example': [edge] });
  const out = s.core.trunks.dial(
    { trunk: 'p', number: '030123', caller: { user: 'bob', payer: 'bob', isPrivate: false } },
    0,
  );
  assert.ok('uri' in out);
  assert.deepEqual(out.route, ['<sip:edge@edge.provider.example;lr>', '<sip:core.example;lr>']);
  out.locate(0, (result) => assert.equal('flow' in result && result.flow, edge.flow));
  out.release();
  s.stop();
});

test("a Service-Route to a host that is not the provider's is not followed: its password would be answered there", () => {
  const provider = one((request) => granted(request, [['Service-Route', '<sip:203.0.113.66;lr>']]));
  const s = trunkStage({ p: REGISTERING }, { 'one.example': [provider] });
  const caller = { user: 'bob', payer: 'bob', isPrivate: false };
  const out = s.core.trunks.dial({ trunk: 'p', number: '030123', caller }, 0);
  assert.ok('uri' in out);
  assert.deepEqual(out.route, []);
  out.locate(0, (result) => assert.equal('flow' in result && result.flow, provider.flow));
  out.release();
  s.stop();
});

test('a challenge from another address than the one that was asked gets no answer', () => {
  const provider = one(() => undefined);
  const s = registering(provider);
  const other = new Provider('203.0.113.66', () => undefined);
  const request = provider.of('REGISTER')[0]!;
  const challenge = 'Digest realm="provider.example", nonce="x", qop="auth"';
  s.core.handleMessage(reply(request, 401, [['WWW-Authenticate', challenge]]), other.flow, s.clock.now);
  s.settle();
  s.pump();
  assert.equal(s.sentOn(other.flow).length, 0);
  assert.equal(provider.of('REGISTER').filter((m) => authorization(m)).length, 0);
  assert.match(s.status().why, /another address wants a password/);
  s.stop();
});

test('a realm that is not the configured one gets nothing', () => {
  const provider = one(registrar({ realm: 'evil.example' }));
  const s = registering(provider, { register: { user: 'acct', password: 'pw', realm: 'provider.example' } });
  assert.equal(provider.of('REGISTER').length, 1);
  assert.match(s.status().why, /for the realm 'provider.example', and was asked for by 'evil.example'/);
  s.stop();
});

function reply(request: SipMessage, status: number, headers: [string, string][]): SipMessage {
  return createResponse(request, status, undefined, { toTag: 'p', headers });
}
