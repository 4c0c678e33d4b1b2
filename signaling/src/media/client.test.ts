import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decodeNg, encodeNg, type NgDictionary } from '@offhook/core';
import { nodeCrypto } from '@offhook/core/node';
import { MediaClient, type MediaClientCommand, parseRelay } from './index.ts';

function setup(relays = 1) {
  const client = new MediaClient({ crypto: nodeCrypto, relays, nowMs: 0 });
  const drain = () => {
    const out: MediaClientCommand[] = [];
    for (let c = client.poll(); c; c = client.poll()) out.push(c);
    return out;
  };
  const sends = () => drain().flatMap((c) => (c.kind === 'send' ? [{ relay: c.relay, ...decodeNg(c.bytes)! }] : []));
  const answer = (cookie: string, message: NgDictionary, relay = 0, nowMs = 0) =>
    client.handleDatagram(encodeNg(cookie, message, 'bencode'), relay, nowMs);
  return { client, drain, sends, answer };
}

test('relays are pinged and say which of our verbs they know', () => {
  const { client, sends, answer } = setup();
  client.handleTimeout(0);
  const [ping] = sends();
  assert.equal(ping?.message.command, 'ping');
  assert.equal(client.offers('echo'), false);
  answer(ping!.cookie, { result: 'pong', 'offhook-verbs': ['echo'] });
  assert.equal(client.offers('echo'), true);
  client.handleTimeout(5000);
  assert.equal(sends().length, 1, 'the next ping');
});

test('a lost command is repeated with the same cookie; five tries in vain are a failure in words', () => {
  const { client, drain, sends, answer } = setup();
  client.command(1, { command: 'offer', 'call-id': 'c' }, 0);
  const [first] = sends();
  client.handleTimeout(500);
  const repeated = sends().filter((s) => s.message.command === 'offer');
  assert.equal(repeated[0]?.cookie, first?.cookie);
  answer(first!.cookie, { result: 'ok', sdp: 'v=0' });
  answer(first!.cookie, { result: 'ok', sdp: 'v=0' });
  const [result] = drain();
  assert.ok(result?.kind === 'result' && 'ok' in result.result && result.result.ok.sdp === 'v=0');
  assert.equal(client.counters.strayAnswers, 1);
  client.command(2, { command: 'answer', 'call-id': 'c' }, 1000);
  const results: unknown[] = [];
  for (let now = 1000; now < 5000; now += 100) {
    client.handleTimeout(now);
    for (const c of drain()) if (c.kind === 'result') results.push([now, c.result]);
  }
  assert.deepEqual(results, [[3500, { error: 'the media relay does not answer' }]]);
  client.command(3, { command: 'offer', 'call-id': 'new' }, 5000);
  const failed = drain().find((c) => c.kind === 'result');
  assert.deepEqual(failed, { kind: 'result', id: 3, result: { error: 'no media relay answers' } });
});

test('all commands of a call go to one relay, each after the one before, and nothing is kept after its delete', () => {
  const { client, drain, sends, answer } = setup(4);
  const used = new Set<number>();
  for (let i = 0; i < 40; i++) {
    client.command(1, { command: 'offer', 'call-id': `call-${i}` }, 0);
    client.command(2, { command: 'delete', 'call-id': `call-${i}` }, 0);
    const [offer, early] = sends();
    assert.equal(early, undefined, 'the delete waits: a repeated offer must not come after it');
    answer(offer!.cookie, { result: 'ok' }, offer!.relay);
    const [gone] = sends();
    assert.equal(gone?.message.command, 'delete');
    assert.equal(offer?.relay, gone?.relay);
    used.add(offer!.relay);
    answer(gone!.cookie, { result: 'ok' }, offer!.relay);
    drain();
  }
  assert.equal(used.size, 4);
  assert.equal(client.size, 0);
  assert.equal(client.calls, 0);
});

test('a call that no relay ever saw needs no delete; one whose relay is silent is let go of all the same', () => {
  const { client, drain, sends } = setup();
  client.command(1, { command: 'delete', 'call-id': 'unknown' }, 0);
  assert.deepEqual(drain(), [{ kind: 'result', id: 1, result: { ok: { result: 'ok' } } }]);
  client.command(2, { command: 'offer', 'call-id': 'c' }, 0);
  client.command(3, { command: 'delete', 'call-id': 'c' }, 0);
  for (let now = 0; now < 10_000; now += 100) client.handleTimeout(now);
  assert.equal(sends().filter((s) => s.message.command === 'delete').length, 5);
  assert.equal(client.calls, 0);
});

test('the echo goes to a relay that has one', () => {
  const { client, sends, answer } = setup(3);
  client.handleTimeout(0);
  for (const ping of sends())
    answer(
      ping.cookie,
      ping.relay === 2 ? { result: 'pong', 'offhook-verbs': ['echo'] } : { result: 'pong' },
      ping.relay,
    );
  for (let i = 0; i < 10; i++) {
    client.command(i, { command: 'echo', 'call-id': `e${i}` }, 0);
    assert.equal(sends()[0]?.relay, 2);
  }
});

test('an error of the relay comes back in its own words', () => {
  const { client, drain, sends, answer } = setup();
  client.command(1, { command: 'offer', 'call-id': 'c' }, 0);
  const [offer] = sends();
  answer(offer!.cookie, { result: 'error', 'error-reason': 'no ports left' });
  assert.deepEqual(drain(), [{ kind: 'result', id: 1, result: { error: 'no ports left' } }]);
});

test('relay addresses are read', () => {
  assert.deepEqual(parseRelay('udp:127.0.0.1:2223'), { address: '127.0.0.1', port: 2223 });
  assert.deepEqual(parseRelay('udp:[::1]:2223'), { address: '::1', port: 2223 });
  for (const bad of ['127.0.0.1:2223', 'udp:127.0.0.1', 'tcp:1.2.3.4:5', '']) assert.equal(parseRelay(bad), undefined);
});
