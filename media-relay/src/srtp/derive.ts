import { createCipheriv } from 'node:crypto';

/** Labels of the key derivation function (RFC 3711 4.3.1, 4.3.2). */
export const LABEL = { rtpKey: 0, rtpAuth: 1, rtpSalt: 2, rtcpKey: 3, rtcpAuth: 4, rtcpSalt: 5 } as const;

/**
 * AES-CM key derivation with key derivation rate 0 (RFC 3711 4.3.3): the key stream of the master key over
 * `(label · 2^48 XOR salt) · 2^16`. A 12-byte salt of AES-GCM counts as 14 bytes with two zeros behind (RFC 7714 11).
 */
export function deriveKey(masterKey: Uint8Array, masterSalt: Uint8Array, label: number, length: number): Uint8Array {
  const iv = new Uint8Array(16);
  iv.set(masterSalt.subarray(0, 14));
  iv[7]! ^= label;
  const cipher = createCipheriv('aes-128-ctr', masterKey, iv);
  return new Uint8Array(cipher.update(new Uint8Array(length)));
}
