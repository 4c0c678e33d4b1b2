import { readS32, writeU32 } from '@offhook/core';
import { AesCtrHmacSha1, AesGcm, DIGEST_AT, EXTRA_AT } from '@offhook/core/node';

/** The flag in front of the SRTCP index: the packet is encrypted (RFC 3711 3.4). */
export const E_BIT = 0x80000000;
/** E flag and SRTCP index, bytes. */
export const INDEX_BYTES = 4;

/**
 * One session key. Before each call `aim` sets the packet's SSRC and index; `length` never counts the tag, and `header`
 * bytes in front stay readable. Bytes behind the tag are spoilt, up to `PADDING_ROOM`, as far as there are any.
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
/** The tag of the packet that is being opened. */
const tag = new Uint8Array(20);

/** AES counter mode with HMAC-SHA1 (RFC 3711 4.1.1, 4.2.1). */
export class CmCipher extends AesCtrHmacSha1 implements PacketCipher {
  /** The session salt, as numbers: a packet touches no memory but this object's. */
  readonly #salt0: number;
  readonly #salt4: number;
  readonly #salt8: number;
  readonly #salt12: number;
  readonly #tag: number;
  #roc = 0;

  constructor(key: Uint8Array, salt: Uint8Array, authKey: Uint8Array, tagLength: number) {
    super(key, authKey);
    this.#tag = tagLength;
    this.#salt0 = readS32(salt, 0);
    this.#salt4 = readS32(salt, 4);
    this.#salt8 = readS32(salt, 8);
    this.#salt12 = (salt[12]! << 8) | salt[13]!;
  }

  /** IV = salt·2^16 XOR SSRC·2^64 XOR index·2^16, index of 48 bits. */
  aim(ssrc: number, index: number): void {
    this.#roc = Math.floor(index / 0x10000);
    const { iv } = this;
    iv.setInt32(0, this.#salt0);
    iv.setInt32(4, this.#salt4 ^ ssrc);
    iv.setInt32(8, this.#salt8 ^ this.#roc);
    iv.setInt32(12, (this.#salt12 ^ (index % 0x10000)) << 16);
  }

  sealRtp(bytes: Uint8Array, offset: number, header: number, length: number): boolean {
    if (!this.xor(bytes, offset + header, length - header)) return false;
    // RFC 3711 4.2: the tag covers the packet and the ROC, which is written where the tag goes.
    writeU32(bytes, offset + length, this.#roc);
    this.#writeTag(bytes, offset + length, this.authenticate(bytes, offset, length + 4));
    return true;
  }

  openRtp(bytes: Uint8Array, offset: number, header: number, length: number): boolean {
    this.#readTag(bytes, offset + length);
    writeU32(bytes, offset + length, this.#roc);
    if (!this.#isTag(this.authenticate(bytes, offset, length + 4))) return false;
    return this.xor(bytes, offset + header, length - header);
  }

  sealRtcp(bytes: Uint8Array, offset: number, length: number): boolean {
    if (!this.xor(bytes, offset + RTCP_HEADER, length - RTCP_HEADER)) return false;
    const end = length + INDEX_BYTES;
    this.#writeTag(bytes, offset + end, this.authenticate(bytes, offset, end));
    return true;
  }

  openRtcp(bytes: Uint8Array, offset: number, length: number): boolean {
    const end = length + INDEX_BYTES;
    this.#readTag(bytes, offset + end);
    if (!this.#isTag(this.authenticate(bytes, offset, end))) return false;
    return this.xor(bytes, offset + RTCP_HEADER, length - RTCP_HEADER);
  }

  #writeTag(bytes: Uint8Array, at: number, digest: Uint8Array): void {
    for (let i = 0; i < this.#tag; i++) bytes[at + i] = digest[DIGEST_AT + i]!;
  }

  /** Keeps the tag, which the digest's padding is going to overwrite. */
  #readTag(bytes: Uint8Array, at: number): void {
    for (let i = 0; i < this.#tag; i++) tag[i] = bytes[at + i]!;
  }

  /** Whether the digest begins with the tag, in the same time wherever they differ. */
  #isTag(digest: Uint8Array): boolean {
    let difference = 0;
    for (let i = 0; i < this.#tag; i++) difference |= tag[i]! ^ digest[DIGEST_AT + i]!;
    return difference === 0;
  }
}

/** AES-GCM (RFC 7714 8.1, 9.1). */
export class GcmCipher implements PacketCipher {
  readonly #aes: AesGcm;
  /** The session salt: its first two bytes, and the words behind. */
  readonly #salt0: number;
  readonly #salt2: number;
  readonly #salt6: number;
  readonly #salt10: number;
  #index = 0;

  constructor(key: Uint8Array, salt: Uint8Array, direction: 'protect' | 'unprotect') {
    this.#aes = new AesGcm(key, direction === 'protect' ? 'encrypt' : 'decrypt');
    this.#salt0 = (salt[0]! << 8) | salt[1]!;
    this.#salt2 = readS32(salt, 2);
    this.#salt6 = readS32(salt, 6);
    this.#salt10 = (salt[10]! << 8) | salt[11]!;
  }

  /** IV = salt XOR (two zero bytes, SSRC, 48-bit index); of SRTCP the index's upper 16 bits are zero. */
  aim(ssrc: number, index: number): void {
    this.#index = index;
    const { iv } = this.#aes;
    iv.setUint16(0, this.#salt0);
    iv.setInt32(2, this.#salt2 ^ ssrc);
    iv.setInt32(6, this.#salt6 ^ Math.floor(index / 0x10000));
    iv.setUint16(10, this.#salt10 ^ (index % 0x10000));
  }

  sealRtp(bytes: Uint8Array, offset: number, header: number, length: number): boolean {
    return this.#aes.seal(bytes, offset, header, length);
  }

  openRtp(bytes: Uint8Array, offset: number, header: number, length: number): boolean {
    return this.#aes.open(bytes, offset, header, length);
  }

  sealRtcp(bytes: Uint8Array, offset: number, length: number): boolean {
    writeU32(this.#aes.extraData, EXTRA_AT, (E_BIT | this.#index) >>> 0);
    return this.#aes.seal(bytes, offset, RTCP_HEADER, length, INDEX_BYTES);
  }

  openRtcp(bytes: Uint8Array, offset: number, length: number): boolean {
    writeU32(this.#aes.extraData, EXTRA_AT, (E_BIT | this.#index) >>> 0);
    return this.#aes.open(bytes, offset, RTCP_HEADER, length, INDEX_BYTES);
  }

  close(): void {
    this.#aes.close();
  }
}
