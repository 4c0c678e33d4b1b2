import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createRequest, createResponse, parseAuthorization, type SipMessage } from '@offhook/core';
import type { TrunkConfig } from './config.ts';
import { BY_ADDRESS, good, Provider, REGISTERING, registrar, trunkStage } from './test-kit.ts';
import type { Outgoing, OutgoingCaller } from './trunks.ts';

const BOB: OutgoingCaller = { user: 'bob', payer: 'bob', displayName: 'Bob "B"', isPrivate: false };

function staged(config: TrunkConfig, provider = new Provider('192.0.2.1', good)) {
  const s = trunkStage({ p: config }, { 'one.example': [provider] });
  const dial = (number = '030123', caller = BOB, trunk = 'p') =>
    s.core.trunks.dial({ trunk, number, caller }, s.clock.now);
  return { s, provider, dial };
}

function dialled(got: ReturnType<ReturnType<typeof staged>['dial']>): Outgoing {
  assert.ok('uri' in got, JSON.stringify(got));
  return got;
}

function refused(got: ReturnType<ReturnType<typeof staged>['dial']>): string {
  assert.ok('status' in got);
  return `${got.status} ${got.words}`;
}

test('Request-URI and To have the number in the trunk’s format', () => {
  for (const [format, wanted] of [
    ['e164', '+4930123'],
    ['digits', '4930123'],
    ['national', '030123'],
  ] as const) {
    const { s, dial } = staged({ ...BY_ADDRESS, numbers: { country: '49', format } });
    const out = dialled(dial('030 123'));
    assert.equal(out.uri, `sip:${wanted}@provider.example`);
    assert.equal(out.to, `<sip:${wanted}@provider.example>`);
    assert.deepEqual(out.route, []);
    assert.equal(dialled(dial('110', { ...BOB, user: 'x' })).uri, 'sip:110@provider.example');
    s.stop();
  }
});

const NAME = '"Bob \\"B\\"" ';
const SHOWN: readonly (readonly [string, Partial<TrunkConfig>, OutgoingCaller, string, readonly string[]])[] = [
  [
    'the own number of the trunk’s dids',
    {},
    BOB,
    `${NAME}<sip:+4930111@provider.example>`,
    [`P-Asserted-Identity: ${NAME}<sip:+4930111@provider.example>`],
  ],
  [
    'the trunk’s number for who has none',
    { identity: 'p-preferred-identity' },
    { user: 'carol', payer: 'carol', isPrivate: false },
    '<sip:+4930100@provider.example>',
    ['P-Preferred-Identity: <sip:+4930100@provider.example>'],
  ],
  [
    'a foreign number only where that is allowed: not',
    { identity: 'from' },
    { user: '+15550100', payer: '+15550100', isPrivate: false },
    '<sip:+4930100@provider.example>',
    [],
  ],
  [
    'a foreign number only where that is allowed: yes',
    { identity: 'from', passCallerId: true },
    { user: '+15550100', payer: '+15550100', isPrivate: false },
    '<sip:+15550100@provider.example>',
    [],
  ],
  [
    'an account name is never a number',
    { identity: 'from', passCallerId: true },
    { user: 'mallory', payer: 'mallory', isPrivate: false },
    '<sip:+4930100@provider.example>',
    [],
  ],
  [
    'the account in From, the number in the identity',
    { fromUser: 'acct7' },
    { user: 'bob', payer: 'bob', isPrivate: false },
    '<sip:acct7@provider.example>',
    ['P-Asserted-Identity: <sip:+4930111@provider.example>'],
  ],
  [
    'privacy: the provider is told, nobody else',
    {},
    { ...BOB, isPrivate: true },
    '"Anonymous" <sip:anonymous@anonymous.invalid>',
    ['P-Asserted-Identity: <sip:+4930111@provider.example>', 'Privacy: id'],
  ],
  [
    'privacy in the old header',
    { identity: 'remote-party-id' },
    { ...BOB, isPrivate: true },
    '"Anonymous" <sip:anonymous@anonymous.invalid>',
    ['Remote-Party-ID: <sip:+4930111@provider.example>;party=calling;screen=yes;privacy=full', 'Privacy: id'],
  ],
  [
    'the old header',
    { identity: 'remote-party-id', numbers: { country: '49', format: 'national' } },
    { user: 'bob', payer: 'bob', isPrivate: false },
    '<sip:030111@provider.example>',
    ['Remote-Party-ID: <sip:030111@provider.example>;party=calling;screen=yes;privacy=off'],
  ],
  [
    'a name of several lines is one line',
    { identity: 'from' },
    { user: 'bob', payer: 'bob', displayName: 'Bob\r\nX-Evil: 1', isPrivate: false },
    '"Bob X-Evil: 1" <sip:+4930111@provider.example>',
    [],
  ],
];
for (const [what, over, caller, from, headers] of SHOWN)
  test(`caller id: ${what}`, () => {
    const { s, dial } = staged({ ...BY_ADDRESS, ...over });
    const out = dialled(dial('030123', caller));
    assert.equal(out.from, from);
    assert.deepEqual(
      out.headers.map(([name, value]) => `${name}: ${value}`),
      headers,
    );
    s.stop();
  });

