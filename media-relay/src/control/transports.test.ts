import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { encodeNg, NG_LIMITS, utf8 } from '@offhook/core';
import { Peer, plainSdp } from '../test-kit.ts';
import { ANY_PORTS } from '../test-relay.ts';
import { type MediaPart, startMediaRelay } from '../worker.ts';
import { MAX_CONNECTIONS } from './connection.ts';
import { tcpClient, webSocketClient } from './stream-clients.ts';

let relay: MediaPart;

const SETTINGS = {
  ...ANY_PORTS,
  ng: { address: '127.0.0.1', port: 0, tcpPort: 0, webSocketPort: 0, allowedOrigins: ['https://ops.example'] },
};

before(async () => {
  relay = await startMediaRelay(SETTINGS);
});

after(() => relay.stop());

const open = (over: 'TCP' | 'WebSocket') =>
  over === 'TCP' ? tcpClient(relay.ports.ngTcp!) : webSocketClient(relay.ports.ngWebSocket!);
const count = (event: string) => relay.metrics()[`offhook_media_ng_total{event="${event}"}`]!;

for (const over of ['TCP', 'WebSocket'] as const) {
  test(`${over}: a call in bencode and JSON, and the verbs that ping announces`, async () => {
    const client = await open(over);
    const phone = await Peer.open();
    for (const encoding of ['bencode', 'json'] as const) {
      const pong = await client.ask({ command: 'ping' }, encoding);
      assert.deepEqual([pong.result, pong['offhook-verbs']], ['pong', ['echo', 'connect', 'events', 'key-frame']]);
      assert.equal(pong['offhook-tcp-port'], relay.ports.ngTcp, 'where events can be had');
      const call = { 'call-id': `${over}-${encoding}`, 'from-tag': 'a' };
      const offered = await client.ask({ command: 'offer', ...call, sdp: plainSdp(phone) }, encoding);
      assert.match(String(offered.sdp), /^m=audio \d+ RTP\/AVP 0 101\r$/m);
      assert.equal((await client.ask({ command: 'delete', ...call }, encoding)).result, 'ok');
    }
    await phone.close();
    await client.close();
  });

  test(`${over}: a repeated cookie is answered from the cache, and only to the client that it is of`, async () => {
    const [client, other] = [await open(over), await open(over)];
    const phone = await Peer.open();
    const offer = encodeNg(
      'same',
      { command: 'offer', 'call-id': 'again', 'from-tag': 'a', sdp: plainSdp(phone) },
      'bencode',
    );
    const [requests, repeated] = [count('requests'), count('repeated')];
    client.raw(offer);
    const first = await client.next();
    client.raw(offer);
    assert.deepEqual(await client.next(), first);
    assert.deepEqual([count('requests') - requests, count('repeated') - repeated], [1, 1]);
    other.raw(encodeNg('same', { command: 'ping' }, 'bencode'));
    assert.equal((await other.next()).message.result, 'pong');
    await client.ask({ command: 'delete', 'call-id': 'again' });
    await Promise.all([client.close(), other.close(), phone.close()]);
  });

  test(`${over}: what is no message is answered, and ends the connection and no other`, async () => {
    const [client, other] = [await open(over), await open(over)];
    const malformed = count('malformed');
    client.raw(encodeNg('good', { command: 'ping' }, 'json'));
    client.raw('bad {"command":}');
    assert.equal((await client.next()).cookie, 'good');
    const { cookie, message } = await client.next();
    assert.deepEqual(
      [cookie, message.result, message['error-reason']],
      ['bad', 'error', 'Failed to parse JSON document'],
    );
    await client.closed;
    assert.equal(count('malformed'), malformed + 1);
    const silent = await open(over);
    silent.raw('\u0001nonsense');
    await silent.closed;
    assert.equal((await other.ask({ command: 'ping' })).result, 'pong');
    await other.close();
  });

  test(`${over}: many requests at once are all answered, in order`, async () => {
    const client = await open(over);
    const total = 500;
    if (over === 'TCP') {
      const all = Array.from({ length: total }, (_, i) =>
        Buffer.from(encodeNg(`p${i}`, { command: 'ping' }, 'bencode')),
      );
      client.raw(Buffer.concat(all));
    } else for (let i = 0; i < total; i++) client.raw(encodeNg(`p${i}`, { command: 'ping' }, 'bencode'));
    for (let i = 0; i < total; i++) assert.equal((await client.next()).cookie, `p${i}`);
    await client.close();
  });

  test(`${over}: at the limit of connections the next one is refused, and one that leaves makes room`, async () => {
    const clients = await Promise.all(Array.from({ length: MAX_CONNECTIONS }, () => open(over)));
    await Promise.all(clients.map((client) => client.ask({ command: 'ping' })));
    if (over === 'TCP') await (await open(over)).closed;
    else await assert.rejects(open(over), /503/);
    await clients[0]!.close();
    const next = await open(over);
    assert.equal((await next.ask({ command: 'ping' })).result, 'pong');
    await Promise.all([next, ...clients.slice(1)].map((client) => client.close()));
  });
}

