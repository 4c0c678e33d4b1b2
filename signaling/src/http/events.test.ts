import assert from 'node:assert/strict';
import { type ClientRequest, request } from 'node:http';
import { test } from 'node:test';
import { createResponse, writeVqReport } from '@offhook/core';
import { SDP, startRelay } from '../server/testkit/relay.ts';
import { DOMAIN, PASSWORD, type RunningServer, startServer } from '../server/testkit/running.ts';
import { SipClient } from '../server/testkit/sip-client.ts';

async function session(server: RunningServer, user: string): Promise<string> {
  const response = await fetch(`${server.url}/api/login`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', connection: 'close' },
    body: JSON.stringify({ user, password: PASSWORD }),
  });
  return String(((await response.json()) as { session: string }).session);
}

/** A stream of events as a program reads it. */
function stream(server: RunningServer, token: string, headers: Record<string, string> = {}) {
  let text = '';
  let wake = () => {};
  let ended = false;
  const sent: ClientRequest = request(
    {
      host: '127.0.0.1',
      port: server.ports.http,
      path: '/api/events',
      headers: { authorization: `Bearer ${token}`, ...headers },
      agent: false,
    },
    (reply) => {
      text += `${reply.statusCode} ${reply.headers['content-type']}\n`;
      reply.setEncoding('utf8');
      reply.on('data', (d: string) => {
        text += d;
        wake();
      });
      reply.on('close', () => {
        ended = true;
        wake();
      });
    },
  );
  sent.on('error', (error) => {
    text += `${error.message}\n`;
    ended = true;
    wake();
  });
  sent.end();
  const until = async (pattern: RegExp): Promise<RegExpExecArray> => {
    for (;;) {
      const found = pattern.exec(text);
      if (found) return found;
      assert.ok(!ended, `the stream ended: ${text}`);
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
  };
  return { until, text: () => text, close: () => sent.destroy() };
}

type Stream = ReturnType<typeof stream>;

test('who watches is told of registrations and calls in order, and after a break of what it missed', async () => {
  await using server = await startServer();
  await using phone = await SipClient.udp(server.ports.udp!);
  const watching = stream(server, await session(server, 'bob'));
  await watching.until(/: watching/);
  assert.match(watching.text(), /^200 text\/event-stream/);
  await phone.register({ user: 'alice', password: PASSWORD, contact: '<sip:alice@127.0.0.1:5999>' });
  const [, id] = await watching.until(/id: (\S+)\nevent: registration\ndata: (\{.*"user":"alice","online":true\})\n\n/);
  watching.close();
  await phone.register({ user: 'alice', password: PASSWORD, contact: '*', expires: 0 });
  const again = stream(server, await session(server, 'bob'), { 'last-event-id': id! });
  await again.until(/event: registration\ndata: .*"user":"alice","online":false/);
  assert.doesNotMatch(again.text(), /incomplete|"online":true/);
  again.close();
  const other = stream(server, await session(server, 'bob'), { 'last-event-id': 'elsewhere-1-1' });
  await other.until(/event: incomplete\ndata: \{\}\n\n[\s\S]*"online":true[\s\S]*"online":false/);
  other.close();
});

test('without a session nobody watches, and nobody watches without end', async () => {
  await using server = await startServer();
  const nobody = stream(server, 'none');
  await nobody.until(/^401 application\/json[\s\S]*no_session/);
  nobody.close();
  const token = await session(server, 'alice');
  const open = Array.from({ length: 8 }, () => stream(server, token));
  for (const each of open) await each.until(/watching/);
  const ninth = stream(server, token);
  await ninth.until(/^429 /);
  for (const each of [...open, ninth]) each.close();
});

test('how a call sounds at one side is told to both, and to nobody else', async () => {
  await using relay = await startRelay();
  await using server = await startServer({ relay: relay.address });
  await server.verb('users', { op: 'add', user: 'carol', password: PASSWORD });
  const sessions = await Promise.all(['alice', 'bob', 'carol'].map((user) => session(server, user)));
  const [alices, bobs, carols] = sessions.map((token) => stream(server, token)) as [Stream, Stream, Stream];
  for (const each of [alices, bobs, carols]) await each.until(/: watching/);
  const url = `${server.url.replace('http', 'ws')}/sip`;
  await using alice = await SipClient.webSocket(url, ['sip', `offhook.session.${sessions[0]}`]);
  await using bob = await SipClient.webSocket(url, ['sip', `offhook.session.${sessions[1]}`]);
  const contact = (user: string) => [['Contact', `<sip:${user}@client.invalid;transport=ws>`]] as const;
  bob.answer = (request) =>
    request.method === 'INVITE'
      ? createResponse(request, 200, undefined, {
          toTag: 'b',
          headers: contact('bob'),
          body: { type: 'application/sdp', bytes: SDP },
        })
      : undefined;
  assert.equal((await bob.request('REGISTER', 'bob', contact('bob'))).status, 200);
  const ok = await alice.request('INVITE', 'alice', contact('alice'), { uri: `sip:bob@${DOMAIN}`, body: SDP });
  assert.equal(ok.status, 200);
  const publish = async (kind: 'interval' | 'session') => {
    const body = writeVqReport({ kind, callId: ok.callId, local: { lossPercent: 1.25, jitterMs: 8 } });
    const at = { uri: `sip:collector@${DOMAIN}`, type: 'application/vq-rtcpxr', body };
    return (await alice.request('PUBLISH', 'alice', [['Event', 'vq-rtcpxr']], at)).status;
  };
  assert.deepEqual([await publish('session'), await publish('interval')], [200, 200]);
  const [, id] = await alices.until(/"type":"call","id":"([^"]+)".*"state":"answered"/);
  const told = new RegExp(
    `id: \\S+\\nevent: quality\\ndata: \\{"at":\\d+,"type":"quality","id":"${id}","user":"alice","report":"session",` +
      '"lossPercent":1.25,"jitterMs":8\\}\\n\\n' +
      'event: quality\\ndata: .*"report":"interval"',
  );
  for (const each of [alices, bobs]) await each.until(told);
  // What comes after it shows that it was left out.
  await bob.request('REGISTER', 'bob', [
    ['Contact', '*'],
    ['Expires', 0],
  ]);
  await carols.until(/"user":"bob","online":false/);
  assert.doesNotMatch(carols.text(), /quality/);
  const late = stream(server, sessions[1]!, { 'last-event-id': 'elsewhere-1-1' });
  await late.until(/"report":"session"[\s\S]*"online":false/);
  assert.doesNotMatch(late.text(), /"report":"interval"/, 'what holds for seconds is not kept');
  for (const each of [alices, bobs, carols, late]) each.close();
});
