import { CHANNEL_HEADER, readU16, STUN_HEADER } from '@offhook/core';
import { MAX_PACKET } from '@offhook/core/node';

/** What is made of a stream's next bytes. */
export interface FrameSink {
  /** One STUN message, or one ChannelData message without its padding. Valid during the call. */
  message(bytes: Uint8Array, offset: number, length: number): void;
  /** A message that is longer than what is relayed was left out. */
  oversize(): void;
}

/**
 * Cuts the byte stream of a TCP or TLS client into messages (RFC 8656 3.1, 12.5): STUN by its length field, ChannelData
 * padded to a multiple of four. Holds at most one message, and the rest of a chunk that was too much for one turn.
 */
export class StreamFramer {
  readonly #sink: FrameSink;
  #held: Uint8Array | undefined;
  #heldLength = 0;
  #skip = 0;
  #chunk: Uint8Array | undefined;
  #at = 0;
  /** Messages that may still be told. */
  #left = 0;

  constructor(sink: FrameSink) {
    this.#sink = sink;
  }

  /** A part of the last chunk has not been looked at: `resume`, and nothing else may be taken before. */
  get isWaiting(): boolean {
    return this.#chunk !== undefined;
  }

  /**
   * Takes the next bytes and tells up to `most` of their messages; false when they can't be STUN or ChannelData, so that
   * nothing after them can be told.
   */
  handle(chunk: Uint8Array, most = Number.POSITIVE_INFINITY): boolean {
    this.#chunk = chunk;
    this.#at = 0;
    return this.resume(most);
  }

  /** Goes on where it stopped, with up to `most` messages. */
  resume(most: number): boolean {
    const chunk = this.#chunk;
    if (!chunk) return true;
    this.#left = most;
    while (this.#at < chunk.length) {
      if (this.#left <= 0) return true;
      if (!this.#step(chunk)) return false;
    }
    this.#chunk = undefined;
    return true;
  }

  /** One message, or a part of one. */
  #step(chunk: Uint8Array): boolean {
    const at = this.#at;
    const left = chunk.length - at;
    if (this.#skip > 0) {
      const skipped = Math.min(this.#skip, left);
      this.#skip -= skipped;
      this.#at += skipped;
      return true;
    }
    if (this.#heldLength > 0) {
      this.#at += this.#add(chunk, at);
      return this.#finishHeld();
    }
    const total = frameLength(chunk, at, left);
    if (total < 0) return false;
    if (total > MAX_PACKET) this.#leaveOut(total);
    else if (total === 0 || left < total) this.#at += this.#add(chunk, at);
    else {
      this.#at += total;
      this.#hand(chunk, at, total);
    }
    return true;
  }

  /** Holds as many bytes as the message lacks, or its first four; how many that were. */
  #add(chunk: Uint8Array, at: number): number {
    this.#held ??= new Uint8Array(MAX_PACKET);
    const total = this.#heldLength === 0 ? 0 : frameLength(this.#held, 0, this.#heldLength);
    const wanted = total === 0 ? CHANNEL_HEADER : total;
    const taken = Math.min(wanted - this.#heldLength, chunk.length - at);
    this.#held.set(chunk.subarray(at, at + taken), this.#heldLength);
    this.#heldLength += taken;
    return taken;
  }

  /** Hands the held message on when it is whole; false when it is none. */
  #finishHeld(): boolean {
    const held = this.#held!;
    const total = frameLength(held, 0, this.#heldLength);
    if (total < 0) return false;
    const length = this.#heldLength;
    if (total > MAX_PACKET) {
      this.#heldLength = 0;
      this.#leaveOut(total - length);
    } else if (total === length) {
      this.#heldLength = 0;
      this.#hand(held, 0, total);
    }
    return true;
  }

  #leaveOut(length: number): void {
    this.#left--;
    this.#sink.oversize();
    this.#skip = length;
  }

  #hand(bytes: Uint8Array, at: number, total: number): void {
    this.#left--;
    const isChannelData = (bytes[at]! & 0xc0) === 0x40;
    this.#sink.message(bytes, at, isChannelData ? CHANNEL_HEADER + readU16(bytes, at + 2) : total);
  }
}

/** Bytes of the message that begins here, padding included; 0 = too little is there to tell, -1 = it is none. */
function frameLength(bytes: Uint8Array, at: number, left: number): number {
  const kind = bytes[at]! & 0xc0;
  if (kind === 0x80 || kind === 0xc0) return -1;
  if (left < CHANNEL_HEADER) return 0;
  const length = readU16(bytes, at + 2);
  if (kind === 0x40) return CHANNEL_HEADER + ((length + 3) & ~3);
  return (length & 3) === 0 ? STUN_HEADER + length : -1;
}
