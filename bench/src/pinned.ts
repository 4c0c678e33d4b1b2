import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import { cpuNsOf, pssKbOf, tree } from './processes.ts';

/** Servers have one core for themselves, generators the other. */
export const SERVER_CPU = 0;
export const GENERATOR_CPU = 1;

export interface PinnedOptions {
  readonly cpu: number;
  readonly cwd: string;
  /** What it prints goes here. */
  readonly log: string;
  readonly env?: Readonly<Record<string, string>>;
  /** For a Node program that talks with us: what it sends comes here. */
  readonly onMessage?: (message: unknown) => void;
}

const running = new Set<Pinned>();
process.once('exit', () => {
  for (const one of running) one.signal('SIGKILL');
});

/** Ends whatever runs still, whatever went wrong before. */
export async function stopAll(): Promise<void> {
  await Promise.all([...running].map((one) => one.stop()));
}

/**
 * A program on one core, in a session of its own. With the scheduler's autogroups `nice` counts within a session only, so
 * the session's weight is raised too; without the right to, both are left alone.
 */
export class Pinned {
  readonly pid: number;
  readonly #child: ChildProcess;
  readonly #gone: Promise<unknown>;

  private constructor(child: ChildProcess) {
    this.#child = child;
    this.pid = child.pid!;
    this.#gone = once(child, 'exit').then(() => running.delete(this));
    running.add(this);
  }

  static async start(command: readonly string[], { cpu, cwd, log, env, onMessage }: PinnedOptions): Promise<Pinned> {
    const script = '(echo -10 >/proc/self/autogroup) 2>/dev/null; exec nice -n -10 taskset -c "$@"';
    const out = openSync(log, 'a');
    try {
      const child = spawn('sh', ['-c', script, 'sh', String(cpu), ...command], {
        cwd,
        detached: true,
        stdio: onMessage ? ['ignore', out, out, 'ipc'] : ['ignore', out, out],
        env: { ...process.env, PATH: `${process.env.PATH}:/usr/sbin`, ...env },
      });
      await once(child, 'spawn');
      if (onMessage) child.on('message', onMessage);
      return new Pinned(child);
    } finally {
      closeSync(out);
    }
  }

  get isRunning(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  /** Its exit code; null when a signal ended it. */
  async ended(): Promise<number | null> {
    await this.#gone;
    return this.#child.exitCode;
  }

  /** To one that was started with `onMessage`. */
  send(message: object): void {
    this.#child.send(message);
  }

  signal(name: NodeJS.Signals): void {
    if (this.isRunning) this.#child.kill(name);
  }

  async stop(graceMs = 5000): Promise<void> {
    this.signal('SIGTERM');
    const guard = setTimeout(() => {
      for (const pid of tree(this.pid)) kill(pid);
    }, graceMs);
    await this.#gone;
    clearTimeout(guard);
  }

  /** Nanoseconds on the processor since the start: all threads of the process and of those it has started. */
  cpuNs(): number {
    return cpuNsOf(this.pid);
  }

  /** Resident memory of all its processes in kB, what they share counted once (PSS). */
  rssKb(): number {
    return pssKbOf(this.pid);
  }
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // it has ended by itself
  }
}
