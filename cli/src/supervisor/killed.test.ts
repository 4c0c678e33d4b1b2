import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, beforeEach, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { callAdmin, type PartStatus } from '@offhook/core/node';
import { processIdentity } from './identity.ts';
import { takeLock } from './lock.ts';
import { isAlive } from './pid-file.ts';

const PARTS = ['first', 'second', 'third'];
const LONG = { timeout: 60_000 };

let data = '';
const running = new Set<Supervised>();
const folders: string[] = [];

beforeEach(() => {
  data = mkdtempSync(join(tmpdir(), 'oh-sup-'));
  folders.push(data);
});

afterEach(async () => {
  for (const one of running) await one.stop();
  running.clear();
});

after(() => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});

/** A supervisor as a process, with what it said. */
class Supervised {
  readonly lines: string[] = [];
  readonly ended: Promise<number | null>;
  readonly #child: ChildProcess;
  #waiting: (() => void) | undefined;

  constructor() {
    const script = fileURLToPath(new URL('../testing/supervise.ts', import.meta.url));
    this.#child = spawn(process.execPath, [script, data], { stdio: ['ignore', 'pipe', 'inherit'] });
    this.ended = new Promise((resolve) => this.#child.once('close', (code) => resolve(code)));
    let held = '';
    this.#child.stdout?.on('data', (bytes: Buffer) => {
      const parts = (held + bytes.toString()).split('\n');
      held = parts.pop() ?? '';
      this.lines.push(...parts);
      this.#waiting?.();
    });
    this.#child.once('exit', () => this.#waiting?.());
    running.add(this);
  }

  /** Waits for a line; fails when the supervisor ends without it. */
  async says(wanted: RegExp): Promise<string> {
    for (;;) {
      const line = this.lines.find((one) => wanted.test(one));
      if (line !== undefined) return line;
      assert.equal(this.#child.exitCode, null, `ended without '${wanted}':\n${this.lines.join('\n')}`);
      await new Promise<void>((resolve) => {
        this.#waiting = resolve;
      });
    }
  }

  async stop(): Promise<number | null> {
    this.#child.kill('SIGTERM');
    return this.ended;
  }

  /** Not 'close': the parts write to logs of their own, but this is about the process. */
  async kill(): Promise<void> {
    const gone = new Promise((resolve) => this.#child.once('exit', resolve));
    this.#child.kill('SIGKILL');
    await gone;
    running.delete(this);
  }
}

async function pids(): Promise<number[]> {
  const answers = PARTS.map((part) => callAdmin(join(data, `run/${part}.sock`), 'status') as Promise<PartStatus>);
  return (await Promise.all(answers)).map(({ pid }) => pid);
}

test('after kill -9 of the supervisor the parts go on, the next one adopts, watches and stops them', LONG, async () => {
  const first = new Supervised();
  await first.says(/all ready/);
  const before = await pids();
  await first.kill();
  assert.deepEqual(await pids(), before);
  const second = new Supervised();
  await second.says(/all ready/);
  assert.deepEqual(await pids(), before);
  process.kill(before[0]!, 'SIGKILL');
  await second.says(/^first: restarted/);
  const after = await pids();
  assert.deepEqual(after.slice(1), before.slice(1));
  assert.equal(await second.stop(), 0);
  for (const pid of [...before, ...after]) assert.equal(processIdentity(pid), undefined);
});

test('a part that died while no supervisor was there is started anew; the living are adopted', LONG, async () => {
  const first = new Supervised();
  await first.says(/all ready/);
  const before = await pids();
  await first.kill();
  process.kill(before[2]!, 'SIGKILL');
  const second = new Supervised();
  await second.says(/all ready/);
  await second.says(/^third: ready/);
  assert.deepEqual((await pids()).slice(0, 2), before.slice(0, 2));
});

for (const name of ['first', 'left-over']) {
  test(`a stale pid file '${name}.pid' that names a stranger’s process costs the stranger nothing`, LONG, async () => {
    const stranger = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], { stdio: 'ignore' });
    const identity = processIdentity(stranger.pid!)!;
    try {
      mkdirSync(join(data, 'run'));
      writeFileSync(join(data, `run/${name}.pid`), JSON.stringify({ pid: stranger.pid, identity: 'another boot/1' }));
      const supervisor = new Supervised();
      await supervisor.says(/all ready/);
      await supervisor.stop();
      assert.ok(isAlive({ pid: stranger.pid!, identity }));
    } finally {
      stranger.kill('SIGKILL');
    }
  });
}

test('the lock of a data folder keeps other processes out and is given back by the kernel', LONG, async () => {
  const mine = takeLock(data);
  assert.ok(mine);
  const script = `import { takeLock } from '${join(import.meta.dirname, 'lock.ts')}';
    const lock = takeLock('${data}'); process.stdout.write(lock ? 'held' : 'refused'); setInterval(() => {}, 1000);`;
  const contend = async (wanted: string) => {
    const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const said = await new Promise((resolve) =>
      child.stdout.once('data', (bytes: Buffer) => resolve(bytes.toString())),
    );
    assert.equal(said, wanted);
    const gone = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGKILL');
    await gone;
  };
  await contend('refused');
  mine.release();
  await contend('held');
  const again = takeLock(data); // the last holder was killed with -9
  assert.ok(again);
  again.release();
});
