import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { NgDictionary } from '@offhook/core';
import { mediaAt, type NgClient, Peer, plainSdp, rtp } from '../test-kit.ts';
import { TestRelay } from '../test-relay.ts';
import { REFUSED } from './refused.ts';
import { type StreamClient, tcpClient, webSocketClient } from './stream-clients.ts';

let relay: TestRelay;
let ng: NgClient;
let a: Peer;
let b: Peer;

before(async () => {
  relay = await TestRelay.start({ ng: { address: '127.0.0.1', port: 0, tcpPort: 0, webSocketPort: 0 } });
  ng = relay.ng;
  a = await Peer.open();
  b = await Peer.open();
});

after(async () => {
  await Promise.all([a.close(), b.close()]);
  await relay.stop();
});

const EVENTS = ['a=rtpmap:101 telephone-event/8000'];
/** Where each of them sends to. */
async function callUp(callId: string): Promise<{ fromA: { address: string; port: number }; fromB: typeof a.at }> {
  const call = { 'call-id': callId, 'from-tag': 'A' };
  const toB = await ng.sdp({ command: 'offer', ...call, label: 'caller', sdp: plainSdp(a, EVENTS) });
  const toA = await ng.sdp({
    command: 'answer',
    ...call,
    'to-tag': 'B',
    label: 'callee',
    sdp: plainSdp(b, EVENTS),
  });
  return { fromA: mediaAt(toA), fromB: mediaAt(toB) };
}
const end = (callId: string) => relay.hangUp(callId);
let sequence = 0;
const voice = () => rtp({ ssrc: 1, sequence: ++sequence });
/** An RFC 4733 packet of a key: event, end bit, volume, duration. */
function key(event: number, timestamp: number): Uint8Array {
  const packet = rtp({ ssrc: 1, sequence: ++sequence, timestamp, payloadType: 101, length: 4 });
  packet.set([event, 0x0a, 0, 160], 12);
  return packet;
}
const payloadTypeOf = (packet: Uint8Array | undefined) => packet && packet[1]! & 127;

test('every command that needs sound is refused with a sentence that says what is missing', async () => {
  for (const [command, reason] of REFUSED) {
    const answer = await ng.call({ command, 'call-id': 'none', 'from-tag': 'A', file: '/tmp/x.wav' });
    assert.deepEqual([answer.result, answer['error-reason']], ['error', `${command}: ${reason}`]);
    assert.ok(reason.length > 40, command);
  }
});

test('block media stops what one peer sends, all but its keys; unblock lets it pass again', async () => {
  const { fromA, fromB } = await callUp('block');
  const block = async (command: string, more: NgDictionary = {}) => {
    const answer = await ng.call({ command, 'call-id': 'block', ...more });
    assert.equal(answer.result, 'ok', String(answer['error-reason']));
  };
  const passes = async (packet: Uint8Array) => {
    a.send(packet, fromA);
    return payloadTypeOf(await b.next(150));
  };
  assert.equal(await passes(voice()), 0);
  for (const chosen of [{ 'from-tag': 'A' }, { label: 'caller' }]) {
    await block('block media', chosen);
    assert.equal(await passes(voice()), undefined);
    assert.equal(await passes(key(1, sequence)), 101, 'keys pass');
    b.send(voice(), fromB);
    assert.equal(payloadTypeOf(await a.next()), 0, 'the other direction goes on');
    await block('unblock media', chosen);
    assert.equal(await passes(voice()), 0);
  }
  // The whole call, and one of its peers apart: as rtpengine, each has its own undoing, and `all` undoes both.
  await block('block media');
  await block('block media', { address: '127.0.0.1' });
  await block('unblock media');
  assert.equal(await passes(voice()), undefined);
  await block('unblock media', { flags: ['all'] });
  assert.equal(await passes(voice()), 0);
  await end('block');
});

test('block DTMF drops keys alone, and a new description keeps it', async () => {
  const { fromA } = await callUp('keys');
  const passes = async (packet: Uint8Array) => {
    a.send(packet, fromA);
    return payloadTypeOf(await b.next(150));
  };
  assert.equal(await passes(voice()), 0);
  assert.equal((await ng.call({ command: 'block DTMF', 'call-id': 'keys', 'from-tag': 'A' })).result, 'ok');
  assert.equal(await passes(key(2, 1600)), undefined);
  assert.equal(await passes(voice()), 0);
  await callUp('keys');
  assert.equal(await passes(key(2, 3200)), undefined);
  const told = await ng.call({ command: 'statistics' });
  assert.ok(Number((told.statistics as { dropped: NgDictionary }).dropped.blocked) >= 2);
  const silenced = { command: 'block DTMF', 'call-id': 'keys', 'from-tag': 'A', 'DTMF-security': 'silence' };
  assert.match(String((await ng.call(silenced)).warning), /^DTMF-security: keys are dropped/);
  await ng.call({ command: 'unblock DTMF', 'call-id': 'keys', 'from-tag': 'A' });
  assert.equal(await passes(key(2, 4800)), 101);
  await end('keys');
});

test('blocking asks for a call and a peer that are there', async () => {
  await callUp('there');
  const reasons = [
    [{ 'call-id': 'elsewhere' }, 'Unknown call-id'],
    [{ 'call-id': 'there', 'from-tag': 'Z' }, 'From-tag given, but no such tag exists'],
    [{ 'call-id': 'there', label: 'nobody' }, 'no peer of this call has that label or address'],
    [
      { 'call-id': 'there', 'from-tag': 'A', 'to-tag': 'B' },
      "a flow to one peer can't be blocked apart: leave to-tag and to-label away",
    ],
  ] as const;
  for (const [message, reason] of reasons) {
    const answer = await ng.call({ command: 'block media', ...message });
    assert.equal(answer['error-reason'], reason);
  }
  await end('there');
});

