import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createSecureContext } from 'node:tls';
import { type CertificateFacts, certificateFacts } from './facts.ts';

/** A certificate that can't be used, in words. */
export class CertificateError extends Error {}

/** What a TLS server needs, as PEM. */
export interface TlsCredentials {
  /** The server's certificate, and those between it and its CA. */
  readonly cert: string;
  readonly key: string;
  /** Whoever signs the certificates of clients; undefined: clients are not asked for one. */
  readonly clientCa?: string | undefined;
  readonly facts: CertificateFacts;
}

export interface CertificateFiles {
  readonly cert: string;
  readonly key: string;
  readonly clientCa?: string | undefined;
}

/**
 * Reads a certificate and its key and sees whether they can serve. Throws CertificateError; what has only expired is
 * told in the facts, so that the caller decides.
 */
export function readCredentials(files: CertificateFiles, nowMs: number): TlsCredentials {
  const cert = readPem(files.cert, 'certificate');
  const certificates = parseCertificates(cert, files.cert);
  const keyText = readPem(files.key, 'private key');
  const key = parseKey(keyText, files.key);
  const leaf = certificates[0]!;
  if (!leaf.checkPrivateKey(key)) throw new CertificateError(mismatch(files, certificates, key));
  const clientCa = files.clientCa === undefined ? undefined : readPem(files.clientCa, 'certificate');
  if (clientCa !== undefined) parseCertificates(clientCa, files.clientCa!);
  try {
    createSecureContext({ cert, key: keyText, ca: clientCa });
  } catch (error) {
    throw new CertificateError(`${files.cert}: OpenSSL refuses it: ${(error as Error).message}`);
  }
  return { cert, key: keyText, clientCa, facts: certificateFacts(leaf, nowMs) };
}

/** Certificates of authorities, as PEM. Throws CertificateError. */
export function readAuthorities(path: string): string {
  const pem = readPem(path, 'certificate');
  parseCertificates(pem, path);
  return pem;
}

/** Why a certificate is not good today, or undefined. */
export function outOfDate(certificate: X509Certificate, nowMs: number): string | undefined {
  if (certificate.validToDate.getTime() <= nowMs)
    return `it has expired on ${certificate.validToDate.toISOString().slice(0, 10)}`;
  if (certificate.validFromDate.getTime() > nowMs)
    return `it is not good before ${certificate.validFromDate.toISOString().slice(0, 10)}`;
  return undefined;
}

function readPem(path: string, what: 'certificate' | 'private key'): string {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    const why =
      code === 'ENOENT' ? 'there is no such file' : code === 'EACCES' ? 'it may not be read by this user' : message;
    throw new CertificateError(`${path}: ${why} (a ${what} is wanted)`);
  }
  const wanted = what === 'certificate' ? /-----BEGIN CERTIFICATE-----/ : /-----BEGIN [A-Z ]*PRIVATE KEY-----/;
  if (wanted.test(text)) return text;
  const held = /-----BEGIN ([A-Z ]+)-----/.exec(text)?.[1]?.toLowerCase();
  throw new CertificateError(
    `${path}: this is no ${what} in PEM (${held ? `it holds a ${held}` : 'no line -----BEGIN …-----'})`,
  );
}

function parseCertificates(pem: string, path: string): X509Certificate[] {
  const blocks = pem.match(/-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g) ?? [];
  try {
    if (blocks.length === 0) throw new Error('its end is missing');
    return blocks.map((block) => new X509Certificate(block));
  } catch (error) {
    throw new CertificateError(`${path}: the certificate is damaged (${(error as Error).message})`);
  }
}

function parseKey(pem: string, path: string): KeyObject {
  try {
    return createPrivateKey(pem);
  } catch (error) {
    const isEncrypted = pem.includes('ENCRYPTED') || (error as NodeJS.ErrnoException).code === 'ERR_MISSING_PASSPHRASE';
    const why = isEncrypted
      ? 'the private key is encrypted; one without a passphrase is needed'
      : `the private key is damaged (${(error as Error).message})`;
    throw new CertificateError(`${path}: ${why}`);
  }
}

function mismatch(files: CertificateFiles, certificates: readonly X509Certificate[], key: KeyObject): string {
  return certificates.some((certificate) => certificate.checkPrivateKey(key))
    ? `${files.cert}: the server's own certificate has to come first, those of the CAs after it`
    : `${files.key} is not the key of ${files.cert}: the two don't belong together`;
}
