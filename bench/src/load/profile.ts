import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { GENERATOR_CPU } from '../pinned.ts';

/** Node writes the names of its functions for perf, also of those that are not compiled. */
export const PROFILE_FLAGS: readonly string[] = ['--perf-basic-prof', '--interpreted-frames-native-stack'];

/** Samples per second; not a divisor of anything that ticks. */
const RATE = 1999;
const LARGEST = 1 << 28;

/**
 * Has perf watch a process until `stop`, which writes what costs by itself (`.self.txt`), what costs with all that it calls
 * (`.total.txt`) and who calls it (`.callers.txt`). The `.data` file is kept for other questions.
 */
export async function startProfile(pid: number, folder: string, name: string): Promise<{ stop(): Promise<void> }> {
  const data = join(folder, `${name}.data`);
  rmSync(data, { force: true });
  const args = ['record', '-F', String(RATE), '-g', '-p', String(pid), '-o', data];
  const perf = spawn('taskset', ['-c', String(GENERATOR_CPU), 'perf', ...args], { stdio: 'ignore' });
  await once(perf, 'spawn');
  const report = (file: string, more: readonly string[]) => {
    const said = execFileSync('perf', ['report', '--stdio', '-i', data, ...more], {
      encoding: 'utf8',
      maxBuffer: LARGEST,
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    writeFileSync(join(folder, `${name}.${file}.txt`), said.replace(/[ \t]+$/gm, ''));
  };
  return {
    stop: async () => {
      const gone = once(perf, 'exit');
      perf.kill('SIGINT');
      await gone;
      const flat = ['-g', 'none', '--percent-limit', '0.1'];
      report('self', ['--no-children', ...flat, '-F', 'overhead,dso,symbol']);
      report('total', ['--children', ...flat, '-F', 'overhead_children,overhead,dso,symbol']);
      report('callers', ['--no-children', '-g', 'caller,1', '-F', 'overhead,symbol', '--percent-limit', '1']);
    },
  };
}
