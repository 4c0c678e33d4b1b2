import type { Server, Socket } from 'node:net';
import { type SocketAddress, StreamFramer, unmapped, utf8 } from '@offhook/core';
import type { Flow } from '../transaction/index.ts';
import type { Connection, TransportHub } from './hub.ts';
import { KeepAlives, PING, Pings } from './keep-alive.ts';
import { listenNear } from './listen.ts';

const PONG = utf8('\r\n');
/** How long a closing connection may take to write what is left. */
export const FAREWELL_MS = 500;

/** Opens a server of streams, at the next free port when the wished one is in use; what fails later is counted. */
export async function listenStreams(hub: TransportHub, at: SocketAddress, make: () => Server): Promise<Server> {
  const server = await listenNear(
    at,
    (port) =>
      new Promise<Server>((resolve, reject) => {
        const made = make();
        made.once('error', reject);
        made.listen({ host: at.address, port, backlog: 4096 }, () => {
          made.off('error', reject);
          resolve(made);
        });
      }),
  );
  server.on('error', () => hub.counters.sendErrors++); // EMFILE must not end the process
  return server;
}

export function localOf(server: Server): SocketAddress {
  const bound = server.address();
  if (bound === null || typeof bound === 'string') throw new Error('not a TCP listener');
  return { address: bound.address, port: bound.port };
}

type Receive = (bytes: Uint8Array, flow: Flow) => boolean;

/** One connection that carries SIP once `carry` names the stream: the socket itself, or TLS over it. */
interface CarriedStream {
  readonly carry: (stream: Socket) => void;
  readonly flow: Flow;
}

/**
 * Takes one connection in, or refuses it (undefined): it counts, and its time runs, from now on, whatever it does first.
 * `receive` gets each message.
 */
export function acceptStream(
  hub: TransportHub,
  socket: Socket,
  transport: 'tcp' | 'tls',
  receive: Receive = (bytes, on) => hub.receive(bytes, on),
): CarriedStream | undefined {
  const remote = remoteOf(socket);
  socket.on('error', () => socket.destroy());
  if (remote.address === '' || hub.refuses(remote, transport) || !hub.admits(remote)) {
    socket.destroy();
    return undefined;
  }
  return runStream(hub, socket, {
    flow: hub.newFlow({ transport, local: addressOf(socket), remote }),
    receive,
    firstMs: hub.limits.messageMs,
  });
}

/**
 * A connection that we have opened, TLS and all. It may be silent for long; pings tell whether somebody is there still. The
 * caller has seen to the limit.
 */
export function ownStream(hub: TransportHub, socket: Socket, transport: 'tcp' | 'tls'): Flow {
  const parts = { transport, local: addressOf(socket), remote: remoteOf(socket), isKnown: true } as const;
  const flow = hub.newFlow({ ...parts, isOutgoing: true });
  const pings = new Pings(hub.limits, performance.now());
  runStream(hub, socket, { flow, receive: (bytes, on) => hub.receive(bytes, on), pings }).carry(socket);
  return flow;
}

function remoteOf({ remoteAddress = '', remotePort = 0 }: Socket): SocketAddress {
  return { address: unmapped(remoteAddress), port: remotePort };
}

function addressOf({ localAddress = '', localPort = 0 }: Socket): SocketAddress {
  return { address: unmapped(localAddress), port: localPort };
}

function runStream(
  hub: TransportHub,
  socket: Socket,
  how: {
    readonly flow: Flow;
    readonly receive: Receive;
    /** How long the handshake, and after it the first message, may take; undefined: none is demanded. */
    readonly firstMs?: number;
    readonly pings?: Pings;
  },
): CarriedStream {
  const { flow, receive, firstMs, pings } = how;
  const framer = new StreamFramer();
  const keepAlives = new KeepAlives(hub.limits);
  const strangerUntilMs = performance.now() + hub.limits.strangerMs;
  /** What of a begun message counts to the strangers' budget. */
  let begun = 0;
  /** When what is now awaited (the handshake, a message) must be whole; undefined when nothing is due. */
  let dueMs = firstMs === undefined ? undefined : performance.now() + firstMs;
  let lastMs = performance.now();
  let proven = firstMs === undefined;
  let carrier: Socket | undefined;
  let usedMs = lastMs;
  const connection: Connection = {
    flow,
    get usedMs() {
      return pings ? usedMs : undefined;
    },
    send: (bytes) => {
      if (!carrier || carrier.destroyed) return;
      if (carrier.writableLength > hub.limits.sendBuffer) {
        hub.counters.slowReadersCut++;
        socket.destroy();
      } else {
        usedMs = performance.now();
        carrier.write(bytes);
      }
    },
    sweep: (nowMs) => {
      const isLate = (dueMs !== undefined && nowMs > dueMs) || (!flow.isKnown && nowMs > strangerUntilMs);
      if (isLate || nowMs - lastMs > hub.limits.idleMs) {
        hub.counters.connectionsTimedOut++;
        socket.destroy();
        return;
      }
      const due = pings?.due(nowMs);
      if (due === 'ping') carrier?.write(PING);
      else if (due === 'dead') {
        hub.counters.connectionsTimedOut++;
        socket.destroy();
      }
    },
    doubt: (nowMs) => {
      if (nowMs - lastMs < hub.limits.unansweredMs) return;
      hub.counters.connectionsTimedOut++;
      socket.destroy();
    },
    // What was written still goes out, but nobody is waited for.
    close: () => {
      (carrier ?? socket).destroySoon();
      setTimeout(() => socket.destroy(), FAREWELL_MS).unref();
    },
  };
  hub.opened(connection);
  socket.on('close', () => {
    hub.begun(-begun);
    hub.closed(connection);
  });
  const onData = (chunk: Buffer) => {
    if (socket.destroyed) return; // what was read before it was cut
    lastMs = performance.now();
    pings?.heard(lastMs);
    framer.push(pings && framer.held === 0 ? pings.withoutPong(chunk) : chunk);
    for (let next = framer.next(); next !== undefined; next = framer.next()) {
      if (next === 'keepalive') {
        // RFC 5626 4.4.1: "if the server receives the double CRLF sequence, it MUST … send a single CRLF"
        hub.counters.keepAlives++;
        if (!keepAlives.take(lastMs)) {
          hub.counters.keepAliveFloodsCut++;
          socket.destroy();
          return;
        }
        if (carrier?.writableLength === 0) connection.send(PONG); // who does not read needs no second one
      } else if (next instanceof Uint8Array) {
        usedMs = lastMs;
        proven = receive(next, flow) || proven;
      } else {
        // RFC 3261 18.3: after a framing error nothing that follows can be trusted.
        hub.counters.malformedDropped++;
        hub.malformed(flow);
        socket.destroy();
        return;
      }
    }
    if (framer.pending) dueMs ??= lastMs + hub.limits.messageMs;
    else if (proven) dueMs = undefined;
    const grown = (flow.isKnown ? 0 : framer.held) - begun;
    begun += grown;
    if (!hub.begun(grown) || begun > hub.limits.strangerBytes) {
      hub.counters.strangersTooLong++;
      socket.destroy();
    } else if (carrier?.writableNeedDrain) {
      // Nothing is heard of who does not listen.
      const stream = carrier;
      stream.pause();
      stream.once('drain', () => stream.resume());
    }
  };
  return {
    flow,
    carry: (stream) => {
      carrier = stream;
      lastMs = performance.now();
      if (firstMs !== undefined) dueMs = lastMs + firstMs;
      if (stream !== socket) stream.on('error', () => socket.destroy());
      stream.on('data', onData);
    },
  };
}