test('TCP: a message in pieces and two in one piece', async () => {
  const client = await tcpClient(relay.ports.ngTcp!);
  client.raw('one d7:comm');
  await new Promise((resolve) => setImmediate(resolve));
  client.raw('and4:pingetwo {"command":');
  client.raw('"ping"}three d7:command4:pinge');
  for (const cookie of ['one', 'two', 'three']) assert.equal((await client.next()).cookie, cookie);
  await client.close();
});

test('TCP: what no message begins with is answered where its beginning is known', async () => {
  const rows: [string, string, string][] = [
    ['one d7:command4:pinge\r\ntwo what', 'two', 'Invalid NG data format'],
    ['three d7:command99999:', 'three', 'Could not decode bencode dictionary'],
  ];
  for (const [bytes, cookie, reason] of rows) {
    const client = await tcpClient(relay.ports.ngTcp!);
    client.raw(bytes);
    let last = await client.next();
    if (last.cookie === 'one') last = await client.next();
    assert.deepEqual([last.cookie, last.message['error-reason']], [cookie, reason]);
    await client.closed;
  }
});

test('UDP: what is no message is answered in at most 103 bytes where it has a cookie; an answer never is', async () => {
  const peer = await Peer.open();
  const ask = async (bytes: string, waitMs = 2000) => {
    peer.send(utf8(bytes), { address: '127.0.0.1', port: relay.ports.ng! });
    const answer = await peer.next(waitMs);
    return answer && Buffer.from(answer).toString();
  };
  const bencoded = (cookie: string, reason: string) =>
    `${cookie} d12:error-reason${reason.length}:${reason}6:result5:errore`;
  const malformed = count('malformed');
  assert.equal(await ask('abc {bad'), 'abc {"result":"error","error-reason":"Failed to parse JSON document"}');
  assert.equal(await ask('q2 d7:commande'), bencoded('q2', 'Could not decode bencode dictionary'));
  assert.equal(await ask('q3 i5e'), bencoded('q3', 'Invalid NG data format'));
  assert.equal((await ask(`${'c'.repeat(32)} dx${'y'.repeat(60_000)}`))!.length, 103);
  for (const silent of [
    'hello',
    `${'c'.repeat(33)} d`,
    'c\u0000d d',
    '',
    'a d6:result4:ponge',
    'b {"result":"error"}',
  ]) {
    assert.equal(await ask(silent, 100), undefined, silent);
  }
  assert.equal(count('malformed') - malformed, 10);
  await peer.close();
});

test('TCP: those who connect and ask nothing keep nobody out', async () => {
  const silent = [];
  for (let i = 0; i < MAX_CONNECTIONS; i++) silent.push(await tcpClient(relay.ports.ngTcp!));
  silent[1]!.raw('c1 d7:command'); // nor does the beginning of a request
  const clients = [await tcpClient(relay.ports.ngTcp!), await tcpClient(relay.ports.ngTcp!)];
  for (const client of clients) assert.equal((await client.ask({ command: 'ping' })).result, 'pong');
  await Promise.all([silent[0]!.closed, silent[1]!.closed]);
  await Promise.all([...clients, ...silent.slice(2)].map((client) => client.close()));
});

test('a web page commands nobody over TCP: a request of HTTP is no message, and ends the connection before its body', async () => {
  const body = encodeNg('c1', { command: 'ping' }, 'bencode');
  for (const first of ['POST / HTTP/1.1', 'OPTIONS * HTTP/1.1', 'PRI * HTTP/2.0']) {
    const client = await tcpClient(relay.ports.ngTcp!);
    const requests = count('requests');
    client.raw(`${first}\r\nHost: 127.0.0.1\r\nContent-Length: ${body.length}\r\n\r\n`);
    client.raw(body);
    await client.closed;
    assert.equal(count('requests'), requests, first);
  }
});

