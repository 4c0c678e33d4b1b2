import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { nodeCrypto, passingCertificate } from '@offhook/core/node';
import { sharedMemory } from '../allocation/shared.ts';
import type { TurnLimits } from '../limits.ts';
import { openListeners } from '../shell/listeners.ts';
import { TurnShell } from '../shell/shell.ts';
import type { StreamLimits } from '../shell/stream-limits.ts';
import { REALM, SECRET } from './world.ts';

/** A server that listens over TCP or TLS on loopback, where its peers are too. */
export async function openStreamShell(
  kind: 'tcp' | 'tls',
  limits: Partial<TurnLimits> = {},
  streamLimits: Partial<StreamLimits> = {},
): Promise<TurnShell> {
  const at = { address: '127.0.0.1', port: 0 };
  const { cert, key } = passingCertificate(['localhost', '127.0.0.1'], Date.now());
  return TurnShell.open({
    listen: (connections) =>
      openListeners({
        listen: { udp: [], tcp: kind === 'tcp' ? [at] : [], tls: kind === 'tls' ? [at] : [] },
        certificate: { cert, key },
        connections,
        sharing: 'alone',
      }),
    relay: { addresses: [{ address: '127.0.0.1' }], portMin: 0, portMax: 0 },
    realm: REALM,
    secrets: [SECRET],
    users: [],
    peers: { base: 'none', allow: [{ address: '127.0.0.1' }], deny: [] },
    limits,
    streamLimits,
    worker: 0,
    nonceKey: new Uint8Array(32).fill(7),
    memory: sharedMemory(1, 1, nodeCrypto),
    crypto: nodeCrypto,
  });
}

export async function dialShell(shell: TurnShell, kind: 'tcp' | 'tls'): Promise<Socket> {
  const { address: host, port } = shell.listeners.addresses[0]!;
  const socket = kind === 'tls' ? connectTls({ host, port, rejectUnauthorized: false }) : connect({ host, port });
  await once(socket, kind === 'tls' ? 'secureConnect' : 'connect');
  return socket;
}
