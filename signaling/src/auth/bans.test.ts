import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createRequest, type SipMessage } from '@offhook/core';
import type { Flow } from '../transaction/index.ts';
import { BAN_MS, Bans, type BansOptions, isOwnMachine, type Shown } from './bans.ts';

const THEIRS = '203.0.113.7';
const DAY_MS = 86_400_000;

interface On {
  readonly address?: string;
  readonly port?: number;
  readonly transport?: Flow['transport'];
  readonly isKnown?: boolean;
}
const flow = ({ address = THEIRS, port = 5070, transport = 'udp', isKnown }: On = {}): Flow => ({
  id: 1,
  transport,
  local: { address: '192.0.2.250', port: 5060 },
  remote: { address, port },
  ...(isKnown ? { isKnown } : {}),
});

interface Over {
  readonly user?: string;
  readonly method?: string;
  readonly uri?: string;
  readonly agent?: string;
}
const request = ({
  user = 'alice',
  method = 'REGISTER',
  uri = 'sip:example.test',
  agent = 'Phone',
}: Over): SipMessage =>
  createRequest({
    method,
    uri,
    from: `<sip:${user}@example.test>;tag=1`,
    to: `<sip:${user}@example.test>`,
    callId: 'c',
    cseq: 1,
    headers: [
      ['Via', 'SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKa'],
      ['User-Agent', agent],
    ],
  });

/** The machine, and whatever it says as lines of text. */
function setup(options: Partial<BansOptions> = {}) {
  const bans = new Bans({ isLocal: (host) => host === 'example.test', ...options });
  const news = (): string[] => {
    const lines: string[] = [];
    for (let ban = bans.poll(); ban; ban = bans.poll())
      lines.push(
        `${ban.network} ${ban.why} ${(ban.untilMs - ban.sinceMs) / 60_000} min${ban.isForgeable ? ' udp' : ''}`,
      );
    return lines;
  };
  /** A request as admission passes it through. */
  const ask = (over: Over, on: On, nowMs: number, showsNonce = false): boolean => {
    const [message, from] = [request(over), flow(on)];
    const may = bans.handleRequest(message, from, showsNonce, nowMs);
    if (may) bans.handleQuestion(message, from, showsNonce, nowMs);
    return may;
  };
  const refuses = (on: On, nowMs: number, shown: Shown = 'nothing') => {
    const { remote, transport } = flow(on);
    return bans.refuses(remote, transport, nowMs, () => shown);
  };
  return { bans, news, ask, refuses };
}

const SCANNER = { agent: 'friendly-scanner' };

test('a scanner gets no answer, not even its first, and is banned', () => {
  const { bans, news, ask, refuses } = setup();
  assert.equal(ask(SCANNER, { transport: 'tcp' }, 0), false);
  assert.deepEqual(news(), [`${THEIRS} scanner 10 min`]);
  for (const transport of ['udp', 'tcp', 'tls', 'ws', 'wss'] as const)
    assert.ok(refuses({ transport, port: 9 }, 1), transport);
  assert.equal(refuses({ address: '203.0.113.8' }, 1), false, 'its neighbour is not');
  assert.deepEqual(
    bans.list(1).map(({ words, times, dropped }) => [words, times, dropped]),
    [['it scans (friendly-scanner)', 1, 5]],
  );
  assert.equal(bans.dropped, 6);
});

test('a ban ends, doubles when it is earned again, up to a day, and is forgotten after a quiet one', () => {
  const { bans, news, ask, refuses } = setup();
  let now = 0;
  for (const minutes of [10, 20, 40, 80, 160, 320, 640, 1280, 1440, 1440]) {
    assert.equal(ask(SCANNER, { transport: 'tcp' }, now), false);
    assert.deepEqual(news(), [`${THEIRS} scanner ${minutes} min`]);
    now += minutes * 60_000;
    assert.ok(refuses({}, now - 1));
    assert.equal(refuses({}, now), false);
    assert.equal(bans.active(now), 0);
  }
  assert.equal(bans.sizes.bans, 1, 'it is remembered');
  now += DAY_MS + 1;
  assert.equal(bans.active(now), 0);
  assert.equal(bans.sizes.bans, 0, 'and forgotten');
  ask(SCANNER, { transport: 'tcp' }, now);
  assert.deepEqual(news(), [`${THEIRS} scanner 10 min`]);
});

