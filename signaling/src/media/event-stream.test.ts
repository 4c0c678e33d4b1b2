import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decodeNg, encodeNg, NG_LIMITS, type NgDictionary, utf8 } from '@offhook/core';
import { nodeCrypto } from '@offhook/core/node';
import { MediaClient, type MediaClientCommand } from './index.ts';

const PONG = {
  result: 'pong',
  'offhook-verbs': ['echo', 'events'],
  'offhook-instance': 'one',
  'offhook-tcp-port': 7000,
};

/** A client, its pings answered by `pong` once a second for as long as asked. */
function setup(relays = 1) {
  const client = new MediaClient({ crypto: nodeCrypto, relays, nowMs: 0 });
  const pongs: NgDictionary[] = Array.from({ length: relays }, () => PONG);
  let cookie = '';
  let nowMs = 0;
  const drain = () => {
    const rest: MediaClientCommand[] = [];
    for (let c = client.poll(); c; c = client.poll()) {
      if (c.kind === 'send') {
        const asked = decodeNg(c.bytes)!;
        const answer = asked.message.command === 'ping' ? pongs[c.relay]! : { result: 'ok' };
        client.handleDatagram(encodeNg(asked.cookie, answer, 'bencode'), c.relay, nowMs);
      } else if (c.kind === 'stream' && c.command.kind === 'write') {
        const asked = decodeNg(c.command.bytes)!;
        cookie = asked.cookie;
        assert.deepEqual({ ...asked.message }, { command: 'events', kinds: ['key-frame'] });
        rest.push(c);
      } else if (c.kind !== 'result') rest.push(c);
    }
    return rest;
  };
  const said = () => drain().map((c) => (c.kind === 'stream' ? `${c.relay} ${c.command.kind}` : c.kind));
  /** What happens of itself in that time, each with its second. */
  const pass = (ms: number) => {
    const seen: string[] = [];
    for (const until = nowMs + ms; nowMs < until; ) {
      nowMs = Math.min(until, client.nextTimeout() ?? until);
      client.handleTimeout(nowMs);
      for (const what of said()) seen.push(`${nowMs / 1000} ${what}`);
    }
    return seen;
  };
  const bytes = (b: Uint8Array, relay = 0) => {
    client.handleStream(relay, { kind: 'bytes', bytes: b }, nowMs);
    return drain();
  };
  const told = (message: NgDictionary) => encodeNg(cookie, message, 'bencode');
  const opened = (relay = 0) => {
    client.handleStream(relay, { kind: 'opened' }, nowMs);
    assert.deepEqual(said(), [`${relay} write`]);
    bytes(told({ result: 'ok' }), relay);
  };
  const closed = (relay = 0) => {
    client.handleStream(relay, { kind: 'closed' }, nowMs);
    return said();
  };
  client.handleTimeout(0);
  return {
    client,
    pongs,
    said,
    pass,
    bytes,
    told,
    opened,
    closed,
    command: (m: NgDictionary) => client.command(1, m, nowMs),
  };
}

test('events are asked for of the relays that tell them over TCP, at the port of each, and never of rtpengine', () => {
  const s = setup(4);
  s.pongs[1] = { result: 'pong' };
  s.pongs[2] = { ...PONG, 'offhook-tcp-port': undefined };
  s.pongs[3] = { ...PONG, 'offhook-tcp-port': 7003 };
  const opens: unknown[] = [];
  for (let c = s.client.poll(); c; c = s.client.poll()) {
    if (c.kind === 'send') {
      const { cookie } = decodeNg(c.bytes)!;
      s.client.handleDatagram(encodeNg(cookie, s.pongs[c.relay]!, 'bencode'), c.relay, 0);
    } else opens.push(c);
  }
  assert.deepEqual(opens, [
    { kind: 'stream', relay: 0, command: { kind: 'open', port: 7000 } },
    { kind: 'stream', relay: 3, command: { kind: 'open', port: 7003 } },
  ]);
  assert.deepEqual(s.pass(3000), [], 'once');
  for (const port of [0, 65_536, 1.5, -1, '7000']) {
    const other = setup();
    other.pongs[0] = { ...PONG, 'offhook-tcp-port': port };
    assert.deepEqual(other.said(), [], `port ${port}`);
  }
});

