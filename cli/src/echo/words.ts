import type { X509Certificate } from 'node:crypto';
import { certificateFacts, chainTrouble, isNamed, nameTrouble, type TlsRemedies } from '@offhook/core/node';
import { brief } from './payload.ts';
import type { EchoTarget, Scheme } from './url.ts';

/** A check that failed, in words. */
export class EchoTrouble extends Error {}

export interface SystemError {
  readonly code?: string;
  readonly message?: string;
}

export const REMEDIES: TlsRemedies = {
  ca: '--ca <file>',
  ownCertificate: 'echo has none to show',
};

/** Why a name leads nowhere. */
export function nameTroubleWords(host: string, { code = '', message = '' }: SystemError): string {
  if (code === 'ENOTFOUND' || code === 'ENODATA') return `the name ${host} is not known (DNS has no address for it)`;
  if (code === 'EAI_AGAIN' || code === 'ETIMEOUT')
    return `no DNS server answers, so nobody knows where ${host} is: is this machine connected?`;
  return `the name ${host} could not be looked up: ${message || code}`;
}

/** Why nothing could be opened or sent; the whole sentence. `at` is an address and port. */
export function openTrouble(scheme: Scheme, at: string, error: SystemError, timeoutMs: number): string {
  const { code = '', message = '' } = error;
  const what = scheme === 'udp' ? 'UDP' : 'TCP';
  switch (code) {
    case 'ECONNREFUSED':
      return scheme === 'udp'
        ? `${at} is there, but nobody listens on that UDP port (it said so by ICMP)`
        : `${at} refuses the connection: the machine is there, but nobody listens on that TCP port, or a firewall rejects it`;
    case 'ETIMEDOUT':
      return `${at} does not answer within ${timeoutMs / 1000} s: it is off, the address is wrong, or a firewall drops ${what}`;
    case 'EHOSTUNREACH':
      return `${at} can’t be reached: no machine has that address, or a firewall says so`;
    case 'ENETUNREACH':
    case 'EADDRNOTAVAIL':
    case 'EINVAL':
      return `${at} can’t be reached: this machine has no route to its network${at.startsWith('[') ? ' (no IPv6 here?)' : ''}`;
    case 'EACCES':
    case 'EPERM':
      return `${at}: this machine does not allow it (a broadcast address, or a firewall here)`;
    case 'EMSGSIZE':
      return `${at}: the datagram is too big for UDP on this way; a smaller --size is needed`;
    case 'ECONNRESET':
    case 'EPIPE':
      return `${at} took the connection and broke it off`;
    default:
      return `${at}: ${message || code}`;
  }
}

/** Why nothing, or not everything, came back although sending worked. */
export function silenceWords(scheme: Scheme, at: string, received: number, timeoutMs: number): string | undefined {
  if (received > 0) return undefined;
  if (scheme === 'udp')
    return (
      `nothing came back from ${at} within ${timeoutMs / 1000} s: nobody listens there, it is no echo, or a firewall drops UDP ` +
      '(on the way there, or the answers on the way back)'
    );
  return `${at} took the connection, but sent nothing back within ${timeoutMs / 1000} s: it is no echo`;
}

/** What a WebSocket's server answered in place of 101. */
export function upgradeTrouble(
  at: string,
  status: number,
  location: string | undefined,
  { path, scheme }: EchoTarget,
): string {
  // nginx and others answer plain HTTP on their TLS port with 400
  const tls = scheme === 'ws' ? ' (as some do to who comes without TLS, wss://)' : '';
  if (status >= 300 && status < 400 && location !== undefined)
    return `${at} sends us elsewhere (HTTP ${status}): ${brief(location)}`;
  const isSip = /\/sip$/.test(path.replace(/\?.*$/s, '')) && (status === 400 || status === 426);
  if (isSip)
    return (
      `${at} is a web server and does not open a WebSocket for us (HTTP ${status}): the path /sip is by custom that of SIP ` +
      "phones, which offer the subprotocol 'sip' (RFC 7118), and no echo. The way there is open: this answer came back"
    );
  const why: Readonly<Record<number, string>> = {
    200: 'it serves a page there, no WebSocket',
    400: `it is a web server, and refuses this request${tls}; perhaps it wants a subprotocol, as SIP over WebSocket does`,
    401: 'it wants a login',
    403: 'it does not let us',
    404: `it has nothing at the path ${path}`,
    426: 'it is a web server that wants another upgrade, or a subprotocol',
    502: 'a proxy is there, and what is behind it does not answer',
    503: 'it is overloaded or stopping',
    504: 'a proxy is there, and what is behind it does not answer',
  };
  return `${at} does not open a WebSocket (HTTP ${status})${why[status] === undefined ? '' : `: ${why[status]}`}`;
}

