import type { SocketAddress } from '../../base/index.ts';
import type { UdpEndpoint } from './endpoint.ts';
import { batchedUdpProblem } from './open.ts';

/** The longest datagram over IPv4, bytes; over IPv6 20 more would fit. */
export const LONGEST_DATAGRAM = 65_507;

/**
 * One UDP socket for a protocol of texts, such as SIP: whole datagrams of any length, each handed over by itself, while the
 * system calls are made for many at once where that is possible. `UdpPort` is for packets, and never copies any.
 */
export interface DatagramSocket {
  /** The address and port really bound. */
  readonly local: SocketAddress;
  readonly implementation: 'mmsg' | 'dgram';
  /**
   * Takes what comes; set once. `bytes` are good until it returns: copy what is kept. From IPv4 over a dual-stack socket the
   * source is an IPv4 one. What it answers says whether more of that kind may be waited for (`gatherPackets`).
   */
  onDatagram: ((bytes: Uint8Array, from: UdpEndpoint) => boolean) | undefined;
  /** Told how many datagrams could not be sent: full buffer, unreachable, too long, closed. Others of a batch still went. */
  onSendErrors: ((count: number) => void) | undefined;
  /** Copies the bytes; they go out, in order, when what is being handled has been handled. IPv4 over a dual-stack socket too. */
  send(bytes: Uint8Array, to: UdpEndpoint): void;
  /** Sends what waits, and closes. */
  close(): Promise<void>;
}

export interface DatagramSocketOptions {
  /** Local IP address. An IPv6 socket bound to `::` carries IPv4 too. */
  readonly address: string;
  /** 0 = any free port. */
  readonly port: number;
  /** SO_RCVBUF and SO_SNDBUF wanted, bytes (default 4 MiB); the system may cap them. */
  readonly buffer?: number;
  /** Default `auto`: batched system calls where they work on this machine, else `dgram`. */
  readonly implementation?: 'auto' | 'mmsg' | 'dgram';
}

/** Opens a datagram socket; rejects with the system's error (`code` EADDRINUSE, EADDRNOTAVAIL, EACCES …). */
export async function openDatagramSocket(options: DatagramSocketOptions): Promise<DatagramSocket> {
  const kind = options.implementation ?? 'auto';
  // An address with a zone (RFC 4007 11) is for the system's own reader.
  if (kind !== 'dgram' && !options.address.includes('%')) {
    const problem = await batchedUdpProblem();
    if (problem === undefined) {
      const { openMmsgDatagrams } = await import('./datagrams-mmsg.ts');
      return openMmsgDatagrams(options);
    }
    if (kind === 'mmsg') throw new Error(problem);
  }
  const { openDgramDatagrams } = await import('./datagrams-dgram.ts');
  return openDgramDatagrams(options);
}

export const DATAGRAM_BUFFER = 4 << 20;
