import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { serveAdmin } from '@offhook/core/node';
import { processIdentity } from '../supervisor/identity.ts';
import { writePidFile } from '../supervisor/pid-file.ts';
import type { PartReport } from '../supervisor/supervisor.ts';

const program = join(import.meta.dirname, '../main.ts');

function status(data: string, ...words: string[]): Promise<{ code: number; out: string }> {
  return new Promise((resolve) => {
    execFile(process.execPath, [program, 'status', '--data', data, ...words], (error, out) =>
      resolve({ code: Number(error?.code ?? 0), out }),
    );
  });
}

test('what has not been ready yet is starting; what was and is silent does not answer', async (t) => {
  const data = mkdtempSync(join(tmpdir(), 'oh-status-'));
  t.after(() => rmSync(data, { recursive: true, force: true }));
  mkdirSync(join(data, 'run'));
  // turn has its process already, signaling waits for it
  writePidFile(join(data, 'run/turn.pid'), { pid: process.pid, identity: processIdentity(process.pid)! });
  let state: PartReport['state'] = 'starting';
  const admin = await serveAdmin(join(data, 'run/supervisor.sock'), {
    status: () => ({ pid: process.pid, parts: ['turn', 'signaling'].map((part) => ({ part, state, restarts: 0 })) }),
  });
  t.after(() => admin.close());
  const head = `supervisor (pid ${process.pid})\n`;
  assert.deepEqual(await status(data), { code: 1, out: `${head}turn:          starting\nsignaling:     starting\n` });
  const { starting, silent, down } = JSON.parse((await status(data, '--json')).out);
  assert.deepEqual([starting, silent, down], [['turn', 'signaling'], [], []]);
  state = 'ready';
  const { code, out } = await status(data);
  assert.equal(code, 1);
  assert.match(out, new RegExp(`turn: +no answer \\(pid ${process.pid}\\)\nsignaling +does not run; log: `));
});
