import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { test } from 'node:test';
import { BanLog } from './ban-log.ts';
import type { BanStatus } from './ban-verb.ts';
import { PASSWORD, type RunningServer, startServer } from './testkit/running.ts';
import { SipClient } from './testkit/sip-client.ts';

const SCANS = [['User-Agent', 'friendly-scanner']] as const;

const dropped = async ({ part }: RunningServer): Promise<number> =>
  ((await part.metrics!()) as Record<string, number>).sip_banned_dropped_total!;

const bans = async (server: RunningServer): Promise<string[]> =>
  ((await server.verb('bans')) as BanStatus[]).map(
    ({ network, why, udpOnly }) => `${network} ${why}${udpOnly ? ' udp' : ''}`,
  );

/** Sends a request, and waits until it was dropped; fails when it is answered. */
async function isSilent(server: RunningServer, phone: SipClient, more: readonly (readonly [string, string])[] = []) {
  phone.repeats = false;
  const before = await dropped(server);
  let answered = 0;
  void phone.request('OPTIONS', 'x', more).then(({ status }) => {
    answered = status;
  });
  while ((await dropped(server)) === before) {
    assert.equal(answered, 0);
    await new Promise(setImmediate);
  }
  // Whatever was sent to it would have arrived before the answer to somebody who asked later.
  await using other = await SipClient.tcp(server.ports.tcp!);
  assert.equal((await other.request('OPTIONS', 'x')).status, 401);
  assert.equal(answered, 0);
}

const udp = ({ ports }: RunningServer, from: string) => SipClient.udp(ports.udp!, '127.0.0.1', from);
const tcp = ({ ports }: RunningServer, from: string) => SipClient.tcp(ports.tcp!, '127.0.0.1', from);
const webSocket = ({ ports }: RunningServer, from: string, protocols = ['sip']) =>
  SipClient.webSocket(`ws://127.0.0.1:${ports.http}/sip`, protocols, { localAddress: from });

const alice = { user: 'alice', password: PASSWORD };

test('a scan over UDP is silent from its first datagram; connections from there are taken, and a sign-in ends the ban', async () => {
  await using server = await startServer();
  await using scanner = await udp(server, '127.0.0.2');
  await isSilent(server, scanner, SCANS);
  assert.deepEqual(await bans(server), ['127.0.0.2 scanner udp']);
  await using innocent = await udp(server, '127.0.0.2');
  await isSilent(server, innocent);
  await using neighbour = await udp(server, '127.0.0.3');
  assert.equal((await neighbour.request('OPTIONS', 'x')).status, 401);
  await using browser = await webSocket(server, '127.0.0.2');
  assert.equal((await browser.request('OPTIONS', 'x')).status, 401);
  await using phone = await tcp(server, '127.0.0.2');
  assert.equal((await phone.register({ ...alice, contact: '<sip:alice@x.invalid>' })).status, 200);
  assert.deepEqual(await bans(server), []);
  innocent.repeats = true;
  assert.equal((await innocent.request('OPTIONS', 'x')).status, 401);
  await isSilent(server, scanner, SCANS);
  assert.deepEqual(await bans(server), [], 'a phone is at home there now');
});

test('a scan over TCP closes what strangers of that address have open, and nothing more is opened but with a session', async () => {
  await using server = await startServer();
  await using phone = await tcp(server, '127.0.0.1');
  await using other = await tcp(server, '127.0.0.3');
  await using browser = await webSocket(server, '127.0.0.3');
  await using scanner = await tcp(server, '127.0.0.3');
  void scanner.request('OPTIONS', 'x', SCANS);
  await Promise.all([scanner.closed, other.closed, browser.closed]);
  assert.deepEqual(await bans(server), ['127.0.0.3 scanner']);
  await using late = await tcp(server, '127.0.0.3');
  await late.closed;
  await using datagrams = await udp(server, '127.0.0.3');
  await isSilent(server, datagrams);
  await assert.rejects(webSocket(server, '127.0.0.3'), /refused 403/);
  const login = { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(alice) };
  const { session } = (await (await fetch(`${server.url}/api/login`, login)).json()) as { session: string };
  {
    await using known = await webSocket(server, '127.0.0.3', ['sip', `offhook.session.${session}`]);
    const contact = '<sip:alice@x.invalid;transport=ws>';
    assert.equal((await known.register({ user: 'alice', contact })).status, 200);
    assert.deepEqual(await bans(server), [], 'whoever signs in is at home');
  }
  assert.equal((await phone.request('OPTIONS', 'x')).status, 401);
  const figures = (await server.part.metrics!()) as Record<string, number>;
  assert.equal(figures['sip_bans_total{why="scanner"}'], 1);
  assert.equal(figures.sip_bans_active, 0);
});

test('a phone that is signed in at an address from where somebody scans goes on, and so does its neighbour', async () => {
  await using server = await startServer();
  await using phone = await udp(server, '127.0.0.4');
  assert.equal((await phone.register({ ...alice, contact: '<sip:alice@127.0.0.4:5999>' })).status, 200);
  await using scanner = await tcp(server, '127.0.0.4');
  await isSilent(server, scanner, SCANS);
  assert.deepEqual(await bans(server), []);
  await using neighbour = await udp(server, '127.0.0.4');
  assert.equal((await neighbour.request('OPTIONS', 'x')).status, 401);
});

