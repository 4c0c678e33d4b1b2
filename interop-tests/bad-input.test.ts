import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { connect } from 'node:net';
import { after, before, test } from 'node:test';
import { decodeNg, decodeStun, seededRandom } from '@offhook/core';
import WebSocket from 'ws';
import { lacking } from './src/peers.ts';
import { PlainPhone } from './src/plain-phone.ts';
import { alawPcap, sipp } from './src/sipp.ts';
import { System, scratchFolder, waitUntil } from './src/system.ts';
import { TurnClient, turnAccount } from './src/turn-client.ts';

const skip = lacking('sipp');

const folder = scratchFolder();
const account = { user: 'tester', password: 'Trumpet-44-x' };
let system: System;
let pids: Record<string, number>;

before(async () => {
  if (skip) return;
  system = await System.start({ folder: folder.path });
  await system.addUser(account.user, account.password);
  pids = await system.pids();
});

after(async () => {
  await system?.stop();
  folder.remove();
});

const random = seededRandom(4242);
const below = (n: number) => Math.floor(random.next() * n);
const bytes = (length: number) => Buffer.from(Uint8Array.from({ length }, () => below(256)));

const SIP =
  'INVITE sip:600@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:9;branch=z9hG4bKx\r\nFrom: <sip:a@x>;tag=1\r\nTo: <sip:600@x>\r\nCall-ID: bad\r\nCSeq: 1 INVITE\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n';
/** A Binding request with SOFTWARE: a bare header of 20 bytes gets no error, for that would be longer. */
const STUN = Buffer.from('000100082112a442000102030405060708090a0b8022000474657374', 'hex');
const RTP = Buffer.concat([Buffer.from('80080001000000a0deadbeef', 'hex'), bytes(160)]);
const RTCP = Buffer.from('80c90001deadbeef', 'hex');
const DTLS = Buffer.from('16fefd0000000000000000', 'hex');

/** Valid messages, cut, stretched, spoilt and made up: datagrams that no port may stumble over. */
function mutants(): Buffer[] {
  const seeds = [
    Buffer.from(SIP),
    STUN,
    RTP,
    Buffer.from('c1 d7:command4:pinge'),
    Buffer.from('c2 {"command":"ping"}'),
    DTLS,
  ];
  const out: Buffer[] = [
    Buffer.alloc(0),
    bytes(1),
    bytes(65_000),
    Buffer.from(SIP.replace('Call-ID: bad', `Call-ID: ${'x'.repeat(60_000)}`)),
    Buffer.from(`c3 ${'l'.repeat(20_000)}`),
    Buffer.from(`c4 ${'['.repeat(20_000)}`),
  ];
  while (out.length < 400) {
    const seed = seeds[below(seeds.length)]!;
    const copy = Buffer.from(seed.subarray(0, Math.ceil(random.next() * seed.length)));
    for (let i = 0; i < 3 && random.next() < 0.7; i++) copy[below(copy.length)] = below(256);
    out.push(random.next() < 0.2 ? bytes(1 + below(300)) : copy);
  }
  return out;
}

/** Random bytes that are a message of none of our protocols: their first byte is no protocol's. */
function noise(): Buffer[] {
  return Array.from({ length: 128 }, () => {
    const made = bytes(1 + below(1400));
    made[0] = 192 + below(64);
    return made;
  });
}

async function spray(port: number, datagrams: readonly Buffer[]): Promise<void> {
  const socket = createSocket('udp4');
  socket.on('error', () => {});
  for (const datagram of datagrams) await new Promise((resolve) => socket.send(datagram, port, '127.0.0.1', resolve));
  await new Promise<void>((resolve) => socket.close(resolve));
}

/** The sum of a part's figures whose name begins so, labels included. */
async function count(part: string, ...names: readonly string[]): Promise<number> {
  const figures = Object.entries(await system.metrics(part));
  return names.reduce((sum, name) => {
    const found = figures.filter(([key]) => key === name || key.startsWith(`${name}{`));
    return found.reduce((all, [, value]) => all + value, sum);
  }, 0);
}

/** So many datagrams at once fit into any socket's buffer. */
const AT_ONCE = 64;

