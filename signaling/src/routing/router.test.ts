import assert from 'node:assert/strict';
import { rename, unlink } from 'node:fs/promises';
import { test } from 'node:test';
import { Router } from './router.ts';
import { brief, directory, fromAlice, fromTrunk, RouterStage } from './test-kit.ts';

const LONG = { timeout: 60_000 };
/** Of threads, watchers and timers of this process. */
const left = () => process.getActiveResourcesInfo().filter((kind) => /MessagePort|FSEvent|Worker/.test(kind));
const rules = (...all: string[]) => `export default [\n${all.join(',\n')}\n];\n`;
const ECHO = "{ name: 'echo', called: '1', do: 'echo' }";
const ROOM = "{ name: 'room', called: '1', do: { room: 'x' } }";

test('rules decide; what they ask about is answered by the server', LONG, async () => {
  await using stage = new RouterStage({
    'routes.ts': rules(
      "{ name: 'away', called: { prefix: '' + 'b' }, if: async (call: { lookup: any }) => !(await call.lookup('bob')).isSignedIn, do: { ring: 'desk' } }",
      "{ name: 'out', called: '0{n}', do: { trunk: 'provider', number: '+49{n}' } }",
    ),
  });
  assert.equal(await stage.decides(fromAlice('bob')), 'bob 10 | carol 10');
  assert.equal(await stage.decides(fromAlice('carol')), 'carol');
  assert.equal(await stage.decides(fromAlice('030')), 'provider:+4930');
  assert.equal(await stage.decides(fromTrunk('030')), '403 a call from outside may not leave this server again');
  assert.deepEqual(stage.router.warnings, []);
  assert.equal(stage.router.state, '2 rules of routes.ts');
});

test('a thousand calls at once are all answered, and one more is told to wait', LONG, async () => {
  await using stage = new RouterStage({ 'routes.ts': rules(ECHO) }, { waiting: 1000 });
  const calls = Array.from({ length: 1001 }, () => stage.decides(fromAlice('1')));
  assert.equal(await calls.pop(), '503 1000 calls wait for the routes already');
  assert.deepEqual(new Set(await Promise.all(calls)), new Set(['echo']));
});

