import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { test } from 'node:test';
import { NgClient } from '@offhook/core/node';
import { AFTER_CALLS, leftOver, udpSocketsOf } from './src/nothing-left.ts';
import { System, scratchFolder } from './src/system.ts';
import { TurnClient, turnAccount } from './src/turn-client.ts';

const nothing = () =>
  Object.fromEntries(
    Object.entries(AFTER_CALLS).map(([part, names]) => [part, Object.fromEntries(names.map((name) => [name, 0]))]),
  );

test('every gauge counts, and one that a part no longer has is an error', () => {
  assert.deepEqual(leftOver(nothing(), AFTER_CALLS), []);
  for (const [part, names] of Object.entries(AFTER_CALLS)) {
    for (const name of names) {
      const leaking = nothing();
      leaking[part]![name] = 2;
      assert.deepEqual(leftOver(leaking, AFTER_CALLS), [`${part}: ${name} 2`]);
      const renamed = nothing();
      delete renamed[part]![name];
      assert.throws(() => leftOver(renamed, AFTER_CALLS), new RegExp(`${part} has no gauge ${name}`));
    }
  }
});

test('a UDP socket that no gauge knows of is seen in the process', async () => {
  const idle = udpSocketsOf(process.pid);
  const socket = createSocket('udp4');
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  assert.equal(udpSocketsOf(process.pid), idle + 1);
  const closed = once(socket, 'close');
  socket.close();
  await closed;
  assert.equal(udpSocketsOf(process.pid), idle);
});

test('planted leaks are caught: a call that nobody deletes at the relay, an allocation that nobody gives back', async () => {
  const folder = scratchFolder();
  try {
    // Ports of a range are counted as taken, those that the system chose are not.
    const turn = { port: 0, relayPorts: { min: 19_000, max: 19_099 } };
    await using system = await System.start({ folder: folder.path, settings: { turn } });
    await system.assertNothingLeft(0);
    using ng = await NgClient.open((await system.udpPorts()).ng!);
    const sdp =
      'v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 9 RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\n';
    const call = { 'call-id': 'leak', 'from-tag': 'a' };
    await ng.ask({ command: 'echo', ...call, sdp });
    await assert.rejects(
      system.assertNothingLeft(500),
      /offhook_media_calls 1.*offhook_media_transports 1.*offhook_media_rtp_port_pairs 1.*media-relay-0: 2 UDP sockets/s,
    );
    await ng.ask({ command: 'delete', ...call });
    await system.assertNothingLeft(5000);

    await system.addUser('tester', 'Trumpet-44-x');
    const client = await TurnClient.open(await turnAccount(system, 'tester', 'Trumpet-44-x'));
    try {
      await client.allocate();
      await assert.rejects(
        system.assertNothingLeft(500),
        /offhook_turn_allocations 1.*offhook_turn_relay_sockets 1.*offhook_turn_relay_ports_taken 1.*turn: 1 UDP sockets/s,
      );
      await client.giveBack();
      await system.assertNothingLeft(5000);
    } finally {
      await client.close();
    }
  } finally {
    folder.remove();
  }
});
