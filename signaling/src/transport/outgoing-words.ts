import type { X509Certificate } from 'node:crypto';
import type { TLSSocket } from 'node:tls';
import { parseUri } from '@offhook/core';
import { certificateFacts, isNamed, outOfDate } from '@offhook/core/node';
import type { TlsPeer } from '../locate/index.ts';

/** Names of a certificate that are told. */
const NAMES = 5;

/** Why a connection could not be opened, as the end of a sentence that begins with the hop. */
export function connectTrouble(
  { code = '', message = '' }: { readonly code?: string; readonly message?: string },
  stage: 'connecting' | 'handshake' | 'open' | 'failed',
  connectMs: number,
): string {
  if (stage === 'handshake') return handshakeTrouble(code, message, connectMs);
  switch (code) {
    case 'ECONNREFUSED':
      return ' refuses the connection';
    case 'ETIMEDOUT':
      return ` does not answer within ${connectMs / 1000} s`;
    case 'EHOSTUNREACH':
    case 'ENETUNREACH':
    case 'EADDRNOTAVAIL':
      return ' can’t be reached: there is no way to its network';
    case 'ECONNRESET':
      return ' hung up at once';
    case 'EMFILE':
    case 'ENFILE':
      return ' was not called: this process has no file descriptors left';
    default:
      return `: ${message || code}`;
  }
}

function handshakeTrouble(code: string, message: string, connectMs: number): string {
  if (code === 'ETIMEDOUT')
    return ` took the connection, but does not speak TLS: nothing came within ${connectMs / 1000} s`;
  if (code === 'ECONNRESET') return ' hung up during the TLS handshake';
  if (/WRONG_VERSION_NUMBER|PACKET_LENGTH|UNEXPECTED_MESSAGE|HTTP_REQUEST|RECORD_OVERFLOW|BAD_RECORD_TYPE/.test(code))
    return ' does not speak TLS on this port';
  if (/UNSUPPORTED_PROTOCOL|PROTOCOL_VERSION|VERSION_TOO_LOW/.test(code))
    return ' offers nothing newer than TLS 1.1; TLS 1.2 is the least we take';
  if (/HANDSHAKE_FAILURE|NO_SHARED_CIPHER|INSUFFICIENT_SECURITY/.test(code))
    return ' and we have no cipher in common, or it wants a certificate of ours: `cert` and `key`';
  return lateTrouble({ code, message });
}

/** An alert of the other side. In TLS 1.3 it judges our certificate only after we believe that all is well. */
export function lateTrouble({ code = '', message }: { readonly code?: string; readonly message: string }): string {
  if (/CERTIFICATE_REQUIRED/.test(code)) return ' wants a certificate of ours: name it in `cert` and `key`';
  if (/UNKNOWN_CA|BAD_CERTIFICATE|CERTIFICATE_UNKNOWN|UNKNOWN_CERTIFICATE|ACCESS_DENIED/.test(code))
    return ' does not take the certificate that we show it';
  if (/CERTIFICATE_EXPIRED/.test(code)) return ' says that our certificate has expired';
  if (code === 'ECONNRESET' || code === 'EPIPE') return ' has broken the connection';
  if (code === 'ETIMEDOUT') return ' is not there any more';
  return `: ${message}`;
}

/** Why a server's certificate does not do, or undefined. */
export function certificateTrouble(
  socket: TLSSocket,
  name: string,
  verify: TlsPeer['verify'] = 'full',
): string | undefined {
  if (verify === 'none') return undefined;
  const certificate = socket.getPeerX509Certificate();
  if (!certificate) return ' shows no certificate';
  if (!socket.authorized) return chainTrouble(certificate, String(socket.authorizationError));
  if (verify === 'authority' || isFor(certificate, name)) return undefined;
  const names = [...sipNames(certificate), ...certificateFacts(certificate, Date.now()).names];
  const told = names.slice(0, NAMES).join(', ') + (names.length > NAMES ? ' and others' : '');
  return `: its certificate is for ${told || 'nobody'}, not for ${name}`;
}

function chainTrouble(certificate: X509Certificate, code: string): string {
  const { signedBy } = certificateFacts(certificate, Date.now());
  if (/CERT_HAS_EXPIRED|CERT_NOT_YET_VALID/.test(code)) {
    const why = outOfDate(certificate, Date.now());
    return why === undefined
      ? ': a certificate above its own is out of date'
      : `: its certificate is not good today: ${why}`;
  }
  if (/DEPTH_ZERO_SELF_SIGNED/.test(code))
    return ': its certificate is signed by nobody but itself; name that certificate in `ca`, if it is the right one';
  if (/UNABLE_TO_VERIFY_LEAF|UNABLE_TO_GET_ISSUER|SELF_SIGNED_CERT_IN_CHAIN/.test(code))
    return `: its certificate is signed by an authority that is not trusted (${signedBy}); name it in \`ca\``;
  if (/INVALID_PURPOSE/.test(code)) return ': its certificate is not one for servers';
  return `: its certificate can’t be trusted: ${code}`;
}

/**
 * Whether a certificate is for a SIP domain (RFC 5922 7.1): by its `sip:` URIs, if it has any, else by its DNS names. A
 * wildcard counts, against 7.2: large providers have them.
 */
function isFor(certificate: X509Certificate, name: string): boolean {
  const names = sipNames(certificate);
  return names.length > 0 ? names.includes(name) : isNamed(certificate, name);
}

/** "If the scheme of the URI is "sip" … and there is no userinfo component, the hostpart is a SIP domain identity." */
function sipNames({ subjectAltName = '' }: X509Certificate): string[] {
  return subjectAltName.split(', ').flatMap((entry) => {
    const uri = entry.startsWith('URI:') ? parseUri(entry.slice(4)) : undefined;
    return uri?.scheme === 'sip' && uri.user === undefined ? [uri.host] : [];
  });
}
