import { mkdirSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { HangLimits } from './hang.ts';
import { type PartFolders, PartProcess, STOP_GRACE_MS, StartError } from './part-process.ts';
import { endOwn, livingProcess, type OwnProcess } from './pid-file.ts';
import { configHash, type PartSpec, type Ports } from './spec.ts';

const BACKOFF_FIRST_MS = 200;
const BACKOFF_LIMIT_MS = 5000;
/** A part that ran this long begins with no wait again. */
const STEADY_AFTER_MS = 60_000;
const FIRST_START_TRIES = 3;

export interface SupervisorOptions {
  readonly data: string;
  /** In start order: each one needs only earlier ones. */
  readonly parts: readonly PartSpec[];
  /** One line of what happens. */
  readonly say: (line: string) => void;
  /** One line of what went wrong; `say` when left out. */
  readonly warn?: (line: string) => void;
  /** When a part that does not answer counts as hung; for tests. */
  readonly hangLimits?: HangLimits;
}

export interface PartReport {
  readonly part: string;
  readonly pid: number | undefined;
  /** `starting`: it is being started, or waits for the ones before it at the first start. */
  readonly state: 'ready' | 'draining' | 'starting' | 'down';
  readonly ports: Ports;
  readonly startedAt: string | undefined;
  readonly restarts: number;
  /** How it ended the last time, in words. */
  readonly lastEnd: string | undefined;
  readonly details: Readonly<Record<string, unknown>>;
}

interface Watched {
  readonly process: PartProcess;
  failures: number;
  readySinceMs: number;
  retry: NodeJS.Timeout | undefined;
}

/** Starts the parts in order, adopts those that already run, restarts what dies, stops them all. */
export class Supervisor {
  readonly #say: (line: string) => void;
  readonly #warn: (line: string) => void;
  readonly #folders: PartFolders;
  readonly #watched: Watched[];
  /** One change at a time: starts, restarts and the stop queue up here. */
  #queue: Promise<void> = Promise.resolve();
  #stopping = false;

  constructor({ data, parts, say, warn = say, hangLimits }: SupervisorOptions) {
    const folders = { run: join(data, 'run'), log: join(data, 'log') };
    for (const folder of Object.values(folders)) mkdirSync(folder, { recursive: true, mode: 0o700 });
    this.#say = say;
    this.#warn = warn;
    this.#folders = folders;
    this.#watched = parts.map((spec) => {
      const watched: Watched = {
        process: new PartProcess(
          spec,
          folders,
          { gone: (how) => this.#gone(watched, how), hung: (silentMs) => this.#hung(watched, silentMs) },
          hangLimits,
        ),
        failures: 0,
        readySinceMs: 0,
        retry: undefined,
      };
      return watched;
    });
  }

  /** Resolves when every part is ready; rejects with the words of the part that would not start, and stops the others. */
  async start(): Promise<void> {
    for (const { name, process } of leftovers(this.#folders.run, this.#watched)) {
      if ((await endOwn(process, STOP_GRACE_MS)) === 'killed') this.#warn(`${name}: did not stop within 5 s, killed`);
      for (const ending of ['pid', 'sock', 'config.json'])
        rmSync(join(this.#folders.run, `${name}.${ending}`), { force: true });
      this.#say(`${name}: was running and is not wanted any more, stopped`);
    }
    for (const watched of this.#watched) {
      if (this.#stopping) return;
      const { process: part } = watched;
      const found = await part.adopt(part.spec.settings(this.#ports()));
      if (found === 'adopted') {
        watched.readySinceMs = performance.now();
        this.#say(`${part.spec.name}: already running (pid ${part.pid}), adopted${portsInWords(part.ports)}`);
        continue;
      }
      if (found === 'replaced') this.#say(`${part.spec.name}: was running with other settings, replaced`);
      if (found === 'silent') this.#warn(`${part.spec.name}: was running and did not answer, ended`);
      await this.#firstStart(watched);
    }
  }

  async #firstStart(watched: Watched): Promise<void> {
    const { process: part } = watched;
    for (let attempt = 1; !this.#stopping; attempt++) {
      try {
        await part.start(part.spec.settings(this.#ports()));
        watched.readySinceMs = performance.now();
        this.#say(`${part.spec.name}: ready (pid ${part.pid})${portsInWords(part.ports)}`);
        return;
      } catch (error) {
        if (!(error instanceof StartError) || attempt === FIRST_START_TRIES) throw error;
        await new Promise((resolve) => setTimeout(resolve, BACKOFF_FIRST_MS * attempt));
      }
    }
  }

  /** The real ports of the parts, by part; of one that is down, those it had. */
  #ports(): Map<string, Ports> {
    const ports = new Map<string, Ports>();
    for (const { process: part } of this.#watched) if (part.ports) ports.set(part.spec.name, part.ports);
    return ports;
  }

  #hung({ process: part }: Watched, silentMs: number): void {
    this.#warn(
      `${part.spec.name}: has not answered for ${Math.round(silentMs / 1000)} s (pid ${part.pid}), killing it; log: ${part.logPath}`,
    );
  }

  #gone(watched: Watched, how: string): void {
    if (this.#stopping) return;
    if (performance.now() - watched.readySinceMs > STEADY_AFTER_MS) watched.failures = 0;
    const { spec, logPath } = watched.process;
    this.#warn(`${spec.name}: ended unexpectedly (${how}); log: ${logPath}${waitInWords(watched.failures)}`);
    this.#scheduleStart(watched);
  }

  #scheduleStart(watched: Watched): void {
    clearTimeout(watched.retry);
    watched.retry = setTimeout(() => this.#enqueue(() => this.#restart(watched)), backoffMs(watched.failures));
    watched.failures++;
  }

  #enqueue(change: () => Promise<void>): void {
    this.#queue = this.#queue.then(change).catch((error) => this.#warn(`unexpected: ${String(error)}`));
  }

  async #restart(watched: Watched): Promise<void> {
    const { process: part } = watched;
    if (this.#stopping || part.status) return;
    try {
      await part.start(part.spec.settings(this.#ports()));
    } catch (error) {
      if (!(error instanceof StartError)) throw error;
      this.#warn(`${error.message}${waitInWords(watched.failures)}`);
      if (!this.#stopping) this.#scheduleStart(watched);
      return;
    }
    if (this.#stopping) return; // stop() comes next in the queue and ends it
    part.restarts++;
    watched.readySinceMs = performance.now();
    this.#say(`${part.spec.name}: restarted (pid ${part.pid})${portsInWords(part.ports)}`);
    await this.#renew();
  }

  /** Restarts the parts whose configuration names ports that have changed meanwhile. */
  async #renew(): Promise<void> {
    for (const watched of this.#watched) {
      const { process: part } = watched;
      if (this.#stopping || !part.status) continue;
      const settings = part.spec.settings(this.#ports());
      if (part.status.configHash === configHash(part.spec, settings)) continue;
      this.#say(`${part.spec.name}: restarting, because a port of ${part.spec.needs.join(' or ')} changed`);
      await part.stop();
      this.#scheduleStart(watched);
    }
  }

  part(name: string): PartProcess | undefined {
    return this.#watched.find(({ process: part }) => part.spec.name === name)?.process;
  }

  report(): PartReport[] {
    return this.#watched.map(({ readySinceMs, process: { spec, pid, status, ports, restarts, lastEnd } }) => ({
      part: spec.name,
      pid: status?.pid,
      state: status?.state ?? (pid !== undefined || readySinceMs === 0 ? 'starting' : 'down'),
      ports: ports ?? {},
      startedAt: status?.startedAt,
      restarts,
      lastEnd,
      details: status?.details ?? {},
    }));
  }

  /** Stops all parts, the last started first: SIGTERM, five seconds, SIGKILL. */
  async stop(): Promise<void> {
    this.#stopping = true;
    for (const { retry } of this.#watched) clearTimeout(retry);
    await this.#queue;
    const left = [...this.#watched].reverse();
    while (left.length > 0) {
      // those that need each other one after the other, the others together
      const together = left.filter(
        (one) => !left.some((other) => other !== one && other.process.spec.needs.includes(one.process.spec.name)),
      );
      await Promise.all(
        together.map(async ({ process: part }) => {
          const how = await part.stop();
          if (how === 'killed') this.#warn(`${part.spec.name}: did not stop within 5 s, killed`);
        }),
      );
      for (const one of together) left.splice(left.indexOf(one), 1);
    }
  }

  /** Lets go of all parts and leaves them running, for the next supervisor to adopt. */
  release(): void {
    this.#stopping = true;
    for (const { process: part, retry } of this.#watched) {
      clearTimeout(retry);
      part.release();
    }
  }

  /** Ends all parts at once, with SIGKILL. */
  kill(): void {
    this.#stopping = true;
    for (const { process: part, retry } of this.#watched) {
      clearTimeout(retry);
      part.kill();
    }
  }
}

/** Parts that a former supervisor left running and that nobody asks for now. */
function leftovers(runDir: string, wanted: readonly Watched[]): { name: string; process: OwnProcess }[] {
  return readdirSync(runDir)
    .filter((file) => file.endsWith('.pid'))
    .map((file) => file.slice(0, -'.pid'.length))
    .filter((name) => name !== 'supervisor' && !wanted.some(({ process }) => process.spec.name === name))
    .flatMap((name) => {
      const process = livingProcess(join(runDir, `${name}.pid`));
      return process ? [{ name, process }] : [];
    });
}

function backoffMs(failures: number): number {
  return failures === 0 ? 0 : Math.min(BACKOFF_FIRST_MS * 2 ** (failures - 1), BACKOFF_LIMIT_MS);
}

function waitInWords(failures: number): string {
  const ms = backoffMs(failures);
  return ms === 0 ? '; restarting' : `; next try in ${ms / 1000} s`;
}

function portsInWords(ports: Ports | undefined): string {
  const entries = Object.entries(ports ?? {});
  return entries.length === 0 ? '' : ` on ${entries.map(([name, port]) => `${name} ${port}`).join(', ')}`;
}
