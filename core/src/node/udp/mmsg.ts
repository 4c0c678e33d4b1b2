import type { SocketAddress } from '../../base/index.ts';
import type { PacketArena } from './arena.ts';
import { UdpEndpoint } from './endpoint.ts';
import { openErrorQueue, readErrorQueue } from './error-queue.ts';
import { closeDescriptor, EPOLLERR, libc, MMSGHDR_BYTES, MSG_DONTWAIT, MSG_TRUNC, SOCKADDR_BYTES } from './libc.ts';
import { HEADER_WORDS, NAME_WORDS } from './message-vector.ts';
import { bindPacketSocket } from './packet-socket.ts';
import { type PacketVectors, threadVectors } from './packet-vectors.ts';
import { BATCH, HEADROOM, MAX_PACKET, SLOT_BYTES, type UdpPort, type UdpPortOptions, type UdpStats } from './port.ts';
import { gathering, threadReadiness } from './readiness.ts';
import { ReceiveSize } from './receive-size.ts';
import type { SystemRing } from './ring.ts';
import type { RingReads } from './ring-reads.ts';
import type { ChunkSender, SendChunk } from './send-chunk.ts';
import { adoptSocket, type BoundSocket } from './socket.ts';

/** The ring has read nothing of this port. */
const NOT_READ = -1;

/** The `UdpPort` of Linux: recvmmsg and sendmmsg by FFI, all ports of a thread on one epoll descriptor. */
export function openMmsgPort(options: UdpPortOptions): MmsgPort {
  return new MmsgPort(options.fd ? adoptSocket(options.fd) : bindPacketSocket(options), options);
}

class MmsgPort extends ReceiveSize implements UdpPort, ChunkSender, UdpStats {
  // Fields lie in this order, those of `ReceiveSize` in front: what a packet that comes touches, then what one that goes touches.
  // Of a thousand ports none is in the processor's cache.
  #onReadable: UdpPort['onReadable'];
  owner: object | undefined;
  /** Few packets are to be expected at a time. */
  readonly #hasFew: boolean;
  /** What the ring was asked for in the present look at all sockets, and the slot of the first packet. */
  #asked = 0;
  #slot = NOT_READ;
  /** Which look that was. */
  #look = 0;
  received = 0;
  receivedBytes = 0;
  readonly #vectors: PacketVectors;
  readonly rx: PacketArena;
  fd: number;
  readonly family: 4 | 6;
  /** Send vectors, borrowed from the first packet of a turn to its end. */
  #chunk: SendChunk | undefined;
  isGrouping = canGroup;
  sent = 0;
  sentBytes = 0;
  readonly hasErrorQueue: boolean;
  sendErrors = 0;
  oversize = 0;
  readonly implementation = 'mmsg';
  readonly local: SocketAddress;
  readonly isDontFragment: boolean;
  onIcmp: UdpPort['onIcmp'];
  #holdsProcess = true;
  readonly #isAdopted: boolean;

  constructor({ fd, family, local, isDontFragment }: BoundSocket, options: UdpPortOptions) {
    super();
    const vectors = threadVectors();
    this.#vectors = vectors;
    this.rx = vectors.arena;
    this.fd = fd;
    this.family = family;
    this.local = local;
    this.isDontFragment = isDontFragment;
    this.hasErrorQueue = options.icmp === true && openErrorQueue(fd, family);
    this.#isAdopted = options.fd !== undefined;
    this.#hasFew = options.burst === 'few';
  }

  get stats(): UdpStats {
    return this;
  }

  handleReady(events: number): void {
    // An adopted socket may hold errors that another thread wanted.
    if ((events & EPOLLERR) !== 0) readErrorQueue(this);
    this.#onReadable?.(this);
  }

  get onReadable(): UdpPort['onReadable'] {
    return this.#onReadable;
  }

