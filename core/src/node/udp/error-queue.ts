import { constants } from 'node:os';
import { UdpEndpoint } from './endpoint.ts';
import {
  addressOf,
  ERROR_CONTROL_BYTES,
  IP_RECVERR,
  IPV6_RECVERR,
  libc,
  MSG_DONTWAIT,
  MSG_ERRQUEUE,
  SOCKADDR_BYTES,
  SOL_IP,
  SOL_IPV6,
} from './libc.ts';
import { HEADER_WORDS, IOVEC_WORDS, MessageVector, NAME_WORDS } from './message-vector.ts';
import type { UdpPort } from './port.ts';
import { setOption } from './socket.ts';

/** Errors told per wake-up. */
const MOST = 16;
/** What came beyond is read and dropped, up to so many times that; the next wake-up has what is left then. */
const DROPPED_ROUNDS = 16;

/** SO_EE_ORIGIN_* of linux/errqueue.h */
const ORIGIN_LOCAL = 1;
const ORIGIN_ICMP = 2;
const ORIGIN_ICMP6 = 3;

interface ErrorSource extends Pick<UdpPort, 'family' | 'onIcmp'> {
  /** Negative once it is closed. */
  readonly fd: number;
}

/** ICMP errors of packets that this socket sends are kept for `readErrorQueue`; whether the system does that. */
export function openErrorQueue(fd: number, family: 4 | 6): boolean {
  return family === 4 ? setOption(fd, SOL_IP, IP_RECVERR, 1) : setOption(fd, SOL_IPV6, IPV6_RECVERR, 1);
}

let thread: ErrorQueue | undefined;

/** Tells `onIcmp` what waits in the socket's error queue. */
export function readErrorQueue(source: ErrorSource): void {
  thread ??= new ErrorQueue();
  thread.read(source);
}

class ErrorQueue {
  readonly #vector = new MessageVector(MOST, { nameLength: SOCKADDR_BYTES, controlBytes: ERROR_CONTROL_BYTES });
  /** The packet that an error is about comes with it; nobody looks at more of it. */
  readonly #packets = new Uint8Array(new ArrayBuffer(MOST * 8));

  constructor() {
    const base = addressOf(this.#packets);
    for (let i = 0; i < MOST; i++) {
      const iovec = this.#vector.iovecs + i * IOVEC_WORDS;
      this.#vector.pointer(iovec, base + i * 8);
      this.#vector.words[iovec + 2] = 8;
    }
  }

  read(source: ErrorSource): void {
    let count = this.#receive(source.fd);
    for (let i = 0; i < count && source.fd >= 0; i++) this.#tell(source, i);
    for (let round = 0; round < DROPPED_ROUNDS && count === MOST && source.fd >= 0; round++)
      count = this.#receive(source.fd);
  }

  #receive(fd: number): number {
    const { words, headersAddress } = this.#vector;
    for (let header = 0; header < MOST * HEADER_WORDS; header += HEADER_WORDS) {
      words[header + 2] = SOCKADDR_BYTES; // value-result, as the next one
      words[header + 10] = ERROR_CONTROL_BYTES;
    }
    return libc.recvmmsg(fd, headersAddress, MOST, MSG_ERRQUEUE | MSG_DONTWAIT, 0);
  }

  #tell(source: ErrorSource, i: number): void {
    const { view, words, controls } = this.#vector;
    const isIPv4 = source.family === 4;
    const control = controls * 4 + i * ERROR_CONTROL_BYTES;
    const isError =
      words[i * HEADER_WORDS + 10]! >= 32 &&
      view.getInt32(control + 8, true) === (isIPv4 ? SOL_IP : SOL_IPV6) &&
      view.getInt32(control + 12, true) === (isIPv4 ? IP_RECVERR : IPV6_RECVERR);
    if (!isError) return;
    const number = view.getUint32(control + 16, true);
    const origin = view.getUint8(control + 20);
    const mtu = view.getUint32(control + 24, true);
    const tooLongType = isIPv4 ? 3 : 2;
    const tooLongCode = isIPv4 ? 4 : 0;
    if (origin === ORIGIN_LOCAL && number === constants.errno.EMSGSIZE) {
      source.onIcmp?.(this.#destination(source.family, i), tooLongType, tooLongCode, mtu);
    } else if (origin === ORIGIN_ICMP || origin === ORIGIN_ICMP6) {
      const type = view.getUint8(control + 21);
      const code = view.getUint8(control + 22);
      const data = type === tooLongType && code === tooLongCode ? mtu : 0;
      source.onIcmp?.(this.#destination(source.family, i), type, code, data);
    }
  }

  /** Where the packet went that the error is about. */
  #destination(family: 4 | 6, i: number): UdpEndpoint {
    const { view, names } = this.#vector;
    const name = (names + i * NAME_WORDS) * 4;
    const port = view.getUint16(name + 2);
    if (family === 4) return new UdpEndpoint(4, [view.getUint32(name + 4)], port);
    const words = [8, 12, 16, 20].map((at) => view.getUint32(name + at));
    return new UdpEndpoint(6, words, port);
  }
}