for (const over of ['TCP', 'WebSocket'] as const) {
  test(`events over ${over}: keys pressed and the end of a call, in the cookie and encoding of the request`, async () => {
    const client: StreamClient =
      over === 'TCP' ? await tcpClient(relay.ports.ngTcp!) : await webSocketClient(relay.ports.ngWebSocket!);
    const subscribed = await client.ask(
      { command: 'events', 'call-id': ['ev'], kinds: ['dtmf', 'ended'], digits: 1 },
      'json',
    );
    assert.deepEqual([subscribed.result, subscribed.kinds], ['ok', ['ended', 'dtmf']]);
    const { fromA } = await callUp('ev');
    for (let i = 0; i < 3; i++) a.send(key(5, 8000), fromA); // one press, sent three times
    a.send(key(11, 9000), fromA);
    for (const [digit, count] of [
      ['5', 1],
      ['#', 2],
    ]) {
      const event = await client.next();
      assert.equal(event.cookie, 's1');
      assert.deepEqual({ ...event.message }, { event: 'dtmf', 'call-id': 'ev', tag: 'A', count, digit });
    }
    await end('ev');
    assert.deepEqual({ ...(await client.next()).message }, { event: 'ended', 'call-id': 'ev', reason: 'deleted' });
    // An empty list ends it.
    assert.equal((await client.ask({ command: 'events', kinds: [] })).result, 'ok');
    await callUp('ev');
    await end('ev');
    assert.equal((await client.ask({ command: 'ping' })).result, 'pong', 'nothing came between');
    while (b.waiting > 0) await b.next();
    await client.close();
  });
}

test('events: statistics come each second; a client that has gone is forgotten; UDP has none', async () => {
  const client = await tcpClient(relay.ports.ngTcp!);
  await callUp('each-second');
  await client.ask({ command: 'events', kinds: ['statistics'] });
  for (let i = 0; i < 2; i++) {
    const { message } = await client.next();
    assert.deepEqual([message.event, message['call-id']], ['statistics', 'each-second']);
    const { legs } = message.statistics as { legs: NgDictionary[] };
    assert.deepEqual([legs.length, typeof legs[0]?.packetsIn, Array.isArray(legs[0]?.medias)], [2, 'number', true]);
  }
  const subscribers = async () =>
    ((await ng.call({ command: 'statistics' })).statistics as { events: NgDictionary }).events.subscribers;
  assert.equal(await subscribers(), 1);
  await client.close();
  assert.equal(await subscribers(), 0);
  const over = await ng.call({ command: 'events' });
  assert.equal(over['error-reason'], 'events are pushed over TCP or WebSocket only');
  const other = await webSocketClient(relay.ports.ngWebSocket!);
  const wrong = await other.ask({ command: 'events', kinds: ['weather'] });
  assert.equal(wrong['error-reason'], "there are no events of the kind 'weather'");
  await other.close();
  await end('each-second');
});

test('delete: a delay, tags of a branch, and fatal', async () => {
  const offer = (branch: string) =>
    ng.sdp({ command: 'offer', 'call-id': 'd', 'from-tag': 'A', 'via-branch': branch, sdp: plainSdp(a) });
  const calls = async () => (await ng.call({ command: 'list' })).calls;
  for (const branch of ['b1', 'b2']) await offer(branch);
  const gone = await ng.call({ command: 'delete', 'call-id': 'd', 'from-tag': 'A', 'via-branch': 'b1' });
  assert.equal(gone.result, 'ok');
  assert.deepEqual([await calls(), relay.metrics().offhook_media_rtp_port_pairs], [['d'], 2]);
  await ng.sdp({
    command: 'answer',
    'call-id': 'd',
    'from-tag': 'A',
    'to-tag': 'B',
    'via-branch': 'b2',
    sdp: plainSdp(b),
  });
  const slow = await ng.call({ command: 'delete', 'call-id': 'd', 'from-tag': 'A', 'to-tag': 'B', 'delete-delay': 1 });
  assert.equal(slow.result, 'ok');
  assert.deepEqual(await calls(), ['d']);
  for (let tries = 0; ((await calls()) as string[]).length > 0; tries++) {
    assert.ok(tries < 40, 'it ends after a second');
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  const strict = { command: 'delete', 'call-id': 'd', 'from-tag': 'A' };
  assert.equal((await ng.call(strict)).warning, "Call-ID not found or tags didn't match");
  assert.equal((await ng.call({ ...strict, flags: ['fatal'] })).result, 'error');
  assert.equal((await ng.call({ ...strict, 'delete delay': 'soon' })).result, 'error');
  await end('d');
});

test('the BYE of the dialog that is heard ends the call, though another branch still rings', async () => {
  for (const branch of ['b1', 'b2']) {
    await ng.sdp({ command: 'offer', 'call-id': 'bye', 'from-tag': 'A', 'via-branch': branch, sdp: plainSdp(a) });
  }
  await ng.sdp({
    command: 'answer',
    'call-id': 'bye',
    'from-tag': 'A',
    'to-tag': 'B',
    'via-branch': 'b2',
    sdp: plainSdp(b),
  });
  await ng.call({
    command: 'delete',
    'call-id': 'bye',
    'from-tag': 'A',
    'to-tag': 'B',
    'sip-message-type': 'request',
  });
  await end('bye');
});
