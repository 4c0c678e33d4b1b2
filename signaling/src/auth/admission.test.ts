import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  answerChallenge,
  createRequest,
  ha1,
  parseChallenge,
  parseSip,
  type SipMessage,
  text,
  utf8,
} from '@offhook/core';
import { nodeCrypto } from '@offhook/core/node';
import { type Flow, TransactionLayer } from '../transaction/index.ts';
import type { AdmissionOptions } from './admission.ts';
import { ADMISSION_LIMITS, Admission, Authenticator, LONGEST_BODY, Shedding } from './index.ts';

const REALM = 'example.test';
const alice = {
  user: 'alice',
  displayName: 'Alice',
  ha1Md5: ha1('MD5', 'alice', REALM, 'secret-1', nodeCrypto),
  ha1Sha256: ha1('SHA-256', 'alice', REALM, 'secret-1', nodeCrypto),
  createdAt: '',
};
const flow = (account?: string, address = '192.0.2.1'): Flow => ({
  id: 1,
  transport: account === undefined ? 'udp' : 'ws',
  local: { address: '127.0.0.1', port: 5060 },
  remote: { address, port: 5070 },
  account,
});

interface Over {
  uri?: string;
  from?: string;
  to?: string;
  headers?: readonly (readonly [string, string])[];
  maxForwards?: number;
  body?: { type: string; bytes: string };
  cseq?: number;
}
const request = (method: string, over: Over = {}): SipMessage =>
  createRequest({
    method,
    uri: over.uri ?? 'sip:example.test',
    from: over.from ?? '<sip:alice@example.test>;tag=1',
    to: over.to ?? '<sip:alice@example.test>',
    callId: 'c',
    cseq: over.cseq ?? 1,
    maxForwards: over.maxForwards,
    headers: [['Via', 'SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKa'], ...(over.headers ?? [])],
    body: over.body,
  });

function setup(more: Partial<Pick<AdmissionOptions, 'shedding' | 'homeOf' | 'isRegistered'>> = {}) {
  let users = [alice];
  const account = (user: string) => users.find((a) => a.user === user);
  const admission = new Admission({
    crypto: nodeCrypto,
    authenticator: new Authenticator({ realm: REALM, crypto: nodeCrypto, account }),
    isUser: (user) => account(user) !== undefined,
    isLocal: (host) => host === REALM,
    ownsDialog: (message) => message.to.tag === 'ours',
    ...more,
  });
  const status = (message: SipMessage, on = flow('alice')): number | string => {
    const verdict = admission.admit(message, on, 0);
    if (verdict === 'drop') return 'drop';
    return 'accept' in verdict ? `accepted ${verdict.accept.account}` : verdict.reject.status;
  };
  return { admission, status, removeAll: () => (users = []) };
}

test('every method from outside is challenged, whoever it claims to be from', () => {
  const { admission, status } = setup();
  for (const method of 'INVITE OPTIONS REGISTER BYE INFO MESSAGE NOTIFY PUBLISH REFER SUBSCRIBE UPDATE PRACK X'.split(
    ' ',
  ))
    assert.equal(status(request(method), flow()), 401, method);
  const verdict = admission.admit(request('INVITE'), flow(), 0);
  assert.ok(verdict !== 'drop' && 'reject' in verdict);
  const { reject } = verdict;
  assert.equal(reject.headers('www-authenticate').length, 1);
  assert.equal(reject.header('reason'), undefined, 'no words to who may have forged the source');
  const overTcp = admission.admit(request('INVITE'), { ...flow(), transport: 'tcp' }, 0);
  assert.ok(overTcp !== 'drop' && 'reject' in overTcp);
  assert.equal(overTcp.reject.header('reason'), 'SIP;cause=401;text="no credentials were given"');
  const again = admission.admit(request('INVITE'), flow(), 0);
  assert.ok(again !== 'drop' && 'reject' in again);
  assert.equal(again.reject.to.tag, reject.to.tag, 'the same tag for each copy (RFC 3261 8.2.7)');
});