test('the contacts that a process before this one had protect their networks from the first datagram on', async () => {
  const probe = createSocket('udp4');
  await new Promise<void>((resolve) => probe.bind(0, '127.0.0.1', resolve));
  const { address, port } = probe.address();
  await new Promise<void>((resolve) => probe.close(resolve));
  const first = await startServer({ sip: { udp: [{ address, port }] } }); // the next process has the same port
  await using phone = await udp(first, '127.0.0.5');
  assert.equal((await phone.register({ ...alice, contact: '<sip:alice@127.0.0.5:5999>' })).status, 200);
  await using server = await first.restart();
  await using scanner = await udp(server, '127.0.0.5');
  await isSilent(server, scanner, SCANS);
  assert.deepEqual(await bans(server), []);
});

test('noise from one address is a flood beyond 200 messages; 1000 from this machine are none', async () => {
  await using server = await startServer();
  const noise = async (from: string, count: number) => {
    const socket = createSocket('udp4');
    await new Promise<void>((resolve) => socket.bind(0, from, resolve));
    for (let i = 0; i < count; i++) {
      await new Promise((resolve) => socket.send('what is this?\r\n\r\n', server.ports.udp!, '127.0.0.1', resolve));
      // A server that has no rest at all leaves strangers unread, and what is not read counts for nothing.
      if (i % 10 === 9) await new Promise((resolve) => setTimeout(resolve, 10));
    }
    socket.close();
  };
  await noise('127.0.0.1', 1000);
  while ((await bans(server)).length === 0) await noise('127.0.0.6', 50);
  assert.deepEqual(await bans(server), ['127.0.0.6 malformed udp']);
});

test('the admin verb lists, lifts and makes bans, and says in words what can’t be', async () => {
  await using server = await startServer();
  await using phone = await udp(server, '127.0.0.7');
  assert.equal((await phone.register(alice)).status, 200);
  await using stranger = await udp(server, '127.0.0.7');
  await using connected = await tcp(server, '127.0.0.7');
  const made = (await server.verb('bans', { op: 'add', address: '127.0.0.7', minutes: 5 })) as BanStatus;
  assert.deepEqual([made.network, made.why, made.udpOnly], ['127.0.0.7', 'hand', false]);
  assert.ok(made.remainingS > 290 && made.remainingS <= 300);
  await connected.closed;
  await isSilent(server, stranger);
  await isSilent(server, phone); // nor is whoever was known before: a stolen account would be
  assert.deepEqual(await server.verb('bans', { op: 'lift', address: '127.0.0.7' }), { lifted: '127.0.0.7' });
  phone.repeats = true;
  assert.equal((await phone.register(alice)).status, 200);
  stranger.repeats = true;
  assert.equal((await stranger.request('OPTIONS', 'x')).status, 401);
  const refused: [Record<string, unknown>, RegExp][] = [
    [{ op: 'lift', address: '127.0.0.7' }, /127\.0\.0\.7 is not banned/],
    [{ op: 'lift', address: '2001:db8::/64' }, /2001:db8::\/64 is not banned/],
    [{ op: 'lift' }, /address is missing/],
    [{ op: 'add', address: 'phone.example' }, /'phone.example' is no IP address/],
    [{ op: 'add', address: '::1' }, /this machine/],
    [{ op: 'add', address: '192.0.2.1', minutes: 0 }, /minutes: a number from 1/],
    [{ op: 'shout', address: '192.0.2.1' }, /op is one of/],
  ];
  for (const [args, words] of refused) await assert.rejects(server.verb('bans', args), words);
});

test('sip.bans: false answers scanners like anybody', async () => {
  await using server = await startServer({ sip: { bans: false } });
  await using scanner = await udp(server, '127.0.0.2');
  assert.equal((await scanner.request('OPTIONS', 'x', SCANS)).status, 401);
  await assert.rejects(server.verb('bans'), /sip\.bans is false/);
});

test('known and unknown users are answered alike, and are banned alike', async () => {
  await using server = await startServer();
  const answers = await Promise.all(
    ['alice', 'nobody'].map(async (user) => {
      await using phone = await udp(server, '127.0.0.8');
      const answer = await phone.request('REGISTER', user);
      return answer
        .toString()
        .replaceAll(user, 'U')
        .replace(/nonce="[^"]*"/, '')
        .replace(/(tag|branch|rport)=[\w]+/g, '')
        .replace(/Call-ID:.*/i, '');
    }),
  );
  assert.equal(answers[0], answers[1]);
});

test('the log has a line for each ban, 60 a minute at most', () => {
  const lines: string[] = [];
  const log = new BanLog((words) => lines.push(words));
  const ban = {
    why: 'accounts',
    words: 'it asked for 23 accounts and signed in to none',
    times: 1,
    dropped: 0,
  } as const;
  const at = { sinceMs: 0, untilMs: 600_000, isForgeable: false };
  log.handle({ ...ban, ...at, network: '203.0.113.7' }, 0);
  log.handle({ ...ban, ...at, network: '203.0.113.8', untilMs: 4_800_000, isForgeable: true }, 0);
  for (let i = 0; i < 100; i++) log.handle({ ...ban, ...at, network: `198.51.100.${i}` }, 1);
  assert.equal(lines[0], '203.0.113.7 is banned for 10 min: it asked for 23 accounts and signed in to none');
  assert.equal(
    lines[1],
    '203.0.113.8 is banned for 1 h 20 min over UDP: it asked for 23 accounts and signed in to none',
  );
  assert.equal(lines.length, 60);
  log.handle({ ...ban, ...at, network: '203.0.113.9', untilMs: 86_400_000 }, 60_000);
  assert.equal(lines[60], '42 more networks were banned: offhook bans lists them');
  assert.match(lines[61]!, /^203\.0\.113\.9 is banned for 24 h: /);
});
