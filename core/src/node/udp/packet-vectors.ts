import { isMainThread } from 'node:worker_threads';
import { type PacketArena, RING_SLOTS, RX_SLOTS, threadArena } from './arena.ts';
import { addressOf, SOCKADDR_BYTES } from './libc.ts';
import { IOVEC_WORDS, MessageVector } from './message-vector.ts';
import { HEADROOM, MAX_PACKET, SLOT_BYTES } from './port.ts';
import { SystemRing } from './ring.ts';
import { RingReads } from './ring-reads.ts';
import { SendPool } from './send-pool.ts';

const SLOTS = RX_SLOTS + RING_SLOTS;

/** What all batched ports of a thread share: vectors over the arena's receive slots, and those that send from it. */
export class PacketVectors {
  readonly arena: PacketArena = threadArena();
  readonly receive = new MessageVector(SLOTS, { nameLength: SOCKADDR_BYTES });
  readonly send: SendPool;

  /** Its descriptor is the process's, see `Readiness`. */
  readonly #giveUp = () => this.giveUpRing();

  constructor() {
    const base = addressOf(this.arena.bytes);
    this.send = new SendPool(base, this.arena);
    for (let i = 0; i < SLOTS; i++) {
      const iovec = this.receive.iovecs + i * IOVEC_WORDS;
      this.receive.pointer(iovec, base + i * SLOT_BYTES + HEADROOM);
      this.receive.words[iovec + 2] = MAX_PACKET;
    }
  }

  /** From now on several sockets are read, and sent from, by one system call. @throws where that can't be had */
  useRing(): void {
    const ring = new SystemRing();
    this.arena.ring = ring;
    this.arena.reads = new RingReads(ring, this.receive);
    if (!isMainThread) process.on('exit', this.#giveUp);
  }

  giveUpRing(): void {
    this.arena.ring?.close();
    this.arena.ring = undefined;
    this.arena.reads = undefined;
    process.off('exit', this.#giveUp);
  }
}

let vectors: PacketVectors | undefined;

export function threadVectors(): PacketVectors {
  vectors ??= new PacketVectors();
  return vectors;
}
