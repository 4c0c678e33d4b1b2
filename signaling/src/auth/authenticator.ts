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
import { LONGEST_USER, Lockout } from './lockout.ts';
import { Nonces } from './nonce.ts';

export interface AuthenticatorOptions {
  readonly realm: string;
  readonly crypto: Crypto;
  readonly account: (user: string) => Account | undefined;
  /** Whether a host means this server: some phones (SIPp) sign our address alone instead of their request's URI. */
  readonly isLocal?: (host: string) => boolean;
  /** MD5 unless every phone is known to understand SHA-256: one challenge a request, and many know MD5 only. */
  readonly algorithm?: DigestAlgorithm;
  readonly nonceLifetimeMs?: number;
  /** Keeps nonces of an earlier process recognisable; random when not given. */
  readonly nonceSecret?: string;
}

/** Who a request is from, or the challenge to answer it with, or how long to wait after too many failures. */
export type Authentication =
  | { readonly kind: 'account'; readonly user: string }
  | { readonly kind: 'challenge'; readonly wwwAuthenticate: string; readonly why: string }
  | { readonly kind: 'locked'; readonly retryAfterS: number };

/** Digest authentication of requests (RFC 3261 22, RFC 8760): stateless until a password was right. */
export class Authenticator {
  readonly counters = { accepted: 0, challenged: 0, wrongPassword: 0, stale: 0, replayed: 0, locked: 0 };
  readonly #options: AuthenticatorOptions;
  readonly #algorithm: DigestAlgorithm;
  readonly #nonces: Nonces;
  readonly #lockout = new Lockout();
  /** The digest that unknown users are checked against, so that they cost as much as known ones. */
  readonly #dummy: string;

  constructor(options: AuthenticatorOptions) {
    this.#options = options;
    this.#algorithm = options.algorithm ?? 'MD5';
    this.#nonces = new Nonces(options.crypto, {
      secret: options.nonceSecret,
      lifetimeMs: options.nonceLifetimeMs,
    });
    this.#dummy = '0'.repeat(this.#algorithm === 'MD5' ? 32 : 64);
  }

  /**
   * Whether a request carries a nonce that was made for its source, so that its sender has received something there. It
   * costs one HMAC, and says nothing of the password.
   */
  showsNonce(request: SipMessage, address: string, nowMs: number): boolean {
    const answer = this.#credentials(request).find((a) => a.realm === this.#options.realm);
    return answer !== undefined && this.#nonces.check(answer.nonce, address, nowMs) !== 'unknown';
  }

  authenticate(request: SipMessage, address: string, nowMs: number): Authentication {
    const given = this.#credentials(request);
    const answer = given.find((a) => a.realm === this.#options.realm);
    if (!answer)
      return this.#challenge(
        address,
        nowMs,
        given.length > 0 ? 'the credentials are for another realm' : 'no credentials were given',
      );
    if (answer.username.length > LONGEST_USER) {
      this.counters.wrongPassword++;
      return this.#challenge(address, nowMs, 'user name or password is wrong');
    }
    const wait = this.#lockout.remainingMs(answer.username, address, nowMs);
    if (wait > 0) {
      this.counters.locked++;
      return { kind: 'locked', retryAfterS: Math.ceil(wait / 1000) };
    }
    const state = this.#nonces.check(answer.nonce, address, nowMs);
    if (state === 'unknown') return this.#challenge(address, nowMs, 'the nonce is not ours');
    if (!this.#isRight(answer, request)) {
      this.counters.wrongPassword++;
      this.#lockout.failed(answer.username, address, nowMs);
      return this.#challenge(address, nowMs, 'user name or password is wrong');
    }
    if (state === 'stale') {
      this.counters.stale++;
      return this.#challenge(address, nowMs, 'the nonce is stale', true);
    }
    if (!this.#nonces.use(answer.username, answer.nonce, Number.parseInt(answer.nc ?? '0', 16), nowMs)) {
      this.counters.replayed++;
      return this.#challenge(address, nowMs, 'the credentials were used before', true);
    }
    this.#lockout.succeeded(answer.username, address);
    this.counters.accepted++;
    return { kind: 'account', user: answer.username };
  }

  #credentials(request: SipMessage): DigestAuthorization[] {
    return request.headers('authorization').flatMap((value) => parseAuthorization(value) ?? []);
  }

  #challenge(address: string, nowMs: number, why: string, stale = false): Authentication {
    this.counters.challenged++;
    const nonce = this.#nonces.make(address, nowMs);
    return {
      kind: 'challenge',
      why,
      wwwAuthenticate: writeChallenge({ realm: this.#options.realm, nonce, algorithm: this.#algorithm, stale }),
    };
  }

  /** The work is the same for unknown users and for answers that are wrong in other ways. */
  #isRight(answer: DigestAuthorization, request: SipMessage): boolean {
    const { crypto, account } = this.#options;
    const known = account(answer.username);
    const ha1 = known ? (this.#algorithm === 'MD5' ? known.ha1Md5 : known.ha1Sha256) : this.#dummy;
    const expected = digestResponse({ ...answer, algorithm: this.#algorithm, ha1, method: request.method }, crypto);
    const same = crypto.equal(utf8(expected), utf8(answer.response.toLowerCase()));
    const algorithm = (answer.algorithm ?? 'MD5').toUpperCase();
    return (
      same &&
      known !== undefined &&
      answer.qop === 'auth' &&
      algorithm === this.#algorithm &&
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
