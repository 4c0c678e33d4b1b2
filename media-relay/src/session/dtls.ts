import { clientRandom, type DtlsCommand, type DtlsMachine, type DtlsRole, isClientHello } from '../dtls/index.ts';
import type { Transport } from '../forward/index.ts';
import type { SrtpProfile } from '../srtp/index.ts';
import { HandshakeBudget } from './handshake-budget.ts';
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

/**
 * A handshake whose client said only hello gives way to another hello from the same source at once: the answer to a forged
 * one would spoil that of the peer. A client that went on doesn't say hello again, so nobody may put another in its place
 * before this time.
 */
const WENT_ON_MS = 10_000;
/** ChangeCipherSpec and handshake (RFC 5246 6.2.1): what a client goes on with. */
const GOES_ON: ReadonlySet<number | undefined> = new Set([20, 22]);

type Connected = Extract<DtlsCommand, { kind: 'connected' }>;

export interface DtlsCounters {
  connected: number;
  failed: number;
  /** The certificate was not the one of the SDP. */
  fingerprintMismatch: number;
}

/**
 * The DTLS association of one transport (RFC 5764, RFC 8842). Packets reach it only from the transport's validated
 * address, without ICE only from that of its `HandshakeSource`. Keys are used only after the certificate matched the
 * fingerprint of the SDP, whichever comes later.
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
  #budget = new HandshakeBudget();
  /** Without ICE: for sources other than the very address and port of the SDP. */
  #budgetOfOthers = new HandshakeBudget();
  /** As the server: the hello that the handshake at hand began with, when that was, and whether its client went on. */
  #clientRandom: Uint8Array | undefined;
  #begunAtMs = 0;
  #wentOn = false;

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

  /** A handshake that another client or source began, and that came to nothing, is forgotten. */
  giveUpServer(): void {
    if (this.isComplete || this.#machineRole !== 'server' || !this.#machine) return;
    this.#dropMachine();
    this.state = 'waiting';
    this.reason = 'a handshake that was begun came to nothing';
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
    this.#begin('client', nowMs)?.handleStart(nowMs);
    this.#drain();
  }

  /** One datagram of the DTLS range from the transport's validated address. */
  handlePacket(bytes: Uint8Array, nowMs: number): void {
    const isHello = isClientHello(bytes);
    const random = isHello ? clientRandom(bytes) : undefined;
    if (random && this.#givesWay(random, nowMs)) this.giveUpServer();
    if (!this.#machine && (this.#role === 'client' || !isHello || !this.#begin('server', nowMs))) return;
    this.#clientRandom ??= random;
    if (!isHello && GOES_ON.has(bytes[0])) this.#wentOn = true;
    this.#machine?.handlePacket(bytes, nowMs);
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

  /** Whether this hello is another client's, or the client's next attempt, and ends the handshake at hand. */
  #givesWay(random: Uint8Array, nowMs: number): boolean {
    const known = this.#clientRandom;
    if (!this.#machine || this.#machineRole !== 'server' || this.isComplete || !known) return false;
    if (this.#wentOn && nowMs - this.#begunAtMs < WENT_ON_MS) return false;
    return random.some((byte, i) => byte !== known[i]);
  }

  #begin(role: DtlsRole, nowMs: number): DtlsMachine | undefined {
    const { handshake } = this.transport;
    const budget = handshake?.at && !handshake.isExpected ? this.#budgetOfOthers : this.#budget;
    if (!budget.take(nowMs)) return undefined;
    this.#begunAtMs = nowMs;
    this.#wentOn = false;
    this.#clientRandom = undefined;
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
    this.#budget = new HandshakeBudget();
    this.#budgetOfOthers = new HandshakeBudget();
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
