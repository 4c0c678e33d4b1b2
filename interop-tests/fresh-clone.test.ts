import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { callAdmin } from '@offhook/core/node';
import { sipp } from './src/sipp.ts';
import { anyPorts, scratchFolder } from './src/system.ts';

const folder = scratchFolder();
const root = new URL('..', import.meta.url).pathname;

after(() => folder.remove());

/** PATH without any node_modules/.bin: what a newcomer's shell has. */
const path = (process.env.PATH ?? '')
  .split(':')
  .filter((entry) => !entry.includes('node_modules'))
  .join(':');

test('a fresh clone with nothing installed is healthy within four minutes of `npm start`, and its echo answers SIPp', {
  timeout: 300_000,
}, async () => {
  const clone = join(folder.path, 'clone');
  execFileSync('git', ['clone', '-q', '--no-hardlinks', root, clone]);
  assert.ok(!existsSync(join(clone, 'node_modules')));
  writeFileSync(join(clone, 'offhook.config.json'), JSON.stringify(anyPorts({})));
  const env: NodeJS.ProcessEnv = { ...process.env, PATH: path };
  for (const name of Object.keys(env))
    if (name.startsWith('npm_') || name === 'NODE_OPTIONS' || name === 'NODE_TEST_CONTEXT') delete env[name];
  const child = spawn('npm', ['start'], { cwd: clone, env, stdio: ['ignore', 'pipe', 'pipe'], detached: true });
  let output = '';
  child.stdout.on('data', (d: Buffer) => {
    output += d.toString();
  });
  child.stderr.on('data', (d: Buffer) => {
    output += d.toString();
  });
  const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  try {
    const socket = join(clone, 'data/run/signaling.sock');
    const deadline = performance.now() + 240_000;
    let ports: Record<string, number> | undefined;
    while (!ports) {
      assert.ok(performance.now() < deadline && child.exitCode === null, `not healthy:\n${output}`);
      await new Promise((resolve) => setTimeout(resolve, 250));
      const status = (await callAdmin(socket, 'status').catch(() => undefined)) as
        | { ports: Record<string, number> }
        | undefined;
      ports = status?.ports;
    }
    const healthy = await fetch(`http://127.0.0.1:${ports.http}/healthz`);
    assert.equal(healthy.status, 200);
    const page = await fetch(`http://127.0.0.1:${ports.http}/`);
    assert.match(await page.text(), /<script type="module"/);
    const bin = join(clone, 'cli/bin/offhook.mjs');
    execFileSync('node', [bin, 'user', 'add', 'tester', '--password', 'Trumpet-44-x'], { cwd: clone, env });
    const run = await sipp({
      folder: folder.path,
      scenario: 'echo-with-media.xml',
      replace: { PCAP: '/usr/share/sip-tester/g711a.pcap' },
      server: `127.0.0.1:${ports.udp}`,
      user: 'tester',
      password: 'Trumpet-44-x',
      domain: '127.0.0.1',
      calls: 1,
    });
    assert.equal(run.failed, 0, run.output);
    assert.match(output, /#login=/, 'the login links are printed');
  } finally {
    process.kill(-child.pid!, 'SIGINT');
    await exited;
  }
});
