import { parseIPv6, type SocketAddress } from '../../base/index.ts';
import { threadArena } from './arena.ts';
import { DATAGRAM_BUFFER, type DatagramSocket, type DatagramSocketOptions, LONGEST_DATAGRAM } from './datagrams.ts';
import { UdpEndpoint } from './endpoint.ts';
import {
  AF_INET,
  AF_INET6,
  addressOf,
  closeDescriptor,
  EAGAIN,
  lastErrorNumber,
  libc,
  MMSGHDR_BYTES,
  MSG_DONTWAIT,
  SOCKADDR_BYTES,
  SOCKADDR_IN_LENGTH,
  SOCKADDR_IN6_LENGTH,
} from './libc.ts';
import { MessageVector, NAME_WORDS } from './message-vector.ts';
import { BATCH } from './port.ts';
import { gathering, threadReadiness } from './readiness.ts';
import { type BoundSocket, bindSocket } from './socket.ts';
import { Zones } from './zones.ts';

/** Room for any datagram; memory that nothing was received into is not there. */
const SLOT_BYTES = 65_536;
/** Datagrams that wait to be sent; they are short, mostly. */
const SEND_BYTES = 131_072;
/** Words of an IPv6 address that make it IPv4-mapped (RFC 4291 2.5.5.2). */
const MAPPED = 0xffff;

/** Receive slots of this thread: one socket is read at a time, and what it has read is handled before the next one is. */
class Slots {
  readonly bytes = new Uint8Array(new ArrayBuffer(BATCH * SLOT_BYTES));
  readonly vector = new MessageVector(BATCH, { nameLength: SOCKADDR_BYTES });

  constructor() {
    const base = addressOf(this.bytes);
    for (let i = 0; i < BATCH; i++) {
      const iovec = this.vector.iovecs + i * 4;
      this.vector.pointer(iovec, base + i * SLOT_BYTES);
      this.vector.words[iovec + 2] = SLOT_BYTES;
    }
  }
}

let slots: Slots | undefined;

/** The `DatagramSocket` of Linux: recvmmsg and sendmmsg by FFI, on the epoll descriptor of the thread's packet ports. */
export function openMmsgDatagrams({ address, port, buffer = DATAGRAM_BUFFER }: DatagramSocketOptions): DatagramSocket {
  const isDualStack = parseIPv6(address)?.every((byte) => byte === 0) ?? false;
  const sizes = { receiveBuffer: buffer, sendBuffer: buffer };
  const bound = bindSocket({ address, port, ...sizes, long: 'fragment', isDualStack });
  try {
    return new MmsgDatagrams(bound);
  } catch (error) {
    closeDescriptor(bound.fd);
    throw error;
  }
}

class MmsgDatagrams implements DatagramSocket {
  readonly implementation = 'mmsg';
  readonly local: SocketAddress;
  onDatagram: DatagramSocket['onDatagram'];
  onSendErrors: DatagramSocket['onSendErrors'];
  readonly #family: 4 | 6;
  readonly #slots: Slots;
  readonly #out: MessageVector;
  readonly #outBytes = new Uint8Array(new ArrayBuffer(SEND_BYTES));
  readonly #outAddress = addressOf(this.#outBytes);
  /** By the numbers of interfaces. */
  readonly #zones = new Zones<number>();
  #fd: number;
  #staged = 0;
  #used = 0;

  constructor({ fd, family, local }: BoundSocket) {
    slots ??= new Slots();
    this.#slots = slots;
    this.#fd = fd;
    this.#family = family;
    this.local = local;
    const nameLength = family === 6 ? SOCKADDR_IN6_LENGTH : SOCKADDR_IN_LENGTH;
    this.#out = new MessageVector(BATCH, { nameLength });
    for (let i = 0; i < BATCH; i++)
      this.#out.words[this.#out.names + i * NAME_WORDS] = family === 6 ? AF_INET6 : AF_INET;
    threadReadiness().watch(fd, this, true);
  }

