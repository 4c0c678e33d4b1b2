import type { PacketArena } from './arena.ts';
import { SEGMENT_CONTROL_BYTES, SOCKADDR_IN6_LENGTH } from './libc.ts';
import { MessageVector } from './message-vector.ts';
import { BATCH } from './port.ts';
import { SendChunk } from './send-chunk.ts';

/** Packets of a small chunk: what a socket with one flow sends in a turn. */
const SMALL = 8;
/** The packets of one read may go out on as many relay sockets. */
const SMALL_CHUNKS = 256;
const LARGE_CHUNKS = 16;

/**
 * The send vectors of one thread, lent to ports in chunks of consecutive entries for the rest of a loop turn: a socket that
 * sends nothing owns nothing. The chunk given back last is lent first, as it is still in the processor's cache.
 */
export class SendPool {
  readonly #arena: PacketArena;
  readonly #small: SendChunk[] = [];
  readonly #large: SendChunk[] = [];

  /** @param base address of the arena's first byte. */
  constructor(base: number, arena: PacketArena) {
    this.#arena = arena;
    const largeFirst = SMALL_CHUNKS * SMALL;
    const memory = new MessageVector(largeFirst + LARGE_CHUNKS * BATCH, {
      nameLength: SOCKADDR_IN6_LENGTH,
      controlBytes: SEGMENT_CONTROL_BYTES,
    });
    for (let i = 0; i < SMALL_CHUNKS; i++) this.#small.push(new SendChunk(memory, i * SMALL, SMALL, base));
    for (let i = 0; i < LARGE_CHUNKS; i++) this.#large.push(new SendChunk(memory, largeFirst + i * BATCH, BATCH, base));
  }

  /** A chunk for a few packets; when none is left, all ports of the thread send what they have staged and give theirs back. */
  small(): SendChunk {
    if (this.#small.length === 0) this.#arena.flushStaged();
    return this.#small.pop()!;
  }

  /** A chunk for a whole batch, in the same way. */
  large(): SendChunk {
    if (this.#large.length === 0) this.#arena.flushStaged();
    return this.#large.pop()!;
  }

  /** In place of a small chunk that was full and has been sent, a large one if there is any: more is to come. */
  widen(chunk: SendChunk): SendChunk {
    if (chunk.size === BATCH) return chunk;
    const wide = this.#large.pop();
    if (!wide) return chunk;
    this.#small.push(chunk);
    return wide;
  }

  give(chunk: SendChunk): void {
    (chunk.size === BATCH ? this.#large : this.#small).push(chunk);
  }
}
