import koffi from 'koffi';

/**
 * The generator's own system calls, apart from those of the server under test: a change there must not change the load.
 * Structure layouts are those of 64-bit Linux, little-endian; pointers are numbers (addresses are below 2^53).
 */
const lib = koffi.load(null);
const libc = {
  socket: lib.func('int socket(int, int, int)'),
  bind: lib.func('int bind(int, uintptr_t, uint32_t)'),
  setsockopt: lib.func('int setsockopt(int, int, int, uintptr_t, uint32_t)'),
  getsockopt: lib.func('int getsockopt(int, int, int, uintptr_t, uintptr_t)'),
  recvmmsg: lib.func('int recvmmsg(int, uintptr_t, uint32_t, int, uintptr_t)'),
  sendmmsg: lib.func('int sendmmsg(int, uintptr_t, uint32_t, int)'),
};

export const BATCH = 64;
/** Bytes per packet slot. */
export const SLOT_BYTES = 2048;
const SLOTS_BYTES = BATCH * SLOT_BYTES;

const AF_INET = 2;
const SOCK_DGRAM_NONBLOCK = 2 | 0o4000;
const SOL_SOCKET = 1;
const IP_PKTINFO = 8;
const MSG_DONTWAIT = 0x40;
const RECEIVE_BUFFER = 32 << 20;
const SEND_BUFFER = 4 << 20;

/*
 * mmsghdr (64 B): name +0, namelen +8, iov +16, iovlen +24, control +32, controllen +40, flags +48, msg_len +56
 * iovec (16 B):   base +0, length +8
 * sockaddr_in:    family +0, port +2 (BE), address +4 (BE)
 * control (32 B): cmsg_len 28 +0, level 0 +8, type IP_PKTINFO +12; in_pktinfo: ifindex +16, spec_dst +20 (BE), addr +24
 */
const HEADER_WORDS = 16;
const IOVEC_WORDS = 4;
const NAME_WORDS = 4;
const CONTROL_WORDS = 8;
const CONTROL_BYTES = CONTROL_WORDS * 4;

/**
 * One UDP port that speaks for thousands of addresses: which of this machine's addresses a packet comes from is said with
 * each packet (IP_PKTINFO), so that batches stay batches whoever their packets are from. Nothing blocks.
 */
export class CrowdSocket {
  /** Packets to send and received ones; slot i begins at `i * SLOT_BYTES`. */
  readonly tx = new Packets();
  readonly rx = new Packets();
  /** Packets that the system would not take, a full buffer included. */
  refused = 0;
  readonly receiveBuffer: number;
  readonly #fd: number;
  readonly #send: Vector;
  readonly #receive: Vector;
  #staged = 0;

