import { constants } from 'node:os';
import {
  AF_INET,
  AF_INET6,
  IOVEC_BYTES,
  lastErrorNumber,
  libc,
  MMSGHDR_BYTES,
  MSG_DONTWAIT,
  SEGMENT_CONTROL_BYTES,
  SEGMENT_CONTROL_LENGTH,
  SOCKADDR_IN_LENGTH,
  SOCKADDR_IN6_LENGTH,
  SOL_UDP,
  UDP_SEGMENT,
} from './libc.ts';
import { HEADER_WORDS, IOVEC_WORDS, type MessageVector, NAME_WORDS } from './message-vector.ts';
import type { UdpStats } from './port.ts';
import { RingOperation, type SystemRing } from './ring.ts';

const { errno } = constants;

/** Packets of one group (the system's limit is 64). With the longest packets they are 58,880 bytes, which a datagram holds. */
const MOST_SEGMENTS = 40;
/** The longest packet that is grouped: what a path of 1500 bytes carries over IPv4 without a fragment. */
const LONGEST_SEGMENT = 1472;
/** Messages of one socket from which a system call of its own costs less than their places in the ring. */
const MOST_IN_RING = 6;
const SIGN = 1 << 31;
const CONTROL_WORDS = SEGMENT_CONTROL_BYTES / 4;

/** How systems and network cards say that they can't cut a message into segments. */
const NOT_SUPPORTED = new Set([errno.EINVAL, errno.EIO, errno.EMSGSIZE, errno.ENOPROTOOPT, errno.EOPNOTSUPP]);

/** Whose packets a chunk sends. */
export interface ChunkSender {
  readonly fd: number;
  readonly family: 4 | 6;
  readonly stats: UdpStats;
  /** Whether packets may be grouped; switched off here when the system can't send groups from this socket. */
  isGrouping: boolean;
  /** Whether ICMP errors wait on the socket. */
  readonly hasErrorQueue: boolean;
}

/**
 * Consecutive entries of the thread's send vectors, and what is staged in them. Packets of one length that follow each other
 * to one destination (the last may be shorter) become one message, which the system cuts again (UDP_SEGMENT):
 *
 *     headers   │ to A │ to B, 3 segments of 1200 │ to A │
 *     iovecs    │ 172  │ 1200 │ 1200 │ 800        │ 172  │
 */
export class SendChunk {
  /** Packets it has room for. */
  readonly size: number;
  /** Packets staged, and the messages they make. */
  packets = 0;
  #messages = 0;
  #bytes = 0;
  /** Length of the packets that the last message still takes; 0 = none. */
  #segment = 0;
  /** The ring that sends what is staged, and the number of its first message there. */
  #ring: SystemRing | undefined;
  #ringFirst = 0;
  readonly #memory: MessageVector;
  readonly #headersAddress: number;
  readonly #headersLow: number;
  readonly #headersHigh: number;
  readonly #iovecsLow: number;
  readonly #iovecsHigh: number;
  /** Word index of its first header, iovec, socket address and control message. */
  readonly #headers: number;
  readonly #iovecs: number;
  readonly #names: number;
  readonly #controls: number;
  /** The arena's address; the lower words are signed, for 32-bit arithmetic. */
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
    this.#headersLow = this.#headersAddress | 0;
    this.#headersHigh = Math.floor(this.#headersAddress / 0x100000000);
    this.#headers = first * HEADER_WORDS;
    this.#iovecs = memory.iovecs + first * IOVEC_WORDS;
    this.#names = memory.names + first * NAME_WORDS;
    this.#controls = memory.controls + first * CONTROL_WORDS;
    const iovecs = memory.addressOf(this.#iovecs);
    this.#iovecsLow = iovecs | 0;
    this.#iovecsHigh = Math.floor(iovecs / 0x100000000);
    this.#low = base | 0;
    this.#high = Math.floor(base / 0x100000000);
    for (let i = 0; i < size; i++) {
      const control = this.#controls + i * CONTROL_WORDS;
      memory.words[control] = SEGMENT_CONTROL_LENGTH;
      memory.words[control + 2] = SOL_UDP;
      memory.words[control + 3] = UDP_SEGMENT;
    }
  }

