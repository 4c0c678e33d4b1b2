import type { X509Certificate } from 'node:crypto';
import type { TLSSocket } from 'node:tls';
import { parseUri } from '@offhook/core';
import {
  certificateFacts,
  chainTrouble,
  handshakeTrouble,
  isNamed,
  lateTrouble as lateTroubleOf,
  nameTrouble,
  type TlsRemedies,
} from '@offhook/core/node';
import type { TlsPeer } from '../locate/index.ts';

/** Keys of a trunk's or server's `tls`. */
const REMEDIES: TlsRemedies = { ca: '`ca`', ownCertificate: 'name it in `cert` and `key`' };

/** Why a connection could not be opened, as the end of a sentence that begins with the hop. */
export function connectTrouble(
  { code = '', message = '' }: { readonly code?: string; readonly message?: string },
  stage: 'connecting' | 'handshake' | 'open' | 'failed',
  connectMs: number,
): string {
  if (stage === 'handshake') return handshakeTrouble({ code, message }, connectMs, REMEDIES);
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

/** An alert of the other side. In TLS 1.3 it judges our certificate only after we believe that all is well. */
export function lateTrouble(error: { readonly code?: string; readonly message: string }): string {
  return lateTroubleOf(error, REMEDIES);
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
  if (!socket.authorized) return chainTrouble(certificate, String(socket.authorizationError), Date.now(), REMEDIES);
  if (verify === 'authority' || isFor(certificate, name)) return undefined;
  const names = [...sipNames(certificate), ...certificateFacts(certificate, Date.now()).names];
  return nameTrouble(names, name);
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
