/** SRTP protection profiles by their registered names (RFC 4568 6.2, RFC 5764 4.1.2, RFC 7714 14.2). */
export type SrtpProfile = 'AEAD_AES_128_GCM' | 'AES_CM_128_HMAC_SHA1_80' | 'AES_CM_128_HMAC_SHA1_32';

export interface SrtpProfileParameters {
  /** Master key, bytes. */
  readonly keyLength: number;
  /** Master salt, bytes. */
  readonly saltLength: number;
  /** What protection adds to an RTP packet, bytes. */
  readonly rtpTagLength: number;
  /** The tag of an RTCP packet, without the 4-byte index behind (GCM: in front of) it. */
  readonly rtcpTagLength: number;
  readonly aead: boolean;
}

export const SRTP_PROFILES: Readonly<Record<SrtpProfile, SrtpProfileParameters>> = {
  AEAD_AES_128_GCM: { keyLength: 16, saltLength: 12, rtpTagLength: 16, rtcpTagLength: 16, aead: true },
  AES_CM_128_HMAC_SHA1_80: { keyLength: 16, saltLength: 14, rtpTagLength: 10, rtcpTagLength: 10, aead: false },
  // RFC 4568 6.2.2: the short tag is for RTP only.
  AES_CM_128_HMAC_SHA1_32: { keyLength: 16, saltLength: 14, rtpTagLength: 4, rtcpTagLength: 10, aead: false },
};

/** One direction's master key and salt. */
export interface SrtpKeys {
  readonly profile: SrtpProfile;
  readonly key: Uint8Array;
  readonly salt: Uint8Array;
}

/** The packet handling of one direction, in place; see `SrtpContext`. After -1 the packet's bytes are spoilt: drop it. */
export interface SrtpTransform {
  /** Encrypts the RTP packet at `bytes[offset…offset+length)`; room for MAX_SRTP_OVERHEAD bytes must follow. The new length, or -1. */
  protect(bytes: Uint8Array, offset: number, length: number): number;
  /** Checks and decrypts an SRTP packet; the RTP packet's length, or -1 (counted by reason in `stats`). */
  unprotect(bytes: Uint8Array, offset: number, length: number): number;
  protectRtcp(bytes: Uint8Array, offset: number, length: number): number;
  unprotectRtcp(bytes: Uint8Array, offset: number, length: number): number;
  /** Frees the keys. Every later call answers -1. */
  close(): void;
}

/** The most bytes protection adds. */
export const MAX_SRTP_OVERHEAD = 20;
