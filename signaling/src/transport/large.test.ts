import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';
import { type TestContext, test } from 'node:test';
import { createRequest, createResponse, parseSip, SipMessage, StreamFramer } from '@offhook/core';
import type { Flow } from '../transaction/index.ts';
import { listenUdp, TransportHub } from './index.ts';

/** A phone registered over UDP whose TCP port, the same, is open or not, and the server's side of it. */
async function phone(
  t: TestContext,
  tcp: 'answers' | 'swallows' | 'closed',
  who: 'flowTo' | 'flowToServer' = 'flowTo',
) {
  const waiting: (() => void)[] = [];
  const wake = () => {
    for (const one of waiting.splice(0)) one();
  };
  const got: { over: 'udp' | 'tcp'; message: SipMessage }[] = [];
  const answers: { status: number; flow: Flow }[] = [];
  const note = (over: 'udp' | 'tcp', bytes: Uint8Array): SipMessage => {
    const message = parseSip(bytes);
    assert.ok(message instanceof SipMessage);
    got.push({ over, message });
    wake();
    return message;
  };
  const udp = createSocket('udp4');
  udp.bind(0, '127.0.0.1');
  await once(udp, 'listening');
  udp.on('message', (bytes) => note('udp', bytes));
  const { port } = udp.address();
  const connections = new Set<Socket>();
  const server = createServer((socket) => {
    connections.add(socket);
    socket.on('error', () => {});
    const framer = new StreamFramer();
    socket.on('data', (chunk) => {
      framer.push(chunk);
      for (let next = framer.next(); next instanceof Uint8Array; next = framer.next()) {
        const message = note('tcp', next);
        if (tcp === 'answers' && message.method !== 'ACK')
          socket.write(createResponse(message, 200, undefined, { toTag: 'p' }).serialize());
      }
    });
  });
  if (tcp !== 'closed') {
    server.listen(port, '127.0.0.1');
    await once(server, 'listening');
  }
  const hub = new TransportHub({
    onMessage: (message, flow) => {
      answers.push({ status: message.status, flow });
      wake();
    },
    onFlowClosed: wake,
    mayAnswer: () => true,
  });
  const listener = await listenUdp(hub, { address: '127.0.0.1', port: 0 });
  const flow = listener[who]!({ address: '127.0.0.1', port });
  t.after(async () => {
    hub.close();
    await listener.close();
    udp.close();
    for (const socket of connections) socket.destroy();
    if (tcp !== 'closed') server.close();
    while (hub.connections > 0) await new Promise<void>((resolve) => waiting.push(resolve));
  });
  let sent = 0;
  const send = (method: string, o: { length?: number; branch?: string; contact?: string } = {}) => {
    const message = createRequest({
      method,
      uri: o.contact ?? `sip:desk@127.0.0.1:${port}`,
      from: '<sip:a@b>;tag=1',
      to: '<sip:desk@b>',
      callId: 'c',
      cseq: 1,
      body: o.length === undefined ? undefined : { type: 'text/plain', bytes: 'x'.repeat(o.length) },
    });
    const branch = o.branch ?? `z9hG4bK${++sent}`;
    hub.send(flow, message.prepend('via', `SIP/2.0/UDP 127.0.0.1:5060;branch=${branch};rport`).serialize());
  };
  const until = async (condition: () => boolean) => {
    while (!condition()) await new Promise<void>((resolve) => waiting.push(resolve));
  };
  const ways = () => got.map(({ over, message }) => `${message.method} ${over} ${message.vias[0]?.transport}`);
  return { hub, flow, send, until, got, answers, ways };
}

test('a request above 1,300 bytes goes by TCP, its Via says so, and its answer belongs to the flow over UDP', async (t) => {
  const { hub, flow, send, until, got, answers, ways } = await phone(t, 'answers');
  send('MESSAGE', { length: 500 });
  await until(() => got.length === 1);
  send('INVITE', { length: 1300, branch: 'z9hG4bKlarge' });
  await until(() => answers.length === 1);
  assert.deepEqual(answers[0], { status: 200, flow });
  send('INVITE', { length: 1300, branch: 'z9hG4bKlarge' });
  send('ACK', { branch: 'z9hG4bKlarge' });
  send('BYE');
  send('MESSAGE', { length: 2000 });
  await until(() => answers.length === 2 && got.length === 5);
  const expected = ['MESSAGE udp UDP', 'INVITE tcp TCP', 'ACK tcp TCP', 'BYE udp UDP', 'MESSAGE tcp TCP'];
  assert.deepEqual(ways().sort(), expected.sort(), 'no repeat on a stream; a transaction stays on its way');
  assert.equal(hub.connections, 1);
});

test('without TCP there it goes by UDP at once, and the next one is not tried', async (t) => {
  const { hub, send, until, got, ways } = await phone(t, 'closed');
  for (let i = 1; i <= 2; i++) {
    send('INVITE', { length: 1400 });
    await until(() => got.length === i);
  }
  assert.deepEqual(ways(), ['INVITE udp UDP', 'INVITE udp UDP']);
  assert.equal(hub.counters.sendErrors, 0);
});

test('a phone behind a NAT, whose contact is elsewhere, is not tried', async (t) => {
  const { hub, send, until, got, ways } = await phone(t, 'answers');
  send('INVITE', { length: 1400, contact: 'sip:desk@192.168.1.7:5060' });
  await until(() => got.length === 1);
  assert.deepEqual(ways(), ['INVITE udp UDP']);
  assert.equal(hub.connections, 0);
});

test('a connection that swallows a request is given up: its third repeat goes by UDP', async (t) => {
  const { send, until, got, ways } = await phone(t, 'swallows');
  const again = () => send('INVITE', { length: 1400, branch: 'z9hG4bKsame' });
  again();
  await until(() => got.length === 1);
  for (let repeat = 1; repeat <= 3; repeat++) again();
  await until(() => got.length === 2);
  assert.deepEqual(ways(), ['INVITE tcp TCP', 'INVITE udp UDP']);
});

test('another server is asked by TCP whomever the request is for, and by UDP when it listens there alone', async (t) => {
  for (const [tcp, over] of [
    ['answers', 'INVITE tcp TCP'],
    ['closed', 'INVITE udp UDP'],
  ] as const) {
    const { send, until, got, ways } = await phone(t, tcp, 'flowToServer');
    send('INVITE', { length: 1400, contact: 'sip:+4930123@provider.example' });
    await until(() => got.length === 1);
    assert.deepEqual(ways(), [over]);
  }
});
