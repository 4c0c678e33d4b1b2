import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { ROOT } from './root.ts';
import { type Call, command } from './spelling.ts';

const BIN = join(ROOT, 'cli/bin/offhook.mjs');
const CASES: readonly [string, Call, string][] = [
  ['start', { cwd: ROOT }, 'npm start'],
  ['start', { cwd: ROOT, config: 'x.json' }, 'npx offhook start --config x.json'],
  ['user add <name>', { cwd: ROOT }, 'npx offhook user add <name>'],
  ['doctor', { cwd: join(ROOT, 'docs') }, 'npx offhook doctor'],
  ['start', { cwd: join(ROOT, 'docs') }, 'npx offhook start'],
  ['stop', { cwd: '/' }, `node ${BIN} stop`],
  ['stop', { cwd: '/', data: "/it's here" }, `node ${BIN} stop --data '/it'\\''s here'`],
  ['stop', { cwd: `${ROOT}-other` }, `node ${BIN} stop`],
];

for (const [words, call, spelled] of CASES)
  test(`'${words}' in ${call.cwd} is spelled so that it can be pasted there`, () =>
    assert.equal(command(words, call), spelled));
