import { generateKeyPairSync, randomInt } from 'node:crypto';
import { ForeignMemory, takeOpenSslError, tlsFunctions } from '@offhook/core/node';
import { fingerprintOf } from './fingerprint.ts';

/** A key and certificate of this process with the OpenSSL context that all its DTLS endpoints share. */
export interface DtlsCertificate {
  /** For the SDP: `sha-256 4A:AD:…`. */
  readonly fingerprint: string;
  readonly der: Uint8Array;
  /** The SSL_CTX; endpoints that are open keep it alive beyond `close`. */
  readonly context: number;
  close(): void;
}

const DAY_S = 86_400;
const MBSTRING_ASC = 0x1001;

const DTLS1_2_VERSION = 0xfefd;
const SSL_CTRL_SET_SESS_CACHE_MODE = 44;
const SSL_CTRL_SET_GROUPS_LIST = 92;
const SSL_CTRL_SET_MIN_PROTO_VERSION = 123;
const SSL_CTRL_SET_MAX_PROTO_VERSION = 124;
/** SSL_OP_NO_QUERY_MTU | _NO_TICKET | _NO_COMPRESSION | _CIPHER_SERVER_PREFERENCE | _NO_RENEGOTIATION */
const OPTIONS = 0x1000 | 0x4000 | 0x20000 | 0x400000 | 0x40000000;
/** SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT */
const VERIFY = 3;

/** AEAD suites only; `screenRecords` knows their shortest records. */
const CIPHERS = 'ECDHE+AESGCM:ECDHE+CHACHA20:!aNULL';
const GROUPS = 'X25519:P-256:P-384';
const SRTP = 'SRTP_AEAD_AES_128_GCM:SRTP_AES128_CM_SHA1_80';

/** A fresh self-signed P-256 certificate: made at each start, never stored, valid 30 days (RFC 8827 6.5). */
export function makeCertificate(): DtlsCertificate {
  const f = tlsFunctions();
  f.clearErrors();
  const pkcs8 = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ type: 'pkcs8', format: 'der' });
  const memory = new ForeignMemory(2048);
  memory.bytes.set(pkcs8, 64);
  pointer(memory, 0, memory.address + 64);
  const key = need(f.decodeKey(0, memory.address, pkcs8.length), 'd2i_AutoPrivateKey');
  memory.bytes.fill(0);
  pkcs8.fill(0);
  const certificate = need(f.newCertificate(), 'X509_new');
  try {
    f.setVersion(certificate, 2); // X.509 v3
    f.setInteger(f.serialNumber(certificate), randomInt(1, 2 ** 47));
    f.adjustTime(f.notBefore(certificate), -DAY_S); // clocks differ
    f.adjustTime(f.notAfter(certificate), 30 * DAY_S);
    const name = f.subject(certificate);
    f.addNameEntry(name, 'CN', MBSTRING_ASC, 'WebRTC', -1, -1, 0);
    f.setIssuer(certificate, name);
    f.setPublicKey(certificate, key);
    need(f.sign(certificate, key, f.sha256()), 'X509_sign');
    const der = encodeCertificate(certificate);
    const context = makeContext(certificate, key);
    let open = true;
    return {
      fingerprint: fingerprintOf(der),
      der,
      context,
      close: () => {
        if (open) f.freeContext(context);
        open = false;
      },
    };
  } finally {
    f.freeCertificate(certificate);
    f.freeKey(key);
  }
}

function makeContext(certificate: number, key: number): number {
  const f = tlsFunctions();
  const context = need(f.newContext(f.method()), 'SSL_CTX_new');
  try {
    const groups = new ForeignMemory(128);
    groups.bytes.set(Buffer.from(GROUPS));
    need(f.contextControl(context, SSL_CTRL_SET_MIN_PROTO_VERSION, DTLS1_2_VERSION, 0), 'DTLS 1.2');
    need(f.contextControl(context, SSL_CTRL_SET_MAX_PROTO_VERSION, DTLS1_2_VERSION, 0), 'DTLS 1.2');
    need(f.contextControl(context, SSL_CTRL_SET_GROUPS_LIST, 0, groups.address), 'the groups');
    f.contextControl(context, SSL_CTRL_SET_SESS_CACHE_MODE, 0, 0);
    f.setOptions(context, OPTIONS);
    f.setSecurityLevel(context, 1); // old phones bring RSA keys of 1,024 bits; the fingerprint is what binds them
    need(f.setCipherList(context, CIPHERS), 'the cipher list');
    need(f.useCertificate(context, certificate), 'SSL_CTX_use_certificate');
    need(f.usePrivateKey(context, key), 'SSL_CTX_use_PrivateKey');
    f.setVerify(context, VERIFY, f.acceptAny);
    need(f.useSrtp(context, SRTP) === 0 ? 1 : 0, 'use_srtp');
    return context;
  } catch (error) {
    f.freeContext(context);
    throw error;
  }
}

/** DER of an X509 object. */
export function encodeCertificate(certificate: number): Uint8Array {
  const f = tlsFunctions();
  const length = f.encodeCertificate(certificate, 0);
  if (length <= 0 || length > 1 << 16) return new Uint8Array(0);
  const memory = new ForeignMemory(16 + length);
  pointer(memory, 0, memory.address + 16);
  f.encodeCertificate(certificate, memory.address);
  return memory.bytes.slice(16, 16 + length);
}

function pointer(memory: ForeignMemory, at: number, value: number): void {
  memory.view.setBigUint64(at, BigInt(value), true);
}

function need(result: number, what: string): number {
  if (result > 0) return result;
  throw new Error(`OpenSSL refused ${what}: ${takeOpenSslError() ?? 'no reason given'}`);
}
