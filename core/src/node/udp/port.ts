import type { SocketAddress } from '../../base/index.ts';
import type { UdpEndpoint } from './endpoint.ts';

/**
 * One slot of the packet arena, bytes; no power of two, or the first lines of all slots would share a few sets of the
 * processor's cache. A received packet starts `HEADROOM` bytes into its slot.
 */
export const SLOT_BYTES = 2112;

/** Free bytes in front of every received packet: a ChannelData or STUN header can be written there without copying. */
export const HEADROOM = 64;

/** The longest packet a port receives or sends, bytes; longer ones are dropped and counted. */
export const MAX_PACKET = 1856;

/** Free bytes behind a packet of `MAX_PACKET` bytes: an SRTP tag with its index and MKI fits (RFC 3711 3.4). */
export const TAILROOM = SLOT_BYTES - HEADROOM - MAX_PACKET;

/** Packets one `fill()` reads at most. */
export const BATCH = 32;

/**
 * What the last `fill()` of any port of this thread read. All ports of a thread share one batch and one arena:
 *
 *     bytes ─► │ 64 B headroom │ packet, length[i] bytes │ ≥ 192 B tailroom │ next slot …
 *                              ▲ offset[i]
 *
 * Entries 0 … count-1 are valid until the next `fill()`; the packet's bytes stay untouched until it has been flushed
 * when it was staged, so a packet may be changed in place (header rewritten, encrypted) and staged from its own slot.
 */
export interface PacketBatch {
  /** The whole arena; `offset[i]` and `reserve()` are indices into it. */
  readonly bytes: Uint8Array;
  /** The same memory, for multi-byte fields. */
  readonly view: DataView;
  /** Packets in the batch. */
  readonly count: number;
  /** First byte of each packet in `bytes`. */
  readonly offset: Uint32Array;
  /** Bytes of each packet, 0–MAX_PACKET. */
  readonly length: Uint16Array;
  /** Source address of packet i, four words from 4*i: IPv4 = its number (as `parseIPv4`) and three zeros; IPv6 = big-endian words. */
  readonly address: Uint32Array;
  /** Source port of each packet. */
  readonly port: Uint16Array;
}

/** The batch that a port has filled. */
export interface ReceivedBatch extends PacketBatch {
  /** When the loop's turn began, monotonic, whole milliseconds (which V8 keeps without a box). Outside of a turn: the last `fill()`. */
  readonly nowMs: number;
}

/** Plain counters, read at scrape. */
export interface UdpStats {
  received: number;
  receivedBytes: number;
  sent: number;
  sentBytes: number;
  /** Received packets longer than MAX_PACKET, dropped. */
  oversize: number;
  /** Packets the system refused to send (full buffer, unreachable, too long for the path); the others of the batch still went. */
  sendErrors: number;
}

/**
 * One UDP socket, batch level. Nothing is allocated, awaited or emitted per packet.
 *
 * `onReadable` is called on the thread's event loop when packets wait. It calls `fill()`, at once, for they may have been read
 * together with those of other ports and are gone with the next look at all ports, and handles the batch; when `fill()`
 * returned BATCH it may call it again (three times at most is fair to other ports), and if it does not, it is called again soon. Packets staged on any port of the thread are sent, in batches per port, when the loop's turn ends,
 * when the arena is full, or by `flush()`; order per port is kept.
 */
export interface UdpPort {
  /** The address and port really bound. */
  readonly local: SocketAddress;
  readonly family: 4 | 6;
  /** Packets leave with DF set (RFC 791 3.1; IPv6 always), so that none is fragmented on its way. */
  readonly isDontFragment: boolean;
  readonly implementation: 'mmsg' | 'dgram';
  /** What the last `fill()` read; one object for all ports of the thread. */
  readonly rx: ReceivedBatch;
  readonly stats: UdpStats;
  /**
   * Set once, before traffic is expected. Without it packets wait in the socket until `fill()` is called by hand. Many ports may
   * have one function, and what is different in `owner`: a closure each would be two more objects that a packet touches.
   */
  onReadable: ((port: UdpPort) => void) | undefined;
  /** Whose port it is; left alone here. */
  owner: object | undefined;
  /**
   * With `icmp` told what the network says of packets sent to `to` (port 0: which one is not known), while `onReadable` is
   * set: type and code as ICMP or ICMPv6 has them, and in `data` the MTU of "fragmentation needed" (3, 4) and "packet too big"
   * (2, 0), else 0. A packet too long for the local link is told as one of these too. At most 16 per wake-up, the rest is
   * dropped. Anybody can forge them.
   */
  onIcmp: ((to: UdpEndpoint, type: number, code: number, data: number) => void) | undefined;
  /** Reads up to BATCH packets without waiting; the number read, 0 when none waits. */
  fill(): number;
  /**
   * Queues `length` bytes at `rx.bytes[offset]` (an rx slot or one from `reserve()`) to `to`, without copying: leave
   * the bytes alone until they have been flushed. False when it can't be sent (closed, too long, other family); that
   * is counted as a send error.
   */
  stage(offset: number, length: number, to: UdpEndpoint): boolean;
  /** `stage` to the source of packet i of the current batch. */
  stageReply(offset: number, length: number, i: number): boolean;
  /** Copies `bytes` and stages them: for STUN, DTLS and other rare packets. */
  send(bytes: Uint8Array, to: UdpEndpoint): boolean;
  /** Sends what is staged on this port now; the number of packets the system took. */
  flush(): number;
  /** A free slot (first byte after the headroom) in `rx.bytes`, for packets made here; valid until the loop's turn ends or a flush of all. */
  reserve(): number;
  /** Flushes, closes the socket and frees everything. Safe to call twice and inside `onReadable`. */
  close(): void;
  /** The port no longer keeps the process alive. */
  unref(): void;
}

/** A bound socket that no port watches yet; a plain object, for `workerData`. */
export interface UdpDescriptor {
  readonly fd: number;
  readonly local: SocketAddress;
}

export interface UdpPortOptions {
  /** Local IP address, IPv4 or IPv6 (IPv6 sockets carry IPv6 only). `0.0.0.0` and `::` bind all. */
  readonly address: string;
  /** 0 = any free port. */
  readonly port: number;
  /** SO_RCVBUF wanted, bytes; default 256 KiB, for a shared media port use 4 MiB. The system may cap it. */
  readonly receiveBuffer?: number;
  /** SO_SNDBUF wanted, bytes; default as receiveBuffer. */
  readonly sendBuffer?: number;
  /**
   * How many packets are to be expected at a time: `many` (default) for a socket that carries everybody's, `few` for one of
   * many sockets with a flow each. It only tunes; any number passes in both ways.
   */
  readonly burst?: 'few' | 'many';
  /** Wants `onIcmp` called. Default false; `node:dgram` never does. */
  readonly icmp?: boolean;
  /** Several sockets of this user share the address (SO_REUSEPORT); each of them has to ask for it. Default false. */
  readonly reusePort?: boolean;
  /**
   * A socket of `bindUdpDescriptors` to use in place of a new one, in whatever thread; `address` and `port` are its own. The
   * port does not close it: when its thread is gone another one can go on with it. Batched implementation only.
   */
  readonly fd?: UdpDescriptor;
  /** Default `auto`: batched system calls where they work on this machine, else `dgram`. */
  readonly implementation?: 'auto' | 'mmsg' | 'dgram';
}
