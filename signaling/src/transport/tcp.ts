import { createServer, type Socket } from 'node:net';
import type { SocketAddress } from '@offhook/core';
import type { TransportHub } from './hub.ts';
import { acceptStream, FAREWELL_MS, listenStreams, localOf } from './stream.ts';
import type { Listener } from './udp.ts';

/** SIP over TCP (RFC 3261 18, keep-alives of RFC 5626 3.5.1). A port in use is skipped for the next free one. */
export async function listenTcp(hub: TransportHub, at: SocketAddress): Promise<Listener> {
  const sockets = new Set<Socket>();
  const onSocket = (socket: Socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    acceptStream(hub, socket, 'tcp')?.carry(socket);
  };
  const server = await listenStreams(hub, at, () => createServer({ noDelay: true, keepAlive: true }, onSocket));
  return {
    local: localOf(server),
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
