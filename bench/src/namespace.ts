import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { networkInterfaces } from 'node:os';

/** Whether nothing but this machine's loopback can be reached, as in a network namespace of our own. */
export function isAlone(): boolean {
  return Object.keys(networkInterfaces()).every((name) => name === 'lo');
}

/**
 * Runs this program again in a network namespace of its own that has a loopback and nothing else: ports are free, nobody else
 * talks. Answers its exit code, or undefined when namespaces are not to be had here.
 */
export async function runAlone(): Promise<number | undefined> {
  if (process.getuid?.() !== 0 || !(await isPossible())) return undefined;
  const script = 'ip link set lo up && exec "$@"';
  const again = [process.execPath, ...process.execArgv, ...process.argv.slice(1)];
  const child = spawn('unshare', ['--net', '--', 'sh', '-c', script, 'sh', ...again], { stdio: 'inherit' });
  // Ctrl-C goes to the whole group anyway.
  const pass = () => child.kill('SIGTERM');
  process.on('SIGTERM', pass).on('SIGINT', () => {});
  const [code] = (await once(child, 'exit')) as [number | null];
  return code ?? 1;
}

async function isPossible(): Promise<boolean> {
  const child = spawn('unshare', ['--net', '--', 'sh', '-c', 'ip link set lo up'], { stdio: 'ignore' });
  try {
    const [code] = (await once(child, 'exit')) as [number | null];
    return code === 0;
  } catch {
    return false;
  }
}
