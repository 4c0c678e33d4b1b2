import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { callAdmin, type PartStatus } from '@offhook/core/node';
import type { HangLimits } from './hang.ts';
import { processIdentity } from './identity.ts';
import { takeLock } from './lock.ts';
import type { PartSpec } from './spec.ts';
import { Supervisor } from './supervisor.ts';

const ENTRY = fileURLToPath(new URL('../testing/fake-part.ts', import.meta.url));

/** A fake part; one that needs others carries their ports in its settings, as the real ones do. */
function fake(
  name: string,
  { needs = [] as string[], ...extra }: Record<string, unknown> & { needs?: string[] } = {},
): PartSpec {
  return {
    name,
    entry: ENTRY,
    needs,
    settings: (ports) => ({ port: 0, needed: needs.map((need) => ports.get(need)?.tcp), ...extra }),
    withPorts: (settings, ports) => ({ ...settings, port: ports.tcp }),
  };
}

interface World {
  readonly data: string;
  readonly lines: string[];
  hangLimits: HangLimits | undefined;
  supervise(...parts: PartSpec[]): Supervisor;
  /** What the part says of itself, if it runs. */
  status(part: string): Promise<PartStatus | undefined>;
}

function world(t: TestContext): World {
  const data = mkdtempSync(join(tmpdir(), 'offhook-supervisor-'));
  const lines: string[] = [];
  const supervisors: Supervisor[] = [];
  t.after(async () => {
    for (const supervisor of supervisors) await supervisor.stop();
    rmSync(data, { recursive: true });
  });
  return {
    data,
    lines,
    hangLimits: undefined,
    supervise(...parts) {
      const supervisor = new Supervisor({
        data,
        parts,
        say: (line) => lines.push(line),
        ...(this.hangLimits && { hangLimits: this.hangLimits }),
      });
      supervisors.push(supervisor);
      return supervisor;
    },
    status: async (part) =>
      (await callAdmin(join(data, 'run', `${part}.sock`), 'status').catch(() => undefined)) as PartStatus | undefined,
  };
}

