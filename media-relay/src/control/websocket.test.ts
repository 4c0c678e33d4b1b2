import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:net';
import { test } from 'node:test';
import { encodeNg } from '@offhook/core';
import { WebSocket } from 'ws';
import type { ControlContext } from './commands.ts';
import { NgDispatcher } from './dispatcher.ts';
import { NG_SUBPROTOCOL, NgWebSocketServer } from './websocket.ts';

const LOOPBACK = '127.0.0.1';
const SWEEP_MS = 5000;

test('a client that answers no ping is gone ten seconds later, one that does stays', { timeout: 5000 }, async (t) => {
  t.mock.timers.enable({ apis: ['setInterval'] });
  const clock = { nowMs: 0 };
  const context = {
    counters: { requests: 0, repeated: 0, malformed: 0, errors: 0, overload: 0, idleConnections: 0 },
    monotonicMs: () => clock.nowMs,
    obeys: () => true,
    rearm: () => {},
  } as unknown as ControlContext;
  const parts = { context, dispatcher: new NgDispatcher(context) };
  const server = await NgWebSocketServer.listen({ address: LOOPBACK, port: 0, allowedOrigins: [] }, parts);

  t.after(() => server.close());
  const mute = connect(server.port, LOOPBACK);
  t.after(() => mute.destroy());
  const gone = once(mute, 'close');
  mute.write(
    ['GET /ng HTTP/1.1', 'Host: relay', 'Connection: Upgrade', 'Upgrade: websocket', 'Sec-WebSocket-Version: 13']
      .concat(`Sec-WebSocket-Key: ${btoa('a'.repeat(16))}`, `Sec-WebSocket-Protocol: ${NG_SUBPROTOCOL}`, '', '')
      .join('\r\n'),
  );
  const [hello] = (await once(mute, 'data')) as [Buffer];
  assert.match(hello.toString(), /^HTTP\/1\.1 101 /);
  const client = new WebSocket(`ws://${LOOPBACK}:${server.port}/ng`, NG_SUBPROTOCOL);
  t.after(() => client.terminate());
  await once(client, 'open');

  const sweepAt = (nowMs: number) => {
    clock.nowMs = nowMs;
    t.mock.timers.tick(SWEEP_MS);
  };
  const pinged = once(client, 'ping');
  sweepAt(25_001);
  await pinged;
  client.send(encodeNg('1', { command: 'ping' }, 'json'));
  await once(client, 'message'); // its pong came before
  sweepAt(35_001);
  assert.equal(mute.closed, false);
  sweepAt(35_002);
  await gone;
  assert.equal(client.readyState, WebSocket.OPEN);
  const left = once(client, 'close');
  await server.close();
  assert.equal((await left)[0], 1001);
});
