import { createSocket } from 'node:dgram';
import { ipFamily } from '@offhook/core';
import { type EchoPort, type EchoPortOptions, listenTrouble } from './port.ts';

/** Ports below are of services, and an answer there would be answered (RFC 862 beside RFC 864, for ever). */
const FIRST_CLIENT_PORT = 1024;

/**
 * Datagrams: each is sent back as it came, never more and never twice, so nothing is gained by forging a source. What is
 * above the source's rate gets nothing. Two echoes must not keep each other busy: nothing goes to ports of services, nor
 * to the port that we listen on ourselves.
 */
export function listenDatagrams(options: EchoPortOptions): Promise<EchoPort> {
  const { at, scheme, limits, counters, sources, onPeer } = options;
  const isV6 = ipFamily(at.address.replace(/%.*$/, '')) === 6;
  const socket = createSocket(isV6 ? { type: 'udp6', ipv6Only: true } : { type: 'udp4' });
  return new Promise((resolve, reject) => {
    socket.once('error', (error) => {
      socket.close();
      reject(listenTrouble(scheme, at, error));
    });
    socket.bind(at.port, at.address, () => {
      const { port } = socket.address();
      socket.removeAllListeners('error').on('error', () => {}); // an ICMP error of somebody's
      socket.on('message', (bytes, from) => {
        const isService = from.port < FIRST_CLIENT_PORT || from.port === port;
        if (
          isService ||
          bytes.length > limits.maxSize ||
          !sources.take(from.address, bytes.length, performance.now())
        ) {
          counters.dropped++;
          return;
        }
        counters.messages++;
        counters.bytes += bytes.length;
        onPeer(from.address);
        socket.send(bytes, from.port, from.address, () => {}); // who can't be reached gets nothing
      });
      resolve({
        at: { address: at.address, port },
        close: () => new Promise((closed) => socket.close(() => closed())),
      });
    });
  });
}
