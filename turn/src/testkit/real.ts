import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { connect } from 'node:net';
import { networkInterfaces } from 'node:os';
import { connect as connectTls } from 'node:tls';
import type { SocketAddress } from '@offhook/core';
import { nodeCrypto, passingCertificate } from '@offhook/core/node';
import { sharedMemory } from '../allocation/shared.ts';
import type { PeerRules } from '../peers/peer-rule.ts';
import { openListeners } from '../shell/listeners.ts';
import { TurnShell } from '../shell/shell.ts';
import { Workers } from '../workers/workers.ts';
import { ReceiveQueue } from './receive-queue.ts';
import { streamSocket } from './stream-socket.ts';
import { type ContractOptions, type Inside, REALM, SECRET, type TestSocket, type World } from './world.ts';

/** How clients come. */
export type Transport = 'udp' | 'tcp' | 'tls';

export interface RealWorldOptions extends ContractOptions {
  readonly transport?: Transport;
  readonly implementation?: 'auto' | 'dgram';
  /** Default: loopback alone. */
  readonly peers?: PeerRules;
}

/** The machine has ::1. */
export const hasLoopbackIPv6 = Object.values(networkInterfaces()).some((list) =>
  list?.some(({ address }) => address === '::1'),
);

/** A `TurnShell` on loopback sockets. */
export async function realWorld(options: RealWorldOptions = {}): Promise<World & { readonly inside: Inside }> {
  const { transport = 'udp', implementation = 'auto', isIPv4Only, limits, peers } = options;
  const hasIPv6 = hasLoopbackIPv6 && !isIPv4Only;
  const addresses = ['127.0.0.1', ...(hasIPv6 ? ['::1'] : [])].map((address) => ({ address }));
  const at = [{ address: '127.0.0.1', port: 0 }];
  const shell = await TurnShell.open({
    listen: (connections) =>
      openListeners({
        listen: { udp: [], tcp: [], tls: [], [transport]: at },
        certificate: transport === 'tls' ? passingCertificate(['127.0.0.1'], Date.now()) : undefined,
        connections,
        implementation,
        sharing: 'alone',
      }),
    relay: { addresses, portMin: 0, portMax: 0 },
    users: [],
    worker: 0,
    nonceKey: new Uint8Array(32).fill(7),
    memory: sharedMemory(1, addresses.length, nodeCrypto),
    realm: REALM,
    secrets: [SECRET],
    peers: peers ?? { base: 'none', allow: addresses, deny: [] },
    limits,
    crypto: nodeCrypto,
    implementation,
  });
  const [listener] = shell.listeners.addresses;
  const sockets = new RealSockets(listener!, transport);
  return {
    listener: listener!,
    inside: { server: shell.server, relays: () => shell.relays },
    hasIPv6,
    client: () => sockets.client(),
    peer: (family) => sockets.peer(family),
    close: async () => {
      sockets.close();
      shell.close();
      assert.equal(shell.server.allocations, 0);
      assert.equal(shell.server.portsTaken, 0);
      assert.equal(shell.relays, 0);
    },
  };
}

/** Two threads that share one UDP port; which of them a client comes to is the system's choice. */
export async function threadsWorld({ isIPv4Only, limits }: ContractOptions): Promise<World> {
  const hasIPv6 = hasLoopbackIPv6 && !isIPv4Only;
  const addresses = ['127.0.0.1', ...(hasIPv6 ? ['::1'] : [])].map((address) => ({ address }));
  const workers = await Workers.start({
    workers: 2,
    listen: { udp: [{ address: '127.0.0.1', port: 0 }], tcp: [], tls: [] },
    certificate: undefined,
    relay: { addresses, portMin: 0, portMax: 0 },
    realm: REALM,
    rules: { secrets: [SECRET], users: [], peers: { base: 'none', allow: addresses, deny: [] }, limits },
    sha256: true,
    natDiscovery: false,
    nonceKey: new Uint8Array(32).fill(7),
    gatherUs: 0,
    fixedPorts: false,
    implementation: 'auto',
    warn: () => {},
  });
  const [listener] = workers.listening.udp;
  const sockets = new RealSockets(listener!, 'udp');
  return {
    listener: listener!,
    inside: undefined,
    hasIPv6,
    client: () => sockets.client(),
    peer: (family) => sockets.peer(family),
    close: async () => {
      sockets.close();
      await workers.stop();
    },
  };
}

/** Sockets on loopback: clients of a server, and peers. */
export class RealSockets {
  readonly #open = new Set<TestSocket>();
  readonly #server: SocketAddress;
  readonly #transport: Transport;

  constructor(server: SocketAddress, transport: Transport) {
    this.#server = server;
    this.#transport = transport;
  }

  async client(): Promise<TestSocket> {
    return this.#keep(this.#transport === 'udp' ? await realSocket() : await dial(this.#server, this.#transport));
  }

  async peer(family: 4 | 6 = 4): Promise<TestSocket> {
    return this.#keep(await realSocket(family === 6 ? '::1' : '127.0.0.1'));
  }

  close(): void {
    for (const socket of this.#open) socket.close();
    this.#open.clear();
  }

  #keep(socket: TestSocket): TestSocket {
    this.#open.add(socket);
    return socket;
  }
}

async function dial({ address: host, port }: SocketAddress, transport: 'tcp' | 'tls'): Promise<TestSocket> {
  const isTls = transport === 'tls';
  const socket = isTls ? connectTls({ host, port, rejectUnauthorized: false }) : connect({ host, port });
  await once(socket, isTls ? 'secureConnect' : 'connect');
  return streamSocket(socket);
}

export async function realSocket(at = '127.0.0.1'): Promise<TestSocket> {
  const socket = createSocket(at.includes(':') ? 'udp6' : 'udp4');
  const queue = new ReceiveQueue();
  socket.on('message', (bytes, from) =>
    queue.push({ bytes: new Uint8Array(bytes), from: { address: from.address, port: from.port } }),
  );
  socket.bind(0, at);
  await once(socket, 'listening');
  const { address, port } = socket.address();
  return {
    local: { address, port },
    send: (bytes, to) => socket.send(bytes, to.port, to.address),
    receive: () => queue.receive(),
    close: () => socket.close(),
  };
}
