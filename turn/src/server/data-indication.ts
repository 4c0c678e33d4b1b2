import { type Random, STUN_COOKIE, STUN_HEADER, StunAttribute, writeU16, writeU32 } from '@offhook/core';
import type { PacketBatch, UdpEndpoint } from '@offhook/core/node';
import { readI32 } from './send-indication.ts';

/** In front of the data: header, XOR-PEER-ADDRESS, the head of DATA (RFC 8656 11.3). */
const HEAD_V4 = STUN_HEADER + 12 + 4;
const HEAD_V6 = STUN_HEADER + 24 + 4;
const DATA_INDICATION = 0x0017;

/** Bytes in front of the data of a peer of that family. */
export function dataIndicationHead(family: 4 | 6): number {
  return family === 4 ? HEAD_V4 : HEAD_V6;
}

/** Makes Data indications out of packets where they lie: the head goes in front, padding behind. */
export class DataIndicationWriter {
  #transaction: number;

  constructor(random: Random) {
    this.#transaction = (random.next() * 0x1_0000_0000) | 0 || 1;
  }

  /**
   * Writes around packet i, which came from its source or, as clients are told, from `told`; the whole length. It begins
   * `dataIndicationHead(family)` bytes before the packet.
   */
  write(batch: PacketBatch, i: number, family: 4 | 6, told: UdpEndpoint | undefined): number {
    const { bytes } = batch;
    const head = dataIndicationHead(family);
    const data = batch.offset[i]!;
    const length = batch.length[i]!;
    const at = data - head;
    const padded = (length + 3) & ~3;
    for (let p = length; p < padded; p++) bytes[data + p] = 0;
    writeU16(bytes, at, DATA_INDICATION);
    writeU16(bytes, at + 2, head - STUN_HEADER + padded);
    writeU32(bytes, at + 4, STUN_COOKIE);
    this.#writeTransaction(bytes, at + 8);
    writeU16(bytes, at + 20, StunAttribute.xorPeerAddress);
    writeU16(bytes, at + 22, family === 6 ? 20 : 8);
    writeU16(bytes, at + 24, family === 6 ? 2 : 1);
    writeU16(bytes, at + 26, batch.port[i]! ^ (STUN_COOKIE >>> 16));
    const { address } = batch;
    writeU32(bytes, at + 28, (told ? told.a : address[4 * i]!) ^ STUN_COOKIE);
    if (family === 6) {
      writeU32(bytes, at + 32, (told ? told.b : address[4 * i + 1]!) ^ readI32(bytes, at + 8));
      writeU32(bytes, at + 36, (told ? told.c : address[4 * i + 2]!) ^ readI32(bytes, at + 12));
      writeU32(bytes, at + 40, (told ? told.d : address[4 * i + 3]!) ^ readI32(bytes, at + 16));
    }
    writeU16(bytes, data - 4, StunAttribute.data);
    writeU16(bytes, data - 2, length);
    return head + padded;
  }

  /** An indication is never answered, so its transaction id only has to differ: xorshift, as integers. */
  #writeTransaction(bytes: Uint8Array, at: number): void {
    let x = this.#transaction;
    for (let w = 0; w < 12; w += 4) {
      x ^= x << 13;
      x ^= x >>> 17;
      x ^= x << 5;
      writeU32(bytes, at + w, x);
    }
    this.#transaction = x;
  }
}
