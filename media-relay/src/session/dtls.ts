import type { DtlsCommand, DtlsMachine, DtlsRole } from '../dtls/index.ts';
import type { Transport } from '../forward/index.ts';
import type { SrtpProfile } from '../srtp/index.ts';
import type { OpenSrtp } from './sdes.ts';

/** DTLS of this worker: its certificate and how an endpoint is made. */
export interface DtlsFactory {
  /** For a=fingerprint: `sha-256 4A:AD:…`. */
  readonly fingerprint: string;
  create(role: DtlsRole): DtlsMachine;
  /** Whether the DER certificate is one that these a=fingerprint values name. */
  matches(certificate: Uint8Array, fingerprints: readonly string[]): boolean;
}

export type DtlsState = 'waiting' | 'handshake' | 'connected' | 'failed' | 'closed';

/** Handshakes one transport may start: an outsider who can send from the validated address must not keep us busy. */
const MAX_ATTEMPTS = 8;

type Connected = Extract<DtlsCommand, { kind: 'connected' }>;

export interface DtlsCounters {
  connected: number;
  failed: number;
  /** The certificate was not the one of the SDP. */
  fingerprintMismatch: number;
}

/**
 * The DTLS association of one transport (RFC 5764, RFC 8842). Packets reach it only from the transport's validated
 * address, without ICE only from that of its `HandshakeSource`. Keys are used only after the certificate matched the fingerprint of the SDP, whichever comes later.
 */
export class DtlsSession {
  readonly transport: Transport;
  state: DtlsState = 'waiting';
  reason = 'the peer has not started the handshake';
  profile: SrtpProfile | undefined;
  readonly #factory: DtlsFactory;
  readonly #open: OpenSrtp;
  readonly #counters: DtlsCounters;
  #role: DtlsRole | undefined;
  #fingerprints: readonly string[] = [];
  #machine: DtlsMachine | undefined;
  #machineRole: DtlsRole | undefined;
  #unchecked: Connected | undefined;
  #attempts = 0;

  constructor(
    transport: Transport,
    factory: DtlsFactory,
    { open, counters }: { open: OpenSrtp; counters: DtlsCounters },
  ) {
    this.transport = transport;
    this.#factory = factory;
    this.#open = open;
    this.#counters = counters;
  }

  /** The handshake is over, whether or not its certificate could be compared yet. */
  get isComplete(): boolean {
    return this.state === 'connected' || this.#unchecked !== undefined;
  }

  /** Without ICE: a handshake that another source began, and that came to nothing, is forgotten. */
  giveUpServer(): void {
    if (this.isComplete || this.#machineRole !== 'server' || !this.#machine) return;
    this.#dropMachine();
    this.state = 'waiting';
  }

  /** What the peer's SDP says. Another fingerprint or the other role means a new association (RFC 8842 5.3). */
  describe(fingerprints: readonly string[], role: DtlsRole | undefined, nowMs: number): void {
    const changed =
      this.#fingerprints.length > 0 &&
      (fingerprints.join() !== this.#fingerprints.join() ||
        (role !== undefined && this.#role !== undefined && role !== this.#role));
    if (changed) this.#reset();
    this.#fingerprints = fingerprints;
    this.#role = role ?? this.#role;
    if (this.#machine && this.#role && this.#machineRole !== this.#role) this.#reset();
    if (this.#unchecked) this.#check(this.#unchecked);
    this.start(nowMs);
  }

  /** As the client: says hello as soon as there is an address. */
  start(nowMs: number): void {
    if (this.#role !== 'client' || this.#machine || this.state !== 'waiting' || !this.transport.remote) return;
    this.#begin('client')?.handleStart(nowMs);
    this.#drain();
  }

  /** One datagram of the DTLS range from the transport's validated address. */
  handlePacket(bytes: Uint8Array, nowMs: number): void {
    if (!this.#machine) {
      // Only a ClientHello in a handshake record opens a server (RFC 6347 4.3.1: type 22; message type 1).
      if (this.#role === 'client' || bytes.length < 14 || bytes[0] !== 22 || bytes[13] !== 1) return;
      if (!this.#begin('server')) return;
    }
    this.#machine!.handlePacket(bytes, nowMs);
    this.#drain();
  }

  handleTimeout(nowMs: number): void {
    this.#machine?.handleTimeout(nowMs);
    this.#drain();
  }

  nextTimeout(): number | undefined {
    return this.#machine?.nextTimeout();
  }

  close(): void {
    this.#dropMachine();
    this.state = 'closed';
    this.reason = 'the leg has ended';
  }

  #begin(role: DtlsRole): DtlsMachine | undefined {
    if (this.#attempts >= MAX_ATTEMPTS) return undefined;
    this.#attempts++;
    this.#machineRole = role;
    this.#machine = this.#factory.create(role);
    this.state = 'handshake';
    this.reason = role === 'server' ? 'the peer has said hello' : 'our hello is on its way';
    return this.#machine;
  }

  #drain(): void {
    for (let c = this.#machine?.poll(); c; c = this.#machine?.poll()) {
      switch (c.kind) {
        case 'send':
          this.transport.send(c.bytes);
          break;
        case 'connected':
          this.#check(c);
          break;
        case 'failed':
          this.#fail(`the handshake failed: ${c.reason}`);
          this.#counters.failed++;
          // The next ClientHello may try again: a failure must not end a call for good.
          this.state = 'failed';
          break;
        case 'closed':
          this.#dropMachine();
          this.transport.dropKeys();
          this.state = 'closed';
          this.reason = 'the peer closed the association';
          break;
      }
    }
  }

  /** RFC 5763 5: the certificate has to match the fingerprint of the signalling, else there is no media. */
  #check(connected: Connected): void {
    if (this.#fingerprints.length === 0) {
      this.#unchecked = connected;
      this.reason = "the handshake is complete; the peer's SDP with its fingerprint has not arrived yet";
      return;
    }
    this.#unchecked = undefined;
    if (!this.#factory.matches(connected.peerCertificate, this.#fingerprints)) {
      this.#counters.fingerprintMismatch++;
      this.#fail("the peer's certificate is not the one its SDP names by fingerprint");
      return;
    }
    this.#counters.connected++;
    this.transport.dropKeys();
    this.transport.rx = this.#open(connected.remote, 'unprotect');
    this.transport.tx = this.#open(connected.local, 'protect');
    this.profile = connected.profile;
    this.transport.adoptHandshake();
    this.state = 'connected';
    this.reason = 'the handshake is complete and the fingerprint is that of the SDP';
  }

  #fail(reason: string): void {
    this.#dropMachine();
    this.transport.dropKeys();
    this.state = 'failed';
    this.reason = reason;
  }

  #reset(): void {
    this.#dropMachine();
    this.transport.dropKeys();
    this.#unchecked = undefined;
    this.#attempts = 0;
    this.transport.handshake?.clear();
    this.state = 'waiting';
    this.reason = 'the peer has not started the handshake';
  }

  #dropMachine(): void {
    const machine = this.#machine;
    this.#machine = undefined;
    machine?.close();
    for (let c = machine?.poll(); c; c = machine?.poll()) if (c.kind === 'send') this.transport.send(c.bytes);
  }
}
