import { parseIPv6, type SocketAddress } from '../../base/index.ts';
import { UdpEndpoint } from './endpoint.ts';
import {
  AF_INET,
  AF_INET6,
  addressOf,
  libc,
  SOCK_DGRAM_NONBLOCK,
  SOCKADDR_IN_LENGTH,
  SOCKADDR_IN6_LENGTH,
  systemError,
} from './libc.ts';

export interface SocketOptions {
  /** Local IP address and port; port 0 = any free one. */
  readonly address: string;
  readonly port: number;
  /** SO_RCVBUF and SO_SNDBUF wanted, bytes; the system may cap them. */
  readonly receiveBuffer: number;
  readonly sendBuffer: number;
  /** `probe`: packets are never fragmented, and cost no IP id (IP_MTU_DISCOVER 3). `fragment`: long ones are. */
  readonly long: 'probe' | 'fragment';
  /** Whether an IPv6 socket carries IPv4 too, by mapped addresses. */
  readonly isDualStack: boolean;
}

export interface BoundSocket {
  readonly fd: number;
  readonly family: 4 | 6;
  readonly local: SocketAddress;
}

/** A non-blocking UDP socket. @throws the system's error with its `code` */
export function bindSocket(options: SocketOptions): BoundSocket {
  const v6 = parseIPv6(options.address) !== undefined;
  const wanted = UdpEndpoint.from(options);
  if (!wanted) throw Object.assign(new Error(`not an address and port: ${options.address}`), { code: 'EINVAL' });
  const fd = libc.socket(v6 ? AF_INET6 : AF_INET, SOCK_DGRAM_NONBLOCK, 0);
  if (fd < 0) throw systemError('socket', options.address);
  try {
    const scratch = new Uint8Array(64);
    const view = new DataView(scratch.buffer);
    const at = addressOf(scratch);
    const option = (level: number, name: number, value: number): boolean => {
      view.setInt32(48, value, true);
      return libc.setsockopt(fd, level, name, at + 48, 4) === 0;
    };
    // SO_RCVBUFFORCE (33) and SO_SNDBUFFORCE (32) need CAP_NET_ADMIN and pass the system's cap.
    if (!option(1, 33, options.receiveBuffer)) option(1, 8, options.receiveBuffer);
    if (!option(1, 32, options.sendBuffer)) option(1, 7, options.sendBuffer);
    if (options.long === 'probe') option(v6 ? 41 : 0, v6 ? 23 : 10, 3); // IPV6_MTU_DISCOVER, IP_MTU_DISCOVER
    if (v6) option(41, 26, options.isDualStack ? 0 : 1); // IPV6_V6ONLY
    const length = v6 ? SOCKADDR_IN6_LENGTH : SOCKADDR_IN_LENGTH;
    writeName(view, wanted);
    if (libc.bind(fd, at, length) < 0) throw systemError('bind', `${options.address}:${options.port}`);
    view.setUint32(48, 32, true);
    if (libc.getsockname(fd, at, at + 48) < 0) throw systemError('getsockname', '');
    return { fd, family: v6 ? 6 : 4, local: { address: options.address, port: view.getUint16(2) } };
  } catch (error) {
    libc.close(fd);
    throw error;
  }
}

function writeName(view: DataView, to: UdpEndpoint): void {
  view.setUint16(0, to.family === 6 ? AF_INET6 : AF_INET, true);
  view.setUint16(2, to.port);
  if (to.family === 4) {
    view.setUint32(4, to.a);
    return;
  }
  view.setUint32(8, to.a);
  view.setUint32(12, to.b);
  view.setUint32(16, to.c);
  view.setUint32(20, to.d);
}
