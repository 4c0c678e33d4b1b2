import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { processIdentity } from './identity.ts';

/** A process that we started, by pid and by what makes the pid unmistakable. */
export interface OwnProcess {
  readonly pid: number;
  readonly identity: string;
}

/** The process that a pid file names, if exactly that one still runs; another one under the same pid is not it. */
export function livingProcess(path: string): OwnProcess | undefined {
  let record: Partial<OwnProcess>;
  try {
    record = JSON.parse(readFileSync(path, 'utf8')) as Partial<OwnProcess>;
  } catch {
    return undefined;
  }
  const { pid, identity } = record;
  if (!Number.isInteger(pid) || typeof identity !== 'string') return undefined;
  const own = { pid: pid as number, identity };
  return isAlive(own) ? own : undefined;
}

export function writePidFile(path: string, own: OwnProcess): void {
  writeFileSync(`${path}.new`, `${JSON.stringify(own)}\n`, { mode: 0o600 });
  renameSync(`${path}.new`, path);
}

export function removePidFile(path: string): void {
  rmSync(path, { force: true });
}

export function isAlive(own: OwnProcess): boolean {
  return processIdentity(own.pid) === own.identity;
}

/** Sends a signal to our own process and to no other that may have got its pid since. */
export function signalOwn(own: OwnProcess, signal: NodeJS.Signals): void {
  if (!isAlive(own)) return;
  try {
    process.kill(own.pid, signal);
  } catch {
    // ended between the two lines
  }
}

/** Waits until the process has ended; false when it still runs after `timeoutMs`. */
export async function waitForEnd(own: OwnProcess, timeoutMs: number): Promise<boolean> {
  const deadline = performance.now() + timeoutMs;
  while (isAlive(own)) {
    if (performance.now() >= deadline) return false;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  return true;
}

/** Ends our process: SIGTERM, and SIGKILL when it has not ended after `graceMs`. Answers how it went. */
export async function endOwn(own: OwnProcess, graceMs: number): Promise<'stopped' | 'killed'> {
  signalOwn(own, 'SIGTERM');
  if (await waitForEnd(own, graceMs)) return 'stopped';
  signalOwn(own, 'SIGKILL');
  await waitForEnd(own, 5000);
  return 'killed';
}
