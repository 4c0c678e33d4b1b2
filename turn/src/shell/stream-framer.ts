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
 * padded to a multiple of four. Holds at most one message.
 */
export class StreamFramer {
  readonly #sink: FrameSink;
  #held: Uint8Array | undefined;
  #heldLength = 0;
  #skip = 0;

  constructor(sink: FrameSink) {
    this.#sink = sink;
  }

  /** Takes the next bytes; false when they can't be STUN or ChannelData, so that nothing after them can be told. */
  handle(chunk: Uint8Array): boolean {
    let at = 0;
    while (at < chunk.length) {
      if (this.#skip > 0) {
        const skipped = Math.min(this.#skip, chunk.length - at);
        this.#skip -= skipped;
        at += skipped;
        continue;
      }
      if (this.#heldLength > 0) {
        at += this.#add(chunk, at);
        if (!this.#finishHeld()) return false;
        continue;
      }
      const left = chunk.length - at;
      const total = frameLength(chunk, at, left);
      if (total < 0) return false;
      if (total > MAX_PACKET) this.#leaveOut(total);
      else if (total === 0 || left < total) at += this.#add(chunk, at);
      else {
        this.#hand(chunk, at, total);
        at += total;
      }
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
    this.#sink.oversize();
    this.#skip = length;
  }

  #hand(bytes: Uint8Array, at: number, total: number): void {
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
