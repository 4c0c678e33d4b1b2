import type { Socket } from 'node:dgram';
import { parseIPv6, type SocketAddress } from '../../base/index.ts';
import { type PacketArena, threadArena } from './arena.ts';
import { bindDgram } from './dgram-socket.ts';
import { UdpEndpoint } from './endpoint.ts';
import { BATCH, HEADROOM, MAX_PACKET, SLOT_BYTES, type UdpPort, type UdpPortOptions, type UdpStats } from './port.ts';

/** Packets that may wait for `fill()`; more are dropped like in a full socket buffer. */
const QUEUE_LIMIT = 4096;

interface Waiting {
  readonly bytes: Uint8Array;
  readonly from: UdpEndpoint;
}

/** The `UdpPort` of systems without batched system calls: `node:dgram` behind the same contract. */
export async function openDgramPort(options: UdpPortOptions): Promise<UdpPort> {
  if (options.fd) throw new Error('node:dgram can’t share a bound socket among threads');
  const family = parseIPv6(options.address) ? 6 : 4;
  const size = options.receiveBuffer ?? 256 * 1024;
  const at = { ...options, receiveBuffer: size, sendBuffer: options.sendBuffer ?? size };
  const socket = await bindDgram(
    { type: family === 6 ? 'udp6' : 'udp4', ipv6Only: family === 6, reusePort: options.reusePort ?? false },
    at,
  );
  return new DgramPort(socket, family);
}

class DgramPort implements UdpPort {
  readonly implementation = 'dgram';
  readonly isDontFragment = false;
  readonly local: SocketAddress;
  readonly family: 4 | 6;
  readonly rx: PacketArena = threadArena();
  readonly stats: UdpStats = { received: 0, receivedBytes: 0, sent: 0, sentBytes: 0, oversize: 0, sendErrors: 0 };
  onIcmp: UdpPort['onIcmp'];
  readonly #socket: Socket;
  owner: object | undefined;
  #onReadable: UdpPort['onReadable'];
  readonly #read = () => this.#onReadable?.(this);
  #waiting: Waiting[] = [];
  #staged: { offset: number; length: number; to: UdpEndpoint }[] = [];
  #scheduled: NodeJS.Immediate | undefined;
  #inFlight = 0;
  #closed = false;

  constructor(socket: Socket, family: 4 | 6) {
    this.#socket = socket;
    this.family = family;
    const { address, port } = socket.address();
    this.local = { address, port };
    socket.on('error', () => this.stats.sendErrors++);
    socket.on('message', (bytes, from) => {
      if (bytes.length > MAX_PACKET) {
        this.stats.oversize++;
        return;
      }
      if (this.#waiting.length >= QUEUE_LIMIT) return;
      const scope = from.address.indexOf('%');
      const source = UdpEndpoint.from({
        address: scope < 0 ? from.address : from.address.slice(0, scope),
        port: from.port,
      });
      if (!source) return;
      this.#waiting.push({ bytes, from: source });
      this.#schedule();
    });
  }

  get onReadable(): UdpPort['onReadable'] {
    return this.#onReadable;
  }

  set onReadable(handler: UdpPort['onReadable']) {
    this.#onReadable = handler;
    if (this.#waiting.length > 0) this.#schedule();
  }

  #schedule(): void {
    if (this.#scheduled || !this.#onReadable || this.#closed) return;
    this.#scheduled = setImmediate(() => {
      this.#scheduled = undefined;
      if (this.#closed || !this.#onReadable) return;
      this.rx.turn(this.#read);
      if (this.#waiting.length > 0) this.#schedule();
    });
  }

  fill(): number {
    const { rx } = this;
    const n = Math.min(BATCH, this.#waiting.length);
    rx.count = n;
    if (n === 0) return 0;
    const first = rx.receiveSlots();
    for (let i = 0; i < n; i++) {
      const { bytes, from } = this.#waiting[i]!;
      const offset = (first + i) * SLOT_BYTES + HEADROOM;
      rx.bytes.set(bytes, offset);
      rx.offset[i] = offset;
      rx.length[i] = bytes.length;
      rx.address.set([from.a, from.b, from.c, from.d], 4 * i);
      rx.port[i] = from.port;
      this.stats.receivedBytes += bytes.length;
    }
    this.#waiting.splice(0, n);
    rx.advance(n);
    this.stats.received += n;
    return n;
  }

  stage(offset: number, length: number, to: UdpEndpoint): boolean {
    if (this.#closed || length > MAX_PACKET || to.family !== this.family) {
      this.stats.sendErrors++;
      return false;
    }
    if (this.#staged.length === 0) this.rx.markStaged(this);
    this.#staged.push({ offset, length, to });
    return true;
  }

  stageReply(offset: number, length: number, i: number): boolean {
    return this.stage(offset, length, UdpEndpoint.source(this.rx, i, this.family));
  }

  send(bytes: Uint8Array, to: UdpEndpoint): boolean {
    if (bytes.length > MAX_PACKET) {
      this.stats.sendErrors++;
      return false;
    }
    const offset = this.reserve();
    this.rx.bytes.set(bytes, offset);
    return this.stage(offset, bytes.length, to);
  }

  settle(): void {
    this.flush();
  }

  flush(): number {
    const staged = this.#staged;
    if (staged.length === 0) return 0;
    this.#staged = [];
    for (const { offset, length, to } of staged) {
      const { address, port } = to.toSocketAddress();
      this.#inFlight++;
      try {
        this.#socket.send(this.rx.bytes.slice(offset, offset + length), port, address, (error) =>
          this.#sent(error, length),
        );
      } catch (error) {
        this.#sent(error as Error, length); // port 0: an argument error here, the system's EINVAL elsewhere
      }
    }
    return staged.length;
  }

  #sent(error: Error | null, length: number): void {
    this.#inFlight--;
    if (error) this.stats.sendErrors++;
    else {
      this.stats.sent++;
      this.stats.sentBytes += length;
    }
    if (this.#closed && this.#inFlight === 0) this.#socket.close();
  }

  reserve(): number {
    return this.rx.reserve();
  }

  close(): void {
    if (this.#closed) return;
    this.flush();
    this.#closed = true;
    this.#waiting = [];
    clearImmediate(this.#scheduled);
    if (this.#inFlight === 0) this.#socket.close();
  }

  unref(): void {
    this.#socket.unref();
  }
}
