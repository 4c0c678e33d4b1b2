import assert from 'node:assert/strict';
import { test } from 'node:test';
import { answerChallenge, ha1, parseChallenge, parseSip, SipMessage, seededCrypto, text, utf8 } from '@offhook/core';
import { nodeCrypto } from '@offhook/core/node';
import type { Flow } from '../transaction/index.ts';
import { SipCore } from './core.ts';

const DOMAIN = 'example.test';
const ACCOUNTS = 100;
const password = (user: string) => `password of ${user}`;

interface On {
  readonly address: string;
  readonly port?: number;
  readonly transport?: Flow['transport'];
}

/** The whole server on virtual time, with phone0 … phone99. */
function setup() {
  const hashes = new Map(
    Array.from({ length: ACCOUNTS }, (_, i) => `phone${i}`).map((user) => [
      user,
      {
        user,
        displayName: user,
        ha1Md5: ha1('MD5', user, DOMAIN, password(user), nodeCrypto),
        ha1Sha256: '',
        createdAt: '',
      },
    ]),
  );
  const core = new SipCore({
    crypto: seededCrypto(1, nodeCrypto),
    domain: DOMAIN,
    isLocal: (host) => host === DOMAIN,
    account: (user) => hashes.get(user),
    mediaPath: 'opaque',
    relays: 1,
    nowMs: 0,
  });
  const flows = new Map<string, Flow>();
  const flowOf = ({ address, port = 5070, transport = 'udp' }: On): Flow => {
    const key = `${address} ${port} ${transport}`;
    const flow = flows.get(key) ?? {
      id: flows.size,
      transport,
      local: { address: '192.0.2.250', port: 5060 },
      remote: { address, port },
    };
    flows.set(key, flow);
    return flow;
  };
  const banned: string[] = [];
  /** What the server sends now, and to whom. */
  const sent = (): { readonly to: string; readonly bytes: string }[] => {
    const out: { to: string; bytes: string }[] = [];
    for (let c = core.poll(); c; c = core.poll()) {
      if (c.kind === 'send') out.push({ to: c.flow.remote.address, bytes: text(c.bytes) });
      if (c.kind === 'banned') banned.push(`${c.ban.network} ${c.ban.why}`);
    }
    return out;
  };
  let count = 0;
  const request = (method: string, user: string, more: readonly string[] = [], uri = `sip:${DOMAIN}`): SipMessage => {
    const i = ++count;
    const message = parseSip(
      utf8(
        `${method} ${uri} SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK${i};rport\r\nMax-Forwards: 70\r\n` +
          `From: <sip:${user}@${DOMAIN}>;tag=f${i}\r\nTo: <sip:${user}@${DOMAIN}>\r\nCall-ID: c${i}\r\n` +
          `CSeq: 1 ${method}\r\n${more.map((line) => `${line}\r\n`).join('')}Content-Length: 0\r\n\r\n`,
      ),
    );
    assert.ok(message instanceof SipMessage);
    return message;
  };
  /** Sends a request; answers the first status. */
  const send = (message: SipMessage, on: On, nowMs: number): SipMessage | undefined => {
    core.handleMessage(message, flowOf(on), nowMs);
    const [first] = sent();
    const answer = first && parseSip(utf8(first.bytes));
    return answer instanceof SipMessage ? answer : undefined;
  };
  const credentials = (challenged: SipMessage, user: string, secret = password(user), method = 'REGISTER') =>
    `Authorization: ${answerChallenge(
      {
        challenge: parseChallenge(challenged.header('www-authenticate')!)!,
        username: user,
        password: secret,
        method,
        uri: `sip:${DOMAIN}`,
      },
      nodeCrypto,
    )!}`;
  return { core, request, send, sent, credentials, banned, flowOf };
}

const THEIRS = '203.0.113.7';

test('a flood of INVITEs from forged sources leaves nothing behind, and each gets one answer at most', () => {
  const { core, request, sent, flowOf } = setup();
  let answers = 0;
  for (let i = 0; i < 4000; i++) {
    const address = `10.${(i >> 8) & 255}.${i & 255}.1`;
    core.handleMessage(
      request('INVITE', 'phone1', ['Contact: <sip:a@10.0.0.1>'], `sip:600@${DOMAIN}`),
      flowOf({ address }),
      i,
    );
    const out = sent();
    assert.ok(out.length <= 1);
    answers += out.length;
  }
  assert.equal(answers, 4000);
  assert.deepEqual([core.transactions.size, core.calls.size, core.calls.dialogs], [0, 0, 0]);
  for (let now = 4000; now <= 104_000; now += 500) core.handleTimeout(now);
  assert.deepEqual(sent(), [], 'nothing is repeated to who may never have asked');
});

