import assert from 'node:assert/strict';
import { type ClientRequest, request } from 'node:http';
import { test } from 'node:test';
import { PASSWORD, type RunningServer, startServer } from '../server/testkit/running.ts';
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
