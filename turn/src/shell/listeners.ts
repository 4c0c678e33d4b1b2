import { once } from 'node:events';
import { createServer } from 'node:net';
import { type SocketAddress, socketKey } from '@offhook/core';
import { batchedUdpProblem, openUdpPort, type UdpDescriptor, type UdpPort } from '@offhook/core/node';
import type { TurnListen } from '../config.ts';
import type { Connections } from './connections.ts';
import { isInUse } from './shell.ts';
import { type Certificate, StreamListener } from './stream-listener.ts';

/** A port in use is skipped so many times. */
const MAX_TRIES = 20;
/** The listener carries everybody's packets. */
const LISTENER_BUFFER = 4 * 1024 * 1024;

export interface ListenOptions {
  readonly listen: TurnListen;
  /** The UDP sockets, where they are bound already; `listen.udp` is not looked at then. */
  readonly descriptors?: readonly UdpDescriptor[] | undefined;
  readonly certificate: Certificate | undefined;
  readonly connections: Connections;
  readonly implementation?: 'auto' | 'mmsg' | 'dgram' | undefined;
  /** Several threads listen on the same addresses: the first one chooses ports that nobody else has, the others follow. */
  readonly sharing: 'alone' | 'first' | 'further';
  /** A port in use is an error; else the next one that is free is taken. */
  readonly fixedPorts?: boolean;
}

/** Everything that a server listens on. */
export interface Listeners {
  readonly udp: readonly UdpPort[];
  readonly streams: readonly StreamListener[];
  /** Of all of them, those over UDP first; then TCP, then TLS. */
  readonly addresses: readonly SocketAddress[];
  readonly tcp: readonly SocketAddress[];
  readonly tls: readonly SocketAddress[];
  /** Relay sockets set the DF bit. */
  readonly isDontFragment: boolean;
  close(): void;
}

/** Opens all listeners. Rejects in words when an address can't be listened on. */
export async function openListeners(options: ListenOptions): Promise<Listeners> {
  const { listen, descriptors, connections, implementation, sharing, fixedPorts } = options;
  const reusePort = sharing !== 'alone';
  const tries = sharing === 'further' || fixedPorts ? 0 : MAX_TRIES;
  const opened: { close(): void }[] = [];
  try {
    const udp = descriptors
      ? await Promise.all(descriptors.map((fd) => openUdpPort({ ...fd.local, fd, burst: 'many', implementation })))
      : await openNear(listen.udp, (at) => openUdp(at, implementation, reusePort), tries);
    opened.push(...udp);
    const openStream = async (at: SocketAddress, certificate: Certificate | undefined) => {
      if (sharing === 'first' && at.port !== 0) await probe(at);
      return StreamListener.open({ at, connections, certificate, reusePort });
    };
    // TCP has the number that UDP has really got, where it asked for the same.
    const tcp = await openNear(moved(listen.tcp, listen.udp, udp), (at) => openStream(at, undefined), tries);
    opened.push(...tcp);
    const tls = await openNear(listen.tls, (at) => openStream(at, options.certificate), tries);
    opened.push(...tls);
    for (const [i, listener] of [...tcp, ...tls].entries()) listener.index = udp.length + i;
    return {
      udp,
      streams: [...tcp, ...tls],
      addresses: [...udp, ...tcp, ...tls].map(({ local }) => local),
      tcp: tcp.map(({ local }) => local),
      tls: tls.map(({ local }) => local),
      isDontFragment: udp.length > 0 ? udp.every((port) => port.isDontFragment) : await isBatched(implementation),
      close: () => {
        for (const one of opened) one.close();
      },
    };
  } catch (error) {
    for (const one of opened) one.close();
    throw error;
  }
}

/** Addresses that ask for the same port get the same, the next one that is free on all of them. */
export async function openNear<T extends { readonly local: SocketAddress; close(): void }>(
  wanted: readonly SocketAddress[],
  open: (at: SocketAddress) => Promise<T>,
  maxTries = MAX_TRIES,
): Promise<T[]> {
  const opened: T[] = [];
  try {
    for (const wished of new Set(wanted.map(({ port }) => port))) {
      const addresses = wanted.filter(({ port }) => port === wished).map(({ address }) => address);
      opened.push(...(await openTogether(addresses, wished, open, maxTries)));
    }
    return opened;
  } catch (error) {
    for (const one of opened) one.close();
    throw error;
  }
}

async function openTogether<T extends { readonly local: SocketAddress; close(): void }>(
  addresses: readonly string[],
  wished: number,
  open: (at: SocketAddress) => Promise<T>,
  maxTries: number,
): Promise<T[]> {
  for (let tries = 0; ; tries++) {
    const opened: T[] = [];
    let number = wished === 0 ? 0 : wished + tries;
    try {
      for (const address of addresses) {
        const one = await open({ address, port: number });
        opened.push(one);
        number = one.local.port;
      }
      return opened;
    } catch (error) {
      for (const one of opened) one.close();
      if (!isInUse(error) || tries >= maxTries) {
        const places = addresses.map((address) => socketKey({ address, port: number })).join(', ');
        throw new Error(`can't listen on ${places}: ${error instanceof Error ? error.message : String(error)}`);
      }
    }
  }
}

function openUdp(
  at: SocketAddress,
  implementation: ListenOptions['implementation'],
  reusePort: boolean,
): Promise<UdpPort> {
  return openUdpPort({ ...at, receiveBuffer: LISTENER_BUFFER, implementation, reusePort, burst: 'many' });
}

/** Relay sockets are batched, and set DF, even where nobody listens over UDP. */
async function isBatched(implementation: ListenOptions['implementation']): Promise<boolean> {
  return implementation !== 'dgram' && (await batchedUdpProblem()) === undefined;
}

/** With SO_REUSEPORT another server's port looks free; without it, it doesn't. */
async function probe(at: SocketAddress): Promise<void> {
  const server = createServer().listen({ host: at.address, port: at.port, ipv6Only: true });
  await once(server, 'listening');
  server.close();
  await once(server, 'close');
}

/** The wished TCP addresses, with the ports that UDP got for the same wish. */
function moved(
  tcp: readonly SocketAddress[],
  udp: readonly SocketAddress[],
  got: readonly { readonly local: SocketAddress }[],
): SocketAddress[] {
  return tcp.map((at) => {
    const i = udp.findIndex(({ address, port }) => address === at.address && port === at.port);
    return i < 0 || got[i] === undefined ? at : { address: at.address, port: got[i].local.port };
  });
}
