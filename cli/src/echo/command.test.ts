import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, type TestContext, test } from 'node:test';
import { ownCertificate } from '@offhook/core/node';

const bin = join(import.meta.dirname, '../../bin/offhook.mjs');
const folder = mkdtempSync(join(tmpdir(), 'oh-echo-cli-'));
writeFileSync(join(folder, 'offhook.config.json'), '{}');
after(() => rmSync(folder, { recursive: true, force: true }));
const LONG = { timeout: 120_000 };

interface Running {
  readonly child: ChildProcess;
  readonly out: () => string;
  /** Resolves when a line matches. */
  readonly until: (words: RegExp) => Promise<RegExpExecArray>;
  readonly ended: Promise<{ status: number | null; stdout: string; stderr: string }>;
}

/** The command as a user calls it. */
function offhook(t: TestContext, ...args: string[]): Running {
  const env = { ...process.env };
  delete env.NODE_TEST_CONTEXT;
  const child = spawn(process.execPath, [bin, ...args], { cwd: folder, env, stdio: 'pipe' });
  let [stdout, stderr] = ['', ''];
  let wake = () => {};
  child.stdout.on('data', (bytes: Buffer) => {
    stdout += bytes.toString();
    wake();
  });
  child.stderr.on('data', (bytes: Buffer) => {
    stderr += bytes.toString();
  });
  const ended = once(child, 'close').then(([status]) => ({ status: status as number | null, stdout, stderr }));
  t.after(async () => {
    child.kill('SIGTERM');
    await ended;
  });
  const until = async (words: RegExp) => {
    for (let found = words.exec(stdout); ; found = words.exec(stdout)) {
      if (found) return found;
      await Promise.race([
        new Promise<void>((resolve) => (wake = resolve)),
        ended.then(() => assert.fail(stdout + stderr)),
      ]);
    }
  };
  return { child, out: () => stdout, until, ended };
}

test('a listener and its clients: what is printed can be pasted; Ctrl-C ends with a summary', LONG, async (t) => {
  const listener = offhook(t, 'echo', 'listen', '--udp', 'any', '--tls', 'any', '--tls', '127.0.0.1:any');
  await listener.until(/SHA-256 [0-9A-F:]{95}\n/);
  const pasted = [...listener.out().matchAll(/offhook\.mjs (echo .*)$/gm)].map(([, words]) => words!.split(' '));
  assert.deepEqual(
    pasted.map((words) => words[1]!.replace(/\d+$/, '')),
    ['udp://127.0.0.1:', 'tls://127.0.0.1:', 'tls://127.0.0.1:'],
  );
  for (const words of pasted.slice(0, 2)) {
    const { status, stdout, stderr } = await offhook(t, ...words, '--interval', '1').ended;
    assert.equal(stderr, '');
    assert.match(stdout, /^Hello, Server! {2}[\d.]+ ms\nHello, Server! 2 .*\n.*\n.*\n4 sent, 4 came back, 0 % lost/m);
    assert.equal(status, 0);
  }
  const distrusted = await offhook(t, 'echo', pasted[1]![1]!, '--json').ended;
  assert.equal(distrusted.status, 1);
  const { ok, troubles } = JSON.parse(distrusted.stdout) as { ok: boolean; troubles: string[] };
  assert.equal(ok, false);
  assert.match(troubles[0]!, /signed by nobody but itself/);
  listener.child.kill('SIGINT');
  const { status, stdout } = await listener.ended;
  assert.match(
    stdout,
    /^udp: 127\.0\.0\.1 is here\n[\s\S]*stopping\nudp: 4 datagrams, 62 bytes sent back\ntls: 2 connections, 66 bytes/m,
  );
  assert.equal(status, 0);
});

test(
  'the own CA of the data folder makes the certificate, and clients there trust it by themselves',
  LONG,
  async (t) => {
    ownCertificate({ folder: join(folder, 'data/tls'), names: [], nowMs: Date.now() });
    const listener = offhook(t, 'echo', 'listen', '--wss', 'any', '--json');
    const [, line] = await listener.until(/^(\{"event":"listening".*)\n/);
    const { ports, ca } = JSON.parse(line!) as { ports: { port: number }[]; ca: string };
    assert.equal(ca, join(folder, 'data/tls/ca.pem'));
    const { status, stdout, stderr } = await offhook(t, 'echo', `wss://localhost:${ports[0]!.port}/any`, '--count', '1')
      .ended;
    assert.equal(stderr, '');
    assert.match(
      stdout,
      /certificate for localhost, .*, signed by Offhook CA of .*\nHello, Server! {2}[\d.]+ ms\n1 sent, 1 came back/,
    );
    assert.equal(status, 0);
    listener.child.kill('SIGTERM');
    const { stdout: said } = await listener.ended;
    const last = JSON.parse(said.trim().split('\n').at(-1)!) as { event: string; wss: { messages: number } };
    assert.deepEqual([last.event, last.wss.messages], ['stopped', 1]);
  },
);

test(
  'a port that was asked for and is taken: who has it, exit code 1; lost datagrams: exit code 1',
  LONG,
  async (t) => {
    const silent = createSocket('udp4');
    silent.bind(0, '127.0.0.1');
    await once(silent, 'listening');
    t.after(() => silent.close());
    const at = `127.0.0.1:${silent.address().port}`;
    const taken = await offhook(t, 'echo', 'listen', '--udp', at).ended;
    assert.match(taken.stderr, new RegExp(`^offhook: udp ${at} is taken by .*\n$`));
    assert.equal(taken.status, 1);
    const lost = await offhook(t, 'echo', `udp://${at}`, '--count', '1', '--timeout', '0.2').ended;
    assert.match(lost.stdout, /1 sent, 0 came back, 100 % lost/);
    assert.match(lost.stderr, /^offhook echo: nothing came back from .* a firewall drops UDP/);
    assert.equal(lost.status, 1);
  },
);