test('a message longer than the limit is refused over each', async () => {
  const long = utf8(`c d1:a${NG_LIMITS.bytes}:${'x'.repeat(NG_LIMITS.bytes)}e`);
  const tcp = await tcpClient(relay.ports.ngTcp!);
  tcp.raw(long);
  await tcp.closed;
  const ws = await webSocketClient(relay.ports.ngWebSocket!);
  ws.raw(long);
  assert.equal(await ws.closed, 1009);
});

test('WebSocket: pages of elsewhere, other subprotocols and paths are refused', async () => {
  const port = relay.ports.ngWebSocket!;
  const refused = count('refusedClients');
  await assert.rejects(webSocketClient(port, { origin: 'https://evil.example' }), /403/);
  await assert.rejects(webSocketClient(port, { origin: 'null' }), /403/);
  await assert.rejects(webSocketClient(port, { origin: `http://127.0.0.1:${port}` }), /403/);
  assert.equal(count('refusedClients') - refused, 3);
  await assert.rejects(webSocketClient(port, { protocol: 'sip' }), /400/);
  await assert.rejects(webSocketClient(port, { path: '/cli' }), /404/);
  const ops = await webSocketClient(port, { origin: 'https://ops.example', path: '/' });
  assert.equal(ops.socket.protocol, 'ng.rtpengine.com');
  await ops.close();
  assert.equal((await fetch(`http://127.0.0.1:${port}/ng`)).status, 426);
});

test('clients that are not allowed get nothing over any transport', async () => {
  const closed = await startMediaRelay({ ...SETTINGS, ng: { ...SETTINGS.ng, allowedClients: ['192.0.2.1'] } });
  await (await tcpClient(closed.ports.ngTcp!)).closed;
  await assert.rejects(webSocketClient(closed.ports.ngWebSocket!), /403/);
  assert.equal(closed.metrics()['offhook_media_ng_total{event="refusedClients"}'], 2);
  await closed.stop();
});

test('without those ports there is UDP alone; at the end connections are closed', async () => {
  const plain = await startMediaRelay({ ...SETTINGS, ng: { address: '127.0.0.1', port: 0 } });
  assert.deepEqual(Object.keys(plain.ports).sort(), ['mux', 'ng']);
  await plain.stop();
  const stopped = await startMediaRelay(SETTINGS);
  const clients = [await tcpClient(stopped.ports.ngTcp!), await webSocketClient(stopped.ports.ngWebSocket!)];
  clients[0]!.raw(encodeNg('last', { command: 'ping' }, 'bencode'));
  assert.equal((await clients[0]!.next()).cookie, 'last');
  await stopped.stop();
  await Promise.all(clients.map((client) => client.closed));
});

test('a control port that somebody has: the next one, or with fixed ports an error', async () => {
  const taken = await Peer.open();
  const { port } = taken.socket.address();
  const ng = { address: '127.0.0.1', port };
  const near = await startMediaRelay({ ...SETTINGS, ng });
  assert.ok(near.ports.ng! > port, `${near.ports.ng}`);
  await near.stop();
  await assert.rejects(startMediaRelay({ ...SETTINGS, ng: { ...ng, fixedPorts: true } }), { code: 'EADDRINUSE' });
  await taken.close();
});

test('the admin verb tells the call-ids that are here, from one on', async () => {
  const client = await open('TCP');
  const phone = await Peer.open();
  const ids = ['k1', 'k2', 'k3'];
  for (const id of ids)
    await client.ask({ command: 'offer', 'call-id': id, 'from-tag': 'a', sdp: plainSdp(phone) }, 'json');
  const { calls } = relay.verbs!;
  assert.deepEqual(
    [{}, { from: 2 }, { from: 3 }].map((args) => calls!(args)),
    [ids, ['k3'], []],
  );
  assert.throws(() => calls!({ from: 'k1' }), /from: a number/);
  for (const id of ids) await client.ask({ command: 'delete', 'call-id': id });
  await phone.close();
  await client.close();
});
