import {
  base64url,
  type Crypto,
  decodeStun,
  StunAttribute,
  StunClass,
  type StunMessage,
  StunMethod,
  StunWriter,
  shortTermKey,
} from '@offhook/core';
import type { UdpEndpoint } from '@offhook/core/node';
import type { Transport } from '../forward/index.ts';
import type { MuxPort } from './mux.ts';
import { type IceCredentials, type IceGeneration, type IcePair, IceSession } from './session.ts';

/** Validated pairs one session keeps; the one checked longest ago goes first. */
export const MAX_PAIRS = 16;
/** Without any packet from the peer for this long nothing is sent to it (RFC 7675 5.1). */
export const CONSENT_MS = 30_000;
/** An error without text: header and ERROR-CODE; with FINGERPRINT eight bytes more. */
const ERROR_BYTES = 28;
const FINGERPRINT_BYTES = 8;
/** STUN errors sent per second to sources that proved nothing. */
const ERRORS_PER_SECOND = 100;
/** RFC 8445 16.1 and RFC 8489 18.3: the comprehension-required attributes a connectivity check may carry. */
const KNOWN: ReadonlySet<number> = new Set([
  StunAttribute.mappedAddress,
  StunAttribute.username,
  StunAttribute.messageIntegrity,
  StunAttribute.messageIntegritySha256,
  StunAttribute.xorMappedAddress,
  StunAttribute.priority,
  StunAttribute.useCandidate,
]);

export interface IceCounters {
  checks: number;
  /** Not STUN although the first byte says so, or its FINGERPRINT is wrong. */
  malformed: number;
  /** 400: no USERNAME or no MESSAGE-INTEGRITY. */
  badRequest: number;
  /** 401: unknown username, wrong ufrag of the peer, or wrong MESSAGE-INTEGRITY. */
  unauthorized: number;
  unknownAttribute: number;
  roleConflict: number;
  /** A good check from a source that belongs to another living leg. */
  takenAddress: number;
  /** Errors left unsent by the rate limit, or because they would be larger than the request. */
  suppressed: number;
  indications: number;
}

/**
 * The ICE-lite agent of a worker (RFC 8445 2.5, 7.3): every WebRTC leg has a session found by the ufrag in front of the
 * colon of USERNAME. `handleStun` answers how many bytes of `reply` go back to the source; `selectionChanged` names the
 * session whose sending pair it moved.
 */
export class IceLite {
  readonly counters: IceCounters = {
    checks: 0,
    malformed: 0,
    badRequest: 0,
    unauthorized: 0,
    unknownAttribute: 0,
    roleConflict: 0,
    takenAddress: 0,
    suppressed: 0,
    indications: 0,
  };
  readonly reply = new Uint8Array(512);
  selectionChanged: IceSession | undefined;
  readonly #writer = new StunWriter(this.reply);
  readonly #byUfrag = new Map<string, IceSession>();
  readonly #crypto: Crypto;
  /** Who owns an address: the transport of an id, when its leg lives and has heard from its peer lately. */
  readonly #isAlive: (transportId: number, nowMs: number) => boolean;
  #tokens = ERRORS_PER_SECOND;
  #tokensAtMs = 0;

  constructor(crypto: Crypto, isAlive: (transportId: number, nowMs: number) => boolean) {
    this.#crypto = crypto;
    this.#isAlive = isAlive;
  }

  /** Ufrags in use, two for a session that restarts. */
  get size(): number {
    return this.#byUfrag.size;
  }

