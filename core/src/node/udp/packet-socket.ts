import { closeDescriptor } from './libc.ts';
import type { UdpDescriptor, UdpPortOptions } from './port.ts';
import { type BoundSocket, bindSocket } from './socket.ts';

/** The socket of a batched port. @throws the system's error with its `code` */
export function bindPacketSocket({ address, port, receiveBuffer = 256 * 1024, ...rest }: UdpPortOptions): BoundSocket {
  const { sendBuffer = receiveBuffer, reusePort: isShared } = rest;
  return bindSocket({ address, port, receiveBuffer, sendBuffer, long: 'probe', isDualStack: false, isShared });
}

/** @throws the system's error with its `code`; nothing is left open then */
export function bindPacketDescriptors(options: UdpPortOptions, count: number): UdpDescriptor[] {
  // with SO_REUSEPORT the port of another program that sets it too would look free, and take half of the packets
  if (options.port !== 0) closeDescriptor(bindPacketSocket({ ...options, reusePort: false }).fd);
  const descriptors: UdpDescriptor[] = [];
  try {
    while (descriptors.length < count) {
      const port = descriptors[0]?.local.port ?? options.port;
      const { fd, local } = bindPacketSocket({ ...options, port, reusePort: true });
      descriptors.push({ fd, local });
    }
    return descriptors;
  } catch (error) {
    for (const { fd } of descriptors) closeDescriptor(fd);
    throw error;
  }
}
