import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { callAdmin, nodeCrypto, type PartStatus, SERVER_FLAGS } from '@offhook/core/node';
import { openStore } from '@offhook/signaling';
import { Pinned, SERVER_CPU } from '../pinned.ts';
import { waitUntil } from '../ports.ts';
import type { Server } from './server.ts';

export const PASSWORD = 'bench-password';

export interface OffhookServer extends Server {
  /** SIP over WebSocket and the API. */
  readonly httpPort: number;
  /** The media relay's process, when it is not somebody else's. */
  readonly relay: Pinned;
  readonly signaling: Pinned;
  verb(name: string): Promise<unknown>;
  /** What it says of itself: `registrations`, `calls` … */
  status(): Promise<Readonly<Record<string, unknown>>>;
}

export interface OffhookOptions {
  readonly folder: string;
  readonly name: string;
  readonly domain: string;
  /** `none`: two phones send media to each other, and no relay has a part in their calls. */
  readonly path: 'opaque' | 'none';
  /** Who may call and register, all with the same password. */
  readonly users: readonly string[];
  readonly trunks?: Readonly<Record<string, unknown>>;
  /** Where profiles of its processor time are written. */
  readonly profiles?: string;
}

/** Our media relay and signalling, each a process as `offhook start` has them. */
export async function startOffhook(options: OffhookOptions): Promise<OffhookServer> {
  const { domain, users, name } = options;
  const folder = join(options.folder, name);
  const webRoot = join(folder, 'web');
  mkdirSync(webRoot, { recursive: true });
  writeFileSync(join(webRoot, 'index.html'), '<!doctype html><title>bench</title>');
  await addUsers(join(folder, 'offhook.sqlite'), domain, users);
  const relay = await startPart(folder, 'media-relay', {
    version: 'bench',
    ng: { address: '127.0.0.1', port: 0 },
    mux: { addresses: ['127.0.0.1'], port: 0 },
    rtp: { address: '127.0.0.1', portMin: 0, portMax: 0 },
    mediaTimeoutS: 3600,
  });
  const settings = {
    dataDir: folder,
    domain,
    sip: { udp: [{ address: '127.0.0.1', port: 0 }], tcp: [] },
    http: { addresses: ['127.0.0.1'], port: 0, webRoot },
    media: { relays: [`udp:127.0.0.1:${relay.status.ports.ng}`], path: options.path },
    trunks: options.trunks,
    turn: { uris: [], secret: 'bench-turn-secret', ttlS: 3600 },
    sessionSecret: 'bench-session-secret',
    nonceSecret: 'bench-nonce-secret',
  };
  const profiling = options.profiles === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${options.profiles}`];
  const flags = [...SERVER_FLAGS, ...profiling];
  const signaling = await startPart(folder, 'signaling', settings, flags);
  const verb = (what: string) => callAdmin(join(folder, 'signaling.sock'), what);
  return {
    name,
    port: signaling.status.ports.udp!,
    httpPort: signaling.status.ports.http!,
    relay: relay.process,
    signaling: signaling.process,
    cpuNs: () => signaling.process.cpuNs(),
    rssKb: () => signaling.process.rssKb(),
    command: `node bench/src/signaling/part.ts signaling --config signaling.json (pinned with taskset -c ${SERVER_CPU})`,
    settings: JSON.stringify(settings),
    verb,
    status: async () => ((await verb('status')) as PartStatus).details,
    stop: async () => {
      await signaling.process.stop();
      await relay.process.stop();
    },
  };
}

async function startPart(
  folder: string,
  part: string,
  settings: Readonly<Record<string, unknown>>,
  flags: readonly string[] = [],
): Promise<{ process: Pinned; status: PartStatus }> {
  const config = join(folder, `${part}.json`);
  writeFileSync(config, JSON.stringify({ part, runDir: folder, configHash: '', ...settings }));
  const script = new URL('part.ts', import.meta.url).pathname;
  const log = join(folder, `${part}.log`);
  const own = await Pinned.start([process.execPath, '--expose-gc', ...flags, script, part, '--config', config], {
    cpu: SERVER_CPU,
    cwd: folder,
    log,
  });
  let status: PartStatus | undefined;
  const answers = async () => {
    if (!own.isRunning) throw new Error(`${part} did not start:\n${readFileSync(log, 'utf8').slice(-2000)}`);
    status = (await callAdmin(join(folder, `${part}.sock`), 'status').catch(() => undefined)) as typeof status;
    return status !== undefined;
  };
  await waitUntil(`${part} answers`, answers, 20_000);
  return { process: own, status: status! };
}

/** Straight into the store: the admin verb reads all accounts anew for each one that it adds. */
async function addUsers(path: string, domain: string, users: readonly string[]): Promise<void> {
  const store = openStore(path, domain, nodeCrypto);
  for (const user of users) await store.addAccount({ user, password: PASSWORD });
  await store.close();
}
