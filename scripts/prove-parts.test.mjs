import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { readArguments, root } from './prove-parts.mjs';

test('what is to be proved, and all that is wrong with how it is said', () => {
  assert.deepEqual(readArguments(['congestion:jitter', '--seeds', '5', 'congestion']), {
    wanted: ['congestion:jitter', 'congestion'],
    values: { seeds: '5' },
  });
  assert.deepEqual(readArguments(['nosuch', 'relay', 'signaling:nosuch', '--sedes', '--seeds=2', '--minutes', 'x']), {
    problems: [
      "'nosuch' is no part, and no study of one",
      "'signaling:nosuch' is no part, and no study of one",
      "'--sedes' is no option",
      '--seeds says nothing to relay: it is for congestion',
      "--minutes needs a number above 0, not 'x'",
    ],
  });
  assert.deepEqual(readArguments(['toString']), { problems: ["'toString' is no part, and no study of one"] });
  assert.deepEqual(readArguments([]), { problems: ['nothing is named that is to be proved'] });
  for (const word of ['--help', '-h']) assert.deepEqual(readArguments(['nosuch', word]), { help: true });
});

/** With an empty PATH, where the preparing would say what it misses. */
for (const [words, code] of [
  [['--help'], 0],
  [['nosuch'], 2],
  [['models', '--nosuch'], 2],
  [[], 2],
])
  test(`nothing is installed or run for 'prove ${words.join(' ')}'`, (t) => {
    const path = mkdtempSync(join(tmpdir(), 'oh-prove-'));
    t.after(() => rmSync(path, { recursive: true, force: true }));
    const { status, stdout, stderr } = spawnSync(process.execPath, [join(root, 'scripts/prove.mjs'), ...words], {
      encoding: 'utf8',
      env: { PATH: path, HOME: path },
    });
    assert.equal(status, code, stderr);
    assert.doesNotMatch(stdout + stderr, /offhook: |not installed/);
    assert.match(stdout + stderr, /npm run prove -- /);
    assert.deepEqual(readdirSync(path), []);
  });
