import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { callAdmin } from './admin.ts';

/** A part that says when it serves, and reads its configuration at a reload. */
const PART = `
  import { runPart } from ${JSON.stringify(join(import.meta.dirname, 'part.ts'))};
  await runPart(async (config, reread) => ({
    ports: {},
    reload: () => 'has ' + Object.keys(reread()).length + ' settings',
    stop: async () => {},
  }));
  console.log('serves');
`;
const SECRET = 'hunter2secret';

function part(t: TestContext) {
  const folder = mkdtempSync(join(tmpdir(), 'oh-part-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const main = join(folder, 'main.mjs');
  const config = join(folder, 'part.json');
  writeFileSync(main, PART);
  return {
    config,
    folder,
    start: () => {
      const child = spawn(process.execPath, [main, '--config', config], { stdio: ['ignore', 'pipe', 'pipe'] });
      t.after(() => child.kill('SIGKILL'));
      const said = { err: '' };
      child.stderr.on('data', (bytes: Buffer) => (said.err += bytes));
      return { child, said };
    },
  };
}

for (const text of [`{"secret":${SECRET}}`, SECRET, `{"secret":"${SECRET}`, undefined]) {
  const how = text === undefined ? 'that is missing' : `like ${text.replace(SECRET, '…')}`;
  test(`a configuration ${how} ends a part with exit code 2, and nothing of it is said`, async (t) => {
    const { config, start } = part(t);
    if (text !== undefined) writeFileSync(config, text);
    const { child, said } = start();
    const [code] = await once(child, 'close');
    assert.equal(code, 2);
    if (text !== undefined) assert.equal(said.err, `${config} is damaged (not JSON)\n`);
    else assert.match(said.err, /^ENOENT: no such file .*part\.json'\n$/);
  });
}

test('a configuration that is damaged while a part runs is told of by its name alone, and the part goes on', async (t) => {
  const { config, folder, start } = part(t);
  const good = JSON.stringify({ part: 'test', runDir: folder, configHash: '' });
  writeFileSync(config, good);
  const { child, said } = start();
  await once(child.stdout, 'data');
  const socket = join(folder, 'test.sock');
  assert.deepEqual(await callAdmin(socket, 'reload'), { words: 'has 3 settings' });
  writeFileSync(config, `{"secret":${SECRET}}`);
  await assert.rejects(callAdmin(socket, 'reload'), { message: `${config} is damaged (not JSON)` });
  writeFileSync(config, good);
  assert.deepEqual(await callAdmin(socket, 'reload'), { words: 'has 3 settings' });
  child.kill('SIGTERM');
  const [code] = await once(child, 'exit');
  assert.deepEqual([code, said.err], [0, '']);
});
