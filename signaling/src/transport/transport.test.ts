import assert from 'node:assert/strict';
import { createSocket, type Socket as UdpSocket } from 'node:dgram';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { type TestContext, test } from 'node:test';
import {
  createResponse,
  decodeStun,
  parseSip,
  type SipMessage,
  StunAttribute,
  StunClass,
  text,
  utf8,
} from '@offhook/core';
import { WebSocket, WebSocketServer } from 'ws';
import type { Flow } from '../transaction/index.ts';
import {
  acceptWebSocket,
  LARGEST_FACTOR,
  type Listener,
  listenTcp,
  listenUdp,
  TRANSPORT_LIMITS,
  TransportHub,
  type TransportLimits,
  WEBSOCKET_OPTIONS,
} from './index.ts';

const options = (via: string, body = '') =>
  [
    'OPTIONS sip:offhook.local SIP/2.0',
    `Via: SIP/2.0/${via};branch=z9hG4bKx`,
    'From: <sip:a@b>;tag=1',
    'To: <sip:b@b>',
    'Call-ID: c',
    'CSeq: 1 OPTIONS',
    `Content-Length: ${body.length}`,
    '',
    body,
  ].join('\r\n');

/** A hub that answers every request by 200, and what it saw. */
class Bench {
  readonly seen: { message: SipMessage; flow: Flow }[] = [];
  readonly gone: Flow[] = [];
  readonly hub: TransportHub;
  mayAnswer = true;
  /** Whether who speaks is an account. */
  known = false;
  answer = (message: SipMessage) => createResponse(message, 200, undefined, { toTag: 't' }).serialize();
  #waiting: (() => void)[] = [];

  constructor(limits: Partial<TransportLimits> = {}) {
    this.hub = new TransportHub(
      {
        onMessage: (message, flow) => {
          this.seen.push({ message, flow });
          if (this.known) flow.isKnown = true;
          if (message.kind === 'request') this.hub.send(flow, this.answer(message));
          this.#wake();
        },
        onFlowClosed: (flow) => {
          this.gone.push(flow);
          this.#wake();
        },
        mayAnswer: () => this.mayAnswer,
      },
      { ...TRANSPORT_LIMITS, ...limits },
    );
  }

  #wake() {
    for (const wake of this.#waiting.splice(0)) wake();
  }

  /** Resolves as soon as something arrived or closed and the condition holds. */
  async until(condition: () => boolean): Promise<void> {
    while (!condition()) await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }
}

async function udp(t: TestContext): Promise<{ bench: Bench; listener: Listener; client: UdpSocket; port: number }> {
  const bench = new Bench();
  const listener = await listenUdp(bench.hub, { address: '127.0.0.1', port: 0 });
  const client = createSocket('udp4');
  client.bind(0, '127.0.0.1');
  await once(client, 'listening');
  t.after(async () => {
    client.close();
    await listener.close();
    bench.hub.close();
  });
  return { bench, listener, client, port: client.address().port };
}

const answerTo = async (client: UdpSocket) => {
  const [bytes] = (await once(client, 'message')) as [Buffer];
  const m = parseSip(bytes);
  assert.ok(m.kind !== 'error', text(bytes));
  return m;
};

test('UDP: a request is answered to where it came from, with received and rport (RFC 3581)', async (t) => {
  const { bench, listener, client, port } = await udp(t);
  client.send(options('UDP phone.invalid:5060;rport'), listener.local.port, '127.0.0.1');
  const answer = await answerTo(client);
  assert.equal(answer.status, 200);
  assert.equal(answer.vias[0]?.received, '127.0.0.1');
  assert.equal(answer.vias[0]?.rport, port);
  client.send(options(`UDP 127.0.0.1:${port}`), listener.local.port, '127.0.0.1');
  assert.equal((await answerTo(client)).vias[0]?.received, undefined, 'nothing to add when sent-by is true');
  assert.equal(bench.seen[0]?.flow, bench.seen[1]?.flow, 'one peer is one flow');
});

