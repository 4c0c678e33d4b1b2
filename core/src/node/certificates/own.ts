import { createPrivateKey, X509Certificate } from 'node:crypto';
import { chmodSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ipFamily } from '../../base/index.ts';
import { certificateFacts, isNamed } from './facts.ts';
import { CertificateError, type TlsCredentials } from './files.ts';
import { type IssuedCertificate, issueCertificate } from './issue.ts';

const DAY_MS = 86_400_000;
/** Clocks differ: a phone that is a little behind has to find the certificate good. */
const BACKDATED_MS = DAY_MS;
const CA_MS = 3652 * DAY_MS;
/** Browsers take no longer one than 398 days (CA/Browser Forum BR 6.3.2); in all, with what it is backdated. */
const SERVER_MS = 397 * DAY_MS;
/** What ends sooner is made anew. */
const RENEW_MS = 30 * DAY_MS;
/** More names than a machine has; an extension without a limit would be a handshake without one. */
const NAMES = 100;

export interface OwnCertificateOptions {
  /** `data/tls`; made when it is missing. */
  readonly folder: string;
  /** Names and addresses that clients use; those that can't stand in a certificate are left out. */
  readonly names: readonly string[];
  /** Wall clock. */
  readonly nowMs: number;
}

export interface OwnCertificate extends TlsCredentials {
  /** The CA that clients have to trust, once. */
  readonly caPath: string;
  readonly certPath: string;
  readonly keyPath: string;
  /** What was made just now, in words. */
  readonly made: readonly string[];
}

/**
 * The certificate of an own CA, made when there is none, when it ends within thirty days, and when one of the names is
 * missing. Keys are readable by this user only. Throws CertificateError when the CA's files don't belong together: a
 * new CA would lock out everybody who trusts the old one.
 */
export function ownCertificate(options: OwnCertificateOptions): OwnCertificate {
  const { folder, nowMs } = options;
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const caPath = join(folder, 'ca.pem');
  const made: string[] = [];
  let ca = readOwnCa(folder);
  if (!ca || endsSoon(ca, nowMs)) {
    made.push(ca ? 'a new CA, because the old one ends (kept as ca.old.pem)' : 'a CA');
    if (ca) for (const end of ['pem', 'key']) renameSync(join(folder, `ca.${end}`), join(folder, `ca.old.${end}`));
    ca = makeCa(nowMs);
    store(folder, 'ca', ca);
  }
  const names = usable(options.names);
  let server = readPair(folder, 'server');
  const why = server ? reasonToRenew(server, ca, names, nowMs) : 'there is none';
  if (!server || why !== undefined) {
    server = makeServer(ca, names, nowMs);
    store(folder, 'server', server);
    made.push(`a certificate (${why})`);
  }
  return {
    ...server,
    facts: certificateFacts(new X509Certificate(server.cert), nowMs),
    caPath,
    certPath: join(folder, 'server.pem'),
    keyPath: join(folder, 'server.key'),
    made,
  };
}

/**
 * A certificate for these names by the own CA, for another server of this machine; nothing is written. Undefined when
 * there is no CA yet. Throws CertificateError when the CA's files don't belong together.
 */
export function certificateByOwnCa({
  folder,
  names,
  nowMs,
}: OwnCertificateOptions): (IssuedCertificate & { readonly caPath: string }) | undefined {
  const ca = readOwnCa(folder);
  return ca && { ...makeServer(ca, usable(names), nowMs), caPath: join(folder, 'ca.pem') };
}

/** A certificate that nobody has signed, kept nowhere; whoever connects knows it by its fingerprint. */
export function passingCertificate(names: readonly string[], nowMs: number): IssuedCertificate {
  return makeServer(undefined, usable(names), nowMs);
}

function makeCa(nowMs: number): IssuedCertificate {
  return issueCertificate({
    commonName: `Offhook CA of ${new Date(nowMs).toISOString().slice(0, 10)}`,
    fromMs: nowMs - BACKDATED_MS,
    untilMs: nowMs + CA_MS,
    extensions: [
      ['basicConstraints', 'critical,CA:TRUE,pathlen:0'],
      ['keyUsage', 'critical,keyCertSign,cRLSign'],
      ['subjectKeyIdentifier', 'hash'],
    ],
  });
}