test('what can’t be dialled is refused in words', () => {
  const { s, dial } = staged(BY_ADDRESS);
  assert.match(refused(dial('alice')), /^484 'alice' is no number/);
  assert.match(refused(dial('030123', BOB, 'q')), /^404 there is no trunk 'q'/);
  assert.equal(s.status().calls, 0);
  s.stop();
});

test('lines: as many as there are, one more is refused; release frees once', () => {
  const { s, dial } = staged({ ...BY_ADDRESS, maxCalls: 3, maxCallsPerUser: 10, maxCallsPerSecond: 100 });
  const calls = [dial(), dial(), dial()].map(dialled);
  assert.match(refused(dial()), /^503 all 3 lines of trunk 'p' are in use/);
  assert.equal(s.status().calls, 3);
  calls[0]!.release();
  calls[0]!.release();
  assert.equal(s.status().calls, 2);
  dialled(dial());
  assert.match(refused(dial()), /^503 all 3 lines/);
  assert.equal(s.core.trunks.figures()['sip_trunk_refused_total{trunk="p",cause="lines"}'], 2);
  s.stop();
});

test('calls of one user: at the limit and one more', () => {
  const { s, dial } = staged({ ...BY_ADDRESS, maxCallsPerUser: 2, maxCallsPerSecond: 100 });
  const [first] = [dial(), dial()].map(dialled);
  assert.match(refused(dial()), /^503 bob has 2 calls over trunk 'p' already/);
  dialled(dial('030123', { user: 'alice', payer: 'alice', isPrivate: false }));
  first!.release();
  dialled(dial());
  s.stop();
});

test('new calls a second: at the limit and one more; what is refused for another reason costs nothing', () => {
  const { s, dial } = staged({ ...BY_ADDRESS, maxCallsPerUser: 2, maxCallsPerSecond: 3 });
  [dial(), dial()].map(dialled);
  for (let i = 0; i < 5; i++) assert.match(refused(dial()), /already/);
  dialled(dial('030123', { user: 'u3', payer: 'u3', isPrivate: false }));
  assert.match(
    refused(dial('030123', { user: 'u4', payer: 'u4', isPrivate: false })),
    /^503 trunk 'p' takes 3 new calls a second/,
  );
  s.advance(334);
  dialled(dial('030123', { user: 'u4', payer: 'u4', isPrivate: false }));
  s.stop();
});

test('settings that change leave the lines of running calls in use', () => {
  const { s, dial } = staged(BY_ADDRESS);
  const out = dialled(dial());
  s.core.configureTrunks({ p: { ...BY_ADDRESS, maxCalls: 1 } }, s.clock.now);
  assert.equal(s.status().calls, 1);
  assert.match(refused(dial()), /all 1 lines/);
  out.release();
  dialled(dial());
  s.stop();
});