test('UDP: without rport answers and requests go to the port of the sent-by, at the source’s address (RFC 3261 18.2.2)', async (t) => {
  const { bench, listener, client } = await udp(t);
  const listening = createSocket('udp4');
  listening.bind(0, '127.0.0.1');
  await once(listening, 'listening');
  t.after(() => listening.close());
  const { port } = listening.address();
  let stray = 0;
  client.on('message', () => stray++);
  for (const host of ['127.0.0.1', 'phone.invalid', '192.0.2.7']) {
    client.send(options(`UDP ${host}:${port};maddr=192.0.2.9`), listener.local.port, '127.0.0.1');
    const answer = await answerTo(listening);
    assert.equal(answer.status, 200);
    assert.equal(answer.vias[0]?.received, host === '127.0.0.1' ? undefined : '127.0.0.1');
    assert.equal(answer.vias[0]?.rport, undefined);
  }
  client.send(options(`UDP a:${port}`).replace('CSeq: 1 OPTIONS', 'CSeq: 1 INVITE'), listener.local.port, '127.0.0.1');
  assert.equal((await answerTo(listening)).status, 400, 'malformed ones too');
  const { flow } = bench.seen[0]!;
  assert.equal(flow.remote.port, client.address().port, 'the flow is known by its source');
  assert.ok(bench.seen.every((s) => s.flow === flow));
  bench.hub.send(flow, utf8(options('UDP us;rport')));
  assert.equal((await answerTo(listening)).kind, 'request', 'a request of ours');
  assert.equal(stray, 0);
  client.send(options(`UDP a:${port};rport`), listener.local.port, '127.0.0.1');
  assert.equal((await answerTo(client)).vias[0]?.rport, client.address().port);
  assert.notEqual(bench.seen.at(-1)?.flow, flow, 'who asks for rport is not sent elsewhere by who does not');
  client.send(options('UDP a:0'), listener.local.port, '127.0.0.1');
  await bench.until(() => bench.seen.length === 5);
  assert.equal(bench.hub.counters.sendErrors, 0, 'port 0 is no port');
});

test('UDP: a dual-stack listener answers IPv4 phones, known by their IPv4 address', async (t) => {
  const bench = new Bench();
  const listener = await listenUdp(bench.hub, { address: '::', port: 0 }).catch(() => undefined);
  if (!listener) {
    bench.hub.close();
    t.skip('no IPv6 here');
    return;
  }
  const client = createSocket('udp4');
  client.bind(0, '127.0.0.1');
  await once(client, 'listening');
  t.after(async () => {
    client.close();
    await listener.close();
    bench.hub.close();
  });
  client.send(options('UDP a;rport'), listener.local.port, '127.0.0.1');
  assert.equal((await answerTo(client)).vias[0]?.received, '127.0.0.1');
  client.send(options(`UDP a:${client.address().port}`), listener.local.port, '127.0.0.1');
  assert.equal((await answerTo(client)).vias[0]?.received, '127.0.0.1');
});

test('UDP: keep-alives and STUN are counted, garbage is dropped or answered, and the next good request works', async (t) => {
  const { bench, listener, client } = await udp(t);
  const send = (what: string | Uint8Array) => client.send(what, listener.local.port, '127.0.0.1');
  send('\r\n\r\n');
  send(new Uint8Array(4));
  send(new Uint8Array([0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42, ...new Uint8Array(12)]));
  send(new Uint8Array(0));
  send('garbage');
  send('\xff'.repeat(5000));
  send(options('UDP a;rport').replace('SIP/2.0\r', 'SIP/3.0\r'));
  const [binding] = (await once(client, 'message')) as [Buffer];
  const stun = decodeStun(binding);
  assert.equal(stun?.class, StunClass.success);
  const mapped = { address: '127.0.0.1', port: client.address().port };
  assert.deepEqual(stun?.xorAddress(StunAttribute.xorMappedAddress), mapped);
  assert.equal(binding.length, 32);
  const refusal = await answerTo(client);
  assert.equal(refusal.status, 505);
  assert.notEqual(refusal.to.tag, undefined);
  send('SIP/2.0 200 OK\r\nVia: broken\r\n\r\n');
  send(options('UDP a;rport'));
  assert.equal((await answerTo(client)).status, 200);
  assert.deepEqual(
    { ...bench.hub.counters, sent: 0 },
    {
      received: 1,
      sent: 0,
      malformedAnswered: 1,
      malformedDropped: 3,
      amplifiedDropped: 0,
      keepAlives: 2,
      stunAnswered: 1,
      notSip: 0,
      connectionsRefused: 0,
      connectionsOpened: 0,
      connectionsNotOpened: 0,
      connectionsTimedOut: 0,
      handshakesFailed: 0,
      slowReadersCut: 0,
      keepAliveFloodsCut: 0,
      strangersTooLong: 0,
      strangersReplaced: 0,
      sendErrors: 0,
    },
  );
});