  /**
   * Stages `length` bytes at `offset` of the arena; there has to be room. Numbers all of them: an object would be one more
   * per packet. Those of the address are signed 32-bit ones, which V8 passes without a box.
   */
  add(
    sender: ChunkSender,
    offset: number,
    length: number,
    a: number,
    b: number,
    c: number,
    d: number,
    port: number,
  ): void {
    const { words } = this.#memory;
    const packet = this.packets++;
    this.#bytes += length;
    const iovec = this.#iovecs + packet * IOVEC_WORDS;
    const low = (this.#low + offset) | 0;
    words[iovec] = low;
    words[iovec + 1] = unsignedLess(low, this.#low) ? this.#high + 1 : this.#high;
    words[iovec + 2] = length;
    const start = nameStart(sender.family, port);
    if (length <= this.#segment && length > 0 && this.#isToLast(start, a, b, c, d)) this.#append(length);
    else {
      this.#begin(packet, start, a, b, c, d);
      this.#segment = sender.isGrouping && length <= LONGEST_SEGMENT ? length : 0;
    }
  }

  /** Whether the last message goes there. */
  #isToLast(start: number, a: number, b: number, c: number, d: number): boolean {
    const { view } = this.#memory;
    const name = (this.#names + (this.#messages - 1) * NAME_WORDS) * 4;
    if (view.getInt32(name, true) !== start) return false;
    if ((start & 0xffff) === AF_INET) return view.getInt32(name + 4) === a;
    return (
      view.getInt32(name + 8) === a &&
      view.getInt32(name + 12) === b &&
      view.getInt32(name + 16) === c &&
      view.getInt32(name + 20) === d
    );
  }

  /** A message of its own for the packet just added. */
  #begin(packet: number, start: number, a: number, b: number, c: number, d: number): void {
    const { words, view } = this.#memory;
    const message = this.#messages++;
    const header = this.#headers + message * HEADER_WORDS;
    const name = this.#names + message * NAME_WORDS;
    words[name] = start;
    if ((start & 0xffff) === AF_INET) {
      view.setInt32(name * 4 + 4, a);
      words[header + 2] = SOCKADDR_IN_LENGTH;
    } else {
      words[name + 1] = 0;
      view.setInt32(name * 4 + 8, a);
      view.setInt32(name * 4 + 12, b);
      view.setInt32(name * 4 + 16, c);
      view.setInt32(name * 4 + 20, d);
      words[header + 2] = SOCKADDR_IN6_LENGTH;
    }
    this.#pointTo(header, packet);
    words[header + 6] = 1;
    words[header + 10] = 0;
  }

  /** The packet just added belongs to the last message. */
  #append(length: number): void {
    const { words } = this.#memory;
    const message = this.#messages - 1;
    const header = this.#headers + message * HEADER_WORDS;
    const segments = words[header + 6]! + 1;
    words[header + 6] = segments;
    if (segments === 2) {
      words[header + 10] = SEGMENT_CONTROL_BYTES;
      words[this.#controls + message * CONTROL_WORDS + 4] = this.#segment;
    }
    if (length < this.#segment || segments === MOST_SEGMENTS) this.#segment = 0;
  }

  /** The message's iovecs begin with that of this packet. */
  #pointTo(header: number, packet: number): void {
    const low = (this.#iovecsLow + packet * IOVEC_BYTES) | 0;
    this.#memory.words[header + 4] = low;
    this.#memory.words[header + 5] = unsignedLess(low, this.#iovecsLow) ? this.#iovecsHigh + 1 : this.#iovecsHigh;
  }

  /** Has the ring send what is staged with its next `submit`, unless it is so much that a system call of its own is cheaper. */
  queue(sender: ChunkSender, ring: SystemRing): void {
    const messages = this.#messages;
    if (messages === 0 || messages > MOST_IN_RING || messages > ring.room) return;
    for (let message = 0; message < messages; message++) {
      const low = (this.#headersLow + message * MMSGHDR_BYTES) | 0;
      const high = unsignedLess(low, this.#headersLow) ? this.#headersHigh + 1 : this.#headersHigh;
      const number = ring.queue(RingOperation.sendMessage, sender.fd, low, high);
      if (message === 0) this.#ringFirst = number;
    }
    this.#ring = ring;
  }

  #isAllTaken(ring: SystemRing, messages: number): boolean {
    for (let i = 0; i < messages; i++) if (ring.results[this.#ringFirst + i]! < 0) return false;
    return true;
  }

  /** The ring has sent some messages and others not. */
  #finish(sender: ChunkSender, ring: SystemRing, messages: number): number {
    const { words } = this.#memory;
    const { stats } = sender;
    const sentBefore = stats.sent;
    let packet = 0;
    for (let message = 0; message < messages; message++) {
      const segments = words[this.#headers + message * HEADER_WORDS + 6]!;
      const result = ring.results[this.#ringFirst + message]!;
      if (result >= 0) for (let i = 0; i < segments; i++) this.#countSent(stats, packet + i);
      else if (-result === errno.EAGAIN) stats.sendErrors += segments;
      else this.#retry(sender, message, packet, -result);
      packet += segments;
    }
    return stats.sent - sentBefore;
  }

  /** One message that was refused for that reason. */
  #retry(sender: ChunkSender, message: number, packet: number, reason: number): void {
    const segments = this.#memory.words[this.#headers + message * HEADER_WORDS + 6]!;
    if ((sender.hasErrorQueue || reason === errno.ECANCELED) && this.#attempt(sender, message, 1) === 1)
      for (let i = 0; i < segments; i++) this.#countSent(sender.stats, packet + i);
    else if (segments > 1) this.#flushSingly(sender, message, packet, { segments, reason });
    else sender.stats.sendErrors++;
  }

  /** Sends what is staged; the number of packets the system took. */
  flush(sender: ChunkSender): number {
    const packets = this.packets;
    if (packets === 0) return 0;
    const bytes = this.#bytes;
    const messages = this.#messages;
    this.packets = 0;
    this.#messages = 0;
    this.#bytes = 0;
    this.#segment = 0;
    const ring = this.#ring;
    if (ring !== undefined) {
      this.#ring = undefined;
      if (!this.#isAllTaken(ring, messages)) return this.#finish(sender, ring, messages);
      sender.stats.sent += packets;
      sender.stats.sentBytes += bytes;
      return packets;
    }
    const taken = this.#attempt(sender, 0, messages);
    if (taken !== messages) return this.#flushRest(sender, packets, messages, taken);
    sender.stats.sent += packets;
    sender.stats.sentBytes += bytes;
    return packets;
  }

  /** One message was refused (unreachable, too long, an ICMP error): the rest goes on. A full buffer refuses all. */
  #flushRest(sender: ChunkSender, packets: number, messages: number, taken: number): number {
    const { words } = this.#memory;
    const { stats } = sender;
    const sentBefore = stats.sent;
    let message = 0;
    let packet = 0;
    for (let n = taken; ; n = this.#attempt(sender, message, messages - message)) {
      if (n > 0) {
        for (const end = message + n; message < end; message++) {
          const segments = words[this.#headers + message * HEADER_WORDS + 6]!;
          for (const next = packet + segments; packet < next; packet++) this.#countSent(stats, packet);
        }
      } else if (lastErrorNumber() === errno.EAGAIN) {
        stats.sendErrors += packets - packet;
        break;
      } else {
        const segments = words[this.#headers + message * HEADER_WORDS + 6]!;
        if (segments > 1) this.#flushSingly(sender, message, packet, { segments, reason: lastErrorNumber() });
        else stats.sendErrors++;
        message++;
        packet += segments;
      }
      if (message === messages) break;
    }
    return stats.sent - sentBefore;
  }

  /** With an error queue an ICMP error of one packet is told to the next one too, in place of sending it. */
  #attempt(sender: ChunkSender, message: number, count: number): number {
    const address = this.#headersAddress + message * MMSGHDR_BYTES;
    const taken = libc.sendmmsg(sender.fd, address, count, MSG_DONTWAIT);
    if (taken > 0 || !sender.hasErrorQueue || lastErrorNumber() === errno.EAGAIN) return taken;
    return libc.sendmmsg(sender.fd, address, count, MSG_DONTWAIT);
  }

  /** The packets of a group that the system refused. When the longest passes alone, it is groups that can't be sent here. */
  #flushSingly(
    sender: ChunkSender,
    message: number,
    first: number,
    { segments, reason }: { readonly segments: number; readonly reason: number },
  ): void {
    const { words } = this.#memory;
    const header = this.#headers + message * HEADER_WORDS;
    words[header + 6] = 1;
    words[header + 10] = 0;
    for (let packet = first; packet < first + segments; packet++) {
      this.#pointTo(header, packet);
      const isSent = this.#attempt(sender, message, 1) === 1;
      if (isSent) this.#countSent(sender.stats, packet);
      else sender.stats.sendErrors++;
      if (isSent && packet === first && NOT_SUPPORTED.has(reason)) sender.isGrouping = false;
    }
  }

  #countSent(stats: UdpStats, packet: number): void {
    stats.sent++;
    stats.sentBytes += this.#memory.words[this.#iovecs + packet * IOVEC_WORDS + 2]!;
  }
}

/** Of two words that are kept signed: as unsigned ones they would be objects wherever code is not yet optimised. */
function unsignedLess(a: number, b: number): boolean {
  return (a ^ SIGN) < (b ^ SIGN);
}

/** Family and port as they lie in a socket address: one little-endian word, signed. */
function nameStart(family: 4 | 6, port: number): number {
  return (family === 4 ? AF_INET : AF_INET6) | ((port & 0xff00) << 8) | (port << 24);
}
