import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { nodeCrypto } from '@offhook/core/node';
import { sharedMemory } from '../allocation/shared.ts';
import { openListeners } from '../shell/listeners.ts';
import { TurnShell } from '../shell/shell.ts';
import { REALM, type Received, SECRET, type TestSocket, type World, type WorldOptions } from './world.ts';

/** Nothing on loopback takes longer. */
const PATIENCE_MS = 2000;

/** A `TurnShell` on loopback sockets. */
export async function realWorld(implementation: 'auto' | 'dgram', options: WorldOptions = {}): Promise<World> {
  const shell = await TurnShell.open({
    listen: (connections) =>
      openListeners({
        listen: { udp: [{ address: '127.0.0.1', port: 0 }], tcp: [], tls: [] },
        certificate: undefined,
        connections,
        implementation,
        sharing: 'alone',
      }),
    relay: { addresses: [{ address: '127.0.0.1' }], portMin: 0, portMax: 0 },
    users: [],
    worker: 0,
    nonceKey: new Uint8Array(32).fill(7),
    memory: sharedMemory(1, 1, nodeCrypto),
    realm: REALM,
    secrets: [SECRET],
    peers: { base: 'none', allow: [{ address: '127.0.0.1' }], deny: [] },
    ...options,
    crypto: nodeCrypto,
    implementation,
  });
  const sockets = new Set<TestSocket>();
  return {
    server: shell.server,
    listener: shell.listeners.addresses[0]!,
    relays: () => shell.relays,
    socket: async () => {
      const socket = await realSocket();
      sockets.add(socket);
      return socket;
    },
    close: async () => {
      for (const socket of sockets) socket.close();
      shell.close();
      assert.equal(shell.server.allocations, 0);
      assert.equal(shell.server.portsTaken, 0);
      assert.equal(shell.relays, 0);
    },
  };
}

export async function realSocket(): Promise<TestSocket> {
  const socket = createSocket('udp4');
  const got: Received[] = [];
  let wake: (() => void) | undefined;
  socket.on('message', (bytes, from) => {
    got.push({ bytes: new Uint8Array(bytes), from: { address: from.address, port: from.port } });
    wake?.();
  });
  await new Promise<void>((resolve) => {
    socket.bind(0, '127.0.0.1', resolve);
  });
  const { address, port } = socket.address();
  return {
    local: { address, port },
    send: (bytes, to) => socket.send(bytes, to.port, to.address),
    receive: async () => {
      if (got.length === 0) {
        await new Promise<void>((resolve) => {
          const timer = setTimeout(resolve, PATIENCE_MS);
          wake = () => {
            clearTimeout(timer);
            resolve();
          };
        });
        wake = undefined;
      }
      return got.shift();
    },
    close: () => socket.close(),
  };
}
