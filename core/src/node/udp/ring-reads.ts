import { RING_SLOTS, RX_SLOTS } from './arena.ts';
import { MMSGHDR_BYTES, SOCKADDR_BYTES } from './libc.ts';
import { HEADER_WORDS, type MessageVector } from './message-vector.ts';
import { RingOperation, type SystemRing } from './ring.ts';

/**
 * Reads many sockets by one system call, into receive slots of their own. Those are used again with the next look at all
 * sockets: what was read by then has been handled and sent.
 */
export class RingReads {
  readonly #ring: SystemRing;
  readonly #vector: MessageVector;
  readonly #low: number;
  readonly #high: number;
  #queued = 0;
  /** What one socket may be asked for, so that there is room for all that are ready. */
  share = 1;
  /** Counts looks; what was read in an earlier one is no longer there. Below 2^30. */
  look = 0;

  /** @param vector over the receive slots of the thread */
  constructor(ring: SystemRing, vector: MessageVector) {
    this.#ring = ring;
    this.#vector = vector;
    const headers = vector.headersAddress + RX_SLOTS * MMSGHDR_BYTES;
    this.#low = headers % 0x100000000;
    this.#high = Math.floor(headers / 0x100000000);
  }

  get isBroken(): boolean {
    return this.#ring.isBroken;
  }

  /** So many sockets are ready to be asked. */
  begin(sockets: number): void {
    this.look = (this.look + 1) & 0x3fffffff;
    this.share = Math.max(1, Math.floor(RING_SLOTS / sockets));
  }

  /** Asks a socket for so many packets; the slot of the first one, -1 where there is no room for them. */
  queue(fd: number, count: number): number {
    const first = this.#queued;
    if (first + count > RING_SLOTS) return -1;
    for (let i = first; i < first + count; i++) {
      const low = this.#low + i * MMSGHDR_BYTES;
      const carry = low >= 0x100000000 ? 1 : 0;
      this.#vector.words[(RX_SLOTS + i) * HEADER_WORDS + 2] = SOCKADDR_BYTES; // value-result, and not every slot is taken
      this.#ring.queue(RingOperation.receiveMessage, fd, low | 0, this.#high + carry);
    }
    this.#queued = first + count;
    return RX_SLOTS + first;
  }

  /** Reads what was asked for. */
  submit(): void {
    const { words } = this.#vector;
    const { results } = this.#ring;
    this.#ring.submit();
    for (let i = 0; i < this.#queued; i++) words[(RX_SLOTS + i) * HEADER_WORDS + 14] = results[i]!;
    this.#queued = 0;
  }

  /** How many of the `count` packets asked for have come; between them there may be slots without one. */
  received(slot: number, count: number): number {
    const { words } = this.#vector;
    let n = 0;
    for (let i = slot; i < slot + count; i++) if ((words[i * HEADER_WORDS + 14]! | 0) >= 0) n++;
    return n;
  }
}