test('this machine is never banned, other addresses of 127.0.0.0/8 and of ::/64 are; trunks and edges never', () => {
  for (const own of ['127.0.0.1', '::1', '::ffff:127.0.0.1']) assert.ok(isOwnMachine(own), own);
  for (const other of ['127.0.0.2', '::2', '::ffff:127.0.0.2', '127.1.1.1', '::ffff:203.0.113.7'])
    assert.equal(isOwnMachine(other), false, other);
  const { bans, news, ask, refuses } = setup({
    isEdge: (address) => address === '192.0.2.9',
    isTrunk: ({ address }) => address === '192.0.2.10',
  });
  assert.ok(ask(SCANNER, { address: '127.0.0.1' }, 0), 'and it may try scanners out');
  assert.ok(ask(SCANNER, { address: '::1', transport: 'tcp' }, 0));
  for (const address of ['192.0.2.9', '192.0.2.10', '::ffff:192.0.2.9'])
    assert.equal(ask(SCANNER, { address, transport: 'tcp' }, 0), false, 'silenced, but not banned');
  assert.deepEqual(news(), []);
  assert.match(String(bans.add('127.0.0.1', 1000, 0)), /this machine/);
  assert.match(String(bans.add('192.0.2.9', 1000, 0)), /edge proxy/);
  assert.match(String(bans.add('192.0.2.10', 1000, 0)), /trunk/);
  ask(SCANNER, { address: '::2', transport: 'tcp' }, 0);
  ask(SCANNER, { address: '127.0.0.2' }, 0);
  assert.deepEqual(news(), ['::/64 scanner 10 min', '127.0.0.2 scanner 10 min udp']);
  assert.equal(refuses({ address: '::1' }, 1), false, 'what shares a banned network and is exempt is not touched');
  assert.ok(refuses({ address: '::3', transport: 'tcp' }, 1));
});

test('whoever asks for 20 accounts and answers for none within 5 seconds is banned, and so is who asks for 200 at once', () => {
  const slow = setup();
  for (let i = 0; i < 20; i++) assert.ok(slow.ask({ user: `u${i}` }, {}, i * 1000));
  assert.deepEqual(slow.news(), []);
  assert.ok(slow.ask({ user: 'u0' }, {}, 23_999), 'a name is counted once');
  assert.deepEqual(slow.news(), []);
  slow.ask({ user: 'u0' }, {}, 24_000);
  assert.deepEqual(slow.news(), [`${THEIRS} accounts 10 min udp`]);
  assert.equal(slow.bans.list(24_000)[0]?.words, 'it asked for 20 accounts and signed in to none');
  assert.deepEqual(slow.bans.sizes, { bans: 1, networks: 0, questions: 0 });

  const fast = setup();
  for (let i = 0; i < 199; i++) fast.ask({ user: `u${i}`, method: 'OPTIONS' }, { transport: 'tcp' }, i);
  assert.deepEqual(fast.news(), []);
  fast.ask({ user: 'u199', method: 'OPTIONS' }, { transport: 'tcp' }, 199);
  assert.deepEqual(fast.news(), [`${THEIRS} accounts 10 min`]);

  const patient = setup();
  for (let i = 0; i < 100; i++) patient.ask({ user: `u${i}` }, {}, i * 190_000); // 19 an hour
  assert.deepEqual(patient.news(), [], 'what is older than an hour is forgotten');
  assert.ok(patient.bans.sizes.questions <= 19);
});

test('a hundred phones behind one address that start at once are no scan, however slow the first of them is', () => {
  const { bans, news, ask } = setup();
  for (let i = 0; i < 150; i++) assert.ok(ask({ user: `phone${i}` }, { port: 6000 + i }, i));
  for (let i = 0; i < 150; i++) assert.ok(ask({ user: `phone${i}` }, { port: 6000 + i }, 4900, true), 'they answer');
  assert.equal(bans.sizes.questions, 0);
  bans.handleSignIn({ address: THEIRS, port: 6000 }, 4950);
  for (let i = 0; i < 1000; i++) assert.ok(ask({ user: `u${i}` }, {}, 60_000 + i), 'somebody is at home there now');
  assert.deepEqual(news(), []);
  assert.deepEqual(bans.sizes, { bans: 0, networks: 0, questions: 0 });
});

test('a network is protected by a sign-in for a day and by a contact for as long as it lives; scanners are silent there too', () => {
  let contacts = false;
  const { bans, news, ask } = setup({ hasContacts: (network) => contacts && network === THEIRS });
  bans.handleSignIn({ address: THEIRS, port: 5070 }, 0);
  const everything = (nowMs: number) => {
    assert.equal(ask(SCANNER, { transport: 'tcp' }, nowMs), false);
    for (let i = 0; i < 300; i++) {
      ask({ user: `u${i}` }, { transport: 'tcp' }, nowMs);
      bans.handleWrongPassword(flow(), nowMs);
      bans.handleMalformed(flow(), nowMs);
    }
  };
  everything(DAY_MS - 1);
  contacts = true;
  everything(DAY_MS);
  assert.deepEqual(news(), []);
  contacts = false;
  ask(SCANNER, { transport: 'tcp' }, DAY_MS);
  assert.deepEqual(news(), [`${THEIRS} scanner 10 min`]);
});

