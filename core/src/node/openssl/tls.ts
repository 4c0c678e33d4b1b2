import koffi from 'koffi';
import { ForeignMemory, opensslLibrary } from './library.ts';

/** First retransmission of a DTLS flight, µs; doubled each time up to the cap (OpenSSL gives up after 12). */
const FIRST_TIMEOUT_US = 100_000;
const LAST_TIMEOUT_US = 3_000_000;

function bind() {
  const lib = opensslLibrary();
  const verify = koffi.proto('int OffhookVerify(int, uintptr_t)');
  const timer = koffi.proto('uint32_t OffhookTimer(uintptr_t, uint32_t)');
  return {
    /** Any certificate will do: what counts is its fingerprint in the SDP (RFC 5763 5). */
    acceptAny: koffi.register(() => 1, koffi.pointer(verify)) as unknown as string,
    backOff: koffi.register(
      (_ssl: number, us: number) => (us === 0 ? FIRST_TIMEOUT_US : Math.min(us * 2, LAST_TIMEOUT_US)),
      koffi.pointer(timer),
    ) as unknown as string,

    method: lib.ssl('uintptr_t DTLS_method()'),
    newContext: lib.ssl('uintptr_t SSL_CTX_new(uintptr_t)'),
    freeContext: lib.ssl('void SSL_CTX_free(uintptr_t)'),
    contextControl: lib.ssl('long SSL_CTX_ctrl(uintptr_t, int, long, uintptr_t)'),
    setOptions: lib.ssl('uint64_t SSL_CTX_set_options(uintptr_t, uint64_t)'),
    setSecurityLevel: lib.ssl('void SSL_CTX_set_security_level(uintptr_t, int)'),
    setCipherList: lib.ssl('int SSL_CTX_set_cipher_list(uintptr_t, const char *)'),
    setVerify: lib.ssl('void SSL_CTX_set_verify(uintptr_t, int, void *)'),
    useCertificate: lib.ssl('int SSL_CTX_use_certificate(uintptr_t, uintptr_t)'),
    usePrivateKey: lib.ssl('int SSL_CTX_use_PrivateKey(uintptr_t, uintptr_t)'),
    /** 0 on success. */
    useSrtp: lib.ssl('int SSL_CTX_set_tlsext_use_srtp(uintptr_t, const char *)'),

    newSession: lib.ssl('uintptr_t SSL_new(uintptr_t)'),
    freeSession: lib.ssl('void SSL_free(uintptr_t)'),
    setBios: lib.ssl('void SSL_set_bio(uintptr_t, uintptr_t, uintptr_t)'),
    setAcceptState: lib.ssl('void SSL_set_accept_state(uintptr_t)'),
    setConnectState: lib.ssl('void SSL_set_connect_state(uintptr_t)'),
    setTimerCallback: lib.ssl('void DTLS_set_timer_cb(uintptr_t, void *)'),
    control: lib.ssl('long SSL_ctrl(uintptr_t, int, long, uintptr_t)'),
    handshake: lib.ssl('int SSL_do_handshake(uintptr_t)'),
    read: lib.ssl('int SSL_read(uintptr_t, uintptr_t, int)'),
    shutdown: lib.ssl('int SSL_shutdown(uintptr_t)'),
    error: lib.ssl('int SSL_get_error(uintptr_t, int)'),
    exportKeys: lib.ssl(
      'int SSL_export_keying_material(uintptr_t, uintptr_t, size_t, const char *, size_t, uintptr_t, size_t, int)',
    ),
    srtpProfile: lib.ssl('uintptr_t SSL_get_selected_srtp_profile(uintptr_t)'),
    currentCipher: lib.ssl('uintptr_t SSL_get_current_cipher(uintptr_t)'),
    /** The suite's number on the wire. */
    cipherNumber: lib.ssl('uint16_t SSL_CIPHER_get_protocol_id(uintptr_t)'),
    peerCertificate: lib.ssl('uintptr_t SSL_get1_peer_certificate(uintptr_t)'),

    memoryBio: lib.crypto('uintptr_t BIO_s_mem()'),
    newBio: lib.crypto('uintptr_t BIO_new(uintptr_t)'),
    bioWrite: lib.crypto('int BIO_write(uintptr_t, uintptr_t, int)'),
    bioRead: lib.crypto('int BIO_read(uintptr_t, uintptr_t, int)'),
    bioControl: lib.crypto('long BIO_ctrl(uintptr_t, int, long, uintptr_t)'),

    /** memcpy(to, from, length): reads a structure of OpenSSL. */
    copy: lib.crypto('uintptr_t memcpy(uintptr_t, uintptr_t, size_t)'),
    clearErrors: lib.crypto('void ERR_clear_error()'),
    nextError: lib.crypto('ulong ERR_get_error()'),
    errorText: lib.crypto('void ERR_error_string_n(ulong, uintptr_t, size_t)'),

    newCertificate: lib.crypto('uintptr_t X509_new()'),
    freeCertificate: lib.crypto('void X509_free(uintptr_t)'),
    setVersion: lib.crypto('int X509_set_version(uintptr_t, long)'),
    serialNumber: lib.crypto('uintptr_t X509_get_serialNumber(uintptr_t)'),
    setInteger: lib.crypto('int ASN1_INTEGER_set(uintptr_t, long)'),
    notBefore: lib.crypto('uintptr_t X509_getm_notBefore(uintptr_t)'),
    notAfter: lib.crypto('uintptr_t X509_getm_notAfter(uintptr_t)'),
    adjustTime: lib.crypto('uintptr_t X509_gmtime_adj(uintptr_t, long)'),
    subject: lib.crypto('uintptr_t X509_get_subject_name(uintptr_t)'),
    addNameEntry: lib.crypto(
      'int X509_NAME_add_entry_by_txt(uintptr_t, const char *, int, const char *, int, int, int)',
    ),
    setIssuer: lib.crypto('int X509_set_issuer_name(uintptr_t, uintptr_t)'),
    setPublicKey: lib.crypto('int X509_set_pubkey(uintptr_t, uintptr_t)'),
    sign: lib.crypto('int X509_sign(uintptr_t, uintptr_t, uintptr_t)'),
    sha256: lib.crypto('uintptr_t EVP_sha256()'),
    encodeCertificate: lib.crypto('int i2d_X509(uintptr_t, uintptr_t)'),
    decodeCertificate: lib.crypto('uintptr_t d2i_X509(uintptr_t, uintptr_t, long)'),
    setTime: lib.crypto('uintptr_t ASN1_TIME_set(uintptr_t, int64_t)'),
    setBytes: lib.crypto('int ASN1_STRING_set(uintptr_t, uintptr_t, int)'),
    /** Fills an X509V3_CTX: issuer, subject, request, CRL. */
    extensionContext: lib.crypto('void X509V3_set_ctx(uintptr_t, uintptr_t, uintptr_t, uintptr_t, uintptr_t, int)'),
    /** An extension out of the words of openssl.cnf: number, value. */
    newExtension: lib.crypto('uintptr_t X509V3_EXT_conf_nid(uintptr_t, uintptr_t, int, const char *)'),
    addExtension: lib.crypto('int X509_add_ext(uintptr_t, uintptr_t, int)'),
    freeExtension: lib.crypto('void X509_EXTENSION_free(uintptr_t)'),
    decodeKey: lib.crypto('uintptr_t d2i_AutoPrivateKey(uintptr_t, uintptr_t, long)'),
    freeKey: lib.crypto('void EVP_PKEY_free(uintptr_t)'),
  } as const;
}

export type TlsFunctions = ReturnType<typeof bind>;

let functions: TlsFunctions | undefined;

/** OpenSSL's TLS and certificate calls, bound once. Throws when there is no usable OpenSSL. */
export function tlsFunctions(): TlsFunctions {
  functions ??= bind();
  return functions;
}

let errorMemory: ForeignMemory | undefined;

/** OpenSSL's own words for the first error of its queue, which is emptied: `no shared cipher`. */
export function takeOpenSslError(): string | undefined {
  const f = tlsFunctions();
  const code = f.nextError();
  f.clearErrors();
  if (code === 0) return undefined;
  errorMemory ??= new ForeignMemory(256);
  f.errorText(code, errorMemory.address, 256);
  return errorMemory.text(0, 256).split(':').slice(4).join(':') || `OpenSSL error ${code.toString(16)}`;
}
