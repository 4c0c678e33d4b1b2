import type { SrtpKeys, SrtpProfile } from '../srtp/profile.ts';

export type DtlsRole = 'server' | 'client';

export type DtlsCommand =
  /** Send this datagram to the peer. The bytes are the receiver's to keep. */
  | { readonly kind: 'send'; readonly bytes: Uint8Array }
  /**
   * The handshake is complete. `local` protects what is sent, `remote` unprotects what comes. Media may flow only after
   * `matchesFingerprint(peerCertificate, <a=fingerprint of the SDP>)`; otherwise close the endpoint.
   */
  | {
      readonly kind: 'connected';
      readonly profile: SrtpProfile;
      readonly local: SrtpKeys;
      readonly remote: SrtpKeys;
      /** DER of the peer's certificate. */
      readonly peerCertificate: Uint8Array;
      /** RFC 7627; every current browser has it. */
      readonly extendedMasterSecret: boolean;
    }
  /** The handshake failed, or the peer broke it off: words for the log and for `query`. Nothing follows. */
  | { readonly kind: 'failed'; readonly reason: string }
  /** The peer said close_notify after the handshake. Nothing follows. */
  | { readonly kind: 'closed' };

/**
 * A DTLS-SRTP association as a machine. `handleStart` once (a client then sends its ClientHello), `handlePacket` for
 * every datagram of RFC 7983's DTLS range (first byte 20–63), `handleTimeout` at `nextTimeout()`; after each, drain
 * `poll()`.
 */
export interface DtlsMachine {
  handleStart(nowMs: number): void;
  handlePacket(bytes: Uint8Array, nowMs: number): void;
  handleTimeout(nowMs: number): void;
  nextTimeout(): number | undefined;
  poll(): DtlsCommand | undefined;
  /** Queues close_notify when connected (drain `poll()` once more) and frees everything of OpenSSL. */
  close(): void;
}