test('UDP: a message too long for a datagram and a send after closing are counted, never thrown', async (t) => {
  const { bench, listener, client } = await udp(t);
  client.send(options('UDP a;rport'), listener.local.port, '127.0.0.1');
  await answerTo(client);
  const flow = bench.seen[0]!.flow;
  bench.hub.send(flow, new Uint8Array(65_508));
  assert.equal(bench.hub.counters.sendErrors, 1);
  const other = await listenUdp(bench.hub, { address: '127.0.0.1', port: 0 });
  client.send(options('UDP a;rport'), other.local.port, '127.0.0.1');
  await answerTo(client);
  await other.close();
  bench.hub.send(bench.seen[1]!.flow, utf8('x'));
  assert.equal(bench.hub.counters.sendErrors, 2);
});

test('UDP: malformed messages are answered only as often as their source may be answered', async (t) => {
  const { bench, listener, client } = await udp(t);
  bench.mayAnswer = false;
  const bad = options('UDP a;rport').replace('CSeq: 1 OPTIONS', 'CSeq: 1 INVITE');
  client.send(bad, listener.local.port, '127.0.0.1');
  client.send(options('UDP a;rport'), listener.local.port, '127.0.0.1');
  assert.equal((await answerTo(client)).status, 200, 'not the 400');
  const { malformedAnswered, malformedDropped } = bench.hub.counters;
  assert.deepEqual([malformedAnswered, malformedDropped], [0, 1]);
});

test('UDP: a failure that is more than two and a half times as long as its request is not sent; later and better answers are', async (t) => {
  const { bench, listener, client } = await udp(t);
  const request = options('UDP a;rport');
  let length = Math.floor(request.length * LARGEST_FACTOR);
  const padded = (message: SipMessage, status: number) => {
    const answer = createResponse(message, status, undefined, { toTag: 't' });
    const short = answer.serialize().length + 'Pad: \r\n'.length;
    return answer.add('Pad', 'x'.repeat(length - short)).serialize();
  };
  let status = 401;
  bench.answer = (message) => padded(message, status);
  const ask = () => client.send(request, listener.local.port, '127.0.0.1');
  ask();
  const [first] = (await once(client, 'message')) as [Buffer];
  assert.equal(first.length, Math.floor(LARGEST_FACTOR * request.length));
  length++;
  ask();
  await bench.until(() => bench.seen.length === 2);
  assert.equal(bench.hub.counters.amplifiedDropped, 1);
  status = 200;
  ask();
  assert.equal((await answerTo(client)).status, 200, 'only those who are known are told 2xx');
  bench.hub.send(bench.seen[0]!.flow, padded(bench.seen[0]!.message, 500));
  assert.equal((await answerTo(client)).status, 500, 'not the answer to a message at hand');
});

test('a port in use is skipped for the next free one, on UDP and TCP', async (t) => {
  const bench = new Bench();
  const listeners: Listener[] = [];
  for (const listen of [listenUdp, listenTcp]) {
    const first = await listen(bench.hub, { address: '127.0.0.1', port: 0 });
    const second = await listen(bench.hub, first.local);
    assert.ok(second.local.port > first.local.port && second.local.port <= first.local.port + 20);
    listeners.push(first, second);
  }
  t.after(async () => {
    for (const listener of listeners) await listener.close();
    bench.hub.close();
  });
});

