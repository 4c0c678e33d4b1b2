import { X509Certificate } from 'node:crypto';
import {
  certificateByOwnCa,
  certificateFacts,
  passingCertificate,
  readCredentials,
  timeLeft,
} from '@offhook/core/node';

/** PEM. */
export interface IssuedPair {
  readonly cert: string;
  readonly key: string;
}

/** Who the listener says it is over TLS and WSS. */
export interface EchoIdentity extends IssuedPair {
  /** Where it comes from, in words. */
  readonly words: string;
  /** SHA-256, in hex with colons. */
  readonly fingerprint: string;
  /** What a client has to be told so that it trusts it; `own`: clients of the same data folder know. */
  readonly trust: 'nothing' | 'own' | 'fingerprint';
  /** The CA's file, when that is ours. */
  readonly caPath: string | undefined;
}

export interface IdentityOptions {
  /** From the command line or the configuration. */
  readonly files: { readonly cert: string; readonly key: string } | undefined;
  /** Where an own CA would be; undefined: nowhere. */
  readonly folder: string | undefined;
  /** Names and addresses that clients use. */
  readonly names: readonly string[];
  readonly nowMs: number;
}

/** The certificate of files, one by the own CA, or one made for now. Throws CertificateError. */
export function echoIdentity({ files, folder, names, nowMs }: IdentityOptions): EchoIdentity {
  if (files) {
    const { cert, key, facts } = readCredentials(files, nowMs);
    const words = `${files.cert}: ${namesInWords(facts.names)}, ${timeLeft(facts, nowMs)}, signed by ${facts.isSelfSigned ? 'itself' : facts.signedBy}`;
    return identity({ cert, key }, { words, trust: facts.isSelfSigned ? 'fingerprint' : 'nothing', caPath: undefined });
  }
  const own = folder === undefined ? undefined : certificateByOwnCa({ folder, names, nowMs });
  if (own) {
    const { signedBy } = certificateFacts(new X509Certificate(own.cert), nowMs);
    const words = `made for now, signed by ${signedBy}; elsewhere: --ca with a copy of ${own.caPath}`;
    return identity(own, { words, trust: 'own', caPath: own.caPath });
  }
  const passing = passingCertificate(names, nowMs);
  const facts = certificateFacts(new X509Certificate(passing.cert), nowMs);
  const words = `made for now, ${namesInWords(facts.names)}, and signed by nobody; clients know it by its fingerprint`;
  return identity(passing, { words, trust: 'fingerprint', caPath: undefined });
}

/** More names than these are counted. */
const TOLD = 5;

/** Whom a certificate is for: `for localhost, vm and 3 more`. */
export function namesInWords(names: readonly string[]): string {
  if (names.length === 0) return 'without any name (no subjectAltName)';
  const more = names.length > TOLD ? ` and ${names.length - TOLD} more` : '';
  return `for ${names.slice(0, TOLD).join(', ')}${more}`;
}

function identity({ cert, key }: IssuedPair, more: Pick<EchoIdentity, 'words' | 'trust' | 'caPath'>): EchoIdentity {
  return { cert, key, fingerprint: new X509Certificate(cert).fingerprint256, ...more };
}
