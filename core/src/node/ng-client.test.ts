import assert from 'node:assert/strict';
import { createSocket, type RemoteInfo } from 'node:dgram';
import { once } from 'node:events';
import { type TestContext, test } from 'node:test';
import { decodeNg, encodeNg, type NgDictionary } from '../ng/index.ts';
import { NgClient } from './ng-client.ts';

/** A relay that answers as the test says; undefined = not this time. Tells the cookies of all requests. */
async function relay(t: TestContext, answer: (message: NgDictionary, nth: number) => NgDictionary | undefined) {
  const socket = createSocket('udp4').bind(0, '127.0.0.1');
  t.after(() => socket.close());
  await once(socket, 'listening');
  const cookies: string[] = [];
  socket.on('message', (bytes: Buffer, from: RemoteInfo) => {
    const { cookie, message } = decodeNg(bytes)!;
    cookies.push(cookie);
    const said = answer(message, cookies.length);
    if (said) socket.send(encodeNg(cookie, said, bytes.includes('{') ? 'json' : 'bencode'), from.port, from.address);
  });
  return { port: socket.address().port, cookies };
}

test('a request is repeated under the same cookie until it is answered, and never again', async (t) => {
  const { port, cookies } = await relay(t, (_, nth) => (nth < 3 ? undefined : { result: 'pong' }));
  using ng = await NgClient.open(port);
  assert.equal((await ng.ask({ command: 'ping' })).result, 'pong');
  assert.equal(cookies.length, 3);
  assert.equal(new Set(cookies).size, 1);
  await ng.call({ command: 'ping' }, 'json');
  assert.equal(cookies.length, 4);
  assert.notEqual(cookies[3], cookies[0]);
});

test('requests on their way together get each its own answer', async (t) => {
  const { port } = await relay(t, ({ command }) => ({ result: 'ok', sdp: String(command) }));
  using ng = await NgClient.open(port);
  const commands = ['offer', 'answer', 'delete'];
  assert.deepEqual(await Promise.all(commands.map((command) => ng.sdp({ command }))), commands);
});

test("a refusal is an error in the relay's words, but where the answer itself is wanted", async (t) => {
  const refusal = { result: 'error', 'error-reason': 'Unknown call-id' };
  const { port } = await relay(t, () => refusal);
  using ng = await NgClient.open(port);
  assert.deepEqual({ ...(await ng.call({ command: 'query' })) }, refusal);
  await assert.rejects(ng.ask({ command: 'query' }), /refuses query: Unknown call-id/);
  await assert.rejects(ng.sdp({ command: 'offer' }), /refuses offer: Unknown call-id/);
});

test('silence of ten seconds is an error', async (t) => {
  t.mock.timers.enable({ apis: ['setInterval'] });
  const { port } = await relay(t, () => undefined);
  using ng = await NgClient.open(port);
  const asked = assert.rejects(ng.ask({ command: 'ping' }), /does not answer ping/);
  t.mock.timers.tick(10_000);
  await asked;
});

test('a client that is closed leaves nobody waiting', async (t) => {
  const { port } = await relay(t, () => undefined);
  const ng = await NgClient.open(port);
  const asked = assert.rejects(ng.call({ command: 'ping' }), /does not answer ping/);
  ng[Symbol.dispose]();
  await asked;
});