function makeServer(ca: IssuedCertificate | undefined, names: readonly string[], nowMs: number): IssuedCertificate {
  const caEndsMs = ca ? new X509Certificate(ca.cert).validToDate.getTime() : Number.POSITIVE_INFINITY;
  const fromMs = nowMs - BACKDATED_MS;
  return issueCertificate({
    commonName: names.find((name) => name.length <= 64) ?? 'localhost',
    fromMs,
    untilMs: Math.min(fromMs + SERVER_MS, caEndsMs),
    ...(ca && { signedBy: ca }),
    extensions: [
      ['basicConstraints', 'critical,CA:FALSE'],
      ['keyUsage', 'critical,digitalSignature'],
      ['extendedKeyUsage', 'serverAuth'],
      ['subjectKeyIdentifier', 'hash'],
      ...(ca ? [['authorityKeyIdentifier', 'keyid:always'] as const] : []),
      ['subjectAltName', names.map((name) => `${ipFamily(name) === undefined ? 'DNS' : 'IP'}:${name}`).join(',')],
    ],
  });
}

function reasonToRenew(
  server: IssuedCertificate,
  ca: IssuedCertificate,
  names: readonly string[],
  nowMs: number,
): string | undefined {
  const certificate = new X509Certificate(server.cert);
  if (!certificate.verify(new X509Certificate(ca.cert).publicKey)) return 'the old one is not of this CA';
  if (endsSoon(server, nowMs)) return 'the old one ends';
  const missing = names.filter((name) => !isNamed(certificate, name));
  return missing.length > 0 ? `the old one lacks ${missing.join(', ')}` : undefined;
}

/** One that begins in the future is kept: then the clock is wrong, and a new CA would lock everybody out. */
function endsSoon({ cert }: IssuedCertificate, nowMs: number): boolean {
  return new X509Certificate(cert).validToDate.getTime() - nowMs < RENEW_MS;
}

/** Each once, lower case, and only what can stand in a certificate: no zones, no commas, no empty labels. */
function usable(names: readonly string[]): string[] {
  const good = names
    .map((name) => name.toLowerCase())
    .filter(
      (name) => ipFamily(name) !== undefined || /^(?=.{1,253}$)[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*$/.test(name),
    );
  return [...new Set(['localhost', ...good])].slice(0, NAMES);
}

function readOwnCa(folder: string): IssuedCertificate | undefined {
  const files = { cert: join(folder, 'ca.pem'), key: join(folder, 'ca.key') };
  if (!existsSync(files.cert)) return undefined; // a key alone was never used
  const ca = readPair(folder, 'ca');
  if (ca) return ca;
  throw new CertificateError(
    `${files.key} is missing, damaged, or not the key of ${files.cert}. Put it back, or remove both: then a new CA is ` +
      'made, which every phone and browser has to trust anew.',
  );
}

/** A certificate and key that are whole and belong together. */
function readPair(folder: string, name: 'ca' | 'server'): IssuedCertificate | undefined {
  try {
    const keyPath = join(folder, `${name}.key`);
    const cert = readFileSync(join(folder, `${name}.pem`), 'utf8');
    const key = readFileSync(keyPath, 'utf8');
    if (!new X509Certificate(cert).checkPrivateKey(createPrivateKey(key))) return undefined;
    chmodSync(keyPath, 0o600);
    return { cert, key };
  } catch {
    return undefined;
  }
}

/** The key first: a certificate without its key would be a CA that can't sign. */
function store(folder: string, name: 'ca' | 'server', { cert, key }: IssuedCertificate): void {
  replace(join(folder, `${name}.key`), key, 0o600);
  replace(join(folder, `${name}.pem`), cert, 0o644);
}

function replace(path: string, text: string, mode: number): void {
  const fresh = `${path}.${process.pid}`;
  rmSync(fresh, { force: true });
  writeFileSync(fresh, text, { mode, flag: 'wx' });
  renameSync(fresh, path);
}