test('what is wrong with a request is said by the code that RFC 3261 8.2 has for it, and in words', () => {
  const table: readonly (readonly [what: string, message: SipMessage, expected: number | string])[] = [
    ['a registration', request('REGISTER'), 'accepted alice'],
    ['a call', request('INVITE', { uri: 'sip:bob@example.test' }), 'accepted alice'],
    ['an unknown method', request('X'), 501],
    ['a known method that is not served', request('REFER'), 405],
    ['BYE without a call', request('BYE'), 481],
    ['a request within a dialog of ours', request('BYE', { to: '<sip:a@b>;tag=ours' }), 'accepted alice'],
    ['a request within no dialog', request('BYE', { to: '<sip:a@b>;tag=theirs' }), 481],
    ['another scheme', request('INVITE', { uri: 'tel:+123' }), 416],
    ['no URI', request('INVITE', { uri: 'bob' }), 400],
    ['another domain', request('INVITE', { uri: 'sip:bob@elsewhere.test' }), 404],
    ['too many hops', request('INVITE', { uri: 'sip:bob@example.test', maxForwards: 0 }), 483],
    ['OPTIONS that ends here', request('OPTIONS', { maxForwards: 0 }), 'accepted alice'],
    ['somebody else in From', request('INVITE', { from: '<sip:bob@example.test>;tag=1' }), 403],
    ['the same name elsewhere in From', request('INVITE', { from: '<sip:alice@elsewhere.test>;tag=1' }), 403],
    ['a registration of somebody else', request('REGISTER', { to: '<sip:bob@example.test>' }), 403],
    ['an extension that is required', request('INVITE', { headers: [['Require', 'precondition, x']] }), 420],
    ['an answer that it can’t take', request('INVITE', { headers: [['Accept', 'text/plain, application/x']] }), 406],
    [
      'an answer that it can take',
      request('INVITE', { headers: [['Accept', 'text/plain, application/*;q=0.3']] }),
      'accepted alice',
    ],
    ['one that proxies are to have', request('INVITE', { headers: [['Proxy-Require', 'x']] }), 420],
    ['another body', request('INVITE', { body: { type: 'text/plain', bytes: 'hi' } }), 415],
    [
      'a compressed body',
      request('INVITE', { headers: [['Content-Encoding', 'gzip']], body: { type: 'application/sdp', bytes: 'x' } }),
      415,
    ],
  ];
  for (const [what, message, expected] of table) {
    const { admission, status } = setup();
    assert.equal(status(message), expected, what);
    const verdict = admission.admit(message, flow('alice'), 0);
    if (verdict === 'drop' || 'accept' in verdict) continue;
    assert.match(verdict.reject.header('reason') ?? '', new RegExp(`^SIP;cause=${expected};text="..`), what);
    assert.notEqual(verdict.reject.to.tag, undefined, what);
    assert.equal(admission.refused.get(Number(expected)), 2, what);
  }
  const { admission } = setup();
  const extension = admission.admit(request('INVITE', { headers: [['Require', 'precondition, x']] }), flow('alice'), 0);
  assert.equal(
    extension !== 'drop' && 'reject' in extension && extension.reject.header('unsupported'),
    'precondition, x',
  );
});

test('the right credentials among several are found; those of another realm or two wrong ones are not enough', () => {
  const { admission } = setup();
  let asked = 10;
  const challenge = () => {
    const verdict = admission.admit(request('REGISTER', { cseq: asked++ }), flow(), 0);
    assert.ok(verdict !== 'drop' && 'reject' in verdict);
    return parseChallenge(verdict.reject.header('www-authenticate')!)!;
  };
  const answer = (over: object = {}, password = 'secret-1') =>
    answerChallenge(
      {
        challenge: { ...challenge(), ...over },
        username: 'alice',
        password,
        method: 'REGISTER',
        uri: 'sip:example.test',
      },
      nodeCrypto,
    )!;
  const outcome = (...values: string[]) => {
    const headers = values.map((value) => ['Authorization', value] as const);
    const verdict = admission.admit(request('REGISTER', { headers, cseq: 2 }), flow(), 0);
    return verdict === 'drop' ? verdict : 'accept' in verdict ? verdict.accept.account : verdict.reject.status;
  };
  assert.equal(outcome(answer({ realm: 'other' }), answer()), 'alice');
  assert.equal(outcome(answer(), answer({ realm: 'other' })), 'alice');
  assert.equal(outcome('Basic YWxpY2U6c2VjcmV0LTE=', answer()), 'alice');
  assert.equal(outcome(answer({ realm: 'other' }), answer({ realm: 'third' })), 401);
  assert.equal(outcome(answer({}, 'wrong'), answer({}, 'wrong')), 401);
  assert.equal(outcome(answer({}, 'wrong'), answer()), 401, 'one guess a request');
  const one = answer();
  assert.equal(outcome(one), 'alice');
  assert.equal(outcome(one), 401, 'the same answer again');
});

