import { parseIPv6, type SocketAddress } from '../../base/index.ts';
import { noteOpened } from './descriptors.ts';
import { UdpEndpoint } from './endpoint.ts';
import {
  AF_INET,
  AF_INET6,
  addressOf,
  closeDescriptor,
  libc,
  SOCK_DGRAM_NONBLOCK,
  SOCKADDR_IN_LENGTH,
  SOCKADDR_IN6_LENGTH,
  systemError,
} from './libc.ts';
import type { UdpDescriptor } from './port.ts';

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
  /** Whether others of this user may bind the same address and port. */
  readonly isShared?: boolean;
}

export interface BoundSocket {
  readonly fd: number;
  readonly family: 4 | 6;
  readonly local: SocketAddress;
  /** `probe` was wanted and the system does it. */
  readonly isDontFragment: boolean;
}

/** A socket address, and at 48 an int: what is opened ten thousand times leaves no garbage outside of the heap. */
class Scratch {
  readonly bytes = new Uint8Array(new ArrayBuffer(64));
  readonly view = new DataView(this.bytes.buffer);
  readonly address = addressOf(this.bytes);
}

const scratch = new Scratch();

/** A non-blocking UDP socket. @throws the system's error with its `code` */
export function bindSocket(options: SocketOptions): BoundSocket {
  const v6 = parseIPv6(options.address) !== undefined;
  const wanted = UdpEndpoint.from(options);
  if (!wanted) throw Object.assign(new Error(`not an address and port: ${options.address}`), { code: 'EINVAL' });
  const fd = libc.socket(v6 ? AF_INET6 : AF_INET, SOCK_DGRAM_NONBLOCK, 0);
  if (fd < 0) throw systemError('socket', options.address);
  noteOpened(fd);
  try {
    const option = (level: number, name: number, value: number) => setOption(fd, level, name, value);
    // SO_RCVBUFFORCE (33) and SO_SNDBUFFORCE (32) need CAP_NET_ADMIN and pass the system's cap.
    if (!option(1, 33, options.receiveBuffer)) option(1, 8, options.receiveBuffer);
    if (!option(1, 32, options.sendBuffer)) option(1, 7, options.sendBuffer);
    const isDontFragment = options.long === 'probe' && forbidFragments(fd, v6);
    if (v6) option(41, 26, options.isDualStack ? 0 : 1); // IPV6_V6ONLY
    // Any free port that the system picks for a socket that shares it may be one that is shared already.
    const isPicked = options.port === 0;
    if (options.isShared && !isPicked) share(fd);
    const { view, address: at } = scratch;
    writeName(view, wanted);
    if (libc.bind(fd, at, v6 ? SOCKADDR_IN6_LENGTH : SOCKADDR_IN_LENGTH) < 0)
      throw systemError('bind', `${options.address}:${options.port}`);
    if (options.isShared && isPicked) share(fd);
    view.setUint32(48, 32, true);
    if (libc.getsockname(fd, at, at + 48) < 0) throw systemError('getsockname', '');
    const local = { address: options.address, port: view.getUint16(2) };
    return { fd, family: v6 ? 6 : 4, local, isDontFragment };
  } catch (error) {
    closeDescriptor(fd);
    throw error;
  }
}

/** Sets an option of one int; whether the system took it. */
export function setOption(fd: number, level: number, name: number, value: number): boolean {
  scratch.view.setInt32(48, value, true);
  return libc.setsockopt(fd, level, name, scratch.address + 48, 4) === 0;
}

/** IP_MTU_DISCOVER, IPV6_MTU_DISCOVER: 3 = probe. */
function forbidFragments(fd: number, v6: boolean): boolean {
  return setOption(fd, v6 ? 41 : 0, v6 ? 23 : 10, 3);
}

/** SO_REUSEPORT */
function share(fd: number): void {
  if (!setOption(fd, 1, 15, 1)) throw systemError('setsockopt', 'SO_REUSEPORT');
}

/** A socket that was bound elsewhere in this process, as if it were bound here. */
export function adoptSocket({ fd, local }: UdpDescriptor): BoundSocket {
  const v6 = parseIPv6(local.address) !== undefined;
  return { fd, family: v6 ? 6 : 4, local, isDontFragment: forbidFragments(fd, v6) };
}

function writeName(view: DataView, to: UdpEndpoint): void {
  view.setUint16(0, to.family === 6 ? AF_INET6 : AF_INET, true);
  view.setUint16(2, to.port);
  if (to.family === 4) {
    view.setUint32(4, to.a);
    view.setUint32(8, 0);
    view.setUint32(12, 0);
    return;
  }
  view.setUint32(4, 0); // flow information
  view.setUint32(24, 0); // scope
  view.setUint32(8, to.a);
  view.setUint32(12, to.b);
  view.setUint32(16, to.c);
  view.setUint32(20, to.d);
}
