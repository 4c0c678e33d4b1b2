import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { seededCrypto } from '@offhook/core';
import { nodeCrypto } from '@offhook/core/node';
import { SipCore } from './core.ts';
import { startServer } from './testkit/running.ts';

const folder = mkdtempSync(join(tmpdir(), 'oh-routing-'));
after(() => rmSync(folder, { recursive: true, force: true }));

function core(routing: 'built-in' | 'asked'): SipCore {
  return new SipCore({
    crypto: seededCrypto(1, nodeCrypto),
    domain: 'example.test',
    isLocal: () => true,
    account: (user) => (user === 'bob' ? ({ user } as never) : undefined),
    mediaPath: 'opaque',
    relays: 0,
    nowMs: 0,
    routing,
  });
}

test('the built-in routing answers at once, without a command', () => {
  const machine = core('built-in');
  const answers: unknown[] = [];
  const then = ({ decision }: { decision: { kind: string } }, nowMs: number) => answers.push([decision.kind, nowMs]);
  machine.route({ account: 'bob', from: 'bob', to: 'bob' }, 5, then);
  machine.route({ trunk: 't', from: '1', to: 'bob' }, 6, then);
  assert.deepEqual(answers, [
    ['ring', 5],
    ['reject', 6],
  ]);
  for (let c = machine.poll(); c; c = machine.poll()) assert.notEqual(c.kind, 'route');
});

test('asked for: a command with the facts, and the answer goes to whoever waits, once', () => {
  const machine = core('asked');
  while (machine.poll());
  const answers: string[] = [];
  const facts = { account: 'bob', from: 'bob', to: '1' };
  machine.route(facts, 5, ({ decision }, nowMs) => answers.push(`a ${decision.kind} ${nowMs}`));
  machine.route({ ...facts, to: '2' }, 5, ({ decision }, nowMs) => answers.push(`b ${decision.kind} ${nowMs}`));
  machine.handleTimeout(5);
  const commands = [];
  for (let c = machine.poll(); c; c = machine.poll()) if (c.kind === 'route') commands.push(c);
  assert.deepEqual(
    commands.map(({ id, facts }) => [id, facts.to]),
    [
      [1, '1'],
      [2, '2'],
    ],
  );
  machine.handleRouted(2, { decision: { kind: 'echo' }, steps: [] }, 7);
  machine.handleRouted(1, { decision: { kind: 'park', slot: '1' }, steps: [] }, 8);
  machine.handleRouted(1, { decision: { kind: 'echo' }, steps: [] }, 9);
  machine.handleRouted(99, { decision: { kind: 'echo' }, steps: [] }, 9);
  assert.deepEqual(answers, ['b echo 7', 'a park 8']);
});

test('without a file the part answers `route` by what is built in', async () => {
  await using server = await startServer();
  const report = (await server.verb('route', { from: 'alice', to: 'bob' })) as Record<string, unknown>;
  assert.deepEqual(report, {
    decision: { kind: 'ring', steps: [{ targets: [{ kind: 'user', user: 'bob' }] }] },
    steps: ['bob is a user of this server'],
    rules: 'built-in',
    warnings: [],
    phones: { bob: 0 },
  });
  await assert.rejects(server.verb('route', { from: 'dave', to: 'bob' }), /there is no user 'dave'; .* --trunk <name>/);
  await assert.rejects(server.verb('route', { from: 'alice' }), /'to' has to be a text/);
  await assert.rejects(server.verb('route', { from: 'alice', to: 'bob', at: 'noon' }), /'noon' is no time/);
});

test('the part runs the user’s routes, reads them anew, and warns when it keeps the old ones', async () => {
  const routes = join(folder, 'routes.ts');
  writeFileSync(routes, "export default [{ name: 'r', called: '1', when: { dates: '12-24' }, do: { ring: 'bob' } }];");
  await using server = await startServer({ routes });
  const ask = async (more: object = {}) =>
    (await server.verb('route', { from: 'alice', to: '1', ...more })) as { decision: object; rules: string };
  const { decision, rules } = await ask({ at: '2026-12-24T12:00' });
  assert.deepEqual(decision, { kind: 'ring', steps: [{ targets: [{ kind: 'user', user: 'bob' }] }] });
  assert.equal(rules, '1 rule of routes.ts');
  assert.equal(((await ask({ at: '2026-12-23T12:00' })).decision as { kind: string }).kind, 'reject');
  writeFileSync(routes, "export default [{ name: 'r', do: 'ring' }];");
  await assert.rejects(
    async () => server.part.reload!(),
    /there is no TLS certificate; the old rules are kept: routes\.ts:1: /,
  );
  const details = server.part.details!() as { warnings: string[]; routes: string };
  assert.match(details.warnings.join(), /the old rules are kept/);
  assert.equal(details.routes, '1 rule of routes.ts');
});

test('a number with separators is to the rules’ thread what it is without, and still a user’s call', async () => {
  const routes = join(folder, 'separators.ts');
  writeFileSync(
    routes,
    "export default [{ name: 'premium', source: 'user', called: '0900{n}', do: { reject: 403, reason: 'dear' } }];",
  );
  await using server = await startServer({ routes });
  for (const to of ['09001', '0-900-1', '0900 1']) {
    const report = (await server.verb('route', { from: 'alice', to })) as { decision: object };
    assert.deepEqual(report.decision, { kind: 'reject', status: 403, reason: 'dear' }, to);
  }
});
