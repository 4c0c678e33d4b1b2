import { readU16, STUN_COOKIE, STUN_HEADER, StunAttribute } from '@offhook/core';
import type { PacketBatch } from '@offhook/core/node';
import { LookupKey } from '../allocation/lookup-key.ts';

/** The parts of a Send indication (RFC 8656 11.2), read in place; one record, used again for each. */
export class SendIndication {
  /** The peer's address and port. */
  readonly peer = new LookupKey();
  /** 0: there is no peer. */
  family: 0 | 4 | 6 = 0;
  /** First byte of the data in the batch's memory. */
  dataAt = -1;
  dataLength = 0;
  readonly #isDontFragment: boolean;

  /** @param isDontFragment DONT-FRAGMENT can be obeyed; else such an indication is discarded (RFC 8656 11.2). */
  constructor(isDontFragment: boolean) {
    this.#isDontFragment = isDontFragment;
  }

  /** Reads packet i; false when peer or data is missing or malformed or something that has to be understood isn't. */
  read(batch: PacketBatch, i: number): boolean {
    const { bytes } = batch;
    const start = batch.offset[i]!;
    const end = start + batch.length[i]!;
    this.family = 0;
    this.dataAt = -1;
    let at = start + STUN_HEADER;
    while (at < end) {
      const type = readU16(bytes, at);
      const length = readU16(bytes, at + 2);
      const next = at + 4 + ((length + 3) & ~3);
      if (next > end) return false;
      if (type === StunAttribute.xorPeerAddress) {
        if (this.family === 0 && !this.#readPeer(bytes, start, at + 4, length)) return false;
      } else if (type === StunAttribute.data) {
        if (this.dataAt < 0) {
          this.dataAt = at + 4;
          this.dataLength = length;
        }
      } else if (type < 0x8000 && !(type === StunAttribute.dontFragment && this.#isDontFragment)) return false;
      at = next;
    }
    return this.family !== 0 && this.dataAt >= 0;
  }

  #readPeer(bytes: Uint8Array, message: number, at: number, length: number): boolean {
    if (length < 8) return false;
    const { address, port } = this.peer;
    port[0] = readU16(bytes, at + 2) ^ (STUN_COOKIE >>> 16);
    address[0] = readI32(bytes, at + 4) ^ STUN_COOKIE;
    if (bytes[at + 1] === 1 && length === 8) {
      address[1] = 0;
      address[2] = 0;
      address[3] = 0;
      this.family = 4;
      return true;
    }
    if (bytes[at + 1] !== 2 || length !== 20) return false;
    for (let w = 1; w < 4; w++) address[w] = readI32(bytes, at + 4 + w * 4) ^ readI32(bytes, message + 4 + w * 4);
    this.family = 6;
    return true;
  }
}

/** As `readU32` but signed: such a number is never put on the heap. */
export function readI32(bytes: Uint8Array, at: number): number {
  return (bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!;
}