async function until<T>(what: string, look: () => Promise<T | undefined | false> | T | undefined | false): Promise<T> {
  const deadline = performance.now() + 15_000;
  for (;;) {
    const seen = await look();
    if (seen) return seen;
    assert.ok(performance.now() < deadline, `not within 15 s: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

const successor = (w: World, part: string, pid: number) =>
  until(`${part} runs again`, async () => {
    const status = await w.status(part);
    return status && status.pid !== pid && status;
  });

test('parts run in sessions of their own and are gone after stop', async (t) => {
  const w = world(t);
  const supervisor = w.supervise(fake('a'), fake('b', { needs: ['a'] }));
  const started = supervisor.start();
  const states = () => supervisor.report().map(({ state }) => state);
  assert.deepEqual(states(), ['starting', 'starting']);
  await started;
  const reports = supervisor.report();
  assert.deepEqual(
    reports.map(({ part, state }) => [part, state]),
    [
      ['a', 'ready'],
      ['b', 'ready'],
    ],
  );
  const needed = JSON.parse(readFileSync(join(w.data, 'run/b.config.json'), 'utf8')) as { needed: number[] };
  assert.deepEqual(needed.needed, [reports[0].ports.tcp]);
  for (const { pid } of reports) {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const session = stat.slice(stat.lastIndexOf(')') + 2).split(' ')[3];
    assert.equal(Number(session), pid);
  }
  await supervisor.stop();
  assert.deepEqual(states(), ['down', 'down']);
  for (const { pid } of reports) assert.equal(processIdentity(pid!), undefined);
  assert.equal(await w.status('a'), undefined);
});

test('a killed part comes back on the same port and the others do not notice', async (t) => {
  const w = world(t);
  const supervisor = w.supervise(fake('a'), fake('b', { needs: ['a'] }));
  await supervisor.start();
  const [a, b] = supervisor.report();
  process.kill(a.pid!, 'SIGKILL');
  const again = await successor(w, 'a', a.pid!);
  assert.deepEqual(again.ports, a.ports);
  await until('the restart is counted', () => supervisor.report()[0].restarts === 1);
  assert.equal((await w.status('b'))?.pid, b.pid);
  const log = join(w.data, 'log/a.log');
  assert.ok(w.lines.includes(`a: ended unexpectedly (ended by SIGKILL); log: ${log}; restarting`), w.lines.join('\n'));
  assert.equal(supervisor.report()[0].lastEnd, 'ended by SIGKILL');
  const stamp = '--- \\d{4}-\\d\\d-\\d\\dT[\\d:.]+Z ';
  const wanted = [
    `ready \\(pid ${a.pid}\\)`,
    'ended unexpectedly \\(ended by SIGKILL\\)',
    `ready \\(pid ${again.pid}\\)`,
  ];
  assert.match(readFileSync(log, 'utf8'), new RegExp(`^${wanted.map((words) => `${stamp}${words}\n`).join('')}$`));
  assert.ok(w.lines.some((line) => line.startsWith('a: restarted')));
});

test('a part that keeps dying is brought back each time', async (t) => {
  const w = world(t);
  const supervisor = w.supervise(fake('a'));
  await supervisor.start();
  let { pid } = supervisor.report()[0];
  for (let i = 0; i < 3; i++) {
    process.kill(pid!, 'SIGKILL');
    ({ pid } = await successor(w, 'a', pid!));
    await until('it is watched again', () => supervisor.report()[0].pid === pid);
  }
  assert.equal(supervisor.report()[0].restarts, 3);
});

test('a part that hangs is killed after a warning, and comes back; the others are left alone', async (t) => {
  const w = world(t);
  w.hangLimits = { idleMs: 1500, busyMs: 6000 };
  const supervisor = w.supervise(fake('a'), fake('b'));
  await supervisor.start();
  const [a, b] = supervisor.report();
  const began = performance.now();
  process.kill(a.pid!, 'SIGSTOP');
  const again = await successor(w, 'a', a.pid!);
  assert.ok(performance.now() - began > 1400, 'it had its time');
  assert.deepEqual(again.ports, a.ports);
  await until('the restart is counted', () => supervisor.report()[0].restarts === 1);
  assert.equal((await w.status('b'))?.pid, b.pid);
  const log = join(w.data, 'log/a.log');
  assert.deepEqual(w.lines.slice(2, 4), [
    `a: has not answered for 2 s (pid ${a.pid}), killing it; log: ${log}`,
    `a: ended unexpectedly (it hung, ended by SIGKILL); log: ${log}; restarting`,
  ]);
});

test('an adopted part that hangs is killed too', async (t) => {
  const w = world(t);
  w.hangLimits = { idleMs: 1000, busyMs: 6000 };
  const first = w.supervise(fake('a'));
  await first.start();
  const [a] = first.report();
  first.release();
  await w.supervise(fake('a')).start();
  process.kill(a.pid!, 'SIGSTOP');
  await successor(w, 'a', a.pid!);
  assert.ok(w.lines.some((line) => /it hung, how is not known, because a former supervisor had started it/.test(line)));
});

test('a part that is busy for longer than a hung one may be silent is not hit', async (t) => {
  const w = world(t);
  w.hangLimits = { idleMs: 1000, busyMs: 30_000 };
  const supervisor = w.supervise(fake('a', { behave: 'be busy for 3 s' }));
  await supervisor.start();
  const { pid } = supervisor.report()[0];
  await new Promise((resolve) => setTimeout(resolve, 3800)); // its busy time, which is no event that could be waited for
  assert.equal((await w.status('a'))?.pid, pid);
  assert.equal(w.lines.length, 1, w.lines.join('\n'));
});

test('a new supervisor adopts living parts of the same settings and watches them', async (t) => {
  const w = world(t);
  const first = w.supervise(fake('a'), fake('b', { needs: ['a'] }));
  await first.start();
  const before = first.report().map(({ pid }) => pid);
  // The first one is let go as by kill -9: it neither stops nor restarts anything any more.
  first.release();
  const second = w.supervise(fake('a'), fake('b', { needs: ['a'] }));
  await second.start();
  assert.deepEqual(
    second.report().map(({ pid }) => pid),
    before,
  );
  assert.equal(w.lines.filter((line) => line.includes('adopted')).length, 2);
  process.kill(before[1]!, 'SIGKILL');
  await successor(w, 'b', before[1]!);
  assert.equal((await w.status('a'))?.pid, before[0]);
});

test('a living part of other settings is replaced, and so is what needs its port', async (t) => {
  const w = world(t);
  const first = w.supervise(fake('a'), fake('b', { needs: ['a'] }), fake('c'));
  await first.start();
  const [a, b, c] = first.report();
  first.release();
  const second = w.supervise(fake('a', { loudness: 11 }), fake('b', { needs: ['a'] }), fake('c'));
  await second.start();
  const [a2, b2, c2] = second.report();
  assert.notEqual(a2.pid, a.pid);
  assert.notEqual(b2.pid, b.pid);
  assert.equal(c2.pid, c.pid);
  assert.equal(processIdentity(a.pid!), undefined);
  assert.equal(processIdentity(b.pid!), undefined);
});

test('a part that is not wanted any more is stopped at the next start', async (t) => {
  const w = world(t);
  const first = w.supervise(fake('a'), fake('b'));
  await first.start();
  const b = first.report()[1];
  first.release();
  await w.supervise(fake('a')).start();
  assert.equal(processIdentity(b.pid!), undefined);
  assert.equal(await w.status('b'), undefined);
});

test('a part that does not stop is killed after five seconds', async (t) => {
  const w = world(t);
  const supervisor = w.supervise(fake('a', { behave: 'ignore SIGTERM' }));
  await supervisor.start();
  const { pid } = supervisor.report()[0];
  const started = performance.now();
  await supervisor.stop();
  const took = performance.now() - started;
  assert.equal(processIdentity(pid!), undefined);
  assert.ok(took > 4900 && took < 9000, `${took} ms`);
  assert.ok(w.lines.includes('a: did not stop within 5 s, killed'));
});

test('a part that cannot start says why, in its own words', async (t) => {
  const w = world(t);
  const supervisor = w.supervise(fake('a'), fake('b', { behave: 'fail to start' }));
  await assert.rejects(supervisor.start(), /b did not start \(exit code 1\)[\s\S]*the moon is in the wrong house/);
  await supervisor.stop();
  assert.equal(await w.status('a'), undefined);
});

test('kill ends everything at once', async (t) => {
  const w = world(t);
  const supervisor = w.supervise(fake('a', { behave: 'ignore SIGTERM' }));
  await supervisor.start();
  const { pid } = supervisor.report()[0];
  supervisor.kill();
  await until('the process is gone', () => processIdentity(pid!) === undefined);
});

test('one supervisor per data folder', (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'offhook-lock-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const lock = takeLock(folder);
  assert.ok(lock);
  assert.equal(takeLock(folder), undefined);
  lock.release();
  const next = takeLock(folder);
  assert.ok(next);
  next.release();
});
