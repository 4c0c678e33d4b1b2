import { type Crypto, formatIPv4, formatIPv6, type SocketAddress, text } from '../base/index.ts';
import { STUN_COOKIE, STUN_HEADER, StunAttribute, type StunClassValue } from './constants.ts';
import { crc32, FINGERPRINT_XOR } from './crc32.ts';

/*
 *   0                   1                   2                   3
 *   0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
 *  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 *  |0 0|   message type (14 bits)  |        message length         |
 *  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 *  |                   magic cookie 0x2112A442                     |
 *  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 *  |                  transaction id (96 bits)                     |
 *  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 *  |   attributes: type (16) | length (16) | value | padding to 4  |
 *  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+   RFC 8489 5
 */

/** More is refused; the longest legitimate messages are CreatePermission requests with a peer for each of 64 permissions. */
const MAX_ATTRIBUTES = 80;

/**
 * Whether `bytes[offset, offset + length)` is one STUN message by its header: first two bits 0, cookie, and a length
 * field that fills exactly the rest (RFC 8489 5 and 6.3).
 */
export function isStun(bytes: Uint8Array, offset: number, length: number): boolean {
  if (length < STUN_HEADER || (length & 3) !== 0 || bytes[offset]! > 0x3f) return false;
  if (((bytes[offset + 2]! << 8) | bytes[offset + 3]!) !== length - STUN_HEADER) return false;
  return (
    bytes[offset + 4] === 0x21 && bytes[offset + 5] === 0x12 && bytes[offset + 6] === 0xa4 && bytes[offset + 7] === 0x42
  );
}

/** Decodes the message that fills `bytes`; undefined when it isn't one (length, cookie, attribute lengths). Views, no copies. */
export function decodeStun(bytes: Uint8Array): StunMessage | undefined {
  if (!isStun(bytes, 0, bytes.length)) return undefined;
  const table: number[] = [];
  let at = STUN_HEADER;
  while (at < bytes.length) {
    // Every attribute begins on a multiple of four, so four bytes of header are always there.
    const type = (bytes[at]! << 8) | bytes[at + 1]!;
    const length = (bytes[at + 2]! << 8) | bytes[at + 3]!;
    const next = at + 4 + ((length + 3) & ~3);
    if (next > bytes.length || table.length >= MAX_ATTRIBUTES * 3) return undefined;
    table.push(type, at + 4, length);
    at = next;
  }
  return new StunMessage(bytes, table);
}

/** One attribute as it stands in the message. */
export interface StunAttributeView {
  readonly type: number;
  readonly value: Uint8Array;
}

/**
 * A received message. Attributes behind MESSAGE-INTEGRITY don't exist, except MESSAGE-INTEGRITY-SHA256 and FINGERPRINT
 * (RFC 8489 14.5, 14.6): an attacker on the path could append them.
 */
export class StunMessage {
  readonly bytes: Uint8Array;
  /** A `StunClass`. */
  readonly class: StunClassValue;
  /** A `StunMethod`, or any other 12-bit number. */
  readonly method: number;
  /** Twelve bytes, a view. */
  readonly transactionId: Uint8Array;
  /** Triples: type, offset of the value, length of the value. */
  readonly #table: readonly number[];
  #integrityAt = -1;
  #sha256At = -1;

  constructor(bytes: Uint8Array, table: number[]) {
    this.bytes = bytes;
    const type = (bytes[0]! << 8) | bytes[1]!;
    this.class = (((type >> 7) & 2) | ((type >> 4) & 1)) as StunClassValue;
    this.method = (type & 0x000f) | ((type & 0x00e0) >> 1) | ((type & 0x3e00) >> 2);
    this.transactionId = bytes.subarray(8, 20);
    this.#table = this.#keepProtected(table);
  }

  /** The value of the first attribute of that type, a view, or undefined. */
  attribute(type: number): Uint8Array | undefined {
    const i = this.#find(type);
    return i < 0 ? undefined : this.#value(i);
  }

  has(type: number): boolean {
    return this.#find(type) >= 0;
  }

