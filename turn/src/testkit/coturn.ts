import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after } from 'node:test';
import { StunClass, StunMethod, StunWriter } from '@offhook/core';
import { ownCertificate } from '@offhook/core/node';
import { type CoturnSettings, coturnVersionFor } from '../coturn/settings.ts';
import { writeCoturnConf } from '../coturn/writer.ts';
import { hasLoopbackIPv6, RealSockets, type Transport } from './real.ts';
import { type MakeWorld, REALM, SECRET } from './world.ts';

const PATIENCE_MS = 15_000;
const MAX_TRIES = 5;

/** Without coturn its tests are skipped, except where every peer has to be there. */
const found = spawnSync('turnserver', ['--version'], { encoding: 'utf8', timeout: 5000 });
const isMissing = found.error !== undefined;
export const coturnSkip =
  isMissing && process.env.CI !== 'true' ? 'turnserver is missing: apt-get install coturn' : false;
const version = coturnVersionFor(found.stdout ?? '');

/** Where a coturn on loopback is to be. */
export interface Place {
  readonly port: number;
  /** A second port, of NAT behaviour discovery. */
  readonly otherPort: number;
  readonly tlsPort: number;
  /** Where its certificate is. */
  readonly folder: string;
}

export interface RunningCoturn extends Place {
  /** What it has said so far. */
  said(): string;
  stop(): Promise<void>;
}

/**
 * Starts coturn with what is written for these settings, and waits until it answers.
 *
 * @param lines more of its configuration, which nothing that we write would have
 */
export async function startCoturn(
  settings: (place: Place) => CoturnSettings,
  lines: readonly string[] = [],
): Promise<RunningCoturn> {
  const folder = mkdtempSync(join(tmpdir(), 'offhook-coturn-'));
  ownCertificate({ folder, names: ['127.0.0.1'], nowMs: Date.now() });
  for (let tries = 1; ; tries++) {
    const [port, otherPort, tlsPort] = await freePorts();
    const place = { folder, port: port!, otherPort: otherPort!, tlsPort: tlsPort! };
    const running = await tryCoturn(place, [writeCoturnConf(settings(place), version).text, ...lines].join('\n'));
    if (running) return running;
    assert.ok(tries < MAX_TRIES, 'no port that coturn could listen on');
  }
}

/** Undefined: a port was taken in the meantime. */
async function tryCoturn(place: Place, text: string): Promise<RunningCoturn | undefined> {
  const { folder, port } = place;
  const file = join(folder, 'coturn.conf');
  // its words on standard output instead of syslog
  writeFileSync(file, text.replace(/^syslog$/m, 'log-file=stdout'));
  const child = spawn('turnserver', ['-c', file, '--pidfile', join(folder, 'pid'), '--db', join(folder, 'db')], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let words = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk) => {
      words += chunk;
    });
  }
  const end = async () => {
    const ended = child.exitCode === null && child.signalCode === null ? once(child, 'exit') : undefined;
    child.kill('SIGKILL');
    await ended;
  };
  const until = Date.now() + PATIENCE_MS;
  while (!(await answersBinding(port))) {
    if (/already in use|errno=98/i.test(words)) {
      await end();
      return undefined;
    }
    if (child.exitCode !== null || Date.now() > until) {
      await end();
      assert.fail(`turnserver did not start:\n${words}`);
    }
  }
  return {
    ...place,
    said: () => words,
    stop: async () => {
      await end();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** Ports that nobody has now. */
async function freePorts(): Promise<number[]> {
  const sockets = [0, 1, 2].map(() => createSocket('udp4').bind(0, '127.0.0.1'));
  await Promise.all(sockets.map((socket) => once(socket, 'listening')));
  const ports = sockets.map((socket) => socket.address().port);
  for (const socket of sockets) socket.close();
  return ports;
}

async function answersBinding(port: number): Promise<boolean> {
  const socket = createSocket('udp4');
  const writer = new StunWriter(new Uint8Array(20)).start(StunClass.request, StunMethod.binding, new Uint8Array(12));
  socket.send(writer.message(), port, '127.0.0.1');
  const answer = await once(socket, 'message', { signal: AbortSignal.timeout(200) }).catch(() => undefined);
  socket.close();
  return answer !== undefined;
}

/** Worlds around coturn; those that ask for the same share one. Ends them with the test file. */
export function coturnWorlds(transport: Transport): MakeWorld {
  const servers = new Map<string, Promise<RunningCoturn>>();
  after(async () => {
    for (const server of servers.values()) await (await server).stop();
  });
  return async (options) => {
    const { isIPv4Only, limits } = options;
    const hasIPv6 = hasLoopbackIPv6 && !isIPv4Only;
    const key = JSON.stringify(options);
    const addresses = ['127.0.0.1', ...(hasIPv6 ? ['::1'] : [])].map((address) => ({ address }));
    const starting =
      servers.get(key) ??
      startCoturn(
        ({ port, tlsPort, folder }) => {
          const at = [{ address: '127.0.0.1', port }];
          return {
            listen: { udp: at, tcp: at, tls: [{ address: '127.0.0.1', port: tlsPort }] },
            tls: { folder },
            relay: { addresses, portMin: 0, portMax: 0 },
            realm: REALM,
            secrets: [SECRET],
            peers: { base: 'none', allow: addresses, deny: [] },
            ...(limits ? { limits } : {}),
            workers: 1,
          };
        },
        // loopback takes this with coturn, and only a test wants it
        ['allow-loopback-peers', ...addresses.map(({ address }) => `allowed-peer-ip=${address}`)],
      );
    servers.set(key, starting);
    const { port, tlsPort } = await starting;
    const listener = { address: '127.0.0.1', port: transport === 'tls' ? tlsPort : port };
    const sockets = new RealSockets(listener, transport);
    return {
      listener,
      inside: undefined,
      hasIPv6,
      client: () => sockets.client(),
      peer: (family) => sockets.peer(family),
      close: async () => sockets.close(),
    };
  };
}