  /** @throws when the port is taken */
  constructor(port: number) {
    this.#fd = libc.socket(AF_INET, SOCK_DGRAM_NONBLOCK, 0);
    const scratch = new Uint32Array(new ArrayBuffer(128));
    const at = addressOf(scratch);
    const option = (name: number, value: number) => {
      scratch[8] = value;
      return libc.setsockopt(this.#fd, SOL_SOCKET, name, at + 32, 4) === 0;
    };
    // SO_RCVBUFFORCE and SO_SNDBUFFORCE need CAP_NET_ADMIN; SO_RCVBUF and SO_SNDBUF are capped.
    if (!option(33, RECEIVE_BUFFER)) option(8, RECEIVE_BUFFER);
    if (!option(32, SEND_BUFFER)) option(7, SEND_BUFFER);
    scratch[8] = 4;
    libc.getsockopt(this.#fd, SOL_SOCKET, 8, at + 36, at + 32);
    this.receiveBuffer = scratch[9]!;
    scratch[0] = familyAndPort(port);
    if (libc.bind(this.#fd, at, 16) < 0) throw new Error(`UDP port ${port} is taken: errno ${koffi.errno()}`);
    this.#send = new Vector(this.tx, 'addressed');
    this.#receive = new Vector(this.rx, 'anonymous');
  }

  /** Where in their slots packets begin from now on. */
  layout(send: number, receive: number): void {
    this.#send.begin(send);
    this.#receive.begin(receive);
  }

  /** The slot that `stage` takes next, for its packet to be written there. */
  next(): number {
    if (this.#staged === BATCH) this.flush();
    return this.#staged;
  }

  /** Takes the next slot for a packet of `length` bytes. Addresses as `addressWord`, the port as `familyAndPort`. */
  stage(source: number, to: number, toPort: number, length: number): void {
    const i = this.next();
    this.#staged++;
    const { words, names, iovecs, controls } = this.#send;
    words[names + i * NAME_WORDS] = toPort;
    words[names + i * NAME_WORDS + 1] = to;
    words[iovecs + i * IOVEC_WORDS + 2] = length;
    words[controls + i * CONTROL_WORDS + 5] = source;
  }

  /** Sends what is staged. */
  flush(): void {
    const count = this.#staged;
    if (count === 0) return;
    this.#staged = 0;
    let at = 0;
    while (at < count) {
      const n = libc.sendmmsg(this.#fd, this.#send.address + at * HEADER_WORDS * 4, count - at, MSG_DONTWAIT);
      if (n <= 0) this.refused++;
      at += Math.max(n, 1);
    }
  }

  /** Reads what is there, up to a batch, and answers how many. */
  fill(): number {
    const n = libc.recvmmsg(this.#fd, this.#receive.address, BATCH, MSG_DONTWAIT, 0);
    return Math.max(n, 0);
  }

  length(i: number): number {
    return this.#receive.words[i * HEADER_WORDS + 14]!;
  }
}

/** The packets of a batch. */
class Packets {
  readonly bytes = new Uint8Array(new ArrayBuffer(SLOTS_BYTES));
}

/** mmsghdr, iovec, sockaddr and control arrays of a batch in one piece of memory. */
class Vector {
  readonly words = new Uint32Array(
    new ArrayBuffer(BATCH * 4 * (HEADER_WORDS + IOVEC_WORDS + NAME_WORDS + CONTROL_WORDS)),
  );
  readonly address = addressOf(this.words);
  /** Word indexes of the first of each. */
  readonly iovecs = BATCH * HEADER_WORDS;
  readonly names = this.iovecs + BATCH * IOVEC_WORDS;
  readonly controls = this.names + BATCH * NAME_WORDS;
  readonly #packets: number;

  constructor(packets: Packets, kind: 'addressed' | 'anonymous') {
    this.#packets = addressOf(packets.bytes);
    for (let i = 0; i < BATCH; i++) {
      const header = i * HEADER_WORDS;
      this.#pointer(header + 4, this.address + (this.iovecs + i * IOVEC_WORDS) * 4);
      this.words[header + 6] = 1;
      if (kind === 'anonymous') continue;
      this.#pointer(header, this.address + (this.names + i * NAME_WORDS) * 4);
      this.words[header + 2] = 16;
      const control = this.controls + i * CONTROL_WORDS;
      this.#pointer(header + 8, this.address + control * 4);
      this.words[header + 10] = CONTROL_BYTES;
      this.words[control] = 28;
      this.words[control + 3] = IP_PKTINFO;
    }
    this.begin(0);
  }

  begin(offset: number): void {
    for (let i = 0; i < BATCH; i++) {
      const iovec = this.iovecs + i * IOVEC_WORDS;
      this.#pointer(iovec, this.#packets + i * SLOT_BYTES + offset);
      this.words[iovec + 2] = SLOT_BYTES - offset;
    }
  }

  #pointer(word: number, address: number): void {
    this.words[word] = address % 0x100000000;
    this.words[word + 1] = Math.floor(address / 0x100000000);
  }
}

/** 127.`net`.0.0 and so many more, as the four bytes lie in memory. */
export function addressWord(net: number, host: number): number {
  return ((host & 255) * 0x1000000 + ((host >> 8) << 16) + (net << 8) + 127) >>> 0;
}

/** The first word of a sockaddr_in. */
export function familyAndPort(port: number): number {
  return (((port & 255) << 24) | ((port >> 8) << 16) | AF_INET) >>> 0;
}

function addressOf(array: Uint8Array | Uint32Array): number {
  return Number(koffi.address(array));
}
