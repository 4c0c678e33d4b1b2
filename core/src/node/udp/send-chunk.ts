import {
  AF_INET,
  AF_INET6,
  EAGAIN,
  lastErrorNumber,
  libc,
  MMSGHDR_BYTES,
  MSG_DONTWAIT,
  SOCKADDR_IN_LENGTH,
  SOCKADDR_IN6_LENGTH,
} from './libc.ts';
import { HEADER_WORDS, IOVEC_WORDS, type MessageVector, NAME_WORDS } from './message-vector.ts';
import type { UdpStats } from './port.ts';

/** Consecutive entries of the thread's send vectors, and what is staged in them. */
export class SendChunk {
  /** Packets it has room for. */
  readonly size: number;
  /** Packets staged. */
  packets = 0;
  #bytes = 0;
  readonly #memory: MessageVector;
  readonly #headersAddress: number;
  /** Word index of its first header, iovec and socket address. */
  readonly #headers: number;
  readonly #iovecs: number;
  readonly #names: number;
  /** The arena's address. */
  readonly #low: number;
  readonly #high: number;

  /**
   * @param first its first entry of `memory`
   * @param base address of the arena's first byte
   */
  constructor(memory: MessageVector, first: number, size: number, base: number) {
    this.size = size;
    this.#memory = memory;
    this.#headersAddress = memory.headersAddress + first * MMSGHDR_BYTES;
    this.#headers = first * HEADER_WORDS;
    this.#iovecs = memory.iovecs + first * IOVEC_WORDS;
    this.#names = memory.names + first * NAME_WORDS;
    this.#low = base % 0x100000000;
    this.#high = Math.floor(base / 0x100000000);
  }

  /**
   * Stages `length` bytes at `offset` of the arena; there has to be room. Numbers all of them: an object would be one more
   * per packet.
   */
  add(family: 4 | 6, offset: number, length: number, a: number, b: number, c: number, d: number, port: number): void {
    const { words, view } = this.#memory;
    const i = this.packets++;
    this.#bytes += length;
    const iovec = this.#iovecs + i * IOVEC_WORDS;
    const low = this.#low + offset;
    words[iovec] = low;
    words[iovec + 1] = low > 0xffffffff ? this.#high + 1 : this.#high;
    words[iovec + 2] = length;
    const header = this.#headers + i * HEADER_WORDS;
    const name = this.#names + i * NAME_WORDS;
    const nameBytes = name * 4;
    view.setUint16(nameBytes + 2, port);
    if (family === 4) {
      view.setUint16(nameBytes, AF_INET, true);
      view.setUint32(nameBytes + 4, a);
      words[header + 2] = SOCKADDR_IN_LENGTH;
    } else {
      view.setUint16(nameBytes, AF_INET6, true);
      view.setUint32(nameBytes + 8, a);
      view.setUint32(nameBytes + 12, b);
      view.setUint32(nameBytes + 16, c);
      view.setUint32(nameBytes + 20, d);
      words[header + 2] = SOCKADDR_IN6_LENGTH;
    }
  }

  /** Sends what is staged; the number of packets the system took. */
  flush(fd: number, stats: UdpStats): number {
    const { packets } = this;
    if (packets === 0) return 0;
    const bytes = this.#bytes;
    this.packets = 0;
    this.#bytes = 0;
    const taken = libc.sendmmsg(fd, this.#headersAddress, packets, MSG_DONTWAIT);
    if (taken !== packets) return this.#flushRest(fd, stats, packets, taken);
    stats.sent += packets;
    stats.sentBytes += bytes;
    return packets;
  }

  /** One packet was refused (unreachable, too long, an ICMP error): the rest goes on. A full buffer refuses all. */
  #flushRest(fd: number, stats: UdpStats, packets: number, taken: number): number {
    let at = 0;
    let sent = 0;
    for (let n = taken; ; ) {
      if (n > 0) {
        for (let i = at; i < at + n; i++) stats.sentBytes += this.#memory.words[this.#iovecs + i * IOVEC_WORDS + 2]!;
        at += n;
        sent += n;
      } else {
        const isFull = lastErrorNumber() === EAGAIN;
        stats.sendErrors += isFull ? packets - at : 1;
        at = isFull ? packets : at + 1;
      }
      if (at >= packets) break;
      n = libc.sendmmsg(fd, this.#headersAddress + at * MMSGHDR_BYTES, packets - at, MSG_DONTWAIT);
    }
    stats.sent += sent;
    return sent;
  }
}