test('numbers and foreign servers that strangers want to reach are counted; what phones ask for over and over is one', () => {
  const { bans, news, ask } = setup();
  const call = (i: number, nowMs: number) =>
    ask({ method: 'INVITE', uri: `sip:${'9'.repeat(i)}00441234@example.test` }, {}, nowMs);
  for (let i = 0; i < 10; i++) assert.ok(call(i, i));
  call(0, 5000 + 8);
  assert.deepEqual(news(), []);
  call(0, 5000 + 9);
  assert.deepEqual(news(), [`${THEIRS} targets 10 min udp`]);
  assert.match(bans.list(5010)[0]!.words, /^it asked for 10 numbers or servers without signing in$/);

  const lost = setup();
  for (let i = 0; i < 1000; i++) lost.ask({ uri: 'sip:pbx.example.net' }, {}, i * 30_000);
  assert.deepEqual(lost.news(), [], 'a phone that is set up for another server');
  for (let i = 0; i < 101; i++) lost.ask({ method: 'OPTIONS', uri: `sip:h${i}.example` }, {}, 40_000_000);
  assert.deepEqual(lost.news(), [`${THEIRS} targets 10 min udp`]);
});

test('wrong passwords ban beyond a hundred at once; one phone with a wrong one, every two seconds, never', () => {
  const { news, bans, refuses } = setup();
  for (let i = 0; i < 100; i++) bans.handleWrongPassword(flow(), 0);
  assert.deepEqual(news(), []);
  bans.handleWrongPassword(flow(), 0);
  assert.deepEqual(news(), [`${THEIRS} passwords 10 min`]);
  assert.ok(refuses({ transport: 'udp' }, 1, 'nonce'), 'whoever guesses has nonces');
  assert.equal(refuses({ transport: 'udp' }, 1, 'known'), false);

  const stuck = setup();
  for (let now = 0; now < DAY_MS; now += 2000) stuck.bans.handleWrongPassword(flow(), now);
  assert.deepEqual(stuck.news(), []);
});

test('what can’t be read bans as a flood only, and not on a flow that is known', () => {
  const { bans, news } = setup();
  for (let now = 0; now < DAY_MS; now += 500) bans.handleMalformed(flow(), now);
  for (let i = 0; i < 1000; i++) bans.handleMalformed(flow({ isKnown: true, address: '203.0.113.9' }), 0);
  assert.deepEqual(news(), []);
  for (let i = 0; i < 199; i++) bans.handleMalformed(flow({ transport: 'tcp' }), DAY_MS);
  for (let i = 0; i < 200; i++) bans.handleMalformed(flow({ address: '203.0.113.8' }), DAY_MS);
  assert.deepEqual(news(), []);
  bans.handleMalformed(flow({ address: '203.0.113.8' }), DAY_MS);
  assert.deepEqual(news(), ['203.0.113.8 malformed 10 min udp']);
});

test('forged datagrams shut nobody out who can prove itself: connections, nonces, known flows, and the first sign-in ends it', () => {
  const { bans, news, ask, refuses } = setup();
  assert.equal(ask(SCANNER, {}, 0), false);
  assert.deepEqual(news(), [`${THEIRS} scanner 10 min udp`]);
  assert.ok(refuses({}, 1));
  for (const transport of ['tcp', 'tls', 'ws', 'wss'] as const)
    assert.equal(refuses({ transport }, 1), false, transport);
  assert.equal(refuses({}, 1, 'nonce'), false);
  assert.equal(refuses({}, 1, 'known'), false);
  assert.ok(ask({}, {}, 1, true), 'a request that shows a nonce is looked at');
  assert.equal(ask({}, {}, 1, false), false, 'one that only looks as if is not');
  bans.handleSignIn({ address: THEIRS, port: 5071 }, 2);
  assert.equal(refuses({}, 2), false);
  assert.equal(ask(SCANNER, {}, 3), false);
  assert.deepEqual(news(), []);
});

