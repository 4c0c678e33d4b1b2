import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { AdminClient, callAdmin, type PartStatus } from '@offhook/core/node';
import { AFTER_CALLS, AFTER_TRANSACTIONS, leftOver, udpSocketsOf } from './nothing-left.ts';
import { stopProcess } from './stop-process.ts';

const ROOT = new URL('../..', import.meta.url).pathname;

export interface ScratchFolder {
  readonly path: string;
  remove(): void;
}

/** A folder of its own for one test file; unix sockets live in it, so its path is short. */
export function scratchFolder(): ScratchFolder {
  const path = mkdtempSync(join(tmpdir(), 'oh-'));
  return { path, remove: () => rmSync(path, { recursive: true, force: true }) };
}

export interface SystemOptions {
  /** Where its data folder is made. */
  readonly folder: string;
  readonly media?: MediaSettings;
  /** Written over the configuration in which every port is any free one. */
  readonly settings?: Readonly<Record<string, unknown>>;
  /** Added to the environment of its processes. */
  readonly env?: Readonly<Record<string, string>>;
}

interface MediaSettings {
  readonly path?: 'opaque' | 'terminated' | 'none';
  /** Seconds without media after which the relay gives a call up. */
  readonly timeoutS?: number;
  readonly workers?: number;
}

/** A configuration in which every port is any free one. */
export function anyPorts(more: { media?: MediaSettings } = {}): Record<string, unknown> {
  return {
    http: { port: 0, tlsPort: 0 },
    sip: { port: 0, tlsPort: 0 },
    media: { ...more.media, ngPort: 0, muxPort: 0, rtpPorts: { min: 0, max: 0 } },
    turn: { port: 0, tlsPort: 0, relayPorts: { min: 0, max: 0 } },
  };
}

/** Its parts stop one after the other, and each may take five seconds. */
const STOP_MS = 15_000;
const PARTS = ['media-relay-0', 'turn', 'signaling'];

/** The whole system as a user starts it, on free ports and with its data in a folder of its own. */
export class System {
  readonly domain = 'offhook.local';
  readonly #data: string;
  readonly #env: Readonly<Record<string, string>>;
  /** Its configuration file: another `offhook` command finds the system by it. */
  readonly config: string;
  readonly #parts: readonly string[];
  #supervisor: ChildProcess | undefined;
  #output = '';
  ports: Readonly<Record<string, number>> = {};
  /** The parts' processes as they were last seen alive. */
  lastPids: Readonly<Record<string, number>> = {};
  /** UDP sockets of each part before its first call. */
  #idleSockets: Readonly<Record<string, number>> | undefined;

