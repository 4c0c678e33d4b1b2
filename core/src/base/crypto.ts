/** The hashes and random bytes that protocols ask for, synchronous, handed in by the shell (see `nodeCrypto`). */
export interface Crypto {
  /** `md5` only for SIP digest (RFC 3261 22) and STUN long-term keys (RFC 8489 9.2.2). */
  hash(algorithm: 'md5' | 'sha1' | 'sha256', data: Uint8Array): Uint8Array;
  hmac(algorithm: 'sha1' | 'sha256', key: Uint8Array, data: Uint8Array): Uint8Array;
  /** Unpredictable bytes. Tests hand in a seeded source. */
  randomBytes(length: number): Uint8Array;
  /** Constant-time comparison; false when lengths differ. */
  equal(a: Uint8Array, b: Uint8Array): boolean;
}
