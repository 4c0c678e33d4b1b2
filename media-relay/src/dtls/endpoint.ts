import { ForeignMemory, takeOpenSslError, tlsFunctions } from '@offhook/core/node';
import { SRTP_PROFILES, type SrtpKeys, type SrtpProfile } from '../srtp/profile.ts';
import { type DtlsCertificate, encodeCertificate } from './certificate.ts';
import { packRecords, SHORTEST_CHACHA_RECORD, SHORTEST_GCM_RECORD, screenRecords } from './records.ts';
import type { DtlsCommand, DtlsMachine, DtlsRole } from './types.ts';

/** The longest datagram we send, bytes: fits every path that carries WebRTC. */
const MTU = 1200;
/** The longest datagram we take. */
const MAX_DATAGRAM = 4096;
/** What one input may make OpenSSL write. */
const OUTPUT = 1 << 16;

const SSL_CTRL_SET_MTU = 17;
const DTLS_CTRL_GET_TIMEOUT = 73;
const DTLS_CTRL_HANDLE_TIMEOUT = 74;
const SSL_CTRL_GET_EXTMS_SUPPORT = 122;
const BIO_CTRL_RESET = 1;
const BIO_C_SET_BUF_MEM_EOF_RETURN = 130;
const SSL_ERROR_SSL = 1;
const SSL_ERROR_ZERO_RETURN = 6;

const EXPORTER = 'EXTRACTOR-dtls_srtp';
/** DTLS-SRTP protection profiles (RFC 5764 4.1.2, RFC 7714 14.2) by their numbers on the wire. */
const PROFILES: ReadonlyMap<number, SrtpProfile> = new Map([
  [0x0001, 'AES_CM_128_HMAC_SHA1_80'],
  [0x0002, 'AES_CM_128_HMAC_SHA1_32'],
  [0x0007, 'AEAD_AES_128_GCM'],
]);

/** TLS_ECDHE_{RSA,ECDSA}_WITH_CHACHA20_POLY1305_SHA256 (RFC 7905 4). */
const CHACHA_SUITES: ReadonlySet<number> = new Set([0xcca8, 0xcca9]);

/** Memory of the thread for what goes in and out of OpenSSL: timeval at 0, input, output. */
let memory: ForeignMemory | undefined;
const INPUT_AT = 64;
const OUTPUT_AT = INPUT_AT + MAX_DATAGRAM;

let live = 0;

/** Endpoints whose OpenSSL session is not freed yet, for leak checks. */
export function liveDtlsEndpoints(): number {
  return live;
}

/**
 * DTLS 1.2 with use_srtp on OpenSSL (RFC 5764): certificate of the peer required in both roles, extended master secret
 * offered, no renegotiation, no HelloVerifyRequest (ICE has validated the path, or `HandshakeSource` limits the answers).
 * OpenSSL reads the clock itself; `nowMs` only places its timer. Records that can't be read are dropped without a trace.
 */
export class DtlsEndpoint implements DtlsMachine {
  readonly role: DtlsRole;
  readonly #f = tlsFunctions();
  readonly #memory: ForeignMemory;
  readonly #commands: DtlsCommand[] = [];
  readonly #input: number;
  readonly #output: number;
  #session: number;
  #connected = false;
  /** Until the suite is known the longer one: only an early alert of ChaCha20 is shorter. */
  #shortestRecord = SHORTEST_GCM_RECORD;
  #timeoutAtMs: number | undefined;