  private constructor(options: SystemOptions) {
    const folder = mkdtempSync(join(options.folder, 'sys-'));
    this.#data = join(folder, 'data');
    this.config = join(folder, 'offhook.config.json');
    const { media, settings } = options;
    this.#env = options.env ?? {};
    const hasOwnMedia = (settings?.media as { relays?: unknown } | undefined)?.relays === undefined;
    this.#parts = hasOwnMedia ? PARTS : PARTS.slice(1);
    writeFileSync(this.config, JSON.stringify({ data: this.#data, ...anyPorts({ media }), ...settings }));
  }

  static async start(options: SystemOptions): Promise<System> {
    const system = new System(options);
    try {
      await system.startSupervisor();
    } catch (error) {
      await system.stop();
      throw error;
    }
    return system;
  }

  /** What `offhook start` has printed. */
  get said(): string {
    return this.#output;
  }

  get httpUrl(): string {
    return `http://localhost:${this.ports.http}`;
  }

  /** The CA that the system has made for itself. */
  get caPath(): string {
    return join(this.#data, 'tls', 'ca.pem');
  }

  /** The SQLite file: accounts, and what signalling remembers. */
  get database(): string {
    return join(this.#data, 'offhook.sqlite');
  }

  /** What a part has written into its log. */
  log(part: string): string {
    return readFileSync(join(this.#data, 'log', `${part}.log`), 'utf8');
  }

  async startSupervisor(): Promise<void> {
    const env: NodeJS.ProcessEnv = { ...process.env, ...this.#env };
    delete env.NODE_TEST_CONTEXT;
    const child = spawn(process.execPath, [join(ROOT, 'cli/src/main.ts'), 'start', '--config', this.config], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env,
    });
    this.#supervisor = child;
    this.#output = '';
    const note = (d: Buffer) => {
      this.#output = (this.#output + d.toString()).slice(-20_000);
    };
    child.stdout?.on('data', note);
    child.stderr?.on('data', note);
    const started = (async () => {
      for (const part of this.#parts) await this.waitForPart(part);
      await waitUntil('offhook start says that it is ready', async () => this.#output.includes('Offhook is ready'));
    })();
    const died = new Promise<never>((_, reject) =>
      child.once('exit', (code) => reject(new Error(`offhook start ended with ${code}:\n${this.#output}`))),
    );
    died.catch(() => {});
    await Promise.race([started, died]);
    this.ports = (await this.status('signaling')).ports;
    this.lastPids = await this.pids();
    this.#idleSockets ??= await this.#udpSockets(); // a part that is adopted may be in a call
  }

  /** Waits until a part answers on its admin socket. */
  async waitForPart(part: string, timeoutMs = 30_000): Promise<PartStatus> {
    const deadline = performance.now() + timeoutMs;
    for (;;) {
      try {
        return await this.status(part);
      } catch (error) {
        if (performance.now() > deadline) throw new Error(`${part} is not ready: ${error}\n${this.#output}`);
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
    }
  }

  status(part: string): Promise<PartStatus> {
    return this.verb(part, 'status') as Promise<PartStatus>;
  }

  async metrics(part: string): Promise<Record<string, number>> {
    return (await this.verb(part, 'metrics')) as Record<string, number>;
  }

  verb(part: string, verb: string, args: Record<string, unknown> = {}): Promise<unknown> {
    return callAdmin(join(this.#data, 'run', `${part}.sock`), verb, args);
  }

  async addUser(user: string, password: string): Promise<void> {
    await this.verb('signaling', 'users', { op: 'add', user, password });
  }

  async loginLink(user: string): Promise<string> {
    const { token } = (await this.verb('signaling', 'login-link', { user })) as { token: string };
    return `${this.httpUrl}/#login=${token}`;
  }

  async pids(): Promise<Record<string, number>> {
    const entries = await Promise.all(this.#parts.map(async (part) => [part, (await this.status(part)).pid] as const));
    return Object.fromEntries(entries);
  }

  /** Every UDP port that takes datagrams from outside a process. */
  async udpPorts(): Promise<Record<string, number>> {
    const relay = (await this.status('media-relay-0')).ports;
    const turn = (await this.status('turn')).ports;
    return { sip: this.ports.udp!, ng: relay.ng!, mux: relay.mux!, turn: turn.udp! };
  }

  /** `kill -9`, then waits until the process is really gone. */
  async killPart(part: string): Promise<void> {
    const path = join(this.#data, 'run', `${part}.sock`);
    const client = await AdminClient.connect(path);
    const { pid } = (await client.call('status')) as PartStatus;
    process.kill(pid, 'SIGKILL');
    await client.closed;
    await waitUntil(`${part} is gone`, async () => (await this.status(part).catch(() => undefined))?.pid !== pid);
  }

  async killSupervisor(): Promise<void> {
    const child = this.#supervisor!;
    const gone = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGKILL');
    await gone;
  }

  /** After calls: no dialog, no call at the relay, no relayed address, and no UDP socket more than at the start. */
  assertNothingLeft(withinMs = 45_000): Promise<void> {
    return this.#assertNone(AFTER_CALLS, withinMs);
  }

  /** The same, and no transaction either. */
  assertNothingLingers(withinMs = 45_000): Promise<void> {
    return this.#assertNone(AFTER_TRANSACTIONS, withinMs);
  }

  async #assertNone(gauges: Readonly<Record<string, readonly string[]>>, withinMs: number): Promise<void> {
    let left: string[] = [];
    await waitUntil(
      'nothing is left',
      async () => {
        const figures = await Promise.all(this.#parts.map(async (part) => [part, await this.metrics(part)] as const));
        left = leftOver(Object.fromEntries(figures), gauges);
        for (const [part, sockets] of Object.entries(await this.#udpSockets())) {
          const more = sockets - this.#idleSockets![part]!;
          if (more > 0) left.push(`${part}: ${more} UDP sockets`);
        }
        return left.length === 0;
      },
      withinMs,
      () => left.join(', '),
    );
  }

  async #udpSockets(): Promise<Record<string, number>> {
    return Object.fromEntries(Object.entries(await this.pids()).map(([part, pid]) => [part, udpSocketsOf(pid)]));
  }

  async stop(): Promise<void> {
    if (this.#supervisor) await stopProcess(this.#supervisor, undefined, STOP_MS);
    // Parts outlive a supervisor that was killed; when a test fails before the next one came, nobody else ends them.
    await Promise.allSettled(this.#parts.map((part) => this.verb(part, 'stop')));
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }
}

/** Polls until something outside this process has become true; the deadline is an error with `detail`. */
export async function waitUntil(
  what: string,
  check: () => Promise<boolean>,
  timeoutMs = 15_000,
  detail: () => string = () => '',
): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  while (!(await check())) {
    if (performance.now() > deadline) throw new Error(`not within ${timeoutMs} ms: ${what} ${detail()}`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}
