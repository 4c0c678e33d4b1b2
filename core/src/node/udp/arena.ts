import { monotonicMs } from '../clock.ts';
import { BATCH, HEADROOM, type ReceivedBatch, SLOT_BYTES } from './port.ts';
import type { SystemRing } from './ring.ts';
import type { RingReads } from './ring-reads.ts';

/** Slots that receive; a loop turn that reads more flushes in between. */
export const RX_SLOTS = 512;
/** Slots behind them that are received into by `RingReads`. */
export const RING_SLOTS = 256;
/** Slots for packets made here. */
const SPARE_SLOTS = 256;
const SPARE_FIRST = RX_SLOTS + RING_SLOTS;

/** Who stages packets. */
interface Stager {
  /** Has the ring send what is staged, if it is little; `settle` follows when it has. */
  queueSends?(ring: SystemRing): void;
  /** Sends what is staged and gives back what was borrowed for it. */
  settle(): void;
}

/**
 * The packet memory of one thread and the list of ports with staged packets. Receive slots are handed out in a ring
 * and reused only after everything staged has been sent, so a staged packet is never overwritten.
 */
export class PacketArena implements ReceivedBatch {
  readonly bytes = new Uint8Array(new ArrayBuffer((SPARE_FIRST + SPARE_SLOTS) * SLOT_BYTES));
  readonly view = new DataView(this.bytes.buffer);
  readonly offset = new Uint32Array(BATCH);
  readonly length = new Uint16Array(BATCH);
  readonly address = new Uint32Array(4 * BATCH);
  readonly port = new Uint16Array(BATCH);
  count = 0;
  nowMs = 0;
  /** Sends for several stagers by one system call, where the system has such a thing. */
  ring: SystemRing | undefined;
  /** Reads for several ports by one system call, in the same way. */
  reads: RingReads | undefined;
  /** The first `#stagedCount` are staged. Kept from turn to turn: an array whose length is set to 0 has to be allocated anew. */
  readonly #staged: (Stager | undefined)[] = [];
  #stagedCount = 0;
  #rxNext = 0;
  #spareNext = 0;
  #inTurn = false;
  #flushQueued = false;

  /** The first of BATCH receive slots that are free; `advance` takes those that were filled. */
  receiveSlots(): number {
    if (!this.#inTurn) this.nowMs = Math.floor(monotonicMs());
    if (this.#rxNext + BATCH > RX_SLOTS) {
      this.flushAll();
      this.#rxNext = 0; // the slots used last are the ones in the processor's cache
    }
    return this.#rxNext;
  }

  advance(used: number): void {
    this.#rxNext += used;
  }

  reserve(): number {
    if (this.#spareNext === SPARE_SLOTS) this.flushAll();
    return (SPARE_FIRST + this.#spareNext++) * SLOT_BYTES + HEADROOM;
  }

  /** A port has its first staged packet: it is settled at the end of the turn, or outside of a turn very soon. */
  markStaged(port: Stager): void {
    this.#staged[this.#stagedCount++] = port;
    if (this.#inTurn || this.#flushQueued) return;
    this.#flushQueued = true;
    queueMicrotask(() => {
      this.#flushQueued = false;
      this.flushAll();
    });
  }

  /** Sends everything staged. Reserved slots stay so: one may be about to be staged. */
  flushStaged(): void {
    const staged = this.#staged;
    const { ring } = this;
    if (ring !== undefined && !ring.isBroken && this.#stagedCount > 1) {
      for (let i = 0; i < this.#stagedCount; i++) staged[i]!.queueSends?.(ring);
      ring.submit();
    }
    for (let i = 0; i < this.#stagedCount; i++) staged[i]!.settle();
    // a port that is closed is held no longer
    for (let i = 0; i < this.#stagedCount; i++) staged[i] = undefined;
    this.#stagedCount = 0;
  }

  flushAll(): void {
    this.flushStaged();
    this.#spareNext = 0;
  }

  /** Runs a piece of work after which everything staged is sent. */
  turn(work: () => void): void {
    this.#inTurn = true;
    this.nowMs = Math.floor(monotonicMs());
    try {
      work();
    } finally {
      this.#inTurn = false;
      this.flushAll();
      this.#rxNext = 0; // the slots used last are the ones in the processor's cache
    }
  }
}

let arena: PacketArena | undefined;

/** This thread's arena. */
export function threadArena(): PacketArena {
  arena ??= new PacketArena();
  return arena;
}
