import { createSocket } from 'node:dgram';
import { ipFamily, parseHostPort, type SocketAddress } from '@offhook/core';

/** Reads `udp:127.0.0.1:2223`, as Kamailio's rtpengine module writes it; undefined when it is something else. */
export function parseRelay(text: string): SocketAddress | undefined {
  if (!text.startsWith('udp:')) return undefined;
  const at = parseHostPort(text.slice(4));
  return at?.port === undefined ? undefined : { address: at.host, port: at.port };
}

export interface RelaySockets {
  send(relay: number, bytes: Uint8Array): void;
  close(): Promise<void>;
}

export interface RelayEvents {
  onDatagram(bytes: Uint8Array, relay: number): void;
  /** Nobody listens there (ECONNREFUSED). */
  onRefused(relay: number): void;
}

/** One connected UDP socket for each relay, so that nobody else's datagrams are read. */
export async function openRelaySockets(
  relays: readonly SocketAddress[],
  { onDatagram, onRefused }: RelayEvents,
): Promise<RelaySockets> {
  const sockets = await Promise.all(
    relays.map(
      (at, relay) =>
        new Promise<ReturnType<typeof createSocket>>((resolve) => {
          const socket = createSocket({ type: ipFamily(at.address) === 6 ? 'udp6' : 'udp4', recvBufferSize: 1 << 20 });
          // Its port is closed; whatever else is wrong, the client's timer notices.
          socket.on('error', (error: NodeJS.ErrnoException) => {
            if (error.code === 'ECONNREFUSED') onRefused(relay);
          });
          socket.on('message', (bytes) => onDatagram(bytes, relay));
          socket.connect(at.port, at.address, () => resolve(socket));
        }),
    ),
  );
  return {
    send: (relay, bytes) => sockets[relay]?.send(bytes, () => {}),
    close: async () => {
      await Promise.all(sockets.map((socket) => new Promise<void>((resolve) => socket.close(() => resolve()))));
    },
  };
}
