import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { TurnPolicy } from './config.ts';
import { readRules } from './rules.ts';
import { REALM } from './testkit/world.ts';

function secretsFile(t: TestContext): { readonly path: string; readonly policy: TurnPolicy } {
  const folder = mkdtempSync(join(tmpdir(), 'offhook-rules-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const path = join(folder, 'secrets.json');
  return { path, policy: { secrets: ['own'], secretsFile: path, peers: { base: 'none', allow: [], deny: [] } } };
}

test('secrets are those of the policy and those of the file, one or several, each once', (t) => {
  const { path, policy } = secretsFile(t);
  for (const [turn, secrets] of [
    ['new', ['own', 'new']],
    [
      ['new', 'own', 'old'],
      ['own', 'new', 'old'],
    ],
  ] as const) {
    writeFileSync(path, JSON.stringify({ session: 'not ours', turn }));
    assert.deepEqual(readRules(policy, REALM).secrets, secrets);
  }
});

test('a secrets file that can’t be used is told of by its name, and by nothing that stands in it', (t) => {
  const { path, policy } = secretsFile(t);
  assert.throws(() => readRules(policy, REALM), { message: new RegExp(`^secretsFile: ${path}: ENOENT`) });
  for (const [text, message] of [
    ['{"turn":hunter2secret}', `secretsFile: ${path} is damaged (not JSON)`],
    ['hunter2secret', `secretsFile: ${path} is damaged (not JSON)`],
    ['{"turn":"hunter2secret', `secretsFile: ${path} is damaged (not JSON)`],
    ['null', `secretsFile: ${path} needs a key 'turn' with a secret or a list of them`],
    ['{"other":"hunter2secret"}', `secretsFile: ${path} needs a key 'turn' with a secret or a list of them`],
    ['{"turn":["hunter2secret",""]}', `secretsFile: ${path} needs a key 'turn' with a secret or a list of them`],
  ] as const) {
    writeFileSync(path, text);
    assert.throws(() => readRules(policy, REALM), { message });
  }
});
