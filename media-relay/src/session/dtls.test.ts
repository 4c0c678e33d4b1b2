import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { UdpPort } from '@offhook/core/node';
import { UdpEndpoint } from '@offhook/core/node';
import type { DtlsCommand, DtlsRole } from '../dtls/index.ts';
import { Transport } from '../forward/index.ts';
import { DtlsSession } from './dtls.ts';
import { HANDSHAKES_AT_ONCE, HandshakeBudget } from './handshake-budget.ts';

/** A ClientHello of which only what tells it from others is there. */
function hello(random: number): Uint8Array {
  const bytes = new Uint8Array(80);
  bytes[0] = 22;
  bytes[13] = 1;
  bytes.fill(random, 27, 59);
  return bytes;
}

/** A session of a plain or an ICE transport; each handshake fails at 'x', and hears which packets it got. */
function world(plain: boolean) {
  const transport = new Transport(1, plain ? 4 : undefined);
  const begun: { role: DtlsRole; packets: number }[] = [];
  const create = (role: DtlsRole) => {
    const one = { role, packets: 0 };
    begun.push(one);
    const commands: DtlsCommand[] = [];
    return {
      handleStart: () => {},
      handlePacket: (bytes: Uint8Array) => {
        one.packets++;
        if (bytes[0] === 'x'.charCodeAt(0)) commands.push({ kind: 'failed', reason: 'x' });
      },
      handleTimeout: () => {},
      nextTimeout: () => undefined,
      poll: () => commands.shift(),
      close: () => {},
    };
  };
  const session = new DtlsSession(
    transport,
    { fingerprint: '', create, matches: () => true },
    {
      open: () => {
        throw new Error('no keys in these tests');
      },
      counters: { connected: 0, failed: 0, fingerprintMismatch: 0 },
    },
  );
  session.describe(['sha-256 AA'], 'server', 0);
  return { session, transport, begun };
}

const failure = Uint8Array.of('x'.charCodeAt(0));

test('handshakes: eight at once, then one a second, never more than eight again', () => {
  const budget = new HandshakeBudget();
  const taken = (atMs: number) => {
    let count = 0;
    while (budget.take(atMs)) count++;
    return count;
  };
  assert.deepEqual([5000, 5000, 5999, 6000, 6999, 9500, 9999, 10_000].map(taken), [8, 0, 0, 1, 0, 3, 0, 1]);
  assert.equal(taken(1e9), 8);
});

test('failed handshakes are bounded, and time earns new ones', () => {
  const { session, begun } = world(false);
  for (let i = 0; i < 100; i++) {
    session.handlePacket(hello(i), 10);
    session.handlePacket(failure, 10);
  }
  assert.equal(begun.length, HANDSHAKES_AT_ONCE);
  session.handlePacket(hello(200), 1010);
  assert.deepEqual([begun.length, session.state], [HANDSHAKES_AT_ONCE + 1, 'handshake']);
});

test('what other ports of an allowed address start takes nothing from the address and port of the SDP', () => {
  const { session, transport, begun } = world(true);
  const handshake = transport.handshake!;
  const port = {} as UdpPort;
  const at = (n: number) => UdpEndpoint.from({ address: '192.0.2.1', port: n })!;
  for (let i = 0; i < 100; i++) {
    session.giveUpServer();
    handshake.take(port, at(5000 + i), false);
    session.handlePacket(hello(i), 10);
  }
  assert.equal(begun.length, HANDSHAKES_AT_ONCE);
  handshake.take(port, at(4000), true);
  session.handlePacket(hello(200), 10);
  assert.deepEqual([begun.length, session.state], [HANDSHAKES_AT_ONCE + 1, 'handshake']);
});

test('a handshake of hellos alone gives way to another hello at once, one that goes on after ten seconds', () => {
  const { session, begun } = world(false);
  const [alert, certificate] = [Uint8Array.of(21), Uint8Array.of(22)];
  session.handlePacket(hello(1), 0);
  session.handlePacket(alert, 5);
  session.handlePacket(hello(1), 10); // the same one said again
  assert.deepEqual(begun, [{ role: 'server', packets: 3 }]);
  session.handlePacket(hello(2), 10);
  assert.equal(begun.length, 2);
  session.handlePacket(certificate, 1100);
  session.handlePacket(hello(3), 10_009);
  assert.equal(begun.length, 2);
  session.handlePacket(hello(3), 10_010);
  assert.equal(begun.length, 3);
});

test('the fragments of one hello are no hellos of several clients, in whatever order', () => {
  const { session, begun } = world(false);
  const rest = hello(9); // at the place of the random are other bytes
  rest[21] = 200; // fragment offset
  for (const fragment of [rest, hello(1), rest, hello(1), rest]) session.handlePacket(fragment, 10);
  assert.deepEqual(begun, [{ role: 'server', packets: 5 }]);
  session.handlePacket(hello(2), 20);
  assert.equal(begun.length, 2);
});

test('a hello too many gets no answer, not even that to another one, and is answered when it comes again', () => {
  const { session, begun } = world(false);
  for (let i = 0; i < 100; i++) session.handlePacket(hello(i), 10);
  assert.deepEqual([begun.length, session.state], [HANDSHAKES_AT_ONCE, 'waiting']);
  session.handlePacket(hello(200), 900);
  session.handlePacket(hello(200), 1010);
  assert.deepEqual([begun.length, session.state], [HANDSHAKES_AT_ONCE + 1, 'handshake']);
});