async function tcp(t: TestContext, limits: Partial<TransportLimits> = {}) {
  const bench = new Bench(limits);
  const listener = await listenTcp(bench.hub, { address: '127.0.0.1', port: 0 });
  const clients: Socket[] = [];
  t.after(async () => {
    for (const client of clients) client.destroy();
    bench.hub.close();
    await listener.close();
    await bench.until(() => bench.hub.connections === 0);
  });
  const open = async () => {
    const client = connect(listener.local.port, '127.0.0.1');
    client.on('error', () => {});
    clients.push(client);
    await once(client, 'connect');
    return client;
  };
  return { bench, listener, open };
}

test('TCP: messages in pieces and in one piece, CRLF keep-alive, and the flow closes with its connection', async (t) => {
  const { bench, open } = await tcp(t);
  const client = await open();
  const both = utf8(`${options('TCP a;rport', 'hello')}${options('TCP a', 'again')}`);
  for (const byte of both) client.write(new Uint8Array([byte]));
  await bench.until(() => bench.seen.length === 2);
  assert.deepEqual(
    bench.seen.map((s) => s.message.bodyText),
    ['hello', 'again'],
  );
  assert.equal(bench.seen[0]?.message.vias[0]?.rport, client.localPort);
  let got = '';
  client.on('data', (chunk) => {
    got += text(chunk);
  });
  client.write('\r\n\r\n');
  while (!got.endsWith('Content-Length: 0\r\n\r\n\r\n')) await once(client, 'data');
  assert.equal(bench.hub.counters.keepAlives, 1);
  client.destroy();
  await bench.until(() => bench.gone.length === 1);
  assert.equal(bench.gone[0], bench.seen[0]?.flow);
  bench.hub.send(bench.gone[0]!, utf8('x'));
  assert.equal(bench.hub.counters.sendErrors, 1);
});

test('TCP: a stream that is no SIP is closed at once (RFC 3261 18.3)', async (t) => {
  const { bench, open } = await tcp(t, { strangerBytes: 1 << 20 });
  const bad = [
    'A sip:b SIP/2.0\r\n\r\n',
    options('TCP a').replace('Content-Length: 0', 'Content-Length: 70000'),
    'x'.repeat(70_000),
  ];
  for (const bytes of bad) {
    const client = await open();
    client.write(bytes);
    await once(client, 'close');
  }
  assert.equal(bench.hub.counters.malformedDropped, bad.length);
  const good = await open();
  good.write(options('TCP a'));
  const [answer] = (await once(good, 'data')) as [Buffer];
  assert.ok(text(answer).startsWith('SIP/2.0 200'));
});

test('TCP: who says nothing, or begins a message and does not end it, is cut; who has spoken may be silent', async (t) => {
  const { bench, open } = await tcp(t, { messageMs: 100 });
  const silent = await open();
  const slow = await open();
  const spoken = await open();
  spoken.write(options('TCP a'));
  await once(spoken, 'data');
  slow.write(`${options('TCP a')}OPTIONS sip:x SIP/2.0\r\n`);
  await Promise.all([silent, slow].map((client) => once(client.resume(), 'close')));
  await bench.until(() => bench.gone.length === 2);
  assert.equal(bench.hub.counters.connectionsTimedOut, 2);
  assert.equal(spoken.destroyed, false);
  assert.equal(bench.hub.connections, 1);
});

test('TCP: idle connections are closed', async (t) => {
  const { bench, open } = await tcp(t, { messageMs: 50, idleMs: 100 });
  const client = await open();
  client.write(options('TCP a'));
  await once(client, 'data');
  await once(client, 'close');
  assert.equal(bench.hub.counters.connectionsTimedOut, 1);
});

test('TCP: connections beyond the limit are refused, and each one that ends makes room', async (t) => {
  const { bench, open } = await tcp(t, { connectionsPerLoopbackAddress: 2 });
  const first = await open();
  await open();
  const third = await open();
  await once(third, 'close');
  assert.equal(bench.hub.counters.connectionsRefused, 1);
  first.destroy();
  await bench.until(() => bench.gone.length === 1);
  const fourth = await open();
  fourth.write(options('TCP a'));
  await once(fourth, 'data');
});

