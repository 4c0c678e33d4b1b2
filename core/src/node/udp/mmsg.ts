import type { SocketAddress } from '../../base/index.ts';
import { type PacketArena, RX_SLOTS, threadArena } from './arena.ts';
import { UdpEndpoint } from './endpoint.ts';
import {
  AF_INET,
  AF_INET6,
  addressOf,
  lastErrorCode,
  libc,
  MMSGHDR_BYTES,
  MSG_DONTWAIT,
  MSG_TRUNC,
  SOCKADDR_BYTES,
  SOCKADDR_IN_LENGTH,
  SOCKADDR_IN6_LENGTH,
} from './libc.ts';
import { BATCH, HEADROOM, MAX_PACKET, SLOT_BYTES, type UdpPort, type UdpPortOptions, type UdpStats } from './port.ts';
import { gathering, threadReadiness } from './readiness.ts';
import { type BoundSocket, bindSocket, MessageVector, NAME_WORDS } from './socket.ts';

/** Receive vectors over the arena's receive slots, and where the arena lies; one per thread. */
class ArenaVectors {
  readonly arena: PacketArena = threadArena();
  readonly receive = new MessageVector(RX_SLOTS, SOCKADDR_BYTES);
  readonly low: number;
  readonly high: number;

  constructor() {
    const base = addressOf(this.arena.bytes);
    this.low = base % 0x100000000;
    this.high = Math.floor(base / 0x100000000);
    for (let i = 0; i < RX_SLOTS; i++) {
      const iovec = this.receive.iovecs + i * 4;
      this.receive.pointer(iovec, base + i * SLOT_BYTES + HEADROOM);
      this.receive.words[iovec + 2] = MAX_PACKET;
    }
  }
}

let vectors: ArenaVectors | undefined;

/** The `UdpPort` of Linux: recvmmsg and sendmmsg by FFI, all ports of a thread on one epoll descriptor. */
export function openMmsgPort(options: UdpPortOptions): UdpPort {
  const receiveBuffer = options.receiveBuffer ?? 256 * 1024;
  const sendBuffer = options.sendBuffer ?? receiveBuffer;
  const { address, port } = options;
  const bound = bindSocket({ address, port, receiveBuffer, sendBuffer, long: 'probe', isDualStack: false });
  return new MmsgPort(bound);
}

class MmsgPort implements UdpPort {
  readonly implementation = 'mmsg';
  readonly local: SocketAddress;
  readonly family: 4 | 6;
  readonly rx: PacketArena;
  readonly stats: UdpStats = { received: 0, receivedBytes: 0, sent: 0, sentBytes: 0, oversize: 0, sendErrors: 0 };
  readonly #vectors: ArenaVectors;
  readonly #send: MessageVector;
  #fd: number;
  #onReadable: (() => void) | undefined;
  #staged = 0;
  #holdsProcess = true;

  constructor({ fd, family, local }: BoundSocket) {
    vectors ??= new ArenaVectors();
    this.#vectors = vectors;
    this.rx = vectors.arena;
    this.#fd = fd;
    this.family = family;
    this.local = local;
    this.#send = new MessageVector(BATCH, family === 6 ? SOCKADDR_IN6_LENGTH : SOCKADDR_IN_LENGTH);
    const family2 = family === 6 ? AF_INET6 : AF_INET;
    for (let i = 0; i < BATCH; i++) this.#send.words[this.#send.names + i * NAME_WORDS] = family2;
  }

  get onReadable(): (() => void) | undefined {
    return this.#onReadable;
  }