/** Sends, and asserts that each single datagram was counted by exactly one of these figures. */
async function assertCounted(
  what: string,
  datagrams: readonly Buffer[],
  send: (some: readonly Buffer[]) => Promise<unknown>,
  counter: () => Promise<number>,
): Promise<void> {
  const first = await counter();
  for (let i = 0; i < datagrams.length; i += AT_ONCE) {
    const some = datagrams.slice(i, i + AT_ONCE);
    await send(some);
    let now = 0;
    await waitUntil(
      `${what}: every datagram is counted`,
      async () => {
        now = (await counter()) - first;
        return now >= i + some.length;
      },
      5000,
      () => `(${now} of ${i + some.length})`,
    );
  }
  assert.equal((await counter()) - first, datagrams.length, what);
}

async function stillWell(): Promise<void> {
  const run = await sipp({
    folder: folder.path,
    scenario: 'echo-with-media.xml',
    replace: { PCAP: alawPcap() },
    server: `127.0.0.1:${system.ports.udp}`,
    ...account,
    domain: system.domain,
    calls: 1,
  });
  assert.equal(run.failed, 0, run.output);
  await system.assertNothingLeft();
  assert.deepEqual(await system.pids(), pids, 'no part was restarted');
  assert.equal(await count('signaling', 'sip_internal_errors_total'), 0);
}

const dropped = () => count('media-relay-0', 'offhook_media_packets_dropped_total');

test('noise on every UDP port during a call and an allocation is counted datagram by datagram, and neither notices', {
  skip,
}, async () => {
  const ports = await system.udpPorts();
  const phone = await PlainPhone.open(system, account);
  const turn = await TurnClient.open(await turnAccount(system, account.user, account.password));
  try {
    await phone.call('600');
    const relayed = await turn.allocate();
    const mux = { address: '127.0.0.1', port: ports.mux };
    await turn.permit(mux);
    const hearsItself = async () => {
      const heard = phone.ownPackets;
      await waitUntil('the call carries media', async () => phone.ownPackets >= heard + 25, 3000);
    };
    /** Through the relayed address to the media relay, which answers that this check has no user name. */
    const relayWorks = async () =>
      assert.equal(decodeStun(await turn.roundTrip(mux, STUN))?.errorCode()?.code, 400, 'no answer through TURN');
    await hearsItself();
    await relayWorks();

    const from = (port: number) => (some: readonly Buffer[]) => spray(port, some);
    const malformedSip = () => count('signaling', 'sip_transport_malformed_dropped_total');
    const malformedNg = () => count('media-relay-0', 'offhook_media_ng_total{event="malformed"}');
    const malformedTurn = () => count('turn', 'offhook_turn_dropped_malformed_total');
    const fromPeers = () => count('turn', 'offhook_turn_dropped_from_peers_total');
    const fromClients = () => count('turn', 'offhook_turn_dropped_from_clients_total');
    const onMedia = [...noise(), RTP, RTCP, DTLS, STUN];
    await assertCounted('SIP', noise(), from(ports.sip), malformedSip);
    await assertCounted('NG', noise(), from(ports.ng), malformedNg);
    await assertCounted('mux', [...noise(), RTP, RTCP, DTLS, STUN.subarray(0, 19)], from(ports.mux), dropped);
    await assertCounted('RTP', onMedia, from(phone.farPort), dropped);
    await assertCounted('RTCP', onMedia, from(phone.farPort + 1), dropped);
    await assertCounted('TURN', noise(), from(ports.turn), malformedTurn);
    await assertCounted('TURN relay', onMedia, from(relayed.port), fromPeers);
    const own = async (some: readonly Buffer[]) => {
      for (const one of some) await phone.sendRaw(one, phone.farPort);
    };
    await assertCounted("RTP from the phone's own address", noise(), own, dropped);
    const channels = noise().map((one) => Buffer.concat([Buffer.from([0x40, 1, 0, 200]), one]));
    const client = async (some: readonly Buffer[]) => {
      for (const one of some) turn.sendRaw(one);
    };
    await assertCounted('channels that nobody bound, from the client', channels, client, fromClients);

    for (const port of [...Object.values(ports), phone.farPort, phone.farPort + 1, relayed.port])
      await spray(port, mutants());
    await hearsItself();
    await relayWorks();
    assert.equal(phone.foreignPackets, 0, 'the phone heard something that it did not say');
    await phone.hangUp();
    await turn.giveBack();
  } finally {
    await Promise.all([phone.close(), turn.close()]);
  }
  await stillWell();
});