test('a session speaks only as long as its account exists; a stopping server takes no new calls', () => {
  const { admission, status, removeAll } = setup();
  const call = request('INVITE', { uri: 'sip:bob@example.test' });
  admission.draining = true;
  assert.equal(status(call), 503);
  assert.equal(status(request('REGISTER')), 'accepted alice');
  removeAll();
  assert.equal(status(request('REGISTER')), 403);
});

test('floods from one address are dropped, loopback far later, and other addresses go on; one user can’t call without end', () => {
  const { admission, status } = setup();
  const { address, loopback, calls } = ADMISSION_LIMITS;
  for (let i = 0; i < address.burst; i++) assert.equal(status(request('OPTIONS'), flow()), 401);
  assert.equal(status(request('OPTIONS'), flow()), 'drop');
  assert.equal(status(request('OPTIONS'), flow(undefined, '192.0.2.2')), 401);
  for (let i = 0; i < address.burst * 2; i++)
    assert.equal(status(request('OPTIONS'), flow(undefined, '127.0.0.9')), 401);
  assert.equal(admission.dropped, 1);
  assert.ok(loopback.burst > address.burst * 10);
  const call = request('INVITE', { uri: 'sip:bob@example.test' });
  const caller = flow('alice', '192.0.2.3');
  for (let i = 0; i < calls.burst; i++) assert.equal(status(call, caller), 'accepted alice');
  assert.equal(status(call, caller), 503);
  assert.notEqual(admission.admit(call, caller, 1000), 'drop');
});

test('within a dialog a phone may ask at a rate, and hang up always', () => {
  const { admission, status } = setup();
  const info = (method = 'INFO') => request(method, { to: `<sip:bob@${REALM}>;tag=ours` });
  for (let i = 0; i < 60; i++) assert.equal(status(info()), 'accepted alice', String(i));
  assert.equal(status(info()), 503);
  assert.equal(status(info('BYE')), 'accepted alice');
  const later = admission.admit(info(), flow('alice'), 100);
  assert.ok(later !== 'drop' && 'accept' in later, 'two more after a tenth of a second');
});

test('one budget a source, an IPv6 /64 being one: for what admission refuses and for what is answered elsewhere', () => {
  const { admission, status } = setup();
  const { burst } = ADMISSION_LIMITS.address;
  for (let i = 0; i < burst; i += 2) {
    assert.equal(status(request('OPTIONS'), flow(undefined, `2001:db8::${i}`)), 401);
    assert.ok(admission.mayAnswer(flow(undefined, `2001:db8::${i + 1}`), 0));
  }
  assert.equal(status(request('OPTIONS'), flow(undefined, '2001:db8::ffff')), 'drop');
  assert.equal(admission.mayAnswer(flow(undefined, '2001:db8::fffe'), 0), false);
  assert.equal(status(request('OPTIONS'), flow(undefined, '2001:db8:0:1::1')), 401);
});

test('stray CANCELs and requests beyond all capacity are answered from that budget too', () => {
  for (const [method, expected] of [
    ['CANCEL', 481],
    ['OPTIONS', 503],
  ] as const) {
    const { admission } = setup();
    const layer = new TransactionLayer({
      crypto: nodeCrypto,
      sentBy: () => REALM,
      admit: (message, on, nowMs) => admission.admit(message, on, nowMs),
      mayAnswer: (on, nowMs) => admission.mayAnswer(on, nowMs),
      maxTransactions: 0,
    });
    for (let i = 0; i < 500; i++) layer.handleMessage(request(method, { cseq: i + 1 }), flow(), 0);
    let answers = 0;
    for (let c = layer.poll(); c; c = layer.poll()) {
      assert.ok(c.kind === 'send' && text(c.bytes).startsWith(`SIP/2.0 ${expected}`));
      answers++;
    }
    assert.equal(answers, ADMISSION_LIMITS.address.burst, method);
  }
});

