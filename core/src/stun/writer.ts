import { type Crypto, parseIPv4, parseIPv6, type SocketAddress, utf8 } from '../base/index.ts';
import { STUN_COOKIE, STUN_HEADER, StunAttribute, type StunClassValue } from './constants.ts';
import { crc32, FINGERPRINT_XOR } from './crc32.ts';
import { xorMask } from './message.ts';

/**
 * Writes one message into the caller's buffer: `start`, attributes, `integrity`, `fingerprint`, `finish`. Padding is
 * zeroed, so nothing of an earlier message leaks. A message that doesn't fit is given up: `finish` answers 0.
 */
export class StunWriter {
  readonly #buffer: Uint8Array;
  #at = 0;
  #fits = true;

  constructor(buffer: Uint8Array) {
    this.#buffer = buffer;
  }

  /** Begins a message; `transactionId` is twelve bytes and may be a view of the request. */
  start(cls: StunClassValue, method: number, transactionId: Uint8Array): this {
    this.#at = 0;
    this.#fits = true;
    if (!this.#room(STUN_HEADER)) return this;
    const type =
      (method & 0x000f) | ((method & 0x0070) << 1) | ((method & 0x0f80) << 2) | ((cls & 1) << 4) | ((cls & 2) << 7);
    this.#u16(type);
    this.#u16(0);
    this.#u32(STUN_COOKIE);
    this.#buffer.set(transactionId.subarray(0, 12), this.#at);
    this.#at += 12;
    return this;
  }

  bytes(type: number, value: Uint8Array): this {
    if (!this.#begin(type, value.length)) return this;
    this.#buffer.set(value, this.#at);
    this.#at += value.length;
    this.#pad();
    return this;
  }

  text(type: number, value: string): this {
    return this.bytes(type, utf8(value));
  }

  /** An attribute without a value: USE-CANDIDATE, DONT-FRAGMENT. */
  flag(type: number): this {
    this.#begin(type, 0);
    return this;
  }

  u32(type: number, value: number): this {
    if (this.#begin(type, 4)) this.#u32(value);
    return this;
  }

  /** ICE-CONTROLLING and the like. */
  u64(type: number, value: bigint): this {
    if (!this.#begin(type, 8)) return this;
    this.#u32(Number(value >> 32n));
    this.#u32(Number(value & 0xffffffffn));
    return this;
  }

  /** In clear (MAPPED-ADDRESS, ALTERNATE-SERVER). An address that isn't an IP address gives the message up. */
  address(type: number, at: SocketAddress): this {
    return this.#address(type, at, 0);
  }

  /** XORed with cookie and transaction id (RFC 8489 14.2). */
  xorAddress(type: number, at: SocketAddress): this {
    return this.#address(type, at, 1);
  }

  errorCode(code: number, reason = ''): this {
    const phrase = utf8(reason);
    if (!this.#begin(StunAttribute.errorCode, 4 + phrase.length)) return this;
    this.#u16(0);
    this.#u16((Math.floor(code / 100) << 8) | (code % 100));
    this.#buffer.set(phrase, this.#at);
    this.#at += phrase.length;
    this.#pad();
    return this;
  }

  /** ADDRESS-ERROR-CODE without a phrase: why one of two address families was not allocated (RFC 8656 18.12). */
  addressErrorCode(family: 4 | 6, code: number): this {
    if (!this.#begin(StunAttribute.addressErrorCode, 4)) return this;
    this.#u16(family === 4 ? 0x0100 : 0x0200);
    this.#u16((Math.floor(code / 100) << 8) | (code % 100));
    return this;
  }

  /** ICMP (RFC 8656 18.13): seven bits of type and nine of code, as its figure draws them. */
  icmp(type: number, code: number, data: number): this {
    if (!this.#begin(StunAttribute.icmp, 8)) return this;
    this.#u16(0);
    this.#u16(((type & 0x7f) << 9) | (code & 0x1ff));
    this.#u32(data);
    return this;
  }

  /** UNKNOWN-ATTRIBUTES (RFC 8489 14.13). */
  unknownAttributes(types: readonly number[]): this {
    if (!this.#begin(StunAttribute.unknownAttributes, types.length * 2)) return this;
    for (const type of types) this.#u16(type);
    this.#pad();
    return this;
  }

  /** MESSAGE-INTEGRITY over everything written so far. */
  integrity(key: Uint8Array, crypto: Crypto): this {
    return this.#mac(StunAttribute.messageIntegrity, 20, (data) => crypto.hmac('sha1', key, data));
  }

  /** MESSAGE-INTEGRITY-SHA256, untruncated. */
  integritySha256(key: Uint8Array, crypto: Crypto): this {
    return this.#mac(StunAttribute.messageIntegritySha256, 32, (data) => crypto.hmac('sha256', key, data));
  }

  fingerprint(): this {
    if (!this.#room(8)) return this;
    this.#setLength(this.#at + 8);
    const value = crc32(this.#buffer, 0, this.#at) ^ FINGERPRINT_XOR;
    return this.u32(StunAttribute.fingerprint, value);
  }

  /** The length of the whole message, or 0 when it didn't fit. */
  finish(): number {
    if (!this.#fits) return 0;
    this.#setLength(this.#at);
    return this.#at;
  }

  /** The finished message as a view of the buffer, empty when it didn't fit. */
  message(): Uint8Array {
    return this.#buffer.subarray(0, this.finish());
  }

  #address(type: number, at: SocketAddress, xor: 0 | 1): this {
    const v4 = parseIPv4(at.address);
    const v6 = v4 === undefined ? parseIPv6(at.address) : undefined;
    if (v4 === undefined && !v6) {
      this.#fits = false;
      return this;
    }
    if (!this.#begin(type, v6 ? 20 : 8)) return this;
    this.#u16(v6 ? 2 : 1);
    this.#u16(xor ? at.port ^ (STUN_COOKIE >>> 16) : at.port);
    if (!v6) {
      this.#u32(xor ? v4! ^ STUN_COOKIE : v4!);
      return this;
    }
    const transactionId = this.#buffer.subarray(8, 20);
    for (let i = 0; i < 16; i++) this.#buffer[this.#at++] = v6[i]! ^ (xor ? xorMask(transactionId, i) : 0);
    return this;
  }

  #mac(type: number, length: number, mac: (data: Uint8Array) => Uint8Array): this {
    if (!this.#room(4 + length)) return this;
    this.#setLength(this.#at + 4 + length);
    return this.bytes(type, mac(this.#buffer.subarray(0, this.#at)));
  }

  #begin(type: number, length: number): boolean {
    if (length > 0xffff || !this.#room(4 + ((length + 3) & ~3))) return false;
    this.#u16(type);
    this.#u16(length);
    return true;
  }

  #room(length: number): boolean {
    if (this.#at + length > Math.min(this.#buffer.length, 0xffff)) this.#fits = false;
    return this.#fits;
  }

  #pad(): void {
    while ((this.#at & 3) !== 0) this.#buffer[this.#at++] = 0;
  }

  #setLength(end: number): void {
    this.#buffer[2] = (end - STUN_HEADER) >> 8;
    this.#buffer[3] = (end - STUN_HEADER) & 255;
  }

  #u16(value: number): void {
    this.#buffer[this.#at++] = value >>> 8;
    this.#buffer[this.#at++] = value;
  }

  #u32(value: number): void {
    this.#buffer[this.#at++] = value >>> 24;
    this.#buffer[this.#at++] = value >>> 16;
    this.#buffer[this.#at++] = value >>> 8;
    this.#buffer[this.#at++] = value;
  }
}