  /** All attributes in order of arrival. */
  *attributes(): IterableIterator<StunAttributeView> {
    for (let i = 0; i < this.#table.length; i += 3) yield { type: this.#table[i]!, value: this.#value(i) };
  }

  /** The values of every attribute of that type (XOR-PEER-ADDRESS may be repeated). */
  all(type: number): Uint8Array[] {
    const found: Uint8Array[] = [];
    for (let i = 0; i < this.#table.length; i += 3) if (this.#table[i] === type) found.push(this.#value(i));
    return found;
  }

  /** UTF-8 text; trailing NULs, which some peers pad with inside the declared length, are cut. */
  text(type: number): string | undefined {
    const value = this.attribute(type);
    if (!value) return undefined;
    let end = value.length;
    while (end > 0 && value[end - 1] === 0) end--;
    return text(value.subarray(0, end));
  }

  /** An unsigned 32-bit value, or undefined when absent or of another length. */
  u32(type: number): number | undefined {
    const value = this.attribute(type);
    return value?.length === 4
      ? ((value[0]! << 24) | (value[1]! << 16) | (value[2]! << 8) | value[3]!) >>> 0
      : undefined;
  }

  /** XOR-MAPPED-ADDRESS and the like, decoded; undefined when absent or malformed. */
  xorAddress(type: number): SocketAddress | undefined {
    const value = this.attribute(type);
    return value && decodeXorAddress(value, this.transactionId);
  }

  /** Every XOR-RELAYED-ADDRESS, XOR-PEER-ADDRESS … that is well-formed. */
  allXorAddresses(type: number): SocketAddress[] {
    return this.all(type).flatMap((value) => decodeXorAddress(value, this.transactionId) ?? []);
  }

  /** MAPPED-ADDRESS and the like, decoded; undefined when absent or malformed. */
  address(type: number): SocketAddress | undefined {
    const value = this.attribute(type);
    return value && decodeAddress(value);
  }

  /** ERROR-CODE as a number and its phrase (RFC 8489 14.8). */
  errorCode(): { readonly code: number; readonly reason: string } | undefined {
    const value = this.attribute(StunAttribute.errorCode);
    if (!value || value.length < 4) return undefined;
    const hundreds = value[2]! & 7;
    if (hundreds < 3 || hundreds > 6 || value[3]! > 99) return undefined;
    return { code: hundreds * 100 + value[3]!, reason: text(value.subarray(4)).replace(/\0+$/, '') };
  }

  /** The comprehension-required types (0x0000–0x7FFF) that aren't in `known` (RFC 8489 6.3.1). */
  unknownRequired(known: ReadonlySet<number>): number[] {
    const unknown: number[] = [];
    for (let i = 0; i < this.#table.length; i += 3) {
      const type = this.#table[i]!;
      if (type < 0x8000 && !known.has(type) && !unknown.includes(type)) unknown.push(type);
    }
    return unknown;
  }

  /** MESSAGE-INTEGRITY is there. */
  get hasIntegrity(): boolean {
    return this.#integrityAt >= 0;
  }

  /** MESSAGE-INTEGRITY-SHA256 is there. */
  get hasIntegritySha256(): boolean {
    return this.#sha256At >= 0;
  }

  /** MESSAGE-INTEGRITY over the bytes as received, padding included (RFC 8489 14.5); false when absent. */
  verifyIntegrity(key: Uint8Array, crypto: Crypto): boolean {
    const at = this.#integrityAt;
    if (at < 0 || this.#lengthAt(at) !== 20) return false;
    return crypto.equal(crypto.hmac('sha1', key, this.#protectedBytes(at, 20)), this.bytes.subarray(at + 4, at + 24));
  }

  /** MESSAGE-INTEGRITY-SHA256, full or truncated to 16–32 bytes (RFC 8489 14.6); false when absent. */
  verifyIntegritySha256(key: Uint8Array, crypto: Crypto): boolean {
    const at = this.#sha256At;
    if (at < 0) return false;
    const length = this.#lengthAt(at);
    if (length < 16 || length > 32 || length % 4 !== 0) return false;
    const mac = crypto.hmac('sha256', key, this.#protectedBytes(at, length)).subarray(0, length);
    return crypto.equal(mac, this.bytes.subarray(at + 4, at + 4 + length));
  }

  /** FINGERPRINT, which has to be the last attribute (RFC 8489 14.7); false when absent. */
  verifyFingerprint(): boolean {
    const at = this.bytes.length - 8;
    const value = this.attribute(StunAttribute.fingerprint);
    if (value?.length !== 4 || value.byteOffset !== this.bytes.byteOffset + at + 4) return false;
    return (crc32(this.bytes, 0, at) ^ FINGERPRINT_XOR) >>> 0 === this.u32(StunAttribute.fingerprint);
  }

  #find(type: number): number {
    for (let i = 0; i < this.#table.length; i += 3) if (this.#table[i] === type) return i;
    return -1;
  }

  #value(i: number): Uint8Array {
    return this.bytes.subarray(this.#table[i + 1]!, this.#table[i + 1]! + this.#table[i + 2]!);
  }

  #lengthAt(at: number): number {
    return (this.bytes[at + 2]! << 8) | this.bytes[at + 3]!;
  }

  /** A copy of what the HMAC covers: up to the attribute at `at`, with a length field that ends behind it. */
  #protectedBytes(at: number, macLength: number): Uint8Array {
    const copy = this.bytes.slice(0, at);
    const length = at + 4 + macLength - STUN_HEADER;
    copy[2] = length >> 8;
    copy[3] = length & 255;
    return copy;
  }

  #keepProtected(table: number[]): readonly number[] {
    const kept: number[] = [];
    for (let i = 0; i < table.length; i += 3) {
      const type = table[i]!;
      const at = table[i + 1]! - 4;
      if (type === StunAttribute.fingerprint) {
        // always allowed
      } else if (type === StunAttribute.messageIntegritySha256) {
        if (this.#sha256At >= 0) continue;
        this.#sha256At = at;
      } else if (this.#integrityAt >= 0 || this.#sha256At >= 0) {
        continue;
      } else if (type === StunAttribute.messageIntegrity) {
        this.#integrityAt = at;
      }
      kept.push(type, table[i + 1]!, table[i + 2]!);
    }
    return kept.length === table.length ? table : kept;
  }
}

/** The value of MAPPED-ADDRESS (RFC 8489 14.1), or undefined when malformed. */
export function decodeAddress(value: Uint8Array): SocketAddress | undefined {
  if (value.length < 4) return undefined;
  const port = (value[2]! << 8) | value[3]!;
  if (value[1] === 1 && value.length === 8) return { address: formatIPv4(word(value, 4)), port };
  if (value[1] === 2 && value.length === 20) return { address: formatIPv6(value.subarray(4)), port };
  return undefined;
}

/** The value of XOR-MAPPED-ADDRESS, XOR-PEER-ADDRESS … (RFC 8489 14.2), or undefined when malformed. */
export function decodeXorAddress(value: Uint8Array, transactionId: Uint8Array): SocketAddress | undefined {
  if (value.length < 4) return undefined;
  const port = ((value[2]! << 8) | value[3]!) ^ (STUN_COOKIE >>> 16);
  if (value[1] === 1 && value.length === 8) {
    return { address: formatIPv4((word(value, 4) ^ STUN_COOKIE) >>> 0), port };
  }
  if (value[1] !== 2 || value.length !== 20) return undefined;
  const clear = value.slice(4);
  for (let i = 0; i < 16; i++) clear[i]! ^= xorMask(transactionId, i);
  return { address: formatIPv6(clear), port };
}

/** Byte `i` of the cookie followed by the transaction id. */
export function xorMask(transactionId: Uint8Array, i: number): number {
  return i < 4 ? (STUN_COOKIE >>> (24 - i * 8)) & 255 : transactionId[i - 4]!;
}

function word(bytes: Uint8Array, at: number): number {
  return ((bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!) >>> 0;
}
