import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { test } from 'node:test';
import { stopProcess } from './src/stop-process.ts';

const DEAF = "process.on('SIGTERM', () => {}); console.log('deaf'); setTimeout(() => {}, 15_000)";

for (const [name, command, args] of [
  ['alone', process.execPath, ['-e', DEAF]],
  ['under timeout(1)', 'timeout', ['15', process.execPath, '-e', DEAF]],
] as const) {
  test(`a program that does not listen is killed, ${name}`, { timeout: 10_000 }, async () => {
    const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'inherit'] });
    const closed = once(child.stdout, 'close'); // nobody is left who could write there
    await once(child.stdout, 'data');
    await stopProcess(child, undefined, 200);
    await closed;
    assert.equal(child.signalCode, 'SIGKILL');
    await stopProcess(child);
  });
}

test('one that listens is asked in its own way, and not killed', async () => {
  const child = spawn(process.execPath, ['-e', 'process.stdin.resume()'], { stdio: ['pipe', 'ignore', 'inherit'] });
  await stopProcess(child, () => child.stdin.end());
  assert.equal(child.exitCode, 0);
});