test('a flood from a forged source silences neither a phone there that knows its password, nor sessions, nor connections', () => {
  const { admission, status } = setup();
  const first = admission.admit(request('REGISTER'), flow(), 0);
  assert.ok(first !== 'drop' && 'reject' in first);
  const challenge = parseChallenge(first.reject.header('www-authenticate')!)!;
  const signed = (nc: number, password = 'secret-1', nonce = challenge.nonce) =>
    request('REGISTER', {
      cseq: nc + 1,
      headers: [
        [
          'Authorization',
          answerChallenge(
            {
              challenge: { ...challenge, nonce },
              username: 'alice',
              password,
              method: 'REGISTER',
              uri: 'sip:example.test',
              nc,
            },
            nodeCrypto,
          )!,
        ],
      ],
    });
  while (status(request('OPTIONS'), flow()) !== 'drop');
  assert.equal(status(signed(1), flow()), 'accepted alice');
  assert.equal(status(signed(2, 'wrong'), flow()), 401, 'a nonce that was given to this address gets its answer too');
  assert.equal(status(signed(3, 'secret-1', `${'0'.repeat(28)}forged`), flow()), 'drop');
  assert.equal(status(request('REGISTER'), flow('alice')), 'accepted alice');
  assert.equal(status(request('REGISTER'), { ...flow(), transport: 'tls' }), 401, 'a budget of its own');
});

test('passwords are checked at a rate for each address, right ones included', () => {
  const { admission, status } = setup();
  const first = admission.admit(request('REGISTER'), flow(), 0);
  assert.ok(first !== 'drop' && 'reject' in first);
  const challenge = parseChallenge(first.reject.header('www-authenticate')!)!;
  const given = { challenge, username: 'nobody', password: 'x', method: 'REGISTER', uri: 'sip:example.test' };
  const headers = [['Authorization', answerChallenge(given, nodeCrypto)!] as const];
  for (let i = 0; i < ADMISSION_LIMITS.credentials.burst; i++)
    assert.notEqual(status(request('REGISTER', { headers }), flow()), 'drop', String(i));
  assert.equal(status(request('REGISTER', { headers }), flow()), 'drop');
});

test('one user registers at a rate; asking otherwise is counted apart', () => {
  const { admission, status } = setup();
  const { requests } = ADMISSION_LIMITS;
  for (let i = 0; i < requests.burst; i++) assert.equal(status(request('REGISTER')), 'accepted alice', String(i));
  assert.equal(status(request('REGISTER')), 503);
  assert.equal(status(request('OPTIONS')), 'accepted alice');
  const later = admission.admit(request('REGISTER'), flow('alice'), 1000);
  assert.ok(later !== 'drop' && 'accept' in later);
});

test('a body that describes no session is short, or refused (413); a BYE is heard whatever it carries', () => {
  const to = `<sip:bob@${REALM}>;tag=ours`;
  const body = (length: number) => ({ type: 'text/plain', bytes: 'x'.repeat(length) });
  for (const [method, length, expected] of [
    ['INFO', LONGEST_BODY, 'accepted alice'],
    ['INFO', LONGEST_BODY + 1, 413],
    ['MESSAGE', LONGEST_BODY + 1, 413],
    ['BYE', LONGEST_BODY + 1, 'accepted alice'],
    ['INVITE', LONGEST_BODY + 1, 'accepted alice'],
  ] as const)
    assert.equal(setup().status(request(method, { to, body: body(length) })), expected, `${method} ${length}`);
  assert.equal(setup().status(request('REGISTER', { body: body(LONGEST_BODY + 1) })), 413);
});