test('a hundred phones behind one address that start at once all sign in, and a scan from there bans nobody', () => {
  const { request, send, credentials, banned } = setup();
  const on = (i: number): On => ({ address: THEIRS, port: 6000 + i });
  const users = Array.from({ length: ACCOUNTS }, (_, i) => `phone${i}`);
  const challenged = users.map((user, i) => send(request('REGISTER', user), on(i), 0));
  assert.ok(challenged.every((answer) => answer?.status === 401));
  const answers = users.map((user, i) =>
    send(
      request('REGISTER', user, [`Contact: <sip:${user}@${THEIRS}>`, credentials(challenged[i]!, user)]),
      on(i),
      3000,
    ),
  );
  assert.ok(answers.every((answer) => answer?.status === 200));
  for (let i = 0; i < 400; i++) send(request('REGISTER', `ghost${i}`), { address: THEIRS }, 10_000 + 50 * i);
  assert.deepEqual(banned, []);
});

test('a scan over UDP, forged in the name of others, keeps out neither who connects nor who shows a nonce', () => {
  const { request, send, credentials, banned, core } = setup();
  const early = send(request('REGISTER', 'phone1'), { address: THEIRS }, 0)!;
  assert.equal(
    send(request('OPTIONS', '100', ['User-Agent: friendly-scanner']), { address: THEIRS, port: 9 }, 1),
    undefined,
  );
  assert.deepEqual(banned, [`${THEIRS} scanner`]);
  assert.equal(send(request('REGISTER', 'phone2'), { address: THEIRS }, 2), undefined, 'without a nonce: silence');
  const forged = [
    'Authorization: Digest username="phone2", realm="example.test", nonce="made up", uri="sip:x", response="0"',
  ];
  assert.equal(send(request('REGISTER', 'phone2', forged), { address: THEIRS }, 3), undefined);
  assert.equal(send(request('REGISTER', 'phone3'), { address: THEIRS, transport: 'tcp' }, 4)?.status, 401);
  const proven = ['Contact: <sip:p@203.0.113.7>', credentials(early, 'phone1')];
  assert.equal(send(request('REGISTER', 'phone1', proven), { address: THEIRS }, 5)?.status, 200);
  assert.equal(core.bans?.active(6), 0, 'a phone is at home there now');
  assert.equal(send(request('REGISTER', 'phone2'), { address: THEIRS }, 6)?.status, 401);
});

test('a guesser is locked out per account, and banned; not even the right password helps afterwards', () => {
  const { request, send, credentials, banned } = setup();
  let now = 0;
  let challenged = send(request('REGISTER', 'phone1'), { address: THEIRS }, now)!;
  for (let i = 0; banned.length === 0; i++) {
    assert.ok(i < 300, 'it is banned at last');
    const answer = send(
      request('REGISTER', 'phone1', [credentials(challenged, 'phone1', `guess ${i}`)]),
      { address: THEIRS },
      ++now,
    );
    if (answer?.status === 401) challenged = answer;
  }
  assert.deepEqual(banned, [`${THEIRS} passwords`]);
  for (const transport of ['udp', 'tcp'] as const) {
    const right = request('REGISTER', 'phone2', [credentials(challenged, 'phone2')]);
    assert.equal(send(right, { address: THEIRS, port: 7, transport }, ++now), undefined, transport);
  }
});

test('a phone with one wrong password that tries again each 30 seconds for hours is locked out, and never banned', () => {
  const { request, send, credentials, banned } = setup();
  for (let now = 0; now < 6 * 3_600_000; now += 30_000) {
    const challenged = send(request('REGISTER', 'phone1'), { address: THEIRS }, now);
    assert.equal(challenged?.status, 401, `at ${now}`);
    const answer = send(
      request('REGISTER', 'phone1', [credentials(challenged, 'phone1', 'wrong')]),
      { address: THEIRS },
      now + 20,
    );
    assert.ok(answer?.status === 401 || answer?.status === 503);
  }
  assert.deepEqual(banned, []);
});

test('the Route that a phone writes leads nowhere: its call goes to whom it calls, and no private address hears of it', () => {
  const { request, send, sent, credentials, core, flowOf } = setup();
  const register = (user: string, address: string) => {
    const challenged = send(request('REGISTER', user), { address }, 0)!;
    const lines = [`Contact: <sip:${user}@${address}:5070>`, credentials(challenged, user)];
    assert.equal(send(request('REGISTER', user, lines), { address }, 1)?.status, 200);
  };
  register('phone1', THEIRS);
  register('phone2', '198.51.100.2');
  const routed = [
    'Route: <sip:127.0.0.1:6379;lr>',
    'Route: <sip:169.254.169.254:80>',
    'Contact: <sip:phone1@203.0.113.7:5070>',
  ];
  const challenged = send(request('INVITE', 'phone1', routed, `sip:${DOMAIN}`), { address: THEIRS }, 2)!;
  core.handleMessage(
    request(
      'INVITE',
      'phone1',
      [...routed, credentials(challenged, 'phone1', undefined, 'INVITE')],
      `sip:phone2@${DOMAIN}`,
    ),
    flowOf({ address: THEIRS }),
    3,
  );
  const out = sent();
  for (let now = 4; now < 5000; now += 500) {
    core.handleTimeout(now);
    out.push(...sent());
  }
  assert.ok(out.length > 0);
  assert.deepEqual(
    out.filter(({ to, bytes }) => ![THEIRS, '198.51.100.2'].includes(to) || /6379|169\.254/.test(bytes)),
    [],
  );
});
