import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { existsSync, readlinkSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { after, test } from 'node:test';
import { callAdmin, type PartStatus } from '@offhook/core/node';
import { lacking } from './src/peers.ts';
import { alawPcap, sipp } from './src/sipp.ts';
import { anyPorts, scratchFolder } from './src/system.ts';

const skip = lacking('sipp', 'npm', 'git');

const folder = scratchFolder();
const root = new URL('..', import.meta.url).pathname;

after(() => folder.remove());

/** PATH without any node_modules/.bin: what a newcomer's shell has. */
const folders = (process.env.PATH ?? '').split(delimiter).filter((entry) => !entry.includes('node_modules'));

function nodeIn(entry: string): string | undefined {
  try {
    return execFileSync(join(entry, 'node'), ['--version'], { encoding: 'utf8' }).trim();
  } catch {
    return undefined;
  }
}

/** The first folder whose Node is too old to run the parts; it comes first, so that no newer one is found. */
const old = folders.find((entry) => Number.parseInt((nodeIn(entry) ?? 'v99').slice(1), 10) < 24);
const path = old === undefined ? folders : [old, ...folders];
const where =
  old === undefined
    ? `the shell's own Node ${folders.map(nodeIn).find(Boolean)} (not shown: that an older one is enough; there is none here)`
    : `no other Node than the system's ${nodeIn(old)}`;

/** What a newcomer reads while waiting, in this order. */
const WORDS: readonly RegExp[] = [
  /offhook: installing the dependencies, Node 24 among them \(npm ci, about \d+ MB, once\)/,
  /offhook: building the web phone/,
  /Offhook is ready\. Open a phone/,
  /alice +http:\/\/localhost:\d+\/#login=/,
  /bob +http:\/\/localhost:\d+\/#login=/,
  /Try this first: .* call 600/,
  /SIP phones: server 127\.0\.0\.1, port \d+/,
  /Ctrl-C stops everything/,
];

test(`a fresh clone with nothing installed and ${where} is healthy within four minutes of \`npm start\`, says what it does, and its echo answers SIPp`, {
  skip,
  timeout: 300_000,
}, async () => {
  const clone = join(folder.path, 'clone');
  execFileSync('git', ['clone', '-q', '--no-hardlinks', root, clone]);
  assert.ok(!existsSync(join(clone, 'node_modules')));
  writeFileSync(join(clone, 'offhook.config.json'), JSON.stringify(anyPorts()));
  const env: NodeJS.ProcessEnv = { ...process.env, PATH: path.join(delimiter) };
  for (const name of Object.keys(env))
    if (name.startsWith('npm_') || name === 'NODE_OPTIONS' || name === 'NODE_TEST_CONTEXT') delete env[name];
  const began = performance.now();
  const child = spawn('npm', ['start'], { cwd: clone, env, stdio: ['ignore', 'pipe', 'pipe'], detached: true });
  let output = '';
  let firstWordsMs: number | undefined;
  const note = (d: Buffer) => {
    output += d.toString();
    if (WORDS[0]!.test(output)) firstWordsMs ??= performance.now() - began;
  };
  child.stdout.on('data', note);
  child.stderr.on('data', note);
  const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  try {
    const socket = join(clone, 'data/run/signaling.sock');
    const deadline = began + 240_000;
    let status: PartStatus | undefined;
    while (!status || !WORDS.at(-1)!.test(output)) {
      assert.ok(performance.now() < deadline && child.exitCode === null, `not healthy:\n${output}`);
      await new Promise((resolve) => setTimeout(resolve, 250));
      status = (await callAdmin(socket, 'status').catch(() => undefined)) as PartStatus | undefined;
    }
    assert.ok(firstWordsMs !== undefined && firstWordsMs < 15_000, `the first words came after ${firstWordsMs} ms`);
    const places = WORDS.map((words) => {
      const found = words.exec(output);
      assert.ok(found, `a newcomer does not read ${words}:\n${output}`);
      return found.index;
    });
    assert.deepEqual(
      places,
      places.toSorted((a, b) => a - b),
      `the words come in another order:\n${output}`,
    );
    assert.doesNotMatch(output, /\n\s+at |npm warn|ExperimentalWarning|DeprecationWarning/i);
    const running = readlinkSync(`/proc/${status.pid}/exe`);
    assert.ok(old === undefined || running.startsWith(join(clone, 'node_modules')), `the parts run on ${running}`);

    const { ports } = status;
    const healthy = await fetch(`http://127.0.0.1:${ports.http}/healthz`);
    assert.equal(healthy.status, 200);
    const page = await fetch(`http://127.0.0.1:${ports.http}/`);
    assert.match(await page.text(), /<script type="module"/);
    const bin = join(clone, 'cli/bin/offhook.mjs');
    execFileSync('node', [bin, 'user', 'add', 'tester', '--password', 'Trumpet-44-x'], { cwd: clone, env });
    const run = await sipp({
      folder: folder.path,
      scenario: 'echo-with-media.xml',
      replace: { PCAP: alawPcap() },
      server: `127.0.0.1:${ports.udp}`,
      user: 'tester',
      password: 'Trumpet-44-x',
      domain: '127.0.0.1',
      calls: 1,
    });
    assert.equal(run.failed, 0, run.output);
  } finally {
    process.kill(-child.pid!, 'SIGINT');
    await exited;
  }
});
