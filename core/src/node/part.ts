import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { type AdminHandler, serveAdmin } from './admin.ts';
import { processFigures } from './process-figures.ts';

/** What a running part answers to `status`. */
export interface PartStatus {
  readonly part: string;
  readonly pid: number;
  readonly state: 'ready' | 'draining';
  readonly startedAt: string;
  /** The supervisor's fingerprint of the configuration this part was started with. */
  readonly configHash: string;
  /** The ports really bound, by name: `{"udp": 5060}`. */
  readonly ports: Readonly<Record<string, number>>;
  /** Whatever else the part wants to say of itself: counts, warnings. */
  readonly details: Readonly<Record<string, unknown>>;
}

/** Every part's configuration file holds these beside its own settings. */
export interface PartConfig {
  /** The part's name and its socket's: `<runDir>/<part>.sock`. */
  readonly part: string;
  readonly runDir: string;
  readonly configHash: string;
}

/** What a part hands back once it serves. */
export interface RunningPart {
  readonly ports: Readonly<Record<string, number>>;
  details?(): Record<string, unknown> | Promise<Record<string, unknown>>;
  /** Plain numbers by Prometheus name, read at scrape; those of the process come by themselves. */
  metrics?(): Record<string, number> | Promise<Record<string, number>>;
  /** Further verbs of the admin socket. */
  readonly verbs?: Readonly<Record<string, AdminHandler>>;
  /** Refuse new work from now on; running work goes on. */
  drain?(args?: Record<string, unknown>): void | Promise<void>;
  /** Take new work again. */
  undrain?(): void | Promise<void>;
  /** Read anew what may change while it runs (certificates), and say in words what came of it. Also on SIGHUP. */
  reload?(): string | Promise<string>;
  /** Finish: close sockets, flush stores. */
  stop(): Promise<void>;
}

/**
 * The `main` of every part: reads `--config <file.json>`, starts the part, serves its admin socket (status, metrics,
 * drain, reload, stop and the part's own verbs) and stops it on SIGTERM. SIGINT is left to the supervisor, which shares the
 * terminal. Exit code 2: the configuration can't be used, 1: it failed to start or to stop.
 */
export async function runPart<C extends PartConfig>(
  start: (config: C, reread: () => C) => Promise<RunningPart>,
): Promise<void> {
  const { values } = parseArgs({ options: { config: { type: 'string' } } });
  if (!values.config) {
    process.stderr.write('usage: node main.ts --config <file.json>   (normally started by `offhook start`)\n');
    process.exit(2);
  }
  const path = values.config;
  const reread = () => readConfig(path) as C;
  let config: C;
  try {
    config = reread();
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n`);
    process.exit(2);
  }
  process.title = `offhook ${config.part}`;
  process.on('SIGINT', () => {});
  process.on('SIGHUP', () => {});
  const startedAt = new Date().toISOString();
  let running: RunningPart;
  try {
    running = await start(config, reread);
  } catch (error) {
    process.stderr.write(`${config.part} could not start: ${error instanceof Error ? error.message : String(error)}\n`);
    process.exit(1);
  }
  let state: PartStatus['state'] = 'ready';
  let stopping = false;
  const stop = async () => {
    if (stopping) return;
    stopping = true;
    try {
      await running.stop();
      await admin.close();
      process.exit(0);
    } catch (error) {
      process.stderr.write(`${config.part} did not stop cleanly: ${String(error)}\n`);
      process.exit(1);
    }
  };
  const admin = await serveAdmin(join(config.runDir, `${config.part}.sock`), {
    ...running.verbs,
    status: async (): Promise<PartStatus> => ({
      part: config.part,
      pid: process.pid,
      state,
      startedAt,
      configHash: config.configHash,
      ports: running.ports,
      details: (await running.details?.()) ?? {},
    }),
    metrics: async () => ({ ...(await running.metrics?.()), ...processFigures() }),
    drain: async (args) => {
      await running.drain?.(args);
      state = 'draining';
    },
    undrain: async () => {
      await running.undrain?.();
      state = 'ready';
    },
    reload: async () => ({ words: (await running.reload?.()) ?? 'this part has nothing to read anew' }),
    stop: () => {
      setImmediate(stop);
    },
  });
  process.on('SIGTERM', stop);
  process.on('SIGHUP', async () => {
    try {
      await running.reload?.();
    } catch {
      // the part has logged why the old one is kept
    }
  });
}

/** Its words are the same whatever is wrong: those of V8 would show a piece of the file, which holds secrets. */
function readConfig(path: string): unknown {
  const text = readFileSync(path, 'utf8');
  try {
    return JSON.parse(text);
  } catch {
    throw new Error(`${path} is damaged (not JSON)`);
  }
}
