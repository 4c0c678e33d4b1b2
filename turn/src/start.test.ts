import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import type { TurnConfig } from './config.ts';
import { startTurn } from './start.ts';
import { code, TestClient } from './testkit/client.ts';
import { realSocket } from './testkit/real.ts';
import { REALM, SECRET } from './testkit/world.ts';

/** Two public addresses that this machine gets and loses again. */
const FIRST = '11.0.0.1';
const SECOND = '11.0.0.2';

/** The part with every public peer allowed, on a machine whose addresses can be changed, and a client with an allocation. */
async function machine(t: TestContext, more: Partial<TurnConfig> = {}) {
  t.mock.timers.enable({ apis: ['setInterval'] });
  const loopback = { address: '127.0.0.1' };
  const config: TurnConfig = {
    part: 'turn',
    runDir: '',
    configHash: '',
    listen: { udp: [{ ...loopback, port: 0 }], tcp: [], tls: [] },
    relay: { addresses: [loopback], portMin: 0, portMax: 0 },
    realm: REALM,
    secrets: [SECRET],
    peers: { base: 'public', allow: [], deny: [] },
    ...more,
  };
  const own = { addresses: [FIRST] };
  const part = await startTurn(
    config,
    () => config,
    () => own.addresses,
  );
  t.after(() => part.stop());
  const socket = await realSocket();
  t.after(() => socket.close());
  const client = new TestClient(socket, { ...loopback, port: part.ports.udp! });
  await client.allocate();
  return {
    part,
    own,
    allocations: async () => (await part.verbs!.allocations!({})) as Record<string, number>[],
    permit: async () => {
      const codes: number[] = [];
      for (const address of [FIRST, SECOND]) codes.push(code(await client.permit({ address, port: 1000 })));
      return codes;
    },
  };
}

test('an address that this machine gets while it runs is no peer from the next minute on, and one that it loses may be', async (t) => {
  const { own, permit, allocations } = await machine(t);
  assert.deepEqual(await permit(), [403, 0]);
  assert.equal((await allocations())[0]!.permissions, 1);
  own.addresses = [SECOND];
  t.mock.timers.tick(59_999);
  assert.deepEqual(await permit(), [403, 0]);
  t.mock.timers.tick(1);
  assert.equal((await allocations())[0]!.permissions, 0, 'and what was permitted before is cut off');
  assert.deepEqual(await permit(), [0, 403]);
});

test('a reload reads this machine’s addresses anew, and other changes of the rules keep them', async (t) => {
  const { part, own, permit } = await machine(t);
  own.addresses = [FIRST, SECOND];
  await part.reload!();
  assert.deepEqual(await permit(), [403, 403]);
  await part.verbs!.secrets!({ secrets: [SECRET, 'another'] });
  await part.verbs!.users!({ op: 'put', name: 'gateway', password: 'long enough' });
  assert.deepEqual(await permit(), [403, 403]);
});

test('draining to this server itself is refused, and where clients are sent is told', async (t) => {
  const { part } = await machine(t);
  const { udp: port } = part.ports;
  await assert.rejects(
    async () => part.drain!({ alternate: { address: '127.0.0.1', port } }),
    new RegExp(`^Error: 127\\.0\\.0\\.1 port ${port} is this server itself; `),
  );
  assert.equal((await part.details!()).drainsTo, undefined);
  await part.drain!({ alternate: { address: '192.0.2.7', port } });
  await part.drain!();
  assert.equal((await part.details!()).drainsTo, `192.0.2.7 port ${port}`);
  await part.undrain!();
  assert.equal((await part.details!()).drainsTo, undefined);
});

test('figures over HTTP: a port in use is told by its key, and so is an address that others reach', async (t) => {
  const said: string[] = [];
  const { part } = await machine(t, { http: { address: '127.0.0.1', port: 0 } });
  t.mock.timers.reset();
  t.mock.method(process.stderr, 'write', (words: string) => said.push(words) > 0);
  const port = part.ports.http!;
  await assert.rejects(
    machine(t, { http: { address: '127.0.0.1', port } }),
    new RegExp(`^Error: turn\\.http: 127\\.0\\.0\\.1 port ${port} is in use by somebody else$`),
  );
  t.mock.timers.reset();
  assert.deepEqual(said, []);
  await machine(t, { http: { address: '0.0.0.0', port: 0 } });
  assert.match(
    said.join(''),
    /^turn\.http: 0\.0\.0\.0 is no loopback address; whoever reaches it reads the users’ names/,
  );
});
