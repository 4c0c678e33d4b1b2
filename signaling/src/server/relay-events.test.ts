import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { test } from 'node:test';
import { answerChallenge, createResponse, parseChallenge, type SipMessage } from '@offhook/core';
import { nodeCrypto } from '@offhook/core/node';
import { relayStreams, type StreamInput } from '../media/index.ts';
import { SDP, startRelay } from './testkit/relay.ts';
import { DOMAIN, PASSWORD, startServer } from './testkit/running.ts';
import { SipClient } from './testkit/sip-client.ts';

const contact = (user: string) => [['Contact', `<sip:${user}@127.0.0.1>`]] as const;

/** A call to bob by alice, who proves her password. */
async function call(alice: SipClient): Promise<SipMessage> {
  const uri = `sip:bob@${DOMAIN}`;
  const first = await alice.request('INVITE', 'alice', contact('alice'), { uri, body: SDP });
  const challenge = parseChallenge(first.header('www-authenticate') ?? '')!;
  const how = { challenge, username: 'alice', password: PASSWORD, method: 'INVITE', uri };
  const headers = [...contact('alice'), ['Authorization', answerChallenge(how, nodeCrypto)!] as const];
  return alice.request('INVITE', 'alice', headers, { uri, body: SDP });
}

test('a relay’s wish reaches the phone as INFO; its connection is made anew when it was lost, and goes with the server', async () => {
  await using relay = await startRelay({ tellsEvents: true });
  const server = await startServer({ relay: relay.address });
  let isStopped = false;
  const stop = async () => {
    if (!isStopped) await server[Symbol.asyncDispose]();
    isStopped = true;
  };
  try {
    const first = await relay.subscriber();
    assert.deepEqual([first.asked.command, first.asked.kinds], ['events', ['key-frame']]);
    first.end();
    const second = await relay.subscriber();

    await using alice = await SipClient.tcp(server.ports.tcp!);
    await using bob = await SipClient.tcp(server.ports.tcp!);
    const info = new Promise<SipMessage>((resolve) => {
      bob.answer = (request) => {
        if (request.method === 'INFO') resolve(request);
        return createResponse(request, 200, undefined, {
          toTag: 'b',
          headers: contact('bob'),
          body: request.method === 'INVITE' ? { type: 'application/sdp', bytes: SDP } : undefined,
        });
      };
    });
    assert.equal((await bob.register({ user: 'bob', password: PASSWORD, contact: '<sip:bob@127.0.0.1>' })).status, 200);
    assert.equal((await call(alice)).status, 200);
    const answer = relay.told.find((message) => message.command === 'answer')!;
    second.tell({ event: 'key-frame', 'call-id': answer['call-id'], tag: answer['to-tag'] });
    const { contentType, bodyText } = await info;
    assert.equal(contentType, 'application/media_control+xml');
    assert.match(bodyText, /picture_fast_update/);

    await stop();
    await second.closed;
  } finally {
    await stop();
  }
});

test('where nobody listens, or whoever does ends the connection, it is said once, and again when it was good meanwhile', async () => {
  let isGood = false;
  const server = createServer((socket) => {
    if (isGood) socket.end('x');
    else socket.destroy();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const words: string[] = [];
  const inputs: StreamInput['kind'][] = [];
  let wake = () => {};
  const streams = relayStreams([{ address: '127.0.0.1', port: 2223 }], {
    onInput: (relay, { kind }) => {
      assert.equal(relay, 0);
      inputs.push(kind);
      if (kind === 'closed') wake();
    },
    onTrouble: (said) => words.push(said),
  });
  const attempt = async () => {
    inputs.length = 0;
    const closed = new Promise<void>((resolve) => {
      wake = resolve;
    });
    streams.carryOut(0, { kind: 'open', port });
    await closed;
    return inputs.join(' ');
  };
  assert.equal(await attempt(), 'opened closed');
  assert.equal(await attempt(), 'opened closed');
  isGood = true;
  assert.equal(await attempt(), 'opened bytes closed');
  await new Promise((resolve) => server.close(resolve));
  assert.equal(await attempt(), 'closed');
  assert.equal(await attempt(), 'closed');
  const where = `the media relay’s events can’t be had from 127.0.0.1, TCP port ${port}`;
  assert.deepEqual(words, [`${where}: it ends the connection`, `${where}: ECONNREFUSED`]);
});

test('what was closed, or is followed by another, tells nothing more; after the end nothing is opened', async () => {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const inputs: string[] = [];
  let wake = () => {};
  const streams = relayStreams([{ address: '127.0.0.1', port: 2223 }], {
    onInput: (_relay, { kind }) => {
      inputs.push(kind);
      wake();
    },
    onTrouble: (words) => inputs.push(words),
  });
  /** Their ends, as the other side sees them. */
  const ends: Promise<unknown>[] = [];
  server.on('connection', (socket) => ends.push(once(socket.on('error', () => {}).resume(), 'close')));
  const open = async () => {
    const opened = new Promise<void>((resolve) => {
      wake = resolve;
    });
    const accepted = once(server, 'connection');
    streams.carryOut(0, { kind: 'open', port });
    await Promise.all([opened, accepted]);
  };
  await open();
  await open();
  await ends[0];
  streams.close();
  streams.carryOut(0, { kind: 'open', port });
  streams.carryOut(0, { kind: 'write', bytes: Uint8Array.of(1) });
  await ends[1];
  await new Promise((resolve) => server.close(resolve));
  assert.deepEqual([inputs, ends.length], [['opened', 'opened'], 2]);
});
