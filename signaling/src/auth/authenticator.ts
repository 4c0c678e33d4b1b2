import {
  type Crypto,
  type DigestAlgorithm,
  type DigestAuthorization,
  digestResponse,
  parseAuthorization,
  parseUri,
  type SipMessage,
  utf8,
  writeChallenge,
} from '@offhook/core';
import type { Account } from '../store/index.ts';
import type { SipTransportName } from '../transaction/index.ts';
import { LONGEST_USER, Lockout } from './lockout.ts';
import { Nonces } from './nonce.ts';

/** One digest algorithm for all listeners, or one for each of some of them; MD5 for the rest. */
export type DigestSetting = DigestAlgorithm | Readonly<Partial<Record<SipTransportName, DigestAlgorithm>>>;

/** Where a request came from. */
export interface Source {
  readonly address: string;
  readonly transport: SipTransportName;
}

export interface AuthenticatorOptions {
  readonly realm: string;
  readonly crypto: Crypto;
  readonly account: (user: string) => Account | undefined;
  /** Whether a host means this server: some phones (SIPp) sign our address alone instead of their request's URI. */
  readonly isLocal?: (host: string) => boolean;
  /**
   * For accounts that have none of their own, by transport if need be. MD5 unless every phone is known to understand
   * SHA-256: one challenge a request, and many know MD5 only.
   */
  readonly algorithm?: DigestSetting;
  /** Addresses that are slowed down, but not shut out, after wrong passwords. */
  readonly isNear?: (address: string) => boolean;
  readonly nonceLifetimeMs?: number;
  /** Keeps nonces of an earlier process recognisable; random when not given. */
  readonly nonceSecret?: string;
  /** Told of wrong passwords. Only sources that were shown to receive what is sent to them get that far. */
  readonly onWrongPassword?: (user: string, from: Source) => void;
}

/** Who a request is from, or the challenge to answer it with, or how long to wait after too many failures. */
export type Authentication =
  | { readonly kind: 'account'; readonly user: string }
  | {
      readonly kind: 'challenge';
      readonly wwwAuthenticate: string;
      readonly why: string;
      /** A wrong password was tried by somebody who receives what is sent to its source. */
      readonly isGuess?: true;
    }
  | { readonly kind: 'refused'; readonly status: number; readonly why: string }
  | { readonly kind: 'locked'; readonly retryAfterS: number };

/** 401 with one way to authenticate. */
export type Challenge = Extract<Authentication, { kind: 'challenge' }>;

/** Digest authentication of requests (RFC 3261 22, RFC 8760): stateless until a password was right. */
export class Authenticator {
  readonly counters = { accepted: 0, challenged: 0, wrongPassword: 0, stale: 0, replayed: 0, locked: 0 };
  readonly #options: AuthenticatorOptions;
  readonly #nonces: Nonces;
  readonly #lockout: Lockout;
  #read: { readonly request: SipMessage; readonly answers: readonly DigestAuthorization[] } | undefined;

