import { constants } from 'node:os';
import koffi from 'koffi';
import { noteMapped, noteOpened, noteUnmapped } from './descriptors.ts';
import { addressOf, closeDescriptor, EINTR, lastErrorNumber, libc, MSG_DONTWAIT, systemError } from './libc.ts';

/** Messages of one system call. */
export const RING_ENTRIES = 256;

// System call numbers, the same on x86-64 and arm64.
const IO_URING_SETUP = 425;
const IO_URING_ENTER = 426;
const ENTER_GETEVENTS = 1;
/** SUBMIT_ALL | COOP_TASKRUN | SINGLE_ISSUER: one thread, and one bad message doesn't stop the others. A system that knows
 * them (Linux 6.0) has both rings in one map. */
const SETUP_FLAGS = (1 << 7) | (1 << 8) | (1 << 12);
const OFFSET_RINGS = 0;
const OFFSET_ENTRIES = 0x10000000;
const PROT_READ_WRITE = 3;
/** MAP_SHARED | MAP_POPULATE */
const MAP_SHARED = 0x8001;
/** struct io_uring_params in 32-bit words, with what the system answers. */
const PARAMETERS_BYTES = 120;
const Parameter = {
  flags: 2,
  sqHead: 10,
  sqTail: 11,
  sqArray: 16,
  cqEntries: 1,
  cqHead: 20,
  cqTail: 21,
  cqMask: 22,
  cqEvents: 25,
} as const;
/** struct io_uring_sqe, in words: opcode 0, descriptor 1, address 4 and 5, length 6, flags of the message 7, user data 8. */
const ENTRY_WORDS = 16;
/** struct io_uring_cqe, in words: user data 0 and 1, result 2, flags 3. */
const EVENT_WORDS = 4;

/** ECANCELED negated. */
export const NOT_DONE = -constants.errno.ECANCELED;

export const RingOperation = { sendMessage: 9, receiveMessage: 10 } as const;
type Operation = (typeof RingOperation)[keyof typeof RingOperation];

/**
 * io_uring as a way to make many system calls at once: sendmsg and recvmsg on as many sockets as there are, none of which
 * waits. What a system call costs besides its work (entering the kernel, some 0.2 to 2 µs as the processor's faults have to be
 * guarded) is paid once for all of them. Nothing is ever pending: each message is done, or refused, when `submit` returns.
 */
export class SystemRing {
  /** What became of each message of the last `submit`, by the number `queue` gave: bytes, or the error's number negated. */
  readonly results = new Int32Array(RING_ENTRIES);
  readonly #fd: number;
  readonly #rings: Uint32Array;
  readonly #entries: Int32Array;
  readonly #maps: readonly [address: number, bytes: number][];
  readonly #sqHead: number;
  readonly #sqTail: number;
  readonly #cqHead: number;
  readonly #cqTail: number;
  readonly #cqMask: number;
  readonly #cqEvents: number;
  /** The system has refused a call, out of memory mostly: this ring is not to be used any more. */
  isBroken = false;
  #queued = 0;
  #tail = 0;
  #head = 0;

  /** @throws the system's error where it has no io_uring or does not let us use it (containers often don't) */
  constructor() {
    const parameters = new Uint32Array(new ArrayBuffer(PARAMETERS_BYTES));
    parameters[Parameter.flags] = SETUP_FLAGS;
    const address = addressOf(new Uint8Array(parameters.buffer));
    this.#fd = libc.syscall(IO_URING_SETUP, RING_ENTRIES, address, 0, 0, 0, 0);
    if (this.#fd < 0) throw systemError('io_uring_setup', '');
    noteOpened(this.#fd);
    const at = (word: number) => parameters[word]! / 4;
    this.#sqHead = at(Parameter.sqHead);
    this.#sqTail = at(Parameter.sqTail);
    this.#cqHead = at(Parameter.cqHead);
    this.#cqTail = at(Parameter.cqTail);
    this.#cqEvents = at(Parameter.cqEvents);
    const array = at(Parameter.sqArray);
    const maps: [number, number][] = [];
    try {
      const events = parameters[Parameter.cqEntries]! * EVENT_WORDS;
      const words = Math.max(array + RING_ENTRIES, this.#cqEvents + events);
      maps.push(this.#map(OFFSET_RINGS, words * 4));
      maps.push(this.#map(OFFSET_ENTRIES, RING_ENTRIES * ENTRY_WORDS * 4));
    } catch (error) {
      this.#maps = maps;
      this.close();
      throw error;
    }
    this.#maps = maps;
    this.#rings = new Uint32Array(koffi.view(maps[0]![0], maps[0]![1]));
    this.#entries = new Int32Array(koffi.view(maps[1]![0], maps[1]![1]));
    this.#cqMask = this.#rings[at(Parameter.cqMask)]!;
    for (let i = 0; i < RING_ENTRIES; i++) this.#rings[array + i] = i;
  }

  /** Messages that can still be queued before `submit`. */
  get room(): number {
    return RING_ENTRIES - this.#queued;
  }

  /** Queues one message; there has to be room. `low` and `high` are the words of its msghdr's address. */
  queue(operation: Operation, fd: number, low: number, high: number): number {
    const entries = this.#entries;
    const number = this.#queued++;
    const entry = (this.#tail & (RING_ENTRIES - 1)) * ENTRY_WORDS;
    this.#tail = (this.#tail + 1) | 0;
    entries[entry] = operation;
    entries[entry + 1] = fd;
    entries[entry + 4] = low;
    entries[entry + 5] = high;
    entries[entry + 6] = 1;
    entries[entry + 7] = MSG_DONTWAIT;
    entries[entry + 8] = number;
    return number;
  }

  /** Has everything queued done, in its order; when the system refuses, what is not done has the result `NOT_DONE`. */
  submit(): void {
    const rings = this.#rings;
    const wanted = this.#queued;
    if (wanted === 0) return;
    this.#queued = 0;
    this.results.fill(NOT_DONE, 0, wanted);
    rings[this.#sqTail] = this.#tail;
    for (let done = 0; done < wanted; ) {
      const left = (this.#tail - rings[this.#sqHead]!) >>> 0;
      const taken = libc.syscall(IO_URING_ENTER, this.#fd, left, wanted - done, ENTER_GETEVENTS, 0, 0);
      const isRefused = taken < 0 && lastErrorNumber() !== EINTR;
      done += this.#collect();
      if (!isRefused) continue;
      this.isBroken = true;
      return;
    }
  }

  /** Takes what is done; how many. */
  #collect(): number {
    const rings = this.#rings;
    const end = rings[this.#cqTail]! | 0;
    let count = 0;
    for (; this.#head !== end; this.#head = (this.#head + 1) | 0) {
      const event = this.#cqEvents + (this.#head & this.#cqMask) * EVENT_WORDS;
      this.results[rings[event]!] = rings[event + 2]! | 0;
      count++;
    }
    rings[this.#cqHead] = this.#head;
    return count;
  }

  close(): void {
    closeDescriptor(this.#fd);
    for (const [address, bytes] of this.#maps) {
      noteUnmapped(address);
      libc.munmap(address, bytes);
    }
  }

  #map(offset: number, bytes: number): [number, number] {
    const address = libc.mmap(0, bytes, PROT_READ_WRITE, MAP_SHARED, this.#fd, offset);
    if (address === -1 || address > Number.MAX_SAFE_INTEGER) throw systemError('mmap', '');
    noteMapped(address, bytes);
    return [address, bytes];
  }
}