  set onReadable(handler: UdpPort['onReadable']) {
    const watched = this.#onReadable !== undefined;
    this.#onReadable = handler;
    if (this.fd < 0 || watched === (handler !== undefined)) return;
    if (handler) threadReadiness().watch(this.fd, this, this.#holdsProcess);
    else threadReadiness().unwatch(this.fd);
  }

  queueReads(reads: RingReads): void {
    if (this.#onReadable !== undefined) this.readWith(reads);
  }

  /** The next `fill` finds what `reads` has read by then; a port of many packets at a time reads them itself. */
  readWith(reads: RingReads): void {
    if (!this.#hasFew) return;
    this.#asked = Math.min(this.in(gathering.pass), reads.share);
    this.#slot = reads.queue(this.fd, this.#asked);
    this.#look = reads.look;
  }

  fill(): number {
    const { rx } = this;
    rx.count = 0;
    if (this.fd < 0) return 0;
    const slot = this.#slot;
    const { reads } = rx;
    if (slot >= 0 && reads?.look === this.#look) {
      this.#slot = NOT_READ;
      const n = reads.received(slot, this.#asked);
      if (this.observe(n, this.#asked, gathering.pass)) gathering.mayHaveMore = true;
      gathering.packets += n;
      gathering.worth += n;
      return this.#take(slot, this.#asked);
    }
    const first = rx.receiveSlots();
    const asked = this.#hasFew ? this.in(gathering.pass) : BATCH;
    const headers = this.#vectors.receive.headersAddress + first * MMSGHDR_BYTES;
    const n = libc.recvmmsg(this.fd, headers, asked, MSG_DONTWAIT, 0);
    if (this.#hasFew && this.observe(n, asked, gathering.pass)) gathering.mayHaveMore = true;
    if (n <= 0) return 0; // EAGAIN; an ICMP error that waited on the socket is cleared by this call
    rx.advance(n);
    gathering.packets += n;
    gathering.worth += n;
    return this.#take(first, n);
  }

  /** Makes what was received into the `slots` slots from `first` on the batch; a negative length is an error's number. */
  #take(first: number, slots: number): number {
    const { rx } = this;
    const vector = this.#vectors.receive;
    const { words, view } = vector;
    const six = this.family === 6;
    let count = 0;
    let bytes = 0;
    for (let slot = first; slot < first + slots; slot++) {
      const header = slot * HEADER_WORDS;
      const length = words[header + 14]! | 0;
      if (length < 0) continue;
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
    const a = address[at]! | 0;
    const b = address[at + 1]! | 0;
    const c = address[at + 2]! | 0;
    const d = address[at + 3]! | 0;
    return this.#stage(offset, length, a, b, c, d, port[i]!);
  }

  /** The words of the address signed, as the chunk takes them. */
  #stage(offset: number, length: number, a: number, b: number, c: number, d: number, port: number): boolean {
    if (this.fd < 0 || length > MAX_PACKET) {
      this.stats.sendErrors++;
      return false;
    }
    let chunk = this.#chunk ?? this.#borrow();
    if (chunk.packets === chunk.size) {
      this.flush();
      chunk = this.#vectors.send.widen(chunk);
      this.#chunk = chunk;
    }
    chunk.add(this, offset, length, a, b, c, d, port);
    return true;
  }

  #borrow(): SendChunk {
    const { send } = this.#vectors;
    const chunk = this.#hasFew ? send.small() : send.large();
    this.#chunk = chunk;
    this.rx.markStaged(this);
    return chunk;
  }

  send(bytes: Uint8Array, to: UdpEndpoint): boolean {
    if (bytes.length > MAX_PACKET || this.fd < 0) {
      this.stats.sendErrors++;
      return false;
    }
    const offset = this.reserve();
    this.rx.bytes.set(bytes, offset);
    return this.stage(offset, bytes.length, to);
  }

  flush(): number {
    return this.#chunk?.flush(this) ?? 0;
  }

  queueSends(ring: SystemRing): void {
    this.#chunk?.queue(this, ring);
  }

  settle(): void {
    this.flush();
    if (this.#chunk) this.#vectors.send.give(this.#chunk);
    this.#chunk = undefined;
  }

  reserve(): number {
    return this.rx.reserve();
  }

  close(): void {
    if (this.fd < 0) return;
    this.flush();
    this.onReadable = undefined;
    if (!this.#isAdopted) closeDescriptor(this.fd);
    this.fd = -1;
  }

  unref(): void {
    this.#holdsProcess = false;
    if (this.#onReadable && this.fd >= 0) threadReadiness().release(this.fd);
  }
}

/** Whether this system cuts messages into packets, as the self-test of the thread found. */
let canGroup = false;

/** Sends packets to itself over 127.0.0.1 and compares; the reason when batched system calls can't be used here. */
export function mmsgSelfTest(): string | undefined {
  if (process.platform !== 'linux' || (process.arch !== 'x64' && process.arch !== 'arm64'))
    return `no batched UDP for ${process.platform} on ${process.arch}`;
  canGroup = false;
  try {
    const problem = exchangeProblem([1, 2, 3]);
    if (problem !== undefined) return problem;
    canGroup = true;
    canGroup = exchangeProblem([3, 3, 3, 1]) === undefined;
    problemOfRing = startRing();
    return undefined;
  } catch (error) {
    return String(error);
  }
}

let problemOfRing: string | undefined = 'not tried';

/** Why several sockets can't be served by one system call here, or undefined when they are. */
export function ringProblem(): string | undefined {
  return problemOfRing;
}

/** Lets this thread's ports use io_uring; the reason why they can't. */
function startRing(): string | undefined {
  const vectors = threadVectors();
  try {
    vectors.useRing();
    const problem = ringExchangeProblem(vectors);
    if (problem !== undefined) vectors.giveUpRing();
    return problem;
  } catch (error) {
    vectors.giveUpRing();
    return String(error);
  }
}

/** Why packets that three ports sent each other in a circle by the ring did not arrive as they were. */
function ringExchangeProblem({ arena }: PacketVectors): string | undefined {
  const open = () => openMmsgPort({ address: '127.0.0.1', port: 0, burst: 'few' });
  const ports = [open(), open(), open()];
  try {
    for (const [i, port] of ports.entries())
      port.send(new Uint8Array(10 + i).fill(i), UdpEndpoint.from(ports[(i + 1) % 3]!.local)!);
    arena.flushAll();
    const before = gathering.packets;
    const reads = arena.reads!;
    for (const port of ports) port.readWith(reads);
    reads.submit();
    for (const [i, port] of ports.entries()) {
      const sender = (i + 2) % 3;
      const { rx } = port;
      if (port.fill() !== 1 || port.stats.sent !== 1) return 'a packet of the ring did not come';
      const isRight = rx.length[0] === 10 + sender && rx.bytes[rx.offset[0]!] === sender;
      if (!isRight || rx.port[0] !== ports[sender]!.local.port) return 'a packet of the ring came changed';
    }
    gathering.packets = before;
    return undefined;
  } finally {
    for (const port of ports) port.close();
  }
}

/** Why packets of these lengths, sent to itself, did not come back as they were. */
function exchangeProblem(lengths: readonly number[]): string | undefined {
  const port = openMmsgPort({ address: '127.0.0.1', port: 0 });
  try {
    const to = UdpEndpoint.from(port.local)!;
    for (const [i, length] of lengths.entries()) port.send(new Uint8Array(length).fill(i), to);
    if (port.flush() !== lengths.length || port.fill() !== lengths.length) return 'the batch did not come back';
    if (port.isGrouping !== canGroup) return 'packets were not taken in groups';
    const { rx } = port;
    for (const [i, length] of lengths.entries())
      if (rx.length[i] !== length || rx.bytes[rx.offset[i]!] !== i || !to.isSource(rx, i))
        return 'the batch came back changed';
    return undefined;
  } finally {
    port.close();
  }
}
