import { createServer, type Server, type Socket } from 'node:net';
import { type SocketAddress, StreamFramer, unmapped, utf8 } from '@offhook/core';
import type { Connection, TransportHub } from './hub.ts';
import { listenNear } from './listen.ts';
import type { Listener } from './udp.ts';

const PONG = utf8('\r\n');
/** How long a closing connection may take to write what is left. */
const FAREWELL_MS = 500;

/** SIP over TCP (RFC 3261 18, keep-alives of RFC 5626 3.5.1). A port in use is skipped for the next free one. */
export async function listenTcp(hub: TransportHub, at: SocketAddress): Promise<Listener> {
  const sockets = new Set<Socket>();
  const server = await listenNear(at, (port) =>
    listen({ address: at.address, port }, (socket) => {
      sockets.add(socket);
      socket.on('close', () => sockets.delete(socket));
      accept(hub, socket);
    }),
  );
  server.on('error', () => hub.counters.sendErrors++); // EMFILE must not end the process
  const bound = server.address();
  if (bound === null || typeof bound === 'string') throw new Error('not a TCP listener');
  return {
    local: { address: bound.address, port: bound.port },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const socket of sockets) socket.destroySoon();
        setTimeout(() => {
          for (const socket of sockets) socket.destroy();
        }, FAREWELL_MS).unref();
      }),
  };
}

function listen(at: SocketAddress, onSocket: (socket: Socket) => void): Promise<Server> {
  return new Promise((resolve, reject) => {
    const server = createServer({ noDelay: true, keepAlive: true }, onSocket);
    server.once('error', reject);
    server.listen({ host: at.address, port: at.port, backlog: 4096 }, () => {
      server.removeAllListeners('error');
      resolve(server);
    });
  });
}

function accept(hub: TransportHub, socket: Socket): void {
  const remote = { address: unmapped(socket.remoteAddress ?? ''), port: socket.remotePort ?? 0 };
  socket.on('error', () => socket.destroy());
  if (remote.address === '' || !hub.admits(remote)) {
    socket.destroy();
    return;
  }
  const flow = hub.newFlow({
    transport: 'tcp',
    local: { address: unmapped(socket.localAddress ?? ''), port: socket.localPort ?? 0 },
    remote,
  });
  const framer = new StreamFramer();
  /** When the message that is now awaited must be whole; undefined when none is due. */
  let dueMs: number | undefined = performance.now() + hub.limits.messageMs;
  let lastMs = performance.now();
  let proven = false;
  const connection: Connection = {
    flow,
    send: (bytes) => {
      if (socket.writableLength > hub.limits.sendBuffer) {
        hub.counters.slowReadersCut++;
        socket.destroy();
      } else if (!socket.destroyed) socket.write(bytes);
    },
    sweep: (nowMs) => {
      if ((dueMs !== undefined && nowMs > dueMs) || nowMs - lastMs > hub.limits.idleMs) {
        hub.counters.connectionsTimedOut++;
        socket.destroy();
      }
    },
    // What was written still goes out, but nobody is waited for.
    close: () => {
      socket.destroySoon();
      setTimeout(() => socket.destroy(), FAREWELL_MS).unref();
    },
  };
  hub.opened(connection);
  socket.on('close', () => hub.closed(connection));
  socket.on('data', (chunk) => {
    lastMs = performance.now();
    framer.push(chunk);
    for (let next = framer.next(); next !== undefined; next = framer.next()) {
      if (next === 'keepalive') {
        hub.counters.keepAlives++;
        socket.write(PONG);
      } else if (next instanceof Uint8Array) proven = hub.receive(next, flow) || proven;
      else {
        // RFC 3261 18.3: after a framing error nothing that follows can be trusted.
        hub.counters.malformedDropped++;
        socket.destroy();
        return;
      }
    }
    if (framer.pending) dueMs ??= lastMs + hub.limits.messageMs;
    else if (proven) dueMs = undefined;
  });
}