test('the challenge to a lean request over UDP is less than two and a half times as long, so it is sent', () => {
  const { admission } = setup();
  const lean = utf8(
    'OPTIONS sip:a SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1:5070;rport=5070;received=192.0.2.1;branch=z9hG4bKa\r\n' +
      'From: <sip:a>;tag=1\r\nTo: <sip:a>\r\nCall-ID: 1\r\nCSeq: 1 OPTIONS\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n',
  );
  const message = parseSip(lean);
  assert.ok(message.kind === 'request');
  const verdict = admission.admit(message, flow(), 0);
  assert.ok(verdict !== 'drop' && 'reject' in verdict && verdict.reject.status === 401);
  const factor = verdict.reject.serialize().length / lean.length;
  assert.ok(factor <= 2, String(factor));
});

test('a server that is behind refuses new calls before it asks for a password, and goes on with calls and who answers a challenge', () => {
  const shedding = new Shedding();
  const { admission, status } = setup({ shedding });
  const first = admission.admit(request('REGISTER'), flow(), 0);
  assert.ok(first !== 'drop' && 'reject' in first);
  const challenge = parseChallenge(first.reject.header('www-authenticate')!)!;
  const given = { challenge, username: 'alice', password: 'secret-1', method: 'REGISTER', uri: 'sip:example.test' };
  for (let ms = 0; ms <= 4000; ms += 50) shedding.handleTick({ isLate: false, busy: 1 }, ms);
  while (shedding.takesCall(4000));
  for (const by of [flow(), undefined]) {
    const verdict = admission.admit(request('INVITE'), by ?? { ...flow(), account: 'alice' }, 4000);
    assert.ok(verdict !== 'drop' && 'reject' in verdict && verdict.reject.status === 503);
    const retryAfterS = Number(verdict.reject.header('retry-after'));
    assert.ok(retryAfterS >= 3 && retryAfterS <= 10);
  }
  const headers = [['Authorization', answerChallenge(given, nodeCrypto)!] as const];
  assert.equal(status(request('REGISTER', { headers }), flow()), 'accepted alice');
  assert.equal(status(request('REGISTER')), 'accepted alice');
  assert.equal(status(request('INFO', { to: '<sip:a@b>;tag=ours' }), flow()), 'accepted undefined');
  for (let ms = 4050; ms <= 7000; ms += 50) shedding.handleTick({ isLate: false, busy: 0.5 }, ms);
  const verdict = admission.admit(request('INVITE'), flow(), 7000);
  assert.ok(verdict !== 'drop' && 'reject' in verdict && verdict.reject.status === 401);
});

test('a request within a dialog that comes from another address than its phone’s has to show the password there', () => {
  const home = flow();
  const at = (address: string): Flow => ({ ...flow(), remote: { address, port: 4000 } });
  const registered = at('198.51.100.7');
  const { status, admission } = setup({
    homeOf: () => ({ flow: home, user: 'alice' }),
    isRegistered: (user, on) => user === 'alice' && on === registered,
  });
  const within = (method: string, headers: [string, string][] = []) =>
    request(method, { to: '<sip:alice@example.test>;tag=ours', headers });
  assert.equal(status(within('INVITE'), home), 'accepted undefined');
  assert.equal(status(within('SUBSCRIBE'), { ...home, remote: { ...home.remote, port: 9 } }), 'accepted undefined');
  assert.equal(status(within('INVITE'), registered), 'accepted undefined');
  const elsewhere = at('203.0.113.9');
  assert.equal(status(within('BYE'), elsewhere), 'accepted undefined', 'a BYE is always heard');
  const verdict = admission.admit(within('SUBSCRIBE'), elsewhere, 0);
  assert.ok(verdict !== 'drop' && 'reject' in verdict);
  assert.equal(verdict.reject.status, 401);
  const challenge = parseChallenge(verdict.reject.header('www-authenticate')!)!;
  const credentials = (method: string) =>
    answerChallenge(
      { challenge, username: 'alice', password: 'secret-1', method, uri: 'sip:example.test' },
      nodeCrypto,
    )!;
  assert.equal(
    status(within('SUBSCRIBE', [['Authorization', credentials('SUBSCRIBE')]]), elsewhere),
    'accepted undefined',
  );
});
