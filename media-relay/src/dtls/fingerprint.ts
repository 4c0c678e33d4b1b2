import { createHash } from 'node:crypto';

/** Hash functions of `a=fingerprint` by preference (RFC 8122 5; md2 and md5 are not secure and not taken). */
const HASHES = ['sha-512', 'sha-384', 'sha-256', 'sha-224', 'sha-1'] as const;
export type FingerprintHash = (typeof HASHES)[number];

/** The value of an `a=fingerprint` line for a certificate: `sha-256 4A:AD:…`. */
export function fingerprintOf(certificate: Uint8Array, hash: FingerprintHash = 'sha-256'): string {
  const digest = createHash(hash.replace('-', '')).update(certificate).digest('hex').toUpperCase();
  return `${hash} ${digest.match(/../g)!.join(':')}`;
}

/**
 * Whether a certificate is the one an SDP names. `values` are all its `a=fingerprint` values; of several hash functions
 * the most preferred decides and one of its values has to match (RFC 8122 5). None that can be read is no match.
 */
export function matchesFingerprint(certificate: Uint8Array, values: string | readonly string[]): boolean {
  const offered = (typeof values === 'string' ? [values] : values).map((value) => value.trim().split(/\s+/));
  for (const hash of HASHES) {
    const same = offered.filter(([name]) => name?.toLowerCase() === hash);
    if (same.length === 0) continue;
    const [, own] = fingerprintOf(certificate, hash).split(' ');
    return same.some(([, digest]) => digest?.toUpperCase() === own);
  }
  return false;
}
