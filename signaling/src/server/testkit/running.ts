import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { AdminHandler, RunningPart, TlsSettings } from '@offhook/core/node';
import { pino } from 'pino';
import type { SignalingConfig } from '../../config.ts';
import { startSignaling } from '../server.ts';

export const DOMAIN = 'example.test';
export const PASSWORD = 'correct-Horse-7';

/** The signalling part on free ports, with alice and bob, for one test. */
export interface RunningServer extends AsyncDisposable {
  readonly part: RunningPart;
  readonly config: SignalingConfig;
  readonly ports: Readonly<Record<string, number>>;
  readonly url: string;
  verb(name: string, args?: Record<string, unknown>): Promise<unknown>;
  /** Stops this process' server and starts it anew with the same data. */
  restart(): Promise<RunningServer>;
}

interface Over {
  readonly http?: Partial<SignalingConfig['http']>;
  readonly sip?: Partial<SignalingConfig['sip']>;
  /** TLS on any ports, with a certificate of our own unless another is given. */
  readonly tls?: Partial<TlsSettings>;
  readonly outside?: SignalingConfig['outside'];
  readonly routes?: string;
  /** Where the media relay is; unless another one is given it is one that never says a word, so nothing is known of it. */
  readonly relay?: string;
}

export async function startServer(over: Over = {}): Promise<RunningServer> {
  const folder = mkdtempSync(join(tmpdir(), 'oh-sig-'));
  const silent = createSocket('udp4').bind(0, '127.0.0.1');
  await once(silent, 'listening');
  const webRoot = join(folder, 'web');
  mkdirSync(webRoot);
  writeFileSync(join(webRoot, 'index.html'), '<!doctype html><title>phone</title>');
  const config: SignalingConfig = {
    part: 'signaling',
    runDir: join(folder, 'run'),
    configHash: '',
    dataDir: join(folder, 'data'),
    domain: DOMAIN,
    sip: { udp: [{ address: '127.0.0.1', port: 0 }], tcp: [{ address: '127.0.0.1', port: 0 }], ...over.sip },
    ...(over.tls ? { tls: { folder: join(folder, 'tls'), ...over.tls } } : {}),
    outside: over.outside,
    ...(over.routes === undefined ? {} : { routes: over.routes }),
    http: { addresses: ['127.0.0.1'], port: 0, webRoot, ...over.http },
    media: { relays: [over.relay ?? `udp:127.0.0.1:${silent.address().port}`], path: 'opaque' },
    turn: { uris: ['turn:127.0.0.1:3478?transport=udp'], secret: 'turn-secret', ttlS: 3600 },
    sessionSecret: 'session-secret-of-the-test',
    nonceSecret: 'nonce-secret-of-the-test',
  };
  const server = await open(config, folder, silent);
  for (const user of ['alice', 'bob']) await server.verb('users', { op: 'add', user, password: PASSWORD });
  return server;
}

async function open(config: SignalingConfig, folder: string, silent: Socket): Promise<RunningServer> {
  const part = await startSignaling(config, pino({ level: 'silent' })).catch((error) => {
    silent.close();
    rmSync(folder, { recursive: true, force: true });
    throw error;
  });
  const verbs = part.verbs as Readonly<Record<string, AdminHandler>>;
  return {
    part,
    config,
    ports: part.ports,
    url: `http://127.0.0.1:${part.ports.http}`,
    verb: async (name, args = {}) => verbs[name]!(args),
    restart: async () => {
      await part.stop();
      return open(config, folder, silent);
    },
    [Symbol.asyncDispose]: async () => {
      await part.stop();
      silent.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
