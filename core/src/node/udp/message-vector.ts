import { addressOf, IOVEC_BYTES, MMSGHDR_BYTES, SOCKADDR_BYTES } from './libc.ts';

export const HEADER_WORDS = MMSGHDR_BYTES / 4;
export const IOVEC_WORDS = IOVEC_BYTES / 4;
export const NAME_WORDS = SOCKADDR_BYTES / 4;

/** What a message of a vector has room for. */
export interface MessageRoom {
  /** Bytes of the socket address. */
  readonly nameLength: number;
  /** Bytes of control messages, a multiple of 8; default none. */
  readonly controlBytes?: number;
}

/**
 * mmsghdr, iovec, sockaddr and control arrays for `count` messages in one piece of memory: one iovec each, no control
 * message set.
 */
export class MessageVector {
  readonly bytes: Uint8Array;
  readonly words: Uint32Array;
  readonly view: DataView;
  readonly headersAddress: number;
  /** Word index of iovec 0, of sockaddr 0 and of the first control buffer. */
  readonly iovecs: number;
  readonly names: number;
  readonly controls: number;

  constructor(count: number, { nameLength, controlBytes = 0 }: MessageRoom) {
    const each = MMSGHDR_BYTES + IOVEC_BYTES + SOCKADDR_BYTES + controlBytes;
    this.bytes = new Uint8Array(new ArrayBuffer(count * each));
    this.words = new Uint32Array(this.bytes.buffer);
    this.view = new DataView(this.bytes.buffer);
    this.headersAddress = addressOf(this.bytes);
    this.iovecs = count * HEADER_WORDS;
    this.names = this.iovecs + count * IOVEC_WORDS;
    this.controls = this.names + count * NAME_WORDS;
    for (let i = 0; i < count; i++) {
      const header = i * HEADER_WORDS;
      this.pointer(header, this.addressOf(this.names + i * NAME_WORDS));
      this.words[header + 2] = nameLength;
      this.pointer(header + 4, this.addressOf(this.iovecs + i * IOVEC_WORDS));
      this.words[header + 6] = 1;
      if (controlBytes > 0) this.pointer(header + 8, this.addressOf(this.controls) + i * controlBytes);
    }
  }

  /** The address of a word of this memory. */
  addressOf(word: number): number {
    return this.headersAddress + word * 4;
  }

  pointer(word: number, address: number): void {
    this.words[word] = address % 0x100000000;
    this.words[word + 1] = Math.floor(address / 0x100000000);
  }
}