test('an event of a call is told where that call is; those of others, and other events, are not', () => {
  const s = setup(2);
  s.said();
  s.command({ command: 'offer', 'call-id': 'c' });
  s.said();
  const home = s.client.relayOf('c')!;
  s.opened(home);
  const event = { event: 'key-frame', 'call-id': 'c', tag: 't' };
  assert.deepEqual(s.bytes(s.told(event), home), [{ kind: 'key-frame', callId: 'c', tag: 't' }]);
  assert.deepEqual(s.bytes(s.told({ ...event, 'call-id': 'of Kamailio' }), home), []);
  assert.deepEqual(s.bytes(s.told({ ...event, event: 'dtmf' }), home), []);
  assert.deepEqual(s.bytes(s.told({ ...event, tag: undefined }), home), []);
  s.opened(1 - home);
  assert.deepEqual(s.bytes(s.told(event), 1 - home), [], 'the call is not there');
  assert.deepEqual([s.client.counters.events, s.client.counters.strayEvents], [5, 2]);
});

test('events come whole, however the stream is cut; the answer may come after the first of them', () => {
  const s = setup();
  s.said();
  s.command({ command: 'offer', 'call-id': 'c' });
  s.said();
  s.client.handleStream(0, { kind: 'opened' }, 0);
  s.said();
  const event = s.told({ event: 'key-frame', 'call-id': 'c', tag: 't' });
  const all = Buffer.concat([event, s.told({ result: 'ok' }), event, event]);
  let seen = 0;
  for (const byte of all) seen += s.bytes(Uint8Array.of(byte)).length;
  assert.equal(seen, 3);
});

test('a connection that fails is tried again with a pong: after 1 s, doubled up to 30 s, and from 1 s on once it was good', () => {
  const s = setup();
  assert.deepEqual(s.said(), ['0 open']);
  const opens: number[] = [];
  s.closed();
  for (let second = 1; second <= 130; second++) {
    const seen = s.pass(1000);
    if (seen.length === 0) continue;
    assert.deepEqual(seen, [`${second} 0 open`]);
    opens.push(second);
    s.closed();
  }
  assert.deepEqual(opens, [1, 3, 7, 15, 31, 61, 91, 121]);
  assert.deepEqual(s.pass(21_000), ['151 0 open']);
  s.opened();
  assert.deepEqual(s.pass(20_000), []);
  s.closed();
  assert.deepEqual(s.pass(1000), ['172 0 open']);
  assert.deepEqual([s.client.counters.eventStreams, s.client.counters.eventStreamsLost], [1, 1]);
});

test('another process is tried at once, whatever the one before did', () => {
  const s = setup();
  s.said();
  s.closed();
  for (const second of [1, 3, 7]) {
    assert.deepEqual(s.pass(second === 1 ? 1000 : second === 3 ? 2000 : 4000), [`${second} 0 open`]);
    s.closed();
  }
  s.pongs[0] = { ...PONG, 'offhook-instance': 'two', 'offhook-tcp-port': 7001 };
  assert.deepEqual(s.pass(1000), ['8 0 open']);
});

test('a connection that does not open or is not answered within 5 s is closed; one of another process as well', () => {
  const s = setup();
  assert.deepEqual(s.said(), ['0 open']);
  assert.deepEqual(s.pass(6000), ['5 0 close', '6 0 open']);
  s.client.handleStream(0, { kind: 'opened' }, 6000);
  assert.deepEqual(s.said(), ['0 write']);
  assert.deepEqual(s.pass(7000), ['11 0 close', '13 0 open']);
  s.opened();
  s.pongs[0] = { ...PONG, 'offhook-instance': 'two', 'offhook-tcp-port': 7001 };
  assert.deepEqual(s.pass(3000), ['14 0 close', '15 0 open']);
  s.opened();
  s.pongs[0] = { result: 'pong' };
  assert.deepEqual(s.pass(9000), ['17 0 close'], 'rtpengine is there now');
});

test('what is no message, a message for nobody, one without end and a refusal end the connection', () => {
  const long = `x d1:a${NG_LIMITS.bytes}:${'a'.repeat(NG_LIMITS.bytes)}e`;
  for (const bad of [utf8('GET / HTTP/1.1\r\n'), utf8('other d6:result2:oke'), utf8(long), 'refusal'] as const) {
    const s = setup();
    s.said();
    s.client.handleStream(0, { kind: 'opened' }, 0);
    s.said();
    const refusal = s.told({ result: 'error', 'error-reason': 'no' });
    assert.deepEqual(
      s.bytes(typeof bad === 'string' ? refusal : bad),
      [{ kind: 'stream', relay: 0, command: { kind: 'close' } }],
      String(bad).slice(0, 20),
    );
    assert.deepEqual(s.bytes(s.told({ event: 'key-frame', 'call-id': 'c', tag: 't' })), [], 'nothing more is read');
    assert.deepEqual(s.pass(1000), ['1 0 open']);
  }
});