/** RFC 6455 7.4.1, in words; `ours` counts as an end in order. */
export function closeWords(at: string, code: number, reason: string): string {
  const said = reason === '' ? '' : `: ${brief(reason)}`;
  const known: Readonly<Record<number, string>> = {
    1000: 'closed the WebSocket',
    1001: 'is going away',
    1003: 'does not take this kind of message',
    1006: 'broke the connection off',
    1008: 'says that a rule of its own was broken',
    1009: 'says that the message is too big for it; a smaller --size is needed',
    1011: 'has an error of its own',
    1012: 'restarts',
    1013: 'is overloaded; later, perhaps',
  };
  return `${at} ${known[code] ?? `closed the WebSocket with ${code}`}${said}`;
}

/** How a server's certificate may come to be trusted. */
export interface Trust {
  /** PEM; undefined: none beside what is in `fingerprint`. */
  readonly ca: readonly string[];
  /** Exactly this certificate, whoever signed it. */
  readonly fingerprint?: string | undefined;
  readonly insecure: boolean;
}

/** What a handshake showed. */
export interface Shown {
  readonly certificate: X509Certificate | undefined;
  /** OpenSSL's code; undefined: the chain is in order. */
  readonly chainError: string | undefined;
  /** Name or address that was called. */
  readonly name: string;
}

/** Why a server's certificate does not do, as the end of a sentence that begins with the server; undefined: it does. */
export function certificateTrouble(shown: Shown, trust: Pick<Trust, 'fingerprint'>, nowMs: number): string | undefined {
  const { certificate, chainError, name } = shown;
  if (!certificate) return ' shows no certificate';
  const own = certificate.fingerprint256;
  if (trust.fingerprint !== undefined)
    return sameFingerprint(trust.fingerprint, own)
      ? undefined
      : `: its certificate is another one, with the fingerprint ${own}`;
  if (chainError !== undefined)
    return chainTrouble(certificate, chainError, nowMs, REMEDIES) + hint(certificate, chainError, nowMs);
  if (isNamed(certificate, name)) return undefined;
  const { names } = certificateFacts(certificate, nowMs);
  return `${nameTrouble(names, name)}${names.length > 0 ? '; call it by one of those names' : `: make one that names it, or trust this one: --fingerprint ${own}`}`;
}

function hint(certificate: X509Certificate, chainError: string, nowMs: number): string {
  if (/DEPTH_ZERO_SELF_SIGNED/.test(chainError))
    return `; or, if its listener printed it: --fingerprint ${certificate.fingerprint256}`;
  const { signedBy } = certificateFacts(certificate, nowMs);
  const isOwn = signedBy.startsWith('Offhook CA of ') && !/EXPIRED|NOT_YET/.test(chainError);
  return isOwn ? ': that is tls/ca.pem in the data folder of the Offhook that made it' : '';
}

/** 32 bytes in hex, with or without colons. */
export function isFingerprint(text: string): boolean {
  return /^[0-9a-f]{64}$/i.test(bare(text));
}

function sameFingerprint(a: string, b: string): boolean {
  return bare(a).toLowerCase() === bare(b).toLowerCase();
}

function bare(fingerprint: string): string {
  return fingerprint.replaceAll(':', '');
}