test('TCP: a reader that does not read is cut when too much waits for it', async (t) => {
  const { bench, open } = await tcp(t, { sendBuffer: 100_000 });
  const client = await open();
  client.write(options('TCP a'));
  await bench.until(() => bench.seen.length === 1);
  client.pause();
  const flow = bench.seen[0]!.flow;
  const big = new Uint8Array(60_000);
  for (let i = 0; i < 1000 && bench.hub.counters.slowReadersCut === 0; i++) {
    bench.hub.send(flow, big);
    await new Promise((resolve) => setImmediate(resolve));
  }
  assert.equal(bench.hub.counters.slowReadersCut, 1);
  await bench.until(() => bench.gone.length === 1);
});

test('TCP: keep-alives are answered at a rate; who sends more is cut, who does not read gets one answer at most', async (t) => {
  const { bench, open } = await tcp(t, { keepAlivesAtOnce: 5 });
  const client = await open();
  for (let i = 0; i < 5; i++) {
    client.write('\r\n\r\n');
    assert.equal(text(((await once(client, 'data')) as [Buffer])[0]), '\r\n');
  }
  assert.equal(bench.hub.counters.keepAliveFloodsCut, 0);
  client.write('\r\n\r\n'.repeat(1000));
  await once(client.resume(), 'close');
  assert.equal(bench.hub.counters.keepAliveFloodsCut, 1);
  assert.ok(bench.hub.counters.keepAlives < 20, 'nothing of the rest was looked at');
  await bench.until(() => bench.gone.length === 1);
  const deaf = await open();
  deaf.pause();
  deaf.write(options('TCP a'));
  await bench.until(() => bench.seen.length === 1);
  const { flow } = bench.seen[0]!;
  for (let i = 0; i < 10; i++) bench.hub.send(flow, new Uint8Array(90_000)); // fills what the kernel takes
  const sent = bench.hub.counters.sent;
  deaf.write('\r\n\r\n\r\n\r\n');
  deaf.write(options('TCP a'));
  await bench.until(() => bench.seen.length === 2);
  assert.equal(bench.hub.counters.sent, sent + 1, 'the answer to the request');
});

