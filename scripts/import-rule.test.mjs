// Plants one violation of every kind of import rule in a copy of the tree and sees `npm run check`'s tools catch it.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const LEFT_OUT = new Set(['node_modules', '.git', 'dist', 'data', 'prove-results', 'bench-results']);
let tree;

before(() => {
  tree = mkdtempSync(join(tmpdir(), 'offhook-import-rule-'));
  cpSync(root, tree, { recursive: true, filter: (path) => path === root || !LEFT_OUT.has(basename(path)) });
  symlinkSync(join(root, 'node_modules'), join(tree, 'node_modules'));
});

after(() => rmSync(tree, { recursive: true, force: true }));

/** Runs a tool of the check in the copy; answers its exit code and words. */
function run(tool, ...args) {
  const { status, stdout, stderr } = spawnSync(join(root, 'node_modules/.bin', tool), args, {
    cwd: tree,
    encoding: 'utf8',
    env: { ...process.env, NO_COLOR: '1', FORCE_COLOR: undefined },
  });
  return { status, words: stdout + stderr };
}

/** Writes the file into the copy for as long as `look` runs. */
function planted(path, content, look) {
  const file = join(tree, path);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, content);
  try {
    return look();
  } finally {
    rmSync(file);
  }
}

const lint = (path, content) => planted(path, content, () => run('biome', 'lint', path));

const PURE = 'The pure folders of core import only each other';
const LOWEST = 'core is the lowest layer';
const SERVICES = 'Services import core and never each other';
const MACHINES = 'Machines are pure';
const PHONE = "The phone imports core's pure entry";
const ROOTS = 'Another workspace is used by its package root';

/** Where · what it may not import · in whose words it is refused. */
const FORBIDDEN = [
  ['core/src/sip', 'node:fs', PURE],
  ['core/src/sip', 'koffi', PURE],
  ['core/src/sip', '../node/clock.ts', PURE],
  ['core/src', './node/index.ts', PURE],
  ['core/src/stun', '@offhook/core/node', PURE],
  ['core/src/rtp', '../../../turn/src/limits.ts', LOWEST],
  ['core/src/node', '@offhook/turn', LOWEST],
  ['core/src/node', '../../../signaling/src/index.ts', LOWEST],
  ['signaling/src/http', '@offhook/media-relay', SERVICES],
  ['signaling/src/http', '@offhook/turn', SERVICES],
  ['signaling/src/http', '../../../turn/src/limits.ts', ROOTS],
  ['signaling/src/http', '../../../core/src/sip/index.ts', ROOTS],
  ['signaling/src/http', '@offhook/core/src/sip/index.ts', ROOTS],
  ['media-relay/src/session', '@offhook/signaling', SERVICES],
  ['media-relay/src/session', '../../../signaling/src/index.ts', ROOTS],
  ['turn/src', '@offhook/media-relay', SERVICES],
  ['turn/src', '../../core/src/stun/index.ts', ROOTS],
  ['signaling/src/call', 'node:crypto', MACHINES],
  ['signaling/src/transaction', '@offhook/core/node', MACHINES],
  ['signaling/src/registrar', 'ws', MACHINES],
  ['signaling/src/dialog', '@offhook/turn', SERVICES],
  ['web-phone/src/ua', '@offhook/core/node', PHONE],
  ['web-phone/src/ua', '@offhook/signaling', PHONE],
  ['web-phone/src/ua', 'node:fs', PHONE],
  ['web-phone/src/ua', 'ws', PHONE],
  ['web-phone/src/ua', '../../../core/src/sip/index.ts', ROOTS],
  ['network-lab/src', '../../signaling/src/call/index.ts', ROOTS],
  ['cli/src', '../../turn/src/limits.ts', ROOTS],
  ['cli/src', '@offhook/signaling/src/index.ts', ROOTS],
  ['interop-tests/src', '../../web-phone/src/phone.ts', ROOTS],
  ['bench/src', '../../media-relay/src/index.ts', ROOTS],
];

for (const [folder, module, words] of FORBIDDEN) {
  test(`${folder} may not import ${module}`, () => {
    const { status, words: said } = lint(`${folder}/planted.ts`, `import * as thing from '${module}';\nthing.use();\n`);
    assert.notEqual(status, 0, said);
    assert.ok(said.includes(words), said);
  });
}

for (const [how, content] of [
  ['a type', "import type { X } from '@offhook/turn';\nexport const x: X | undefined = undefined;\n"],
  ['a re-export', "export * from '@offhook/turn';\n"],
  ['a dynamic import', "export const x = await import('@offhook/turn');\n"],
]) {
  test(`${how} is an import too`, () => {
    const { status, words } = lint('signaling/src/http/planted.ts', content);
    assert.notEqual(status, 0, words);
    assert.ok(words.includes(SERVICES), words);
  });
}

/** What the rule has to leave alone. */
const ALLOWED = [
  ['core/src/sip', '../base/index.ts'],
  ['core/src/node', 'node:fs'],
  ['core/src/node', '../base/index.ts'],
  ['signaling/src/http', '@offhook/core'],
  ['signaling/src/http', '@offhook/core/node'],
  ['signaling/src/call', '@offhook/core'],
  ['signaling/src/call', '../dialog/index.ts'],
  ['media-relay/src/session', '@offhook/core/node'],
  ['turn/src', '@offhook/core/node'],
  ['web-phone/src/ua', '@offhook/core'],
  ['web-phone/src/ua', 'sip.js'],
  ['cli/src', '@offhook/signaling'],
  ['cli/src', '@offhook/core/node'],
  ['interop-tests/src', '@offhook/media-relay'],
  ['bench/src', '@offhook/turn'],
  ['network-lab/src', '@offhook/signaling'],
];

for (const [folder, module] of ALLOWED) {
  test(`${folder} may import ${module}`, () => {
    const { words } = lint(`${folder}/planted.ts`, `import * as thing from '${module}';\nthing.use();\n`);
    assert.ok(!words.includes('noRestrictedImports'), words);
  });
}

for (const name of ['Buffer', 'process', 'setTimeout', 'document', 'console']) {
  test(`${name} does not even compile in a pure folder of core`, () => {
    const { status, words } = planted('core/src/sip/planted.ts', `export const planted: unknown = ${name};\n`, () =>
      run('tsc', '-p', 'tsconfig.pure.json'),
    );
    assert.notEqual(status, 0);
    assert.match(words, new RegExp(`planted\\.ts.*Cannot find name '${name}'`));
  });
}

test('dead code is reported: a file nobody imports', () => {
  const { status, words } = planted('turn/src/planted.ts', 'export const planted = 1;\n', () => run('knip'));
  assert.notEqual(status, 0);
  assert.match(words, /turn\/src\/planted\.ts/);
});