/** [what is wrong, the file, what is said] */
const UNUSABLE: readonly [string, string, RegExp][] = [
  ['a syntax error', 'export default [\n  { name: "a" foo },\n];', /routes\.ts:2: SyntaxError: Expected/],
  [
    'what only a compiler can do',
    'enum A { B }\nexport default [];',
    /routes\.ts:1: SyntaxError: TypeScript enum is not supported/,
  ],
  ['a throw at load', 'const x: any = 1;\nexport default [x.y.z];', /routes\.ts:2:\d+: TypeError: Cannot read prop/],
  ['a thrown text', "throw 'never';\nexport default [];", /'never' was thrown while it was loaded/],
  ['no default export', 'export const rules = [];', /routes\.ts: nothing is exported as default/],
  [
    'a default export of another kind',
    'export default { a: 1 };',
    /routes\.ts: the default export is an object, not a list of rules/,
  ],
  [
    'a mistake in a rule',
    "export default [\n  { name: 'a', do: 'echo' },\n  { name: 'b', do: 'ring' },\n];",
    /routes\.ts:3: rule 2 'b': 'ring' is nothing that can be done/,
  ],
  [
    'an import that is not there',
    "import { x } from './gone.ts';\nexport default [x];",
    /Cannot find module .*gone\.ts/,
  ],
  [
    'a type that is imported as a value',
    "import { Rule } from './types.ts';\nexport default [];",
    /does not provide an export named 'Rule' \(types are imported by: import type/,
  ],
  ['a zone that is none', "export const zone = 'Berlin';\nexport default [];", /the exported zone is no IANA name/],
  ['process.exit', 'process.exit(3);\nexport default [];', /the code has ended its thread \(exit code 3\)/],
  ['an endless loop', 'for (;;);\nexport default [];', /the code does not come to an end when it is loaded \(4 s\)/],
  ['an endless wait', 'await new Promise(() => {});\nexport default [];', /the code awaits what never comes/],
  [
    'too much memory',
    'const all: any[] = [];\nfor (;;) all.push(new Array(1000).fill(0));\nexport default [];',
    /the code needs more than 16 MB of memory/,
  ],
  [
    'a user that is not there',
    "export default [\n  { name: 'a', do: { ring: 'dave' } }];",
    /routes\.ts:2: rule 'a': there is no user or group 'dave'/,
  ],
  [
    'a trunk that is not there',
    "export default [\n\n  { name: 'a', do: { trunk: 'provder' } }];",
    /routes\.ts:3: rule 'a': there is no trunk 'provder'/,
  ],
];

for (const [what, text, words] of UNUSABLE)
  test(`${what}: the old rules are kept, and it is said why; the next good version is taken`, LONG, async () => {
    const limits = { loadMs: what === 'an endless loop' ? 4000 : 20_000, memoryMb: 16 };
    await using stage = new RouterStage({ 'routes.ts': rules(ECHO), 'types.ts': 'export type Rule = 1;' }, limits);
    assert.equal(await stage.decides(fromAlice('1')), 'echo');
    stage.write({ 'routes.ts': text });
    const said = await stage.heard('warns', /^the old rules are kept: /);
    assert.match(said, words);
    assert.match(stage.router.warnings.join(), words);
    assert.equal(await stage.decides(fromAlice('1')), 'echo');
    await assert.rejects(stage.router.reload(), words);
    stage.write({ 'routes.ts': rules(ROOM) });
    await stage.heard('infos', /^1 rule of routes\.ts in use: room/);
    assert.equal(await stage.decides(fromAlice('1')), 'room x');
    assert.deepEqual(stage.router.warnings, []);
  });

test('a file that is bad from the beginning: the built-in way, with a warning, until it is mended', LONG, async () => {
  await using stage = new RouterStage({ 'routes.ts': 'export default [' });
  const routed = await stage.router.route(fromAlice('bob'));
  assert.equal(brief(routed), 'bob');
  assert.match(routed.steps[0] ?? '', /^the rules can’t be used, calls go the built-in way: routes\.ts:1: /);
  assert.equal((await stage.decides(fromTrunk('bob'))).slice(0, 3), '404');
  stage.write({ 'routes.ts': rules(ECHO) });
  await stage.heard('infos', /in use/);
  assert.equal(await stage.decides(fromAlice('1')), 'echo');
});

test('names that are not there are only warned of when there are no older rules to keep', LONG, async () => {
  await using stage = new RouterStage({ 'routes.ts': rules(ECHO, "{ name: 'a', do: { ring: 'dave' } }") });
  assert.equal(await stage.decides(fromAlice('1')), 'echo');
  assert.deepEqual(stage.router.warnings, ["routes.ts:3: rule 'a': there is no user or group 'dave'"]);
});

test(
  'a file that comes later is taken, replaced by renaming too; one that goes leaves its rules behind',
  LONG,
  async () => {
    await using stage = new RouterStage({});
    assert.equal(await stage.decides(fromAlice('1')), "404 there is no user '1' here");
    assert.match(stage.router.warnings.join(), /routes\.ts: there is no such file/);
    stage.write({ 'routes.ts': rules(ECHO) });
    await stage.heard('infos', /in use/);
    stage.write({ 'routes.ts.tmp': rules(ROOM) });
    await rename(`${stage.path}.tmp`, stage.path);
    await stage.heard('infos', /in use: room/);
    assert.equal(await stage.decides(fromAlice('1')), 'room x');
    await unlink(stage.path);
    await stage.heard('warns', /the old rules are kept: .*there is no such file/);
    assert.equal(await stage.decides(fromAlice('1')), 'room x');
  },
);

test(
  'a file that is imported is followed, in its own folder too; the same content again is no news',
  LONG,
  async () => {
    const main = "import { room } from './more/rooms.ts';\nexport default [{ name: 'r', do: { room } }];";
    await using stage = new RouterStage({ 'routes.ts': main, 'more/rooms.ts': "export const room: string = 'one';" });
    assert.equal(await stage.decides(fromAlice('1')), 'room one');
    await stage.heard('infos', /in use/);
    stage.write({ 'more/rooms.ts': "export const room = 'two';" });
    await stage.heard('infos', /in use/);
    assert.equal(await stage.decides(fromAlice('1')), 'room two');
    stage.write({ 'routes.ts': main });
    stage.write({ 'more/rooms.ts': "export const room = 'three';" });
    await stage.heard('infos', /in use/);
    assert.equal(await stage.decides(fromAlice('1')), 'room three');
    assert.equal(stage.router.counters.loaded, 3);
    assert.match(await stage.router.reload(), /^1 rule of routes\.ts in use: r$/);
  },
);

const BAD = [
  "{ name: 'loop', called: 'loop', do: () => { for (;;); } }",
  "{ name: 'slow', called: 'slow', do: () => new Promise(() => {}) }",
  "{ name: 'exit', called: 'exit', do: () => process.exit(1) }",
  "{ name: 'bomb', called: 'bomb', do: () => { const all = []; for (;;) all.push(new Array(1000).fill(0)); } }",
  "{ name: 'astray', called: 'astray', do: () => { setImmediate(() => { throw new Error('lost'); }); return new Promise(() => {}); } }",
  "{ name: 'redos', called: /(?:a+)+b/, do: 'echo' }",
  ECHO,
];
const HARSH = { decideMs: 1000, graceMs: 500, memoryMb: 16, failures: 100 };

/** [called, what the caller is told, the last sentence] */
const BREAKDOWNS: readonly [string, RegExp, RegExp][] = [
  ['slow', /^503 the routes gave no answer in time \(rule 'slow'\)$/, /^rule 2 'slow': no answer within 1 s$/],
  ['loop', /^503 the routes gave no answer in time$/, /the code of rule 'loop' does not come to an end within 1 s$/],
  ['a'.repeat(60), /^503 the routes gave no answer in time$/, /the code of rule 'redos' does not come to an end/],
  ['exit', /^503 the routes gave no answer$/, /ended its thread \(exit code 1\), while rule 'exit' was tried$/],
  ['bomb', /^503/, /needs more than 16 MB of memory, while rule 'bomb' was tried$|does not come to an end/],
  ['astray', /^503 the routes gave no answer$/, /the code failed: Error: lost, while rule 'astray' was tried$/],
];

for (const [called, told, last] of BREAKDOWNS)
  test(
    `code at a call, ${called.slice(0, 6)}: that call is refused, the next one is decided by the rules`,
    LONG,
    async () => {
      await using stage = new RouterStage({ 'routes.ts': rules(...BAD) }, HARSH);
      await stage.router.loaded();
      const { decision, steps } = await stage.router.route(fromAlice(called));
      assert.match(brief({ decision }), told);
      assert.match(steps.at(-1) ?? '', last);
      assert.match((await stage.heard('warns', /^routes\.ts: /)).slice('routes.ts: '.length), last);
      await stage.router.loaded();
      assert.equal(await stage.decides(fromAlice('1')), 'echo');
      assert.deepEqual(stage.router.warnings, []);
    },
  );

test('calls behind one that hangs are decided by the thread that follows', LONG, async () => {
  await using stage = new RouterStage({ 'routes.ts': rules(...BAD) }, HARSH);
  await stage.router.loaded();
  const hanging = stage.decides(fromAlice('loop'));
  const behind = [stage.decides(fromAlice('1')), stage.decides(fromAlice('bob'))];
  assert.equal((await hanging).slice(0, 3), '503');
  assert.deepEqual(await Promise.all(behind), ['echo', 'bob']);
  assert.equal(stage.router.counters.broken, 1);
});

test('a thread that breaks down while the file is bad is replaced by what was good', LONG, async () => {
  const helper = { 'help.ts': "export const room = 'old';" };
  const main = "import { room } from './help.ts';\n";
  const good =
    main + rules("{ name: 'exit', called: 'exit', do: () => process.exit(1) }", "{ name: 'r', do: { room } }");
  await using stage = new RouterStage({ ...helper, 'routes.ts': good }, HARSH);
  await stage.router.loaded();
  assert.equal(await stage.decides(fromAlice('1')), 'room old');
  stage.write({ 'help.ts': 'export const room = ;', 'routes.ts': 'export default [' });
  await stage.heard('warns', /the old rules are kept/);
  assert.equal((await stage.decides(fromAlice('exit'))).slice(0, 3), '503');
  await stage.router.loaded();
  assert.equal(await stage.decides(fromAlice('1')), 'room old');
  assert.match(stage.router.warnings.join(), /the old rules are kept/);
});

test('rules that break down again and again rest for a while, then are tried again', LONG, async () => {
  await using stage = new RouterStage({ 'routes.ts': rules(...BAD) }, { ...HARSH, failures: 2, backoffMs: 400 });
  for (let i = 0; i < 2; i++) {
    await stage.router.loaded();
    assert.equal((await stage.decides(fromAlice('exit'))).slice(0, 3), '503');
  }
  assert.match(
    stage.router.warnings.join(),
    /^the rules have broken down 2 times \(.*\) and rest for 0\.4 s; calls go the built-in way$/,
  );
  assert.equal(await stage.decides(fromAlice('bob')), 'bob');
  assert.equal(await stage.decides(fromAlice('1')), "404 there is no user '1' here");
  stage.infos.length = 0;
  await stage.heard('infos', /in use/);
  assert.equal(await stage.decides(fromAlice('1')), 'echo');
  assert.deepEqual(stage.router.warnings, []);
});

test('what comes from the thread is looked at: a decision that code has tampered with goes nowhere', LONG, async () => {
  const forged = (evaluated: string) => `
import { parentPort } from 'node:worker_threads';
export default [{ name: 'forged', called: 'x', do: async (call) => {
  parentPort.postMessage('nonsense');
  parentPort.postMessage({ kind: 'routed', id: 999, evaluated: 1 });
  parentPort.postMessage({ kind: 'routed', id: 1, evaluated: ${evaluated} });
  await new Promise(() => {});
} }];`;
  const trunk = "{ kind: 'ring', steps: [{ targets: [{ kind: 'trunk', trunk: 'provider', number: '1' }] }] }";
  for (const [evaluated, told] of [
    ['7', '500 the routes decided what can’t be done'],
    ["{ decision: { kind: 'dance' }, steps: ['a', 7] }", '500 the routes decided what can’t be done'],
    [`{ decision: ${trunk}, steps: [] }`, '403 a call from outside may not leave this server again'],
    [`{ decision: ${trunk}, steps: [], transit: true }`, 'provider:1'],
  ] as const) {
    await using stage = new RouterStage({ 'routes.ts': forged(evaluated) });
    assert.equal(await stage.decides(fromTrunk('x')), told);
  }
});

test('a call has two hundred questions; what the code prints is in the log, not without end', LONG, async () => {
  const code = "async (call) => { for (let i = 0; ; i++) { console.log('line', i); await call.lookup('bob'); } }";
  await using stage = new RouterStage({ 'routes.ts': rules(`{ name: 'curious', do: ${code} }`) });
  const { steps } = await stage.router.route(fromAlice('1'));
  assert.match(steps.at(-1) ?? '', /its code failed: Error: more than 200 questions for one call/);
  await stage.heard('infos', /^routes\.ts prints: line 49$/);
  assert.ok(!stage.infos.some((line) => line.includes('line 50')));
});

test('closing answers whoever waits; no thread, watcher or timer is left', LONG, async () => {
  const before = left();
  for (const text of [rules(...BAD), 'for (;;);', 'export default [']) {
    await using stage = new RouterStage({ 'routes.ts': text });
    const waiting = stage.decides(fromAlice('slow'));
    await stage.router.close();
    assert.match(await waiting, /^503 the server is being stopped$|^404/);
    assert.equal(await stage.decides(fromAlice('1')), '503 the server is being stopped');
  }
  const log = { info: () => {}, warn: () => {} };
  await new Router({ path: '/nowhere/at/all/routes.ts', directory, log }).close();
  // libuv closes handles at the end of a turn
  for (let turn = 0; turn < 3; turn++) await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(left(), before);
});