test('NG: cut, oversized and deep bencode and JSON are counted, and answered shortly where they have a cookie; so are commands that make no sense', {
  skip,
}, async () => {
  const { ng } = await system.udpPorts();
  const cut = (whole: string) => Array.from({ length: whole.length }, (_, n) => Buffer.from(whole.slice(0, n)));
  const malformed = [
    ...cut('c1 d7:command4:pinge'),
    ...cut('c2 {"command":"ping"}'),
    ...[
      'c3 d7:command4:pingejunk',
      'c4 {"command":"ping"}junk',
      `c5 d7:command${'9'.repeat(40)}:pinge`,
      'c6 d7:command-4:pinge',
      `c7 d1:a${'l'.repeat(20_000)}`,
      `c8 d1:a${'l'.repeat(20)}${'e'.repeat(21)}`,
      `c9 {"a":${'['.repeat(20_000)}`,
      `c10 {"a":${'['.repeat(20)}${']'.repeat(20)}}`,
      `c11 d1:al${'0:'.repeat(10_001)}ee`,
      `c12 {"a":[${'0,'.repeat(10_001)}0]}`,
      `c13 d7:command65000:${'x'.repeat(60_000)}e`,
      'c14 i5e',
      'c15 [1]',
      'c16 {"command":null}',
      `${'c'.repeat(256)} d7:command4:pinge`,
      'c\u00007 d7:command4:pinge',
    ].map((text) => Buffer.from(text)),
  ];
  const socket = createSocket('udp4');
  const answers: Buffer[] = [];
  socket.on('message', (answer) => answers.push(answer));
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  const send = (some: readonly Buffer[]) =>
    Promise.all(some.map((one) => new Promise((resolve) => socket.send(one, ng, '127.0.0.1', resolve))));
  try {
    await assertCounted('NG', malformed, send, () =>
      count('media-relay-0', 'offhook_media_ng_total{event="malformed"}'),
    );
    const named = malformed.filter((bytes) => /^[!-~]{1,32} /.test(bytes.toString('latin1'))).length;
    assert.equal(answers.length, named, 'answered where there is a cookie');
    assert.ok(answers.every((answer) => answer.length <= 103 && answer.includes('error-reason')));
    answers.length = 0;

    const sections = 'm=audio 9 RTP/AVP 0\r\n'.repeat(2000);
    const offer = (sdp: string) => ({ command: 'offer', 'call-id': 'bad', 'from-tag': 'a', sdp });
    const senseless = [
      {},
      { command: ['offer'] },
      { command: 'x'.repeat(50_000) },
      { command: 'offer' },
      { command: 'delete' },
      { command: 'query', 'call-id': 'nobody' },
      { ...offer('v=0'), 'call-id': 'x'.repeat(50_000) },
      offer('no sdp at all'),
      offer(`v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n${sections}`),
      { command: 'answer', 'call-id': 'nobody', 'from-tag': 'a', 'to-tag': 'b', sdp: 'v=0' },
    ].map((message, i) => Buffer.from(`s${i} ${JSON.stringify(message)}`));
    senseless.push(Buffer.from('s90 {"command":1e999}'), Buffer.from('s91 {"__proto__":{"command":"ping"}}'));
    const errors = () => count('media-relay-0', 'offhook_media_ng_total{event="errors"}');
    await assertCounted('NG', senseless, send, errors);
    await waitUntil('each one is answered', async () => answers.length >= senseless.length, 5000);
    assert.equal(answers.length, senseless.length);
    for (const answer of answers) {
      const { result, 'error-reason': reason } = decodeNg(answer)!.message;
      assert.equal(result, 'error', String(answer));
      assert.match(String(reason), /\w/);
    }
  } finally {
    socket.close();
  }
  await stillWell();
});