  open(transport: Transport): IceSession {
    const session = new IceSession(transport, this.#generation());
    this.#byUfrag.set(session.current.local.ufrag, session);
    return session;
  }

  /** The peer's credentials from its first SDP, or of another answerer to the same offer. */
  accept(session: IceSession, remote: IceCredentials): void {
    const known = session.current.remote;
    if (known && sameCredentials(known, remote)) return;
    session.current.remote = remote;
    // RFC 8445 7.3: checks may come before the answer; those of somebody else than the answer says don't count.
    this.#forgetPairs(session, remote.ufrag);
  }

  /** True when the peer's offer restarts ICE (RFC 8445 9): we have new credentials then, the old pair still works. */
  offered(session: IceSession, remote: IceCredentials): boolean {
    const known = session.current.remote;
    if (!known) {
      this.accept(session, remote);
      return false;
    }
    if (sameCredentials(known, remote)) return false;
    if (session.previous === undefined || session.currentNominated) {
      if (session.previous) this.#byUfrag.delete(session.previous.local.ufrag);
      session.previous = session.current;
    } else this.#byUfrag.delete(session.current.local.ufrag);
    session.current = this.#generation();
    session.current.remote = remote;
    session.currentNominated = false;
    this.#byUfrag.set(session.current.local.ufrag, session);
    return true;
  }

  close(session: IceSession): void {
    this.#byUfrag.delete(session.current.local.ufrag);
    if (session.previous) this.#byUfrag.delete(session.previous.local.ufrag);
    this.#forgetPairs(session);
  }

  /** Stops sending to a peer that has not been heard of for `CONSENT_MS`. */
  checkConsent(session: IceSession, nowMs: number): void {
    if (!session.selected || nowMs - session.transport.lastInMs <= CONSENT_MS) return;
    session.selected = undefined;
    session.state = 'lost';
    session.reason = `nothing was heard from the peer for ${CONSENT_MS / 1000} s`;
    session.transport.sendVia(undefined, undefined);
  }

  /** One packet of RFC 7983's STUN range that came to `mux` from `source`. */
  handleStun(bytes: Uint8Array, mux: MuxPort, source: UdpEndpoint, nowMs: number): number {
    this.selectionChanged = undefined;
    const message = decodeStun(bytes);
    if (!message || (message.has(StunAttribute.fingerprint) && !message.verifyFingerprint())) {
      this.counters.malformed++;
      return 0;
    }
    if (message.class === StunClass.indication) {
      this.counters.indications++; // RFC 8445 11: keep-alives; never answered
      return 0;
    }
    if (message.class !== StunClass.request || message.method !== StunMethod.binding) {
      this.counters.malformed++;
      return 0;
    }
    const username = message.text(StunAttribute.username);
    if (username === undefined || !message.hasIntegrity) {
      this.counters.badRequest++; // RFC 8489 9.1.3
      return this.#error(message, { code: 400, room: bytes.length, nowMs });
    }
    const colon = username.indexOf(':');
    const session = colon > 0 ? this.#byUfrag.get(username.slice(0, colon)) : undefined;
    const generation = session && generationOf(session, username.slice(0, colon));
    if (!session || !generation || !message.verifyIntegrity(generation.key, this.#crypto)) {
      this.counters.unauthorized++;
      return this.#error(message, { code: 401, room: bytes.length, nowMs });
    }
    const remoteUfrag = username.slice(colon + 1);
    if (!mayCheck(session, generation, remoteUfrag)) {
      this.counters.unauthorized++;
      return this.#error(message, { code: 401, room: bytes.length, nowMs });
    }
    return this.#authenticated(message, session, generation, { mux, source, remoteUfrag, nowMs });
  }

  #authenticated(
    message: StunMessage,
    session: IceSession,
    generation: IceGeneration,
    { mux, source, remoteUfrag, nowMs }: { mux: MuxPort; source: UdpEndpoint; remoteUfrag: string; nowMs: number },
  ): number {
    const unknown = message.unknownRequired(KNOWN);
    if (unknown.length > 0) {
      this.counters.unknownAttribute++;
      this.#writer.start(StunClass.error, StunMethod.binding, message.transactionId).errorCode(420);
      return this.#writer
        .unknownAttributes(unknown.slice(0, 16))
        .integrity(generation.key, this.#crypto)
        .fingerprint()
        .finish();
    }
    // RFC 8445 7.3.1.1: a lite agent stays controlled, so the peer has to take the other role.
    if (message.has(StunAttribute.iceControlled)) {
      this.counters.roleConflict++;
      this.#writer.start(StunClass.error, StunMethod.binding, message.transactionId).errorCode(487);
      return this.#writer.integrity(generation.key, this.#crypto).fingerprint().finish();
    }
    const owner = mux.flows.get(source);
    if (owner >= 0 && owner !== session.transport.id && this.#isAlive(owner, nowMs)) {
      this.counters.takenAddress++;
      return 0;
    }
    this.counters.checks++;
    session.checks++;
    session.transport.lastInMs = nowMs;
    const pair = this.#validate(session, mux, source, nowMs);
    pair.remoteUfrag = remoteUfrag;
    const nominates = message.has(StunAttribute.useCandidate);
    const isCurrent = generation === session.current;
    if (nominates && (isCurrent || !session.currentNominated)) {
      this.#select(session, pair, 'nominated');
      if (isCurrent) this.#finishRestart(session);
    } else if (!session.selected) this.#select(session, pair, 'connected');
    return this.#writer
      .start(StunClass.success, StunMethod.binding, message.transactionId)
      .xorAddress(StunAttribute.xorMappedAddress, source.toSocketAddress())
      .integrity(generation.key, this.#crypto)
      .fingerprint()
      .finish();
  }

  #validate(session: IceSession, mux: MuxPort, source: UdpEndpoint, nowMs: number): IcePair {
    const known = session.pairs.find((pair) => pair.mux === mux && pair.remote.equals(source));
    if (known) {
      known.lastCheckMs = nowMs;
      if (mux.flows.get(known.remote) !== session.transport.id) mux.flows.set(known.remote, session.transport.id);
      return known;
    }
    if (session.pairs.length >= MAX_PAIRS) this.#evict(session);
    const pair: IcePair = { mux, remote: source, remoteUfrag: '', lastCheckMs: nowMs };
    session.pairs.push(pair);
    mux.flows.set(source, session.transport.id);
    return pair;
  }

  #evict(session: IceSession): void {
    let oldest = -1;
    for (const [i, pair] of session.pairs.entries()) {
      if (pair === session.selected) continue;
      if (oldest < 0 || pair.lastCheckMs < session.pairs[oldest]!.lastCheckMs) oldest = i;
    }
    const [gone] = session.pairs.splice(oldest, 1);
    if (gone) forgetFlow(gone, session);
  }

  #select(session: IceSession, pair: IcePair, state: 'connected' | 'nominated'): void {
    session.state = state;
    const at = pair.remote.toSocketAddress();
    session.reason =
      state === 'nominated'
        ? `the peer chose the path from ${at.address} port ${at.port}`
        : `a check from ${at.address} port ${at.port} was good; the peer has not chosen a path yet`;
    if (session.selected === pair) return;
    session.selected = pair;
    session.transport.sendVia(pair.mux.udp, pair.remote);
    this.selectionChanged = session;
  }