  set onReadable(handler: (() => void) | undefined) {
    const watched = this.#onReadable !== undefined;
    this.#onReadable = handler;
    if (this.#fd < 0 || watched === (handler !== undefined)) return;
    if (handler) threadReadiness().watch(this.#fd, this, this.#holdsProcess);
    else threadReadiness().unwatch(this.#fd);
  }

  fill(): number {
    const { rx } = this;
    const vector = this.#vectors.receive;
    const { words, view } = vector;
    const first = rx.receiveSlots();
    rx.count = 0;
    if (this.#fd < 0) return 0;
    const n = libc.recvmmsg(this.#fd, vector.headersAddress + first * MMSGHDR_BYTES, BATCH, MSG_DONTWAIT, 0);
    if (n <= 0) return 0; // EAGAIN; an ICMP error that waited on the socket is cleared by this call
    rx.advance(n);
    gathering.packets += n;
    gathering.worth += n;
    const six = this.family === 6;
    let count = 0;
    let bytes = 0;
    for (let i = 0; i < n; i++) {
      const slot = first + i;
      const header = slot * 16;
      const length = words[header + 14]!;
      words[header + 2] = SOCKADDR_BYTES; // value-result
      if ((words[header + 12]! & MSG_TRUNC) !== 0) {
        this.stats.oversize++;
        continue;
      }
      const name = (vector.names + slot * NAME_WORDS) * 4;
      rx.offset[count] = slot * SLOT_BYTES + HEADROOM;
      rx.length[count] = length;
      rx.port[count] = view.getUint16(name + 2);
      const address = 4 * count;
      if (six) {
        rx.address[address] = view.getUint32(name + 8);
        rx.address[address + 1] = view.getUint32(name + 12);
        rx.address[address + 2] = view.getUint32(name + 16);
        rx.address[address + 3] = view.getUint32(name + 20);
      } else {
        rx.address[address] = view.getUint32(name + 4);
        rx.address[address + 1] = 0;
        rx.address[address + 2] = 0;
        rx.address[address + 3] = 0;
      }
      bytes += length;
      count++;
    }
    rx.count = count;
    this.stats.received += count;
    this.stats.receivedBytes += bytes;
    return count;
  }

  stage(offset: number, length: number, to: UdpEndpoint): boolean {
    if (to.family !== this.family) {
      this.stats.sendErrors++;
      return false;
    }
    return this.#stage(offset, length, to.a, to.b, to.c, to.d, to.port);
  }

  stageReply(offset: number, length: number, i: number): boolean {
    const { address, port } = this.rx;
    const at = 4 * i;
    return this.#stage(offset, length, address[at]!, address[at + 1]!, address[at + 2]!, address[at + 3]!, port[i]!);
  }

  #stage(offset: number, length: number, a: number, b: number, c: number, d: number, port: number): boolean {
    if (this.#fd < 0 || length > MAX_PACKET) {
      this.stats.sendErrors++;
      return false;
    }
    if (this.#staged === BATCH) this.flush();
    if (this.#staged === 0) this.rx.markStaged(this);
    const i = this.#staged++;
    const { words, view, names, iovecs } = this.#send;
    const name = (names + i * NAME_WORDS) * 4;
    view.setUint16(name + 2, port);
    if (this.family === 4) view.setUint32(name + 4, a);
    else {
      view.setUint32(name + 8, a);
      view.setUint32(name + 12, b);
      view.setUint32(name + 16, c);
      view.setUint32(name + 20, d);
    }
    const iovec = iovecs + i * 4;
    const low = this.#vectors.low + offset;
    words[iovec] = low;
    words[iovec + 1] = low > 0xffffffff ? this.#vectors.high + 1 : this.#vectors.high;
    words[iovec + 2] = length;
    return true;
  }

  send(bytes: Uint8Array, to: UdpEndpoint): boolean {
    if (bytes.length > MAX_PACKET || this.#fd < 0) {
      this.stats.sendErrors++;
      return false;
    }
    const offset = this.reserve();
    this.rx.bytes.set(bytes, offset);
    return this.stage(offset, bytes.length, to);
  }

  flush(): number {
    const count = this.#staged;
    if (count === 0) return 0;
    this.#staged = 0;
    const { headersAddress, words, iovecs } = this.#send;
    let at = 0;
    let sent = 0;
    while (at < count) {
      const n = libc.sendmmsg(this.#fd, headersAddress + at * MMSGHDR_BYTES, count - at, MSG_DONTWAIT);
      if (n > 0) {
        for (let i = at; i < at + n; i++) this.stats.sentBytes += words[iovecs + i * 4 + 2]!;
        at += n;
        sent += n;
      } else {
        // One packet was refused (unreachable, too long, an ICMP error): the rest goes on. A full buffer refuses all.
        const full = lastErrorCode() === 'EAGAIN';
        this.stats.sendErrors += full ? count - at : 1;
        at = full ? count : at + 1;
      }
    }
    this.stats.sent += sent;
    return sent;
  }

  reserve(): number {
    return this.rx.reserve();
  }

  close(): void {
    if (this.#fd < 0) return;
    this.flush();
    this.onReadable = undefined;
    libc.close(this.#fd);
    this.#fd = -1;
  }

  unref(): void {
    this.#holdsProcess = false;
    if (this.#onReadable && this.#fd >= 0) threadReadiness().release(this.#fd);
  }
}

/** Sends packets to itself over 127.0.0.1 and compares; the reason when batched system calls can't be used here. */
export function mmsgSelfTest(): string | undefined {
  if (process.platform !== 'linux' || (process.arch !== 'x64' && process.arch !== 'arm64'))
    return `no batched UDP for ${process.platform} on ${process.arch}`;
  let port: UdpPort | undefined;
  try {
    port = openMmsgPort({ address: '127.0.0.1', port: 0 });
    const to = UdpEndpoint.from(port.local)!;
    for (let i = 1; i <= 3; i++) port.send(new Uint8Array(i).fill(i), to);
    if (port.flush() !== 3 || port.fill() !== 3) return 'the batch did not come back';
    const { rx } = port;
    for (let i = 0; i < 3; i++)
      if (rx.length[i] !== i + 1 || rx.bytes[rx.offset[i]!] !== i + 1 || !to.isSource(rx, i))
        return 'the batch came back changed';
    return undefined;
  } catch (error) {
    return String(error);
  } finally {
    port?.close();
  }
}