const SPOILT_SIP: readonly [what: string, message: string, status: number][] = [
  ['a CSeq of another method', SIP.replace('1 INVITE', '1 OPTIONS'), 400],
  ['a CSeq that is no number', SIP.replace('CSeq: 1', 'CSeq: one'), 400],
  ['an endless Call-ID', SIP.replace('Call-ID: bad', `Call-ID: ${'x'.repeat(5000)}`), 400],
  ['a later version', SIP.replace(' SIP/2.0\r\n', ' SIP/7.0\r\n'), 505],
];

test('SIP over UDP: what is spoilt but has an address to answer to gets its status, and is counted', {
  skip,
}, async () => {
  const socket = createSocket('udp4');
  const answers: string[] = [];
  socket.on('message', (answer) => answers.push(String(answer).split('\r\n', 1)[0]!));
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  const first = await count('signaling', 'sip_transport_malformed_answered_total');
  try {
    for (const [what, message, status] of SPOILT_SIP) {
      const here = message.replace('127.0.0.1:9;', `127.0.0.1:${socket.address().port};rport;`);
      const answered = answers.length;
      socket.send(here, system.ports.udp!, '127.0.0.1');
      await waitUntil(`${what} is answered`, async () => answers.length > answered, 3000);
      assert.match(answers.at(-1)!, new RegExp(`^SIP/2\\.0 ${status} `), what);
    }
  } finally {
    socket.close();
  }
  const answered = await count('signaling', 'sip_transport_malformed_answered_total');
  assert.equal(answered - first, SPOILT_SIP.length);
});

/** A server closes what is not proven within 10 s and looks each 5 s. */
const CUT_WITHIN_MS = 17_000;

/** Writes and never closes: what came back until the server closed, and after how long that was. Rejects when it doesn't. */
function untilCut(input: Buffer | string): Promise<{ said: string; afterMs: number }> {
  return new Promise((resolve, reject) => {
    let said = '';
    const began = performance.now();
    const socket = connect(system.ports.tcp!, '127.0.0.1', () => socket.write(input));
    const timer = setTimeout(() => {
      reject(new Error(`the server kept the connection for ${CUT_WITHIN_MS} ms`));
      socket.destroy();
    }, CUT_WITHIN_MS);
    const cut = () => {
      clearTimeout(timer);
      socket.destroy();
      resolve({ said, afterMs: performance.now() - began });
    };
    socket.on('data', (chunk: Buffer) => {
      said += chunk.toString('latin1');
    });
    socket.on('end', cut); // FIN, or RST when what we wrote was not read
    socket.on('error', cut);
  });
}

const TCP = SIP.replace('SIP/2.0/UDP', 'SIP/2.0/TCP');

test('SIP over TCP: after a framing error nothing is believed, the server closes at once without a word', {
  skip,
}, async () => {
  const inputs: readonly [what: string, input: string][] = [
    ['an endless first line', 'INVITE '.repeat(20_000)],
    ['a message of 100 MB', TCP.replace('Content-Length: 0', 'Content-Length: 99999999')],
    ['a negative length', TCP.replace('Content-Length: 0', 'Content-Length: -1')],
    ['two lengths', TCP.replace('Content-Length: 0', 'Content-Length: 0\r\nContent-Length: 5')],
    ['no length', TCP.replace('Content-Length: 0\r\n', '')],
    ['an endless header', `${TCP.slice(0, -4)}\r\nX-Long: ${'y'.repeat(200_000)}\r\n\r\n`],
  ];
  const counter = () =>
    count('signaling', 'sip_transport_malformed_dropped_total', 'sip_transport_strangers_too_long_total');
  const first = await counter();
  for (const [what, input] of inputs) {
    const { said, afterMs } = await untilCut(input);
    assert.equal(said, '', what);
    assert.ok(afterMs < 3000, `${what}: closed after ${afterMs} ms`);
  }
  assert.equal((await counter()) - first, inputs.length, 'each was counted');
  await stillWell();
});