  #finishRestart(session: IceSession): void {
    session.currentNominated = true;
    if (!session.previous) return;
    this.#byUfrag.delete(session.previous.local.ufrag);
    session.previous = undefined;
  }

  /** All of them, or all but those of the peer with that ufrag. */
  #forgetPairs(session: IceSession, but?: string): void {
    const kept = session.pairs.filter((pair) => pair.remoteUfrag === but);
    for (const pair of session.pairs) if (pair.remoteUfrag !== but) forgetFlow(pair, session);
    session.pairs.splice(0, session.pairs.length, ...kept);
    if (session.selected && kept.includes(session.selected)) return;
    session.selected = undefined;
    session.currentNominated = false;
    session.state = 'waiting';
    session.reason = 'no connectivity check of the peer has arrived yet';
    session.transport.sendVia(undefined, undefined);
    const next = kept.at(-1);
    if (next) this.#select(session, next, 'connected');
  }

  /**
   * RFC 8489 9.1.3: errors of unauthenticated requests carry no MESSAGE-INTEGRITY. They are never larger than the request:
   * FINGERPRINT only where it fits (a real check is longer), and none to less than an error's size.
   */
  #error(message: StunMessage, { code, room, nowMs }: { code: number; room: number; nowMs: number }): number {
    this.#tokens = Math.min(ERRORS_PER_SECOND, this.#tokens + ((nowMs - this.#tokensAtMs) * ERRORS_PER_SECOND) / 1000);
    this.#tokensAtMs = nowMs;
    if (this.#tokens < 1 || room < ERROR_BYTES) {
      this.counters.suppressed++;
      return 0;
    }
    this.#tokens--;
    this.#writer.start(StunClass.error, StunMethod.binding, message.transactionId).errorCode(code);
    if (room >= ERROR_BYTES + FINGERPRINT_BYTES) this.#writer.fingerprint();
    return this.#writer.finish();
  }

  #generation(): IceGeneration {
    let ufrag: string;
    do ufrag = iceText(this.#crypto.randomBytes(6));
    while (this.#byUfrag.has(ufrag));
    const pwd = iceText(this.#crypto.randomBytes(18));
    return { local: { ufrag, pwd }, key: shortTermKey(pwd), remote: undefined };
  }
}

/** Eight or twenty-four characters of ice-char (RFC 8839 5.4), which has no '-' and '_'. */
function iceText(bytes: Uint8Array): string {
  return base64url(bytes).replaceAll('-', '+').replaceAll('_', '/');
}

function generationOf(session: IceSession, ufrag: string): IceGeneration | undefined {
  if (session.current.local.ufrag === ufrag) return session.current;
  return session.previous?.local.ufrag === ufrag ? session.previous : undefined;
}

/**
 * The peer's ufrag is that of its description, any before the first one. With credentials of ours from before a restart it may be
 * the newest too: who leads a call may have told us as an offer what the peer has answered to those (RFC 3725).
 */
function mayCheck(session: IceSession, generation: IceGeneration, remoteUfrag: string): boolean {
  if (!generation.remote) return remoteUfrag !== '';
  if (remoteUfrag === generation.remote.ufrag) return true;
  return generation === session.previous && remoteUfrag === session.current.remote?.ufrag;
}

function sameCredentials(a: IceCredentials, b: IceCredentials): boolean {
  return a.ufrag === b.ufrag && a.pwd === b.pwd;
}

function forgetFlow(pair: IcePair, session: IceSession): void {
  if (pair.mux.flows.get(pair.remote) === session.transport.id) pair.mux.flows.delete(pair.remote);
}
