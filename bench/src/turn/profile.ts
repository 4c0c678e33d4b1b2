import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** Node writes the names of its functions for perf, also of those that are not compiled. */
export const PROFILE_FLAGS: readonly string[] = ['--perf-basic-prof', '--interpreted-frames-native-stack'];

/** Samples per second; not a divisor of anything that ticks. */
const RATE = 1999;
const LARGEST = 1 << 28;

/** Has perf watch a process until `stop`, which writes two reports: what costs by itself, and who calls it. */
export async function startProfile(pid: number, folder: string, name: string): Promise<{ stop(): Promise<void> }> {
  const data = join(folder, `${name}.data`);
  const args = ['record', '-F', String(RATE), '-g', '-p', String(pid), '-o', data];
  const perf: ChildProcess = spawn('taskset', ['-c', '1', 'perf', ...args], { stdio: 'ignore' });
  await once(perf, 'spawn');
  return {
    stop: async () => {
      const gone = once(perf, 'exit');
      perf.kill('SIGINT');
      await gone;
      const report = (file: string, ...more: string[]) => {
        const command = ['report', '--stdio', '-i', data, ...more];
        const said = execFileSync('perf', command, {
          encoding: 'utf8',
          maxBuffer: LARGEST,
          stdio: ['ignore', 'pipe', 'ignore'],
        });
        writeFileSync(join(folder, `${name}.${file}.txt`), said.replace(/[ \t]+$/gm, ''));
      };
      report('self', '--no-children', '-g', 'none', '--sort', 'dso,symbol', '--percent-limit', '0.1');
      report('callers', '--children', '-g', 'caller,0.5,callee', '--sort', 'symbol', '--percent-limit', '1');
      rmSync(`${data}.old`, { force: true });
    },
  };
}
