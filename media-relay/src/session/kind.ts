import { attribute, fingerprints, type MediaDescription, type SessionDescription } from '@offhook/core';

export type Security = 'none' | 'sdes' | 'dtls';

/** What one side of a call speaks; all sections of a leg speak the same. */
export interface LegKind {
  readonly ice: boolean;
  readonly security: Security;
  /** RTCP-based feedback, the F of AVPF and SAVPF (RFC 4585). */
  readonly feedback: boolean;
}

/** The m= line's protocol (RFC 4566 8.2.2, RFC 5764 8). */
export function protocolOf({ security, feedback }: LegKind): string {
  const f = feedback ? 'F' : '';
  if (security === 'dtls') return `UDP/TLS/RTP/SAVP${f}`;
  return security === 'sdes' ? `RTP/SAVP${f}` : `RTP/AVP${f}`;
}

/** Security and feedback of a protocol, or undefined when this relay doesn't carry it. */
export function parseProtocol(protocol: string): { security: Security; feedback: boolean } | undefined {
  switch (protocol.toUpperCase()) {
    case 'RTP/AVP':
      return { security: 'none', feedback: false };
    case 'RTP/AVPF':
      return { security: 'none', feedback: true };
    case 'RTP/SAVP':
      return { security: 'sdes', feedback: false };
    case 'RTP/SAVPF':
      return { security: 'sdes', feedback: true };
    case 'UDP/TLS/RTP/SAVP':
      return { security: 'dtls', feedback: false };
    case 'UDP/TLS/RTP/SAVPF':
      return { security: 'dtls', feedback: true };
    default:
      return undefined;
  }
}

/** The kind a section shows; older WebRTC peers write RTP/SAVPF where they mean DTLS. */
export function kindOf(media: MediaDescription, session: SessionDescription): LegKind | undefined {
  const parsed = parseProtocol(media.protocol);
  if (!parsed) return undefined;
  const ice = attribute(media, 'ice-ufrag') !== undefined || attribute(session, 'ice-ufrag') !== undefined;
  const isDtls =
    parsed.security === 'sdes' && attribute(media, 'crypto') === undefined && fingerprints(media, session).length > 0;
  return { ice, security: isDtls ? 'dtls' : parsed.security, feedback: parsed.feedback };
}

/** Whether a leg of this kind is a browser's, or one like it: ICE, DTLS and feedback. */
export function speaksWebRtc(kind: LegKind): boolean {
  return kind.ice && kind.security === 'dtls' && kind.feedback;
}

export function sameKind(a: LegKind, b: LegKind): boolean {
  return a.ice === b.ice && a.security === b.security;
}

/** For logs and `query`. */
export function kindInWords(kind: LegKind): string {
  const security = { none: 'plain RTP', sdes: 'SRTP with keys in the SDP', dtls: 'SRTP with keys from DTLS' }[
    kind.security
  ];
  return kind.ice ? `${security}, over ICE` : security;
}