test('forged datagrams count apart from what was proven, and can push no proven ban out of its table', () => {
  const { bans, news, ask, refuses } = setup();
  for (let i = 0; i < 120; i++) ask({ user: `u${i}` }, {}, 0);
  for (let i = 0; i < 120; i++) ask({ user: `u${i}` }, { transport: 'tcp' }, 0);
  assert.deepEqual(news(), []);
  ask(SCANNER, { address: '198.51.100.1', transport: 'tcp' }, 0);
  for (let i = 0; i < 25_000; i++) ask(SCANNER, { address: `10.${i >> 16}.${(i >> 8) & 255}.${i & 255}` }, 1);
  assert.ok(refuses({ address: '198.51.100.1', transport: 'tcp' }, 2));
  assert.ok(bans.active(2) > 5000 && bans.sizes.bans <= 10_001, `${bans.sizes.bans}`);
  assert.equal(news().length, 25_001);
});

test('no number of attackers makes the tables grow', () => {
  const { bans, ask, news } = setup();
  for (let i = 0; i < 22_000; i++) {
    const address = `10.${i >> 16}.${(i >> 8) & 255}.${i & 255}`;
    ask({ user: `${'x'.repeat(100)}${i}` }, { address }, i);
    bans.handleMalformed(flow({ address: `2001:db8:${(i >> 8).toString(16)}:${(i & 255).toString(16)}::1` }), i);
    bans.handleSignIn({ address: `172.${i >> 16}.${(i >> 8) & 255}.${i & 255}`, port: 1 }, i);
  }
  assert.ok(bans.sizes.networks >= 10_000 && bans.sizes.networks <= 20_000, `${bans.sizes.networks}`);
  assert.ok(bans.sizes.questions <= 20_000);
  for (let network = 0; network < 400; network++)
    for (let i = 0; i < 150; i++) ask({ user: `u${i}` }, { address: `192.0.${network >> 8}.${network & 255}` }, 70_000);
  assert.ok(bans.sizes.questions <= 50_000, `${bans.sizes.questions}`);
  assert.deepEqual(news(), []);
});

test('an IPv6 network counts as one', () => {
  const { news, ask, refuses } = setup();
  for (let i = 0; i < 200; i++) ask({ user: `u${i}` }, { address: `2001:db8::${i + 1}`, transport: 'tcp' }, 0);
  assert.deepEqual(news(), ['2001:db8::/64 accounts 10 min']);
  assert.ok(refuses({ address: '2001:db8::ffff', transport: 'tls' }, 1));
  assert.equal(refuses({ address: '2001:db8:0:1::1', transport: 'tls' }, 1), false);
});

test('bans by hand hold for everybody, even when somebody signs in; lifted, all is forgotten', () => {
  const { bans, news, ask, refuses } = setup();
  bans.handleSignIn({ address: THEIRS, port: 1 }, 0);
  assert.equal(typeof bans.add(THEIRS, 60_000, 0), 'object');
  assert.deepEqual(news(), [`${THEIRS} hand 1 min`]);
  bans.handleSignIn({ address: THEIRS, port: 1 }, 1);
  assert.ok(refuses({}, 1, 'nonce'));
  assert.ok(refuses({}, 1, 'known'));
  assert.equal(bans.lift('203.0.113.9', 2), false);
  assert.ok(bans.lift(THEIRS, 2));
  assert.equal(refuses({}, 2), false);
  assert.equal(bans.lift(THEIRS, 2), false);
  const other = '203.0.113.9';
  for (let i = 0; i < 19; i++) ask({ user: `u${i}` }, { address: other }, 2);
  bans.lift(other, 3);
  assert.equal(bans.sizes.questions, 0);
  ask(SCANNER, { address: other }, 4);
  bans.lift(other, 5);
  news();
  ask(SCANNER, { address: other }, 6);
  assert.deepEqual(news(), [`${other} scanner ${BAN_MS / 60_000} min udp`], 'it does not count as the second');
});

test('by hand again replaces a ban that holds: its time begins anew, and it does not count as another', () => {
  const { bans, news } = setup();
  const times = (made: unknown) => (made as { readonly times: number }).times;
  assert.equal(times(bans.add(THEIRS, 60_000, 0)), 1);
  assert.equal(times(bans.add(THEIRS, 120_000, 30_000)), 1);
  assert.deepEqual(news(), [`${THEIRS} hand 1 min`, `${THEIRS} hand 2 min`]);
  assert.equal(bans.made.hand, 1);
  assert.deepEqual(
    bans.list(30_000).map(({ untilMs }) => untilMs),
    [150_000],
  );
  assert.equal(times(bans.add(THEIRS, 60_000, 150_001)), 2, 'one that had ended does');
});
