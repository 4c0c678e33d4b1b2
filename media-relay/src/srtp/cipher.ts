import { readU32, writeU32 } from '@offhook/core';
import { AesCtr, AesGcm, HmacSha1 } from '@offhook/core/node';

/** The flag in front of the SRTCP index: the packet is encrypted (RFC 3711 3.4). */
export const E_BIT = 0x80000000;
/** E flag and SRTCP index, bytes. */
export const INDEX_BYTES = 4;

/**
 * One session key. Before each call `aim` sets the packet's SSRC and index; `length` never counts the tag, and `header`
 * bytes in front stay readable.
 */
export interface PacketCipher {
  aim(ssrc: number, index: number): void;
  sealRtp(bytes: Uint8Array, offset: number, header: number, length: number): boolean;
  openRtp(bytes: Uint8Array, offset: number, header: number, length: number): boolean;
  sealRtcp(bytes: Uint8Array, offset: number, length: number): boolean;
  openRtcp(bytes: Uint8Array, offset: number, length: number): boolean;
  close(): void;
}

const RTCP_HEADER = 8;

/** AES counter mode with HMAC-SHA1 (RFC 3711 4.1.1, 4.2.1). */
export class CmCipher implements PacketCipher {
  readonly #aes: AesCtr;
  readonly #hmac: HmacSha1;
  readonly #iv: DataView;
  readonly #salt: DataView;
  readonly #tag: number;
  #roc = 0;

  constructor(key: Uint8Array, salt: Uint8Array, authKey: Uint8Array, tagLength: number) {
    this.#tag = tagLength;
    this.#aes = new AesCtr(key);
    this.#hmac = new HmacSha1(authKey);
    this.#iv = this.#aes.iv;
    const padded = new Uint8Array(16);
    padded.set(salt);
    this.#salt = new DataView(padded.buffer);
  }

  /** IV = salt·2^16 XOR SSRC·2^64 XOR index·2^16, index of 48 bits. */
  aim(ssrc: number, index: number): void {
    this.#roc = Math.floor(index / 0x10000);
    const iv = this.#iv;
    const salt = this.#salt;
    iv.setUint32(0, salt.getUint32(0));
    iv.setUint32(4, salt.getUint32(4) ^ ssrc);
    iv.setUint32(8, salt.getUint32(8) ^ this.#roc);
    iv.setUint16(12, salt.getUint16(12) ^ (index % 0x10000));
    iv.setUint16(14, 0);
  }

  sealRtp(bytes: Uint8Array, offset: number, header: number, length: number): boolean {
    if (!this.#aes.xor(bytes, offset + header, length - header)) return false;
    // RFC 3711 4.2: the tag covers the packet and the ROC, which is written where the tag goes.
    writeU32(bytes, offset + length, this.#roc);
    const digest = this.#hmac.digest(bytes, offset, length + 4);
    for (let i = 0; i < this.#tag; i++) bytes[offset + length + i] = digest[128 + i]!;
    return true;
  }

  openRtp(bytes: Uint8Array, offset: number, header: number, length: number): boolean {
    const end = offset + length;
    const t0 = readU32(bytes, end);
    writeU32(bytes, end, this.#roc);
    const digest = this.#hmac.digest(bytes, offset, length + 4);
    let difference = t0 ^ readU32(digest, 128);
    for (let i = 4; i < this.#tag; i++) difference |= bytes[end + i]! ^ digest[128 + i]!;
    if (difference !== 0) return false;
    return this.#aes.xor(bytes, offset + header, length - header);
  }

  sealRtcp(bytes: Uint8Array, offset: number, length: number): boolean {
    if (!this.#aes.xor(bytes, offset + RTCP_HEADER, length - RTCP_HEADER)) return false;
    const end = offset + length + INDEX_BYTES;
    const digest = this.#hmac.digest(bytes, offset, length + INDEX_BYTES);
    for (let i = 0; i < this.#tag; i++) bytes[end + i] = digest[128 + i]!;
    return true;
  }

  openRtcp(bytes: Uint8Array, offset: number, length: number): boolean {
    const end = offset + length + INDEX_BYTES;
    const digest = this.#hmac.digest(bytes, offset, length + INDEX_BYTES);
    let difference = 0;
    for (let i = 0; i < this.#tag; i++) difference |= bytes[end + i]! ^ digest[128 + i]!;
    if (difference !== 0) return false;
    return this.#aes.xor(bytes, offset + RTCP_HEADER, length - RTCP_HEADER);
  }

  close(): void {
    this.#aes.close();
    this.#hmac.close();
  }
}

/** AES-GCM (RFC 7714 8.1, 9.1). */
export class GcmCipher implements PacketCipher {
  readonly #aes: AesGcm;
  readonly #iv: DataView;
  readonly #salt: DataView;
  readonly #extra: Uint8Array;
  #index = 0;

  constructor(key: Uint8Array, salt: Uint8Array, direction: 'protect' | 'unprotect') {
    this.#aes = new AesGcm(key, direction === 'protect' ? 'encrypt' : 'decrypt');
    this.#iv = this.#aes.iv;
    this.#extra = this.#aes.extraData;
    this.#salt = new DataView(salt.buffer, salt.byteOffset, 12);
  }

  /** IV = salt XOR (two zero bytes, SSRC, 48-bit index); of SRTCP the index's upper 16 bits are zero. */
  aim(ssrc: number, index: number): void {
    this.#index = index;
    const iv = this.#iv;
    const salt = this.#salt;
    iv.setUint16(0, salt.getUint16(0));
    iv.setUint32(2, salt.getUint32(2) ^ ssrc);
    iv.setUint32(6, salt.getUint32(6) ^ Math.floor(index / 0x10000));
    iv.setUint16(10, salt.getUint16(10) ^ (index % 0x10000));
  }

  sealRtp(bytes: Uint8Array, offset: number, header: number, length: number): boolean {
    return this.#aes.seal(bytes, offset, header, length);
  }

  openRtp(bytes: Uint8Array, offset: number, header: number, length: number): boolean {
    return this.#aes.open(bytes, offset, header, length);
  }

  sealRtcp(bytes: Uint8Array, offset: number, length: number): boolean {
    writeU32(this.#extra, 64, (E_BIT | this.#index) >>> 0);
    return this.#aes.seal(bytes, offset, RTCP_HEADER, length, INDEX_BYTES);
  }

  openRtcp(bytes: Uint8Array, offset: number, length: number): boolean {
    writeU32(this.#extra, 64, (E_BIT | this.#index) >>> 0);
    return this.#aes.open(bytes, offset, RTCP_HEADER, length, INDEX_BYTES);
  }

  close(): void {
    this.#aes.close();
  }
}