test('TCP: nothing is read from who does not read, and all of it once they do', async (t) => {
  const { bench, open } = await tcp(t, { sendBuffer: 64 << 20 });
  bench.known = true;
  bench.answer = () => new Uint8Array(60_000);
  const client = await open();
  client.pause();
  const most = 2000;
  client.write(options('TCP a').repeat(most));
  // What the kernel's buffers take goes through; then the server has to stop.
  let before = -1;
  while (before !== bench.seen.length) {
    before = bench.seen.length;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  assert.ok(before > 0 && before < most, String(before));
  client.resume();
  await bench.until(() => bench.seen.length === most);
});

test('a connection that no account has used is closed in time, whatever it sends; one that an account has used may stay', async (t) => {
  const limits = { messageMs: 40, strangerMs: 150, keepAlivesAtOnce: 1000 };
  const { bench, open } = await tcp(t, limits);
  const stranger = await open();
  stranger.write(options('TCP a'));
  await once(stranger, 'data');
  const busy = setInterval(() => stranger.write('\r\n\r\n'), 20);
  t.after(() => clearInterval(busy));
  bench.known = true;
  const phone = await open();
  phone.write(options('TCP a'));
  await once(phone, 'data');
  // What it writes may meet a connection that is gone already.
  await new Promise((resolve) =>
    stranger
      .on('error', () => {})
      .resume()
      .once('close', resolve),
  );
  await bench.until(() => bench.gone.length === 1);
  assert.equal(bench.hub.counters.connectionsTimedOut, 1);
  assert.equal(bench.hub.connections, 1);
  const over = await web(t, limits);
  const socket = await over.open();
  socket.send(options('WS a'));
  await once(socket, 'message');
  await once(socket, 'close');
  assert.equal(over.bench.hub.counters.connectionsTimedOut, 1);
});

test('when strangers have all their connections the oldest of them gives way; those of accounts stay', async (t) => {
  const { bench, open } = await tcp(t, { strangers: 2 });
  bench.known = true;
  const phone = await open();
  phone.write(options('TCP a'));
  await once(phone, 'data');
  const first = await open();
  await open();
  await open();
  await once(first.resume(), 'close');
  await bench.until(() => bench.gone.length === 1);
  assert.equal(bench.hub.counters.strangersReplaced, 1);
  assert.equal(bench.hub.connections, 3);
  phone.write(options('TCP a'));
  await once(phone, 'data');
});

test('TCP: a stranger’s begun message is short, and all of them together have a budget; an account’s may be long', async (t) => {
  const { bench, open } = await tcp(t, { strangerBytes: 1000, strangersBytes: 2000 });
  const begun = (bytes: number) => `OPTIONS sip:x SIP/2.0\r\nX: ${'x'.repeat(bytes)}`;
  const long = await open();
  long.write(begun(1000));
  await once(long, 'close');
  assert.equal(bench.hub.counters.strangersTooLong, 1);
  const some = await Promise.all([open(), open()]);
  for (const client of some) client.write(begun(900));
  for (const client of some) await new Promise<void>((resolve) => client.write('x', () => resolve()));
  const last = await open();
  last.write(begun(900));
  await once(last, 'close');
  assert.equal(bench.hub.counters.strangersTooLong, 2);
  some[0]!.destroy();
  await bench.until(() => bench.gone.length === 3);
  bench.known = true;
  const phone = await open();
  phone.write(options('TCP a'));
  await once(phone, 'data');
  const message = options('TCP a', 'y'.repeat(20_000));
  phone.write(message.slice(0, 10_000));
  phone.write(message.slice(10_000));
  await once(phone, 'data');
  assert.equal(bench.hub.counters.strangersTooLong, 2);
});

async function web(t: TestContext, how: Partial<TransportLimits> & { account?: string } = {}) {
  const bench = new Bench(how);
  const server: Server = createServer();
  const sockets = new WebSocketServer({ noServer: true, handleProtocols: () => 'sip', ...WEBSOCKET_OPTIONS });
  server.on('upgrade', (request, socket, head) => {
    const remote = { address: '127.0.0.1', port: request.socket.remotePort ?? 0 };
    if (!bench.hub.admits(remote)) {
      socket.destroy();
      return;
    }
    sockets.handleUpgrade(request, socket, head, (webSocket) =>
      acceptWebSocket(bench.hub, webSocket, {
        local: { address: '127.0.0.1', port: (server.address() as AddressInfo).port },
        remote,
        secure: false,
        account: how.account,
      }),
    );
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const clients: WebSocket[] = [];
  t.after(async () => {
    for (const client of clients) client.terminate();
    await bench.until(() => bench.hub.connections === 0);
    bench.hub.close();
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });
  const open = async (clientOptions: { autoPong?: boolean } = {}) => {
    const client = new WebSocket(`ws://127.0.0.1:${(server.address() as AddressInfo).port}/sip`, 'sip', clientOptions);
    client.on('error', () => {});
    clients.push(client);
    await once(client, 'open');
    return client;
  };
  return { bench, open };
}

test('WebSocket: a message each way as text, the account of the upgrade, and the flow closes (RFC 7118)', async (t) => {
  const { bench, open } = await web(t, { account: 'alice' });
  const client = await open();
  client.send(options('WS df7jal23ls0d.invalid;rport'));
  const [data, binary] = (await once(client, 'message')) as [Buffer, boolean];
  assert.equal(binary, false);
  const answer = parseSip(data);
  assert.ok(answer.kind === 'response');
  assert.equal(answer.vias[0]?.received, '127.0.0.1');
  const flow = bench.seen[0]!.flow;
  assert.equal(flow.account, 'alice');
  assert.equal(flow.transport, 'ws');
  client.send('\r\n\r\n');
  assert.equal(text(((await once(client, 'message')) as [Buffer])[0]), '\r\n');
  bench.hub.send(flow, new Uint8Array([0x41, 0xff]));
  assert.equal(((await once(client, 'message')) as [Buffer, boolean])[1], true, 'no UTF-8, so a binary frame');
  client.close();
  await bench.until(() => bench.gone.length === 1);
  assert.equal(bench.gone[0], flow);
});

test('WebSocket: too long, too many fragments: closed; malformed SIP is answered and the connection stays', async (t) => {
  const { bench, open } = await web(t);
  const long = await open();
  long.send('x'.repeat(64 * 1024 + 1));
  const [code] = (await once(long, 'close')) as [number];
  assert.equal(code, 1009);
  const pieces = await open();
  for (let i = 0; i < 40; i++) pieces.send('x', { fin: false });
  await once(pieces, 'close');
  const client = await open();
  client.send(options('WS a').replace('CSeq: 1 OPTIONS', 'CSeq: 1 INVITE'));
  const bad = parseSip(((await once(client, 'message')) as [Buffer])[0]);
  assert.ok(bad.kind === 'response' && bad.status === 400);
  client.send(options('WS a'));
  const good = parseSip(((await once(client, 'message')) as [Buffer])[0]);
  assert.ok(good.kind === 'response' && good.status === 200);
  assert.equal(bench.hub.counters.malformedAnswered, 1);
});

test('WebSocket: without a session SIP must come in time; with one the phone may wait', async (t) => {
  const strangers = await web(t, { messageMs: 100 });
  const known = await web(t, { messageMs: 20, account: 'alice' });
  const alice = await known.open();
  await once(await strangers.open(), 'close');
  assert.equal(strangers.bench.hub.counters.connectionsTimedOut, 1);
  assert.equal(alice.readyState, alice.OPEN);
});

test('WebSocket: a peer that answers pings stays, one that does not is cut', async (t) => {
  const { bench, open } = await web(t, { account: 'alice', messageMs: 40, pingMs: 50, pongMs: 100 });
  const alive = await open();
  const dead = await open({ autoPong: false });
  await once(dead, 'close');
  assert.equal(bench.hub.counters.connectionsTimedOut, 1);
  await once(alive, 'ping');
  assert.equal(alive.readyState, alive.OPEN);
  assert.equal(bench.hub.connections, 1);
});

test('closing the hub tells WebSockets that the service restarts (1012) and leaves nothing', async (t) => {
  const { bench, open } = await web(t, { account: 'alice' });
  const client = await open();
  bench.hub.close();
  const [code] = (await once(client, 'close')) as [number];
  assert.equal(code, 1012);
  await bench.until(() => bench.gone.length === 1);
  assert.equal(bench.hub.connections, 0);
});

test('WebSocket: keep-alives and pings are answered at a rate, then the connection is cut', async (t) => {
  for (const flood of [(client: WebSocket) => client.ping(), (client: WebSocket) => client.send('\r\n\r\n')]) {
    const { bench, open } = await web(t, { account: 'alice', keepAlivesAtOnce: 5 });
    const client = await open();
    client.ping('x');
    assert.equal(text(((await once(client, 'pong')) as [Buffer])[0]), 'x');
    for (let i = 0; i < 100; i++) flood(client);
    await once(client, 'close');
    assert.equal(bench.hub.counters.keepAliveFloodsCut, 1);
  }
});

test('WebSocket: nothing is read from who does not read, and all of it once they do', async (t) => {
  const { bench, open } = await web(t, { account: 'alice', sendBuffer: 64 << 20 });
  bench.answer = () => new Uint8Array(60_000);
  const client = await open();
  client.pause();
  const most = 2000;
  for (let i = 0; i < most; i++) client.send(options('WS a'));
  let before = -1;
  while (before !== bench.seen.length) {
    before = bench.seen.length;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  assert.ok(before > 0 && before < most, String(before));
  client.resume();
  await bench.until(() => bench.seen.length === most);
});