  constructor(options: AuthenticatorOptions) {
    this.#options = options;
    this.#lockout = new Lockout(options.isNear);
    this.#nonces = new Nonces(options.crypto, {
      secret: options.nonceSecret,
      lifetimeMs: options.nonceLifetimeMs,
    });
  }

  /** Used nonces that are remembered. */
  get noncesUsed(): number {
    return this.#nonces.used;
  }

  /**
   * Whether a request carries a nonce that was made for its source, so that its sender has received something there. It
   * costs one HMAC, and says nothing of the password.
   */
  showsNonce(request: SipMessage, address: string, nowMs: number): boolean {
    const answer = this.#credentials(request).find((a) => a.realm === this.#options.realm);
    return answer !== undefined && this.#nonces.check(answer.nonce, address, nowMs) !== 'unknown';
  }

  authenticate(request: SipMessage, from: Source, nowMs: number): Authentication {
    const { address } = from;
    const given = this.#credentials(request);
    const answer = given.find((a) => a.realm === this.#options.realm);
    if (!answer)
      return this.challenge(
        request,
        from,
        nowMs,
        given.length > 0 ? 'the credentials are for another realm' : 'no credentials were given',
      );
    if (answer.username.length > LONGEST_USER) {
      this.counters.wrongPassword++;
      return this.challenge(request, from, nowMs, 'user name or password is wrong');
    }
    const wait = this.#lockout.remainingMs(answer.username, address, nowMs);
    if (wait > 0) {
      this.counters.locked++;
      return { kind: 'locked', retryAfterS: Math.ceil(wait / 1000) };
    }
    const state = this.#nonces.check(answer.nonce, address, nowMs);
    if (state === 'unknown') return this.challenge(request, from, nowMs, 'the nonce is not ours');
    if (!this.#isRight(answer, request, from)) {
      this.counters.wrongPassword++;
      this.#lockout.failed(answer.username, address, nowMs);
      this.#options.onWrongPassword?.(answer.username, from);
      return { ...this.challenge(request, from, nowMs, 'user name or password is wrong'), isGuess: true };
    }
    if (state === 'stale') {
      this.counters.stale++;
      return this.#again(request, from, nowMs, 'the nonce is stale');
    }
    if (!this.#nonces.use(answer.username, answer.nonce, Number.parseInt(answer.nc ?? '0', 16), nowMs)) {
      this.counters.replayed++;
      return this.#again(request, from, nowMs, 'the credentials were used before');
    }
    this.#lockout.succeeded(answer.username, address);
    this.counters.accepted++;
    return { kind: 'account', user: answer.username };
  }

  /** Asked for twice in a row: by `showsNonce`, and to authenticate. */
  #credentials(request: SipMessage): readonly DigestAuthorization[] {
    if (this.#read?.request !== request) {
      const answers = request.headers('authorization').flatMap((value) => parseAuthorization(value) ?? []);
      this.#read = { request, answers };
    }
    return this.#read.answers;
  }

  /** Asks for a password. */
  challenge(request: SipMessage, from: Source, nowMs: number, why: string): Challenge {
    return this.#ask(request, from, nowMs, { why, stale: false });
  }

  /** The password was right, but what it was mixed with is not good any more: no person has to be asked. */
  #again(request: SipMessage, from: Source, nowMs: number, why: string): Authentication {
    return this.#ask(request, from, nowMs, { why, stale: true });
  }

  /** Who asks is not known yet: the algorithm is that of who the request says it is from. */
  #ask(request: SipMessage, from: Source, nowMs: number, how: { why: string; stale: boolean }): Challenge {
    this.counters.challenged++;
    const { realm } = this.#options;
    const { user } = request.method === 'REGISTER' ? request.to.uri : request.from.uri;
    const mayBeKnown = user !== undefined && user.length <= LONGEST_USER;
    const algorithm = this.#algorithmOf(mayBeKnown ? this.#options.account(user) : undefined, from);
    const id = `${request.callId} ${request.cseq.number} ${request.vias[0]?.branch} ${from.address}`;
    const nonce = this.#nonces.make(from.address, nowMs, id);
    const wwwAuthenticate = writeChallenge({ realm, nonce, algorithm, stale: how.stale });
    return { kind: 'challenge', why: how.why, wwwAuthenticate };
  }

  /** An account's own, else the listener's; unknown users have the listener's. */
  #algorithmOf(known: Account | undefined, { transport }: Source): DigestAlgorithm {
    const { algorithm } = this.#options;
    return known?.digest ?? (typeof algorithm === 'object' ? algorithm[transport] : algorithm) ?? 'MD5';
  }

  /** The work is the same for unknown users and for answers that are wrong in other ways. */
  #isRight(answer: DigestAuthorization, request: SipMessage, from: Source): boolean {
    const { crypto, account } = this.#options;
    const known = account(answer.username);
    const algorithm = this.#algorithmOf(known, from);
    const ha1 = algorithm === 'MD5' ? (known?.ha1Md5 ?? '0'.repeat(32)) : (known?.ha1Sha256 ?? '0'.repeat(64));
    const expected = digestResponse({ ...answer, algorithm, ha1, method: request.method }, crypto);
    const same = crypto.equal(utf8(expected), utf8(answer.response.toLowerCase()));
    return (
      same &&
      known !== undefined &&
      answer.qop === 'auth' &&
      (answer.algorithm ?? 'MD5').toUpperCase() === algorithm &&
      sameTarget(answer.uri, request.uri, this.#options.isLocal)
    );
  }
}

/**
 * The digest must be for the resource of the request, but phones disagree on parameters and ports, and some sign the
 * server they talk to, without a user (RFC 3261 22.4 item 6 leaves "the same resource" to the server).
 */
function sameTarget(signed: string, requested: string, isLocal: ((host: string) => boolean) | undefined): boolean {
  if (signed === requested) return true;
  const a = parseUri(signed);
  const b = parseUri(requested);
  if (a === undefined || b === undefined) return false;
  return (a.user === b.user && a.host === b.host) || (a.user === undefined && a.isSip && (isLocal?.(a.host) ?? false));
}