test('ways: all addresses of the first target, then of the next; what is down is left out; nothing after release', () => {
  const [a1, a2, b] = ['192.0.2.1', '192.0.2.2', '192.0.2.3'].map((at) => new Provider(at, good)) as [
    Provider,
    Provider,
    Provider,
  ];
  const config = { ...BY_ADDRESS, targets: ['sip:one.example', 'sip:two.example'], optionsS: 30 };
  const s = trunkStage({ p: config }, { 'one.example': [a1, a2], 'two.example': [b] });
  const ways: string[] = [];
  const run = (stopAfter = 99) => {
    ways.length = 0;
    const out = s.core.trunks.dial({ trunk: 'p', number: '030123', caller: BOB }, s.clock.now);
    assert.ok('uri' in out);
    out.locate(s.clock.now, (result, now) => {
      ways.push('flow' in result ? result.flow.remote.address : result.error);
      if (ways.length === stopAfter) out.release();
      if ('flow' in result) result.next(now);
    });
    out.release();
    s.advance(1000);
    return [...ways];
  };
  assert.deepEqual(run(), [
    '192.0.2.1',
    '192.0.2.2',
    '192.0.2.3',
    "trunk 'p' can't be reached: sip:two.example failed",
  ]);
  assert.deepEqual(run(1), ['192.0.2.1']);
  a1.script = a2.script = () => ({ status: 503 });
  s.advance(120_000);
  assert.deepEqual(run(1), ['192.0.2.3']);
  s.stop();
});

/** An INVITE of ours and a challenge to it. */
function challenged(
  out: Outgoing,
  header: string,
  over: { status?: number; method?: string; auth?: readonly [string, string]; callId?: string; tag?: string } = {},
) {
  const request = createRequest({
    method: over.method ?? 'INVITE',
    uri: out.uri,
    from: `${out.from};tag=a`,
    to: over.tag === undefined ? out.to : `${out.to};tag=${over.tag}`,
    callId: 'c1',
    cseq: 1,
    headers: over.auth ? [over.auth] : [],
  });
  const status = over.status ?? 407;
  const response = createResponse(request, status, undefined, {
    toTag: 'b',
    headers: [[status === 401 ? 'WWW-Authenticate' : 'Proxy-Authenticate', header]],
  });
  if (over.callId !== undefined) response.set('call-id', over.callId);
  return out.authorize(request, response);
}

const OURS = 'Digest realm="provider.example", nonce="i1", qop="auth"';

test('a challenge of the realm that the registrar named is answered, once, and once more when the nonce was stale', () => {
  const { s, dial } = staged(REGISTERING, new Provider('192.0.2.1', registrar({})));
  const out = dialled(dial());
  const answer = challenged(out, OURS)!;
  assert.equal(answer[0], 'Proxy-Authorization');
  const fields = parseAuthorization(answer[1])!;
  assert.equal(fields.uri, out.uri);
  assert.equal(fields.username, 'acct');
  assert.equal(fields.nc, '00000001');
  assert.equal(challenged(out, OURS, { status: 401 })![0], 'Authorization');
  // With an answer in it: the password was wrong.
  assert.ok(challenged(out, OURS));
  assert.equal(challenged(out, OURS, { auth: answer }), undefined);
  // A stale nonce is no wrong password.
  const stale = 'Digest realm="provider.example", nonce="i2", qop="auth", stale=true';
  assert.ok(challenged(out, OURS));
  assert.ok(challenged(out, stale, { auth: answer }));
  assert.ok(challenged(out, stale, { auth: answer }));
  assert.equal(challenged(out, stale, { auth: answer }), undefined);
  out.release();
  assert.ok(challenged(out, OURS), 'the BYE comes when the line is free again');
  s.stop();
});

