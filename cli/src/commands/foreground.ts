import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { serveAdmin } from '@offhook/core/node';
import type { Config } from '../config/config.ts';
import { ConfigError } from '../config/config-error.ts';
import { pathProblem } from '../config/data-path.ts';
import { takenControlPorts } from '../doctor/control-port.ts';
import { version } from '../root.ts';
import { foundParts, runDirOf, supervisorPidFile } from '../running.ts';
import { command } from '../spelling.ts';
import { processIdentity } from '../supervisor/identity.ts';
import { takeLock } from '../supervisor/lock.ts';
import { removePidFile, writePidFile } from '../supervisor/pid-file.ts';
import type { PartSpec } from '../supervisor/spec.ts';
import { Supervisor } from '../supervisor/supervisor.ts';

/** npm passes on the Ctrl-C that the terminal has sent to everybody already: two signals, one wish. */
const SAME_CTRL_C_MS = 500;

const print = (line: string) => process.stdout.write(`${line}\n`);

/** What is started, and what is said once all of it is ready. */
export interface Foreground {
  readonly parts: readonly PartSpec[];
  ready(supervisor: Supervisor, say: (line: string) => void): void | Promise<void>;
}

export interface ForegroundOptions {
  readonly config: Config;
  /** Say only what goes wrong. */
  readonly quiet: boolean;
}

/**
 * Starts parts, watches them, and stays until it is told to stop; `prepare` is called once the data folder is ours. Answers
 * the exit code.
 */
export async function inForeground(
  { config, quiet }: ForegroundOptions,
  prepare: () => Promise<Foreground>,
): Promise<number> {
  const say = quiet ? () => {} : print;
  const runDir = runDirOf(config.data);
  const tooLong = pathProblem(config.data);
  if (tooLong) throw new ConfigError([tooLong]);
  mkdirSync(runDir, { recursive: true, mode: 0o700 });
  const lock = takeLock(runDir);
  if (!lock) {
    process.stderr.write(
      `Offhook runs already with the data folder ${config.data}. See '${command('status')}', or stop it with '${command('stop')}'.\n`,
    );
    return 1;
  }
  writePidFile(supervisorPidFile(config.data), { pid: process.pid, identity: processIdentity(process.pid) ?? '' });
  const release = () => {
    removePidFile(supervisorPidFile(config.data));
    lock.release();
  };
  let foreground: Foreground;
  try {
    foreground = await prepare();
  } catch (error) {
    release();
    throw error;
  }
  const supervisor = new Supervisor({ data: config.data, parts: foreground.parts, say, warn: print });
  const told = tillToldToStop(supervisor, say);
  const control = await serveAdmin(join(runDir, 'supervisor.sock'), {
    status: () => ({ pid: process.pid, version: version(), parts: supervisor.report() }),
    stop: () => told.stop(),
  });
  let code = 0;
  try {
    const started = async () => {
      await supervisor.start();
      await foreground.ready(supervisor, say);
    };
    await Promise.race([started(), told.promise]);
    await told.promise;
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
    code = 1;
  }
  await supervisor.stop();
  await control.close();
  release();
  say('stopped');
  return code;
}

/** By a signal or the admin socket; a second Ctrl-C ends everything at once. */
function tillToldToStop(supervisor: Supervisor, say: (line: string) => void) {
  const { promise, resolve } = Promise.withResolvers<void>();
  let toldAtMs: number | undefined;
  const onSignal = () => {
    const nowMs = performance.now();
    if (toldAtMs === undefined) {
      toldAtMs = nowMs;
      say('stopping; Ctrl-C once more ends everything at once');
      resolve();
    } else if (nowMs - toldAtMs > SAME_CTRL_C_MS) {
      supervisor.kill();
      process.exit(1);
    }
  };
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, onSignal);
  // a closed terminal or pipe must not end what still serves
  for (const stream of [process.stdout, process.stderr]) stream.on('error', () => {});
  return { promise, stop: () => resolve() };
}

/** Throws in words when somebody else has a control port that others count on. */
export async function refuseTakenControlPorts(config: Config): Promise<void> {
  const taken = await takenControlPorts(config, await foundParts(config.data));
  if (taken.length > 0)
    throw new Error(
      `not started: the port of the media relay's NG control, ${taken.map(({ words }) => words).join('; ')}. End that program, or set another media.ngPort.`,
    );
}
