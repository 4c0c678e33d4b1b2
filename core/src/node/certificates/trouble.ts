import type { X509Certificate } from 'node:crypto';
import { certificateFacts } from './facts.ts';
import { outOfDate } from './files.ts';

/** Names of a certificate that are told. */
const NAMES = 5;

/** What whoever reads the words can do; as it stands in a configuration, or as an option of a command. */
export interface TlsRemedies {
  /** Where authorities are named: `ca`. */
  readonly ca: string;
  /** What to do when a certificate of our own is wanted. */
  readonly ownCertificate: string;
}

/** Why a TLS handshake failed, as the end of a sentence that begins with the other side. */
export function handshakeTrouble(
  { code = '', message = '' }: { readonly code?: string; readonly message?: string },
  withinMs: number,
  remedies: TlsRemedies,
): string {
  if (code === 'ETIMEDOUT')
    return ` took the connection, but does not speak TLS: nothing came within ${withinMs / 1000} s`;
  if (code === 'ECONNRESET') return ' hung up during the TLS handshake';
  if (/WRONG_VERSION_NUMBER|PACKET_LENGTH|UNEXPECTED_MESSAGE|HTTP_REQUEST|RECORD_OVERFLOW|BAD_RECORD_TYPE/.test(code))
    return ' does not speak TLS on this port';
  if (/UNSUPPORTED_PROTOCOL|PROTOCOL_VERSION|VERSION_TOO_LOW/.test(code))
    return ' offers nothing newer than TLS 1.1; TLS 1.2 is the least we take';
  if (/HANDSHAKE_FAILURE|NO_SHARED_CIPHER|INSUFFICIENT_SECURITY/.test(code))
    return ` and we have no cipher in common, or it wants a certificate of ours: ${remedies.ownCertificate}`;
  return lateTrouble({ code, message }, remedies);
}

/** An alert of the other side. In TLS 1.3 it judges our certificate only after we believe that all is well. */
export function lateTrouble(
  { code = '', message = '' }: { readonly code?: string; readonly message?: string },
  remedies: TlsRemedies,
): string {
  if (/CERTIFICATE_REQUIRED/.test(code)) return ` wants a certificate of ours: ${remedies.ownCertificate}`;
  if (/UNKNOWN_CA|BAD_CERTIFICATE|CERTIFICATE_UNKNOWN|UNKNOWN_CERTIFICATE|ACCESS_DENIED/.test(code))
    return ' does not take the certificate that we show it';
  if (/CERTIFICATE_EXPIRED/.test(code)) return ' says that our certificate has expired';
  if (code === 'ECONNRESET' || code === 'EPIPE') return ' has broken the connection';
  if (code === 'ETIMEDOUT') return ' is not there any more';
  return `: ${message || code}`;
}

/** Why a certificate is not trusted, by OpenSSL's code (X509_V_ERR_…), as the end of such a sentence. */
export function chainTrouble(
  certificate: X509Certificate,
  code: string,
  nowMs: number,
  remedies: Pick<TlsRemedies, 'ca'>,
): string {
  const { signedBy } = certificateFacts(certificate, nowMs);
  if (/CERT_HAS_EXPIRED|CERT_NOT_YET_VALID/.test(code)) {
    const why = outOfDate(certificate, nowMs);
    return why === undefined
      ? ': a certificate above its own is out of date'
      : `: its certificate is not good today: ${why}`;
  }
  if (/DEPTH_ZERO_SELF_SIGNED/.test(code))
    return `: its certificate is signed by nobody but itself; name that certificate in ${remedies.ca}, if it is the right one`;
  if (/UNABLE_TO_VERIFY_LEAF|UNABLE_TO_GET_ISSUER|SELF_SIGNED_CERT_IN_CHAIN/.test(code))
    return `: its certificate is signed by an authority that is not trusted (${signedBy}); name it in ${remedies.ca}`;
  if (/INVALID_PURPOSE/.test(code)) return ': its certificate is not one for servers';
  return `: its certificate can’t be trusted: ${code}`;
}

/** That a certificate is for others, and for whom. */
export function nameTrouble(names: readonly string[], wanted: string): string {
  const told = names.slice(0, NAMES).join(', ') + (names.length > NAMES ? ' and others' : '');
  if (names.length === 0) return `: its certificate names no host at all (no subjectAltName), so not ${wanted} either`;
  return `: its certificate is for ${told}, not for ${wanted}`;
}