test('SHA-256 is chosen where both are offered; what is not known is not answered', () => {
  const { s, dial } = staged(REGISTERING, new Provider('192.0.2.1', registrar({})));
  const out = dialled(dial());
  const request = createRequest({
    method: 'INVITE',
    uri: out.uri,
    from: '<sip:a@b>;tag=1',
    to: out.to,
    callId: 'c',
    cseq: 1,
  });
  const response = createResponse(request, 407);
  response.add('proxy-authenticate', `${OURS}, algorithm=MD5`);
  response.add('proxy-authenticate', `${OURS}, algorithm=SHA-256`);
  assert.match(out.authorize(request, response)![1], /algorithm=SHA-256/);
  for (const other of [
    `${OURS}, algorithm=SHA-512-256`,
    'Digest realm="provider.example", nonce="x", qop="auth-int"',
    'Basic realm="provider.example"',
    'Digest',
    '',
  ])
    assert.equal(challenged(out, other), undefined, other);
  s.stop();
});

test('attack: whoever else asks for a password gets nothing made from it', () => {
  const own = new Provider('192.0.2.1', registrar({}));
  const other = new Provider('192.0.2.2', registrar({ user: 'acct2', password: 'pw2', realm: 'second.example' }));
  const second = { ...REGISTERING, targets: ['sip:two.example'], register: { user: 'acct2', password: 'pw2' } };
  const s = trunkStage({ p: REGISTERING, q: second, r: BY_ADDRESS }, { 'one.example': [own], 'two.example': [other] });
  const dial = (trunk: string) =>
    dialled(
      s.core.trunks.dial(
        { trunk, number: '030123', caller: { user: trunk, payer: trunk, isPrivate: false } },
        s.clock.now,
      ),
    );
  const [p, q, r] = ['p', 'q', 'r'].map(dial) as [Outgoing, Outgoing, Outgoing];
  // Another realm, one of another trunk, none at all, and a trunk without a password.
  assert.equal(challenged(p, 'Digest realm="evil.example", nonce="x", qop="auth"'), undefined);
  assert.equal(challenged(p, 'Digest realm="second.example", nonce="x", qop="auth"'), undefined);
  assert.equal(challenged(q, OURS), undefined);
  assert.equal(challenged(p, 'Digest realm="", nonce="x"'), undefined);
  assert.equal(challenged(r, OURS), undefined);
  // An answer that belongs to another request.
  assert.equal(challenged(p, OURS, { callId: 'other' }), undefined);
  // What can't be sent again, and what is no challenge.
  assert.equal(challenged(p, OURS, { method: 'ACK' }), undefined);
  assert.equal(challenged(p, OURS, { method: 'CANCEL' }), undefined);
  assert.equal(challenged(p, OURS, { status: 486 }), undefined);
  assert.ok(challenged(p, OURS));
  s.stop();
});

test('attack: a call learns no realm, so one that comes before the registrar named its own gets nothing', () => {
  const { s, dial } = staged(REGISTERING, new Provider('192.0.2.1', good)); // registers without a challenge
  const out = dialled(dial());
  assert.equal(challenged(out, OURS), undefined);
  assert.equal(challenged(out, OURS), undefined);
  s.stop();
});

test('attack: the far end of a call that came in over the trunk challenges our BYE, and gets no Authorization', () => {
  const provider = new Provider('192.0.2.1', registrar({}));
  const s = trunkStage({ p: REGISTERING }, { 'one.example': [provider] });
  const contact = /<([^>]+)>/.exec(provider.of('REGISTER')[0]!.header('contact')!)![1]!;
  const phone = s.phone('bob');
  phone.register();
  s.from(provider.flow, 'INVITE', { uri: contact, callId: 'attack', sdp: OFFER, branch: 'attack' });
  const [invite] = phone.take() as [SipMessage];
  phone.answer(invite, 200, OFFER);
  provider.script = (request) => ({
    status: 401,
    headers: request.method === 'BYE' ? [['WWW-Authenticate', OURS]] : [],
  });
  phone.take();
  phone.within(invite, 'BYE', { cseq: 9 });
  s.pump();
  s.advance(40_000);
  const byes = provider.of('BYE');
  assert.equal(byes.length, 1);
  assert.equal(byes.filter((bye) => bye.header('authorization') !== undefined).length, 0);
  assert.equal(s.status().calls, 0);
  provider.script = registrar({});
  s.stop();
});

const OFFER = 'v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n';
