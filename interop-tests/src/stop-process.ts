import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';

/** What was asked to end has this long before it is killed. */
const GRACE_MS = 5000;

/** Ends a process of a test and waits until it has: asked first, by SIGTERM if nothing else is said. Once more does nothing. */
export async function stopProcess(
  child: ChildProcess,
  ask: () => unknown = () => child.kill('SIGTERM'),
  graceMs = GRACE_MS,
): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, 'exit');
  const guard = setTimeout(() => kill(child), graceMs);
  await ask();
  await ended;
  clearTimeout(guard);
}

/** With those it leads: timeout(1) makes a group of itself and its program, which SIGKILL to it alone would leave behind. */
function kill(child: ChildProcess): void {
  try {
    process.kill(-child.pid!, 'SIGKILL');
  } catch {
    child.kill('SIGKILL'); // it leads no group
  }
}