  constructor({ role, certificate }: { readonly role: DtlsRole; readonly certificate: DtlsCertificate }) {
    memory ??= new ForeignMemory(OUTPUT_AT + OUTPUT);
    this.#memory = memory;
    this.role = role;
    const f = this.#f;
    f.clearErrors();
    this.#session = f.newSession(certificate.context);
    if (this.#session === 0) throw new Error(`SSL_new: ${takeOpenSslError() ?? 'no reason given'}`);
    live++;
    this.#input = f.newBio(f.memoryBio());
    this.#output = f.newBio(f.memoryBio());
    f.bioControl(this.#input, BIO_C_SET_BUF_MEM_EOF_RETURN, -1, 0); // empty = try again, not end of file
    f.bioControl(this.#output, BIO_C_SET_BUF_MEM_EOF_RETURN, -1, 0);
    f.setBios(this.#session, this.#input, this.#output); // owns both now
    f.control(this.#session, SSL_CTRL_SET_MTU, MTU, 0);
    f.setTimerCallback(this.#session, f.backOff);
    if (role === 'server') f.setAcceptState(this.#session);
    else f.setConnectState(this.#session);
  }

  get connected(): boolean {
    return this.#connected;
  }

  handleStart(nowMs: number): void {
    if (this.#session === 0 || this.#connected || this.role === 'server') return;
    this.#f.clearErrors();
    this.#advance(nowMs);
  }

  handlePacket(bytes: Uint8Array, nowMs: number): void {
    if (this.#session === 0 || bytes.length === 0 || bytes.length > MAX_DATAGRAM) return;
    const f = this.#f;
    const input = this.#memory.bytes.subarray(INPUT_AT, INPUT_AT + bytes.length);
    input.set(bytes);
    const length = screenRecords(input, input.length, this.#shortestRecord);
    if (length === 0) return;
    f.clearErrors();
    f.bioWrite(this.#input, this.#memory.address + INPUT_AT, length);
    this.#advance(nowMs);
    if (this.#session !== 0) f.bioControl(this.#input, BIO_CTRL_RESET, 0, 0); // a datagram never runs into the next
  }

  handleTimeout(nowMs: number): void {
    if (this.#session === 0 || this.#timeoutAtMs === undefined || nowMs < this.#timeoutAtMs) return;
    const f = this.#f;
    f.clearErrors();
    const result = f.control(this.#session, DTLS_CTRL_HANDLE_TIMEOUT, 0, 0);
    this.#drain();
    if (result < 0) this.#end({ kind: 'failed', reason: 'the peer did not answer the DTLS handshake' });
    else this.#readTimer(nowMs);
  }

  nextTimeout(): number | undefined {
    return this.#timeoutAtMs;
  }

  poll(): DtlsCommand | undefined {
    return this.#commands.shift();
  }

  close(): void {
    if (this.#session === 0) return;
    if (this.#connected) {
      this.#f.clearErrors();
      this.#f.shutdown(this.#session);
      this.#drain();
    }
    this.#free();
  }

  #advance(nowMs: number): void {
    const f = this.#f;
    if (!this.#connected) {
      const result = f.handshake(this.#session);
      this.#drain();
      if (result !== 1) {
        this.#handleError(result, nowMs);
        return;
      }
      const problem = this.#takeKeys();
      if (problem !== undefined) {
        this.#end({ kind: 'failed', reason: `DTLS: ${problem}` });
        return;
      }
    }
    // Reads what follows the handshake: retransmissions of the peer, alerts. Application data is none of ours.
    let result = 1;
    for (let n = 0; n < 16 && result > 0; n++) result = f.read(this.#session, this.#memory.address + OUTPUT_AT, OUTPUT);
    this.#drain();
    if (result <= 0) this.#handleError(result, nowMs);
  }

  #handleError(result: number, nowMs: number): void {
    const kind = this.#f.error(this.#session, result);
    if (kind === SSL_ERROR_ZERO_RETURN && this.#connected) {
      this.#f.shutdown(this.#session);
      this.#drain();
      this.#end({ kind: 'closed' });
    } else if (kind === SSL_ERROR_ZERO_RETURN) {
      this.#end({ kind: 'failed', reason: 'DTLS: the peer closed the handshake' });
    } else if (kind === SSL_ERROR_SSL) {
      this.#end({ kind: 'failed', reason: `DTLS: ${takeOpenSslError() ?? 'protocol error'}` });
    } else {
      this.#readTimer(nowMs);
    }
  }

  /** Makes the association's keys known; words when it has none. */
  #takeKeys(): string | undefined {
    const f = this.#f;
    const session = this.#session;
    const profileAt = f.srtpProfile(session);
    const profile = profileAt === 0 ? undefined : PROFILES.get(this.#profileNumber(profileAt));
    if (!profile) return 'the peer takes none of our SRTP profiles';
    const certificate = f.peerCertificate(session);
    const peerCertificate = certificate === 0 ? new Uint8Array(0) : encodeCertificate(certificate);
    if (certificate !== 0) f.freeCertificate(certificate);
    if (peerCertificate.length === 0) return 'the peer has no certificate';
    // RFC 5764 4.2: client key, server key, client salt, server salt.
    const { keyLength, saltLength } = SRTP_PROFILES[profile];
    const length = 2 * (keyLength + saltLength);
    const { bytes, address } = this.#memory;
    if (f.exportKeys(session, address + OUTPUT_AT, length, EXPORTER, EXPORTER.length, 0, 0, 0) !== 1)
      return `no keys: ${takeOpenSslError() ?? 'no reason given'}`;
    const cut = (at: number, n: number) => bytes.slice(OUTPUT_AT + at, OUTPUT_AT + at + n);
    const saltAt = 2 * keyLength;
    const client: SrtpKeys = { profile, key: cut(0, keyLength), salt: cut(saltAt, saltLength) };
    const server: SrtpKeys = { profile, key: cut(keyLength, keyLength), salt: cut(saltAt + saltLength, saltLength) };
    bytes.fill(0, OUTPUT_AT, OUTPUT_AT + length);
    this.#connected = true;
    if (CHACHA_SUITES.has(f.cipherNumber(f.currentCipher(session)))) this.#shortestRecord = SHORTEST_CHACHA_RECORD;
    const own = this.role === 'client';
    this.#commands.push({
      kind: 'connected',
      profile,
      local: own ? client : server,
      remote: own ? server : client,
      peerCertificate,
      extendedMasterSecret: f.control(session, SSL_CTRL_GET_EXTMS_SUPPORT, 0, 0) === 1,
    });
    return undefined;
  }

  /** SRTP_PROTECTION_PROFILE { const char *name; unsigned long id } */
  #profileNumber(at: number): number {
    const { view, address } = this.#memory;
    this.#f.copy(address, at, 16);
    return Number(view.getBigUint64(8, true));
  }

  /** What OpenSSL wrote, as datagrams. */
  #drain(): void {
    const { bytes, address } = this.#memory;
    const length = this.#f.bioRead(this.#output, address + OUTPUT_AT, OUTPUT);
    if (length <= 0) return;
    for (const datagram of packRecords(bytes.subarray(OUTPUT_AT, OUTPUT_AT + length), MTU))
      this.#commands.push({ kind: 'send', bytes: datagram });
  }

  #readTimer(nowMs: number): void {
    const { view, address } = this.#memory;
    if (this.#f.control(this.#session, DTLS_CTRL_GET_TIMEOUT, 0, address) !== 1) {
      this.#timeoutAtMs = undefined;
      return;
    }
    const leftMs = Number(view.getBigInt64(0, true)) * 1000 + Number(view.getBigInt64(8, true)) / 1000;
    // OpenSSL treats less than 15 ms as expired only when it looks; never ask it again at once.
    this.#timeoutAtMs = nowMs + Math.max(1, leftMs);
  }

  #end(command: DtlsCommand): void {
    this.#commands.push(command);
    this.#free();
  }

  #free(): void {
    if (this.#session === 0) return;
    this.#f.freeSession(this.#session);
    this.#session = 0;
    this.#timeoutAtMs = undefined;
    live--;
  }
}
