import type { Socket } from 'node:net';
import { isLoopback, networkOf } from '@offhook/core';
import type { TransportHub } from '../transport/index.ts';

/** Connections from one address (IPv6: /64) that is not loopback, WebSockets included. */
const CONNECTIONS_PER_ADDRESS = 100;

/**
 * Connections from one address, WebSockets and TLS handshakes included, are limited over all ports together; so are all
 * that are no WebSocket, from whatever address: descriptors are for phones first.
 */
export function connectionLimit(hub: {
  readonly webSockets: number;
  readonly limits: Pick<TransportHub['limits'], 'http'>;
}): (socket: Pick<Socket, 'remoteAddress' | 'destroy' | 'once'>) => void {
  const perAddress = new Map<string, number>();
  let open = 0;
  return (socket) => {
    if (open - hub.webSockets >= hub.limits.http) {
      socket.destroy();
      return;
    }
    open++;
    socket.once('close', () => open--);
    const address = socket.remoteAddress ?? '';
    if (isLoopback(address)) return;
    const network = networkOf(address);
    const count = (perAddress.get(network) ?? 0) + 1;
    if (count > CONNECTIONS_PER_ADDRESS) {
      socket.destroy();
      return;
    }
    perAddress.set(network, count);
    socket.once('close', () => {
      const left = (perAddress.get(network) ?? 1) - 1;
      if (left > 0) perAddress.set(network, left);
      else perAddress.delete(network);
    });
  };
}
