import type { X509Certificate } from 'node:crypto';
import { formatIPv6, ipFamily, parseIPv6 } from '../../base/index.ts';

const DAY_MS = 86_400_000;
const HOUR_MS = 3_600_000;

/** What people want to know of a certificate. */
export interface CertificateFacts {
  /** The DNS names and addresses it is good for. */
  readonly names: readonly string[];
  /** Whole days until it ends; negative when it has ended. */
  readonly daysLeft: number;
  /** ISO 8601. */
  readonly until: string;
  /** The common name (or organisation) of who signed it. */
  readonly signedBy: string;
  readonly isSelfSigned: boolean;
}

export function certificateFacts(certificate: X509Certificate, nowMs: number): CertificateFacts {
  const until = certificate.validToDate;
  return {
    names: namesOf(certificate),
    daysLeft: Math.floor((until.getTime() - nowMs) / DAY_MS),
    until: until.toISOString(),
    signedBy: shortName(certificate.issuer),
    // checkIssued wants keyCertSign too, which a server's certificate by itself need not have
    isSelfSigned: certificate.subject === certificate.issuer && certificate.verify(certificate.publicKey),
  };
}

/** How long a certificate is good yet: `395 days left`, `1 day left`, `5 h left`, `has expired`. */
export function timeLeft({ until }: Pick<CertificateFacts, 'until'>, nowMs: number): string {
  const leftMs = Date.parse(until) - nowMs;
  if (leftMs < 0) return 'has expired';
  if (leftMs < HOUR_MS) return 'less than an hour left';
  // one made a moment ago for a day is good for a day
  const hours = Math.floor((leftMs + HOUR_MS / 60) / HOUR_MS);
  if (hours < 24) return `${hours} h left`;
  const days = Math.max(1, Math.floor(leftMs / DAY_MS));
  return `${days} ${days === 1 ? 'day' : 'days'} left`;
}

/** Whether it is good for a DNS name or an address. */
export function isNamed(certificate: X509Certificate, name: string): boolean {
  const match = ipFamily(name) === undefined ? certificate.checkHost(name) : certificate.checkIP(name);
  return match !== undefined;
}

/** `DNS:localhost, IP Address:127.0.0.1, IP Address:0:0:0:0:0:0:0:1` as a list, addresses in their usual form. */
function namesOf({ subjectAltName = '' }: X509Certificate): string[] {
  return subjectAltName.split(', ').flatMap((entry) => {
    const colon = entry.indexOf(':');
    const value = entry.slice(colon + 1);
    if (entry.startsWith('DNS:')) return [value];
    if (!entry.startsWith('IP Address:')) return [];
    const bytes = parseIPv6(value);
    return [bytes ? formatIPv6(bytes) : value];
  });
}

/** Node gives names as lines, `O=Offhook` and `CN=…`. */
function shortName(lines: string): string {
  const of = (kind: string) => new RegExp(`^${kind}=(.+)$`, 'm').exec(lines)?.[1];
  return of('CN') ?? of('O') ?? lines.replaceAll('\n', ', ');
}
