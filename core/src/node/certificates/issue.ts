import { createPrivateKey, generateKeyPairSync, randomBytes, X509Certificate } from 'node:crypto';
import { ForeignMemory, takeOpenSslError, tlsFunctions } from '../openssl/index.ts';

/** A certificate and its private key, both as PEM. */
export interface IssuedCertificate {
  readonly cert: string;
  readonly key: string;
}

export interface CertificateWish {
  /** The common name, at most 64 characters (RFC 5280 A.1, ub-common-name). */
  readonly commonName: string;
  readonly fromMs: number;
  readonly untilMs: number;
  /** As openssl.cnf writes them, in this order. */
  readonly extensions: readonly (readonly [ExtensionName, string])[];
  /** Who signs; itself when left out. */
  readonly signedBy?: IssuedCertificate;
}

/** OpenSSL's numbers (obj_mac.h). */
const EXTENSIONS = {
  basicConstraints: 87,
  keyUsage: 83,
  subjectKeyIdentifier: 82,
  authorityKeyIdentifier: 90,
  subjectAltName: 85,
  extendedKeyUsage: 126,
} as const;
type ExtensionName = keyof typeof EXTENSIONS;

const MBSTRING_UTF8 = 0x1000;
const VERSION_3 = 2;
const SERIAL_BYTES = 16;
/** More than sizeof(X509V3_CTX), which is 72. */
const CONTEXT_BYTES = 256;

/** A fresh P-256 key and its certificate, signed with SHA-256. Throws with OpenSSL's words. */
export function issueCertificate(wish: CertificateWish): IssuedCertificate {
  const f = tlsFunctions();
  f.clearErrors();
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const key = String(privateKey.export({ type: 'pkcs8', format: 'pem' }));
  const held: (() => void)[] = [];
  const hold = (pointer: number, free: (pointer: number) => number): number => {
    held.push(() => free(pointer));
    return pointer;
  };
  try {
    const own = hold(decodeKey(key), f.freeKey);
    const signer = wish.signedBy ? hold(decodeKey(wish.signedBy.key), f.freeKey) : own;
    const certificate = hold(need(f.newCertificate(), 'X509_new'), f.freeCertificate);
    const issuer = wish.signedBy ? hold(decodeCertificate(wish.signedBy.cert), f.freeCertificate) : certificate;

    need(f.setVersion(certificate, VERSION_3), 'X509_set_version');
    const serial = new ForeignMemory(SERIAL_BYTES);
    serial.bytes.set(randomBytes(SERIAL_BYTES));
    serial.bytes[0] = (serial.bytes[0]! & 0x3f) | 0x40; // RFC 5280 4.1.2.2: positive; never a leading zero
    need(f.setBytes(f.serialNumber(certificate), serial.address, SERIAL_BYTES), 'the serial number');
    need(f.setTime(f.notBefore(certificate), Math.floor(wish.fromMs / 1000)), 'notBefore');
    need(f.setTime(f.notAfter(certificate), Math.floor(wish.untilMs / 1000)), 'notAfter');
    const name = f.subject(certificate);
    need(f.addNameEntry(name, 'O', MBSTRING_UTF8, 'Offhook', -1, -1, 0), 'the organisation');
    need(f.addNameEntry(name, 'CN', MBSTRING_UTF8, wish.commonName, -1, -1, 0), 'the common name');
    need(f.setIssuer(certificate, f.subject(issuer)), 'X509_set_issuer_name');
    need(f.setPublicKey(certificate, own), 'X509_set_pubkey');

    const context = new ForeignMemory(CONTEXT_BYTES);
    f.extensionContext(context.address, issuer, certificate, 0, 0, 0);
    for (const [extension, value] of wish.extensions) {
      const made = need(f.newExtension(0, context.address, EXTENSIONS[extension], value), `${extension} ${value}`);
      const added = f.addExtension(certificate, made, -1);
      f.freeExtension(made);
      need(added, extension);
    }
    need(f.sign(certificate, signer, f.sha256()), 'X509_sign');
    return { cert: encode(certificate), key };
  } finally {
    for (const free of held.reverse()) free();
  }
}

function decodeKey(pem: string): number {
  const der = createPrivateKey(pem).export({ type: 'pkcs8', format: 'der' });
  const memory = pointed(der);
  const key = tlsFunctions().decodeKey(0, memory.address, der.length);
  memory.bytes.fill(0);
  der.fill(0);
  return need(key, 'd2i_AutoPrivateKey');
}

function decodeCertificate(pem: string): number {
  const der = new X509Certificate(pem).raw;
  return need(tlsFunctions().decodeCertificate(0, pointed(der).address, der.length), 'd2i_X509');
}

const POINTER_BYTES = 8;

/** A pointer to bytes, and behind it the bytes: what d2i_… and i2d_… move forward. */
function pointed(bytes: Uint8Array): ForeignMemory {
  const memory = new ForeignMemory(POINTER_BYTES + bytes.length);
  memory.bytes.set(bytes, POINTER_BYTES);
  memory.view.setBigUint64(0, BigInt(memory.address + POINTER_BYTES), true);
  return memory;
}

function encode(certificate: number): string {
  const f = tlsFunctions();
  const length = need(f.encodeCertificate(certificate, 0), 'i2d_X509');
  const memory = pointed(new Uint8Array(length));
  f.encodeCertificate(certificate, memory.address);
  return new X509Certificate(memory.bytes.slice(POINTER_BYTES, POINTER_BYTES + length)).toString();
}

function need(result: number, what: string): number {
  if (result > 0) return result;
  throw new Error(`OpenSSL refused ${what}: ${takeOpenSslError() ?? 'no reason given'}`);
}
