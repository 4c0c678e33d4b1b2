import { type PacketArena, RX_SLOTS, threadArena } from './arena.ts';
import { addressOf, SOCKADDR_BYTES } from './libc.ts';
import { IOVEC_WORDS, MessageVector } from './message-vector.ts';
import { HEADROOM, MAX_PACKET, SLOT_BYTES } from './port.ts';
import { SendPool } from './send-pool.ts';

/** What all batched ports of a thread share: vectors over the arena's receive slots, and those that send from it. */
export class PacketVectors {
  readonly arena: PacketArena = threadArena();
  readonly receive = new MessageVector(RX_SLOTS, { nameLength: SOCKADDR_BYTES });
  readonly send: SendPool;

  constructor() {
    const base = addressOf(this.arena.bytes);
    this.send = new SendPool(base, this.arena);
    for (let i = 0; i < RX_SLOTS; i++) {
      const iovec = this.receive.iovecs + i * IOVEC_WORDS;
      this.receive.pointer(iovec, base + i * SLOT_BYTES + HEADROOM);
      this.receive.words[iovec + 2] = MAX_PACKET;
    }
  }
}

let vectors: PacketVectors | undefined;

export function threadVectors(): PacketVectors {
  vectors ??= new PacketVectors();
  return vectors;
}