test('what never makes sense is cut off by the server within seconds, over TCP and WebSocket, answered where it can be', {
  skip,
}, async () => {
  const names = [
    'connections_timed_out',
    'keep_alive_floods_cut',
    'keep_alives',
    'malformed_dropped',
    'malformed_answered',
  ] as const;
  const figures = () => Promise.all(names.map((name) => count('signaling', `sip_transport_${name}_total`)));
  const first = await figures();
  const letters = Buffer.from(bytes(4000).map((b) => 65 + (b % 26)));
  const [silent, garbage, half, pings, spoilt, hello] = await Promise.all([
    untilCut(''),
    untilCut(letters),
    untilCut(TCP.slice(0, 100)),
    untilCut('\r\n'.repeat(5000)),
    untilCut(TCP.replace('1 INVITE', '1 OPTIONS')),
    webSocket({ input: 'hello', patienceMs: CUT_WITHIN_MS }),
  ]);
  for (const [what, { said, afterMs }] of Object.entries({ silent, garbage, half })) {
    assert.equal(said, '', what);
    assert.ok(afterMs > 9000, `${what}: closed after ${afterMs} ms, before a slow phone could have spoken`);
  }
  assert.match(pings.said, /^(?:\r\n){1,20}$/, 'one answer for each ping (RFC 5626 4.4.1), until there are too many');
  assert.ok(pings.afterMs < 3000, `a flood of pings was cut after ${pings.afterMs} ms`);
  assert.match(spoilt.said, /^SIP\/2\.0 400 /);
  assert.equal(hello, 'closed 1006');
  const grown = (await figures()).map((now, i) => now - first[i]!);
  assert.deepEqual(Object.fromEntries(names.map((name, i) => [name, grown[i]])), {
    connections_timed_out: 5,
    keep_alive_floods_cut: 1,
    keep_alives: 21,
    malformed_dropped: 1,
    malformed_answered: 1,
  });
  await stillWell();
});

/** What becomes of a WebSocket at /sip that says `input` once it is open: the first thing that the server does. */
function webSocket(of: {
  protocols?: string[];
  origin?: string;
  input?: Buffer | string;
  patienceMs?: number;
}): Promise<string> {
  const origin = of.origin ?? `http://127.0.0.1:${system.ports.http}`;
  const { promise, resolve } = Promise.withResolvers<string>();
  const socket = new WebSocket(`ws://127.0.0.1:${system.ports.http}/sip`, of.protocols ?? ['sip'], { origin });
  const timer = setTimeout(() => resolve('silent'), of.patienceMs ?? 3000);
  socket.on('unexpected-response', (_request, response) => resolve(`refused ${response.statusCode}`));
  socket.on('error', (error) => resolve(`error ${error.message}`));
  socket.on('open', () => (of.input === undefined ? resolve('open') : socket.send(of.input)));
  socket.on('message', (data) => resolve(`answered ${String(data).slice(0, 11)}`));
  socket.on('close', (code) => resolve(`closed ${code}`));
  return promise.finally(() => {
    clearTimeout(timer);
    socket.terminate();
  });
}

test('WebSocket: foreign origins and false sessions are refused, what is too large closes only that socket, the rest is answered', {
  skip,
}, async () => {
  const refused = (status: number) => count('signaling', `sip_upgrades_refused_total{status="${status}"}`);
  assert.equal(await webSocket({}), 'open');
  assert.equal(await webSocket({ origin: 'http://evil.example' }), 'refused 403');
  assert.equal(await webSocket({ protocols: ['sip', 'offhook.session.forged'] }), 'refused 401');
  assert.equal(await webSocket({ protocols: ['chat'] }), 'refused 400');
  assert.deepEqual([await refused(403), await refused(401), await refused(400)], [1, 1, 1]);
  assert.equal(await webSocket({ input: bytes(70_000) }), 'closed 1009');
  assert.equal(await webSocket({ input: SIP.replace('UDP', 'WS') }), 'answered SIP/2.0 401');
  assert.equal(
    await webSocket({ input: SIP.replace('UDP', 'WS').replace('1 INVITE', '1 BYE') }),
    'answered SIP/2.0 400',
  );
  await stillWell();
});