  /** Reads and hands over one batch; what it leaves is read in the next round. */
  handleReady(): void {
    const { bytes, vector } = this.#slots;
    const { words } = vector;
    const n = libc.recvmmsg(this.#fd, vector.headersAddress, BATCH, MSG_DONTWAIT, 0);
    if (n <= 0) return; // EAGAIN; an ICMP error that waited on the socket is cleared by this call
    gathering.packets += n;
    if (n === BATCH) gathering.mayHaveMore = true;
    for (let i = 0; i < n; i++) words[i * 16 + 2] = SOCKADDR_BYTES; // value-result
    for (let i = 0; i < n && this.#fd >= 0; i++) {
      const start = i * SLOT_BYTES;
      const datagram = bytes.subarray(start, start + words[i * 16 + 14]!);
      if (this.onDatagram?.(datagram, this.#sourceOf(i))) gathering.worth++;
    }
  }

  #sourceOf(i: number): UdpEndpoint {
    const { view, names } = this.#slots.vector;
    const name = (names + i * NAME_WORDS) * 4;
    const port = view.getUint16(name + 2);
    if (this.#family === 4) return new UdpEndpoint(4, [view.getUint32(name + 4)], port);
    const words = [view.getUint32(name + 8), view.getUint32(name + 12), view.getUint32(name + 16)];
    const last = view.getUint32(name + 20);
    if (words[0] === 0 && words[1] === 0 && words[2] === MAPPED) return new UdpEndpoint(4, [last], port);
    const from = new UdpEndpoint(6, [...words, last], port);
    if (isLinkLocal(from)) this.#zones.note(zoneKey(from), view.getUint32(name + 24, true));
    return from;
  }

  send(bytes: Uint8Array, to: UdpEndpoint): void {
    if (this.#fd < 0 || bytes.length > LONGEST_DATAGRAM || (to.family === 6 && this.#family === 4)) {
      this.onSendErrors?.(1);
      return;
    }
    if (this.#staged === BATCH || this.#used + bytes.length > SEND_BYTES) this.settle();
    if (this.#staged === 0) threadArena().markStaged(this);
    const i = this.#staged++;
    const { words, view, names, iovecs } = this.#out;
    const name = (names + i * NAME_WORDS) * 4;
    view.setUint16(name + 2, to.port);
    if (this.#family === 4) view.setUint32(name + 4, to.a);
    else {
      const isMapped = to.family === 4;
      view.setUint32(name + 8, isMapped ? 0 : to.a);
      view.setUint32(name + 12, isMapped ? 0 : to.b);
      view.setUint32(name + 16, isMapped ? MAPPED : to.c);
      view.setUint32(name + 20, isMapped ? to.a : to.d);
      view.setUint32(name + 24, !isMapped && isLinkLocal(to) ? (this.#zones.of(zoneKey(to)) ?? 0) : 0, true);
    }
    this.#outBytes.set(bytes, this.#used);
    this.#out.pointer(iovecs + i * 4, this.#outAddress + this.#used);
    words[iovecs + i * 4 + 2] = bytes.length;
    this.#used += bytes.length;
  }

  /** Sends what is staged. */
  settle(): void {
    const count = this.#staged;
    this.#staged = 0;
    this.#used = 0;
    let at = 0;
    while (at < count) {
      const n = libc.sendmmsg(this.#fd, this.#out.headersAddress + at * MMSGHDR_BYTES, count - at, MSG_DONTWAIT);
      if (n > 0) at += n;
      else {
        // One datagram was refused (unreachable, an ICMP error): the rest goes on. A full buffer refuses all.
        const full = lastErrorNumber() === EAGAIN;
        this.onSendErrors?.(full ? count - at : 1);
        at = full ? count : at + 1;
      }
    }
  }

  close(): Promise<void> {
    if (this.#fd >= 0) {
      this.settle();
      threadReadiness().unwatch(this.#fd);
      closeDescriptor(this.#fd);
      this.#fd = -1;
    }
    return Promise.resolve();
  }
}

/** fe80::/10 (RFC 4291 2.5.6) */
function isLinkLocal({ family, a }: UdpEndpoint): boolean {
  return family === 6 && a >>> 22 === 0x3fa;
}

function zoneKey({ a, b, c, d }: UdpEndpoint): string {
  return `${a} ${b} ${c} ${d}`;
}
