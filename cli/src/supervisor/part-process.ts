import { spawn } from 'node:child_process';
import { closeSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { AdminClient, type PartStatus } from '@offhook/core/node';
import { cpuTimeMs, HANG_LIMITS, HangDetector, type HangLimits } from './hang.ts';
import { processIdentity } from './identity.ts';
import { lastLines, noteInLog, openLog, size } from './log-file.ts';
import { endOwn, isAlive, livingProcess, type OwnProcess, removePidFile, signalOwn, writePidFile } from './pid-file.ts';
import { configHash, type PartSpec, type Ports } from './spec.ts';

const READY_WITHIN_MS = 30_000;
export const STOP_GRACE_MS = 5000;
/** What a living part that is to be adopted may take for an answer. */
const ADOPT_WITHIN_MS = 10_000;
/** A child's exit code follows the end of its process at once; this is for a loaded machine. */
const EXIT_CODE_WITHIN_MS = 1000;

export interface PartFolders {
  readonly run: string;
  readonly log: string;
}

/** What the supervisor is told of its part. */
export interface PartEvents {
  /** It has ended by itself or because it hung: how, in words. */
  gone(how: string): void;
  /** It has not answered for so long that it is killed now. */
  hung(silentMs: number): void;
}

/** Why a part could not be started: what it said itself. */
export class StartError extends Error {}

/**
 * One part as a process in a session of its own, so that neither the end of the supervisor nor a Ctrl-C at its terminal
 * ends it. Found again by its admin socket and its pid file.
 */
export class PartProcess {
  readonly spec: PartSpec;
  /** Undefined while the part does not run. */
  status: PartStatus | undefined;
  restarts = 0;
  /** How it ended the last time, in words. */
  lastEnd: string | undefined;
  readonly #folders: PartFolders;
  readonly #events: PartEvents;
  readonly #limits: HangLimits;
  /** How the process that we started ended; one that was adopted is not our child, and nobody tells us. */
  #exit: Promise<string> | undefined;
  #hung = false;
  #own: OwnProcess | undefined;
  #client: AdminClient | undefined;
  #probe: NodeJS.Timeout | undefined;
  #ports: Ports | undefined;

  constructor(spec: PartSpec, folders: PartFolders, events: PartEvents, limits: HangLimits = HANG_LIMITS) {
    this.spec = spec;
    this.#folders = folders;
    this.#events = events;
    this.#limits = limits;
  }

  /** The ports the part has, or had when it last ran. */
  get ports(): Ports | undefined {
    return this.#ports;
  }

  get pid(): number | undefined {
    return this.#own?.pid;
  }

  get logPath(): string {
    return join(this.#folders.log, `${this.spec.name}.log`);
  }

  #path(ending: string): string {
    return join(this.#folders.run, `${this.spec.name}.${ending}`);
  }

  /** Takes over a part that a former supervisor left running with these settings; one with other settings is ended. */
  async adopt(settings: Record<string, unknown>): Promise<'adopted' | 'replaced' | 'silent' | 'absent'> {
    const own = livingProcess(this.#path('pid'));
    const client = await this.#connect(own);
    if (!client) {
      if (!own) return 'absent';
      await endOwn(own, STOP_GRACE_MS); // ours, alive, and out of reach
      return 'silent';
    }
    let how: 'replaced' | 'silent' = 'silent';
    try {
      const status = (await client.call('status', {}, ADOPT_WITHIN_MS)) as PartStatus;
      how = 'replaced';
      const identity = processIdentity(status.pid);
      if (status.part === this.spec.name && identity !== undefined) {
        this.#own = { pid: status.pid, identity };
        if (status.configHash === configHash(this.spec, settings) && status.state === 'ready') {
          this.#exit = undefined;
          writePidFile(this.#path('pid'), this.#own);
          this.#watch(client, status);
          return 'adopted';
        }
      }
    } catch {
      // it serves its socket and answers nothing sensible: ended below
    }
    client.close();
    const found = this.#own ?? own;
    this.#own = undefined;
    if (found) await endOwn(found, STOP_GRACE_MS);
    return how;
  }

  /** The admin socket; of a process that has only just been started, as soon as it serves it. */
  async #connect(own: OwnProcess | undefined): Promise<AdminClient | undefined> {
    const deadline = performance.now() + 5000;
    for (;;) {
      try {
        return await AdminClient.connect(this.#path('sock'));
      } catch {
        if (!own || !isAlive(own) || performance.now() >= deadline) return undefined;
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
    }
  }

  /** Starts the part and waits until it serves. Throws StartError with the part's last words. */
  async start(settings: Record<string, unknown>): Promise<void> {
    const { spec } = this;
    const hash = configHash(spec, settings);
    const config = {
      ...(this.#ports ? spec.withPorts(settings, this.#ports) : settings),
      part: spec.name,
      runDir: this.#folders.run,
      configHash: hash,
    };
    const configPath = this.#path('config.json');
    writeFileSync(`${configPath}.new`, `${JSON.stringify(config, undefined, 2)}\n`, { mode: 0o600 });
    renameSync(`${configPath}.new`, configPath);
    rmSync(this.#path('sock'), { force: true });
    const log = openLog(this.logPath);
    const logStart = size(this.logPath);
    const env = { ...process.env };
    for (const name of Object.keys(env)) if (name.startsWith('NODE_TEST') || name.startsWith('npm_')) delete env[name];
    const child = spawn(process.execPath, [...(spec.nodeFlags ?? []), spec.entry, '--config', configPath], {
      detached: true,
      stdio: ['ignore', log, log],
      env,
    });
    closeSync(log);
    let ended: string | undefined;
    this.#exit = new Promise((resolve) => {
      const note = (how: string) => {
        ended ??= how;
        resolve(ended);
      };
      child.once('error', (error) => note(error.message));
      child.once('exit', (code, signal) => note(signal ? `ended by ${signal}` : `exit code ${code}`));
    });
    child.unref();
    const identity = child.pid === undefined ? undefined : processIdentity(child.pid);
    if (child.pid !== undefined && identity !== undefined) {
      this.#own = { pid: child.pid, identity };
      writePidFile(this.#path('pid'), this.#own);
    }
    const deadline = performance.now() + READY_WITHIN_MS;
    while (ended === undefined && performance.now() < deadline) {
      const client = await AdminClient.connect(this.#path('sock')).catch(() => undefined);
      if (client) {
        const status = (await client.call('status').catch(() => undefined)) as PartStatus | undefined;
        if (status && status.pid === child.pid) {
          noteInLog(this.logPath, `ready (pid ${status.pid})`);
          this.#watch(client, status);
          return;
        }
        client.close();
      }
      await new Promise((resolve) => setTimeout(resolve, 25));
    }
    if (this.#own) await endOwn(this.#own, 0);
    this.#forget();
    const words = lastLines(this.logPath, logStart, 5);
    const why = ended ?? `not ready within ${READY_WITHIN_MS / 1000} s`;
    throw new StartError([`${spec.name} did not start (${why}); log: ${this.logPath}`, ...words].join('\n    '));
  }

  #watch(client: AdminClient, status: PartStatus): void {
    this.#client = client;
    this.status = status;
    this.#ports = status.ports;
    this.#probe = this.#watchAnswers(client);
    client.closed.then(async () => {
      if (this.#client !== client) return; // we closed it ourselves
      const own = this.#own;
      this.#forget();
      if (own) await endOwn(own, STOP_GRACE_MS);
      const how = await this.#howItEnded();
      this.lastEnd = this.#hung ? `it hung, ${how}` : how;
      this.#hung = false;
      noteInLog(this.logPath, `ended unexpectedly (${this.lastEnd})`);
      this.#events.gone(this.lastEnd);
    });
  }

  /** Asks for the status again and again, one question at a time; ends the part when it hangs. */
  #watchAnswers(client: AdminClient): NodeJS.Timeout {
    const everyMs = Math.min(1000, this.#limits.idleMs / 10);
    const detector = new HangDetector(this.#limits, everyMs);
    let open = false;
    return setInterval(() => {
      const own = this.#own;
      if (!own || this.#hung || this.#client !== client) return;
      if (!open) {
        open = true;
        const answered = () => {
          open = false;
          detector.answered(); // by an error too
        };
        client.call('status', {}, 2 * this.#limits.busyMs).then((status) => {
          answered();
          if (this.#client === client) this.status = status as PartStatus;
        }, answered);
      }
      if (detector.tick(performance.now(), cpuTimeMs(own.pid)) === 'fine') return;
      this.#hung = true; // what it holds is lost anyway, so let the restart begin
      this.#events.hung(detector.silentMs);
      signalOwn(own, 'SIGKILL');
    }, everyMs);
  }

  async #howItEnded(): Promise<string> {
    if (!this.#exit) return 'how is not known, because a former supervisor had started it';
    const unknown = new Promise<string>((resolve) => {
      setTimeout(() => resolve('how is not known'), EXIT_CODE_WITHIN_MS).unref();
    });
    return Promise.race([this.#exit, unknown]);
  }

  #forget(): void {
    clearInterval(this.#probe);
    const client = this.#client;
    this.#client = undefined;
    this.#own = undefined;
    this.status = undefined;
    client?.close();
    removePidFile(this.#path('pid'));
  }

  /** Calls a verb of the part's admin socket. */
  call(verb: string, args: Record<string, unknown> = {}): Promise<unknown> {
    if (!this.#client) return Promise.reject(new Error(`${this.spec.name} does not run at the moment`));
    return this.#client.call(verb, args);
  }

  /** SIGTERM, and SIGKILL to what has not ended after five seconds. */
  async stop(): Promise<'stopped' | 'killed' | 'absent'> {
    const own = this.#own;
    if (!own) return 'absent';
    const how = endOwn(own, STOP_GRACE_MS);
    this.#client = undefined; // its end is no accident now
    const result = await how;
    this.#forget();
    rmSync(this.#path('sock'), { force: true });
    return result;
  }

  /** SIGKILL at once. */
  kill(): void {
    if (!this.#own) return;
    signalOwn(this.#own, 'SIGKILL');
    this.#client = undefined;
    this.#forget();
  }

  /** Lets go of a running part without ending it. */
  release(): void {
    clearInterval(this.#probe);
    const client = this.#client;
    this.#client = undefined;
    this.#own = undefined;
    client?.close();
  }
}
