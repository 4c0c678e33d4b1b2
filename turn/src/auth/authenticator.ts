import {
  type Crypto,
  fromHex,
  longTermKey,
  longTermKeySha256,
  PASSWORD_ALGORITHMS,
  PasswordAlgorithm,
  type PasswordAlgorithmValue,
  passwordAlgorithm,
  type SecurityFeatures,
  StunAttribute,
  type StunMessage,
} from '@offhook/core';
import { type LongTermUser, LongTermUsers } from './long-term-users.ts';
import { Nonces } from './nonce.ts';
import { RestCredentials } from './rest-credentials.ts';
import { isSignedWith, type Signature } from './signature.ts';

/** Longest user name that is read, bytes (RFC 8489 14.3). */
const MAX_USERNAME = 763;

export interface AuthenticatorOptions {
  readonly realm: string;
  readonly secrets: readonly string[];
  readonly users: readonly LongTermUser[];
  /** A time-limited name that has expired refreshes nothing any more. */
  readonly strictExpiry: boolean;
  /** Offer PASSWORD-ALGORITHMS. */
  readonly sha256: boolean;
  /** 32 bytes: makes the nonces. */
  readonly nonceKey: Uint8Array;
  readonly crypto: Crypto;
}

/** Whom a 5-tuple belongs to: that user's key stays good beyond the expiry of a time-limited name. */
export interface KnownOwner {
  readonly username: string;
  readonly signature: Signature;
}

export type Authentication =
  | { readonly kind: 'authentic'; readonly username: string; readonly signature: Signature }
  /** `isOwner`: it is signed with the key of the allocation on this 5-tuple all the same. */
  | { readonly kind: 'refused'; readonly code: 400 | 401 | 438; readonly isOwner: boolean };

const BAD_REQUEST: Authentication = { kind: 'refused', code: 400, isOwner: false };
const UNAUTHENTICATED: Authentication = { kind: 'refused', code: 401, isOwner: false };
const STALE_NONCE: Authentication = { kind: 'refused', code: 438, isOwner: false };
const STALE_NONCE_OF_OWNER: Authentication = { kind: 'refused', code: 438, isOwner: true };

/**
 * The long-term credential mechanism (RFC 8489 9.2.4) with time-limited and stored users; immutable, a reload makes another.
 * The nonce is looked at before user and integrity, as RFC 5389 had it: whoever hasn't shown that he hears our answers
 * costs one HMAC and learns nothing of users.
 */
export class Authenticator {
  readonly nonces: Nonces;
  /** The value of PASSWORD-ALGORITHMS in challenges, where there is one. */
  readonly passwordAlgorithms: Uint8Array | undefined;
  readonly realm: string;
  readonly #options: AuthenticatorOptions;
  readonly #rest: RestCredentials;
  readonly #users: LongTermUsers;

  constructor(options: AuthenticatorOptions) {
    const { secrets, users, realm, crypto, sha256, nonceKey } = options;
    this.#options = options;
    this.realm = realm;
    this.#rest = new RestCredentials(secrets, crypto);
    this.#users = new LongTermUsers(users, realm, crypto);
    // A client that is told of anonymity must send USERHASH, and a time-limited name can't be found by its hash.
    const features: SecurityFeatures = {
      passwordAlgorithms: sha256,
      usernameAnonymity: sha256 && secrets.length === 0 && users.length > 0,
    };
    this.nonces = new Nonces(nonceKey, features, crypto);
    this.passwordAlgorithms = sha256 ? PASSWORD_ALGORITHMS : undefined;
  }

  /** @param client the client's address and port as text; @param owner of the allocation on this 5-tuple */
  authenticate(message: StunMessage, client: string, wallMs: number, owner: KnownOwner | undefined): Authentication {
    // "If the message does not contain a MESSAGE-INTEGRITY or MESSAGE-INTEGRITY-SHA256 attribute … 401"
    if (!message.hasIntegrity && !message.hasIntegritySha256) return UNAUTHENTICATED;
    // "… but is missing either the USERNAME or USERHASH, REALM, or NONCE attribute … 400"
    const hasName = message.has(StunAttribute.username) || message.has(StunAttribute.userhash);
    const nonce = message.text(StunAttribute.nonce);
    const realm = message.text(StunAttribute.realm);
    if (!hasName || nonce === undefined || realm === undefined) return BAD_REQUEST;
    // "If the NONCE is no longer valid … 438 (Stale Nonce)"
    if (!this.nonces.check(nonce, client, wallMs)) {
      return owner && isSignedWith(message, owner.signature.key, this.#options.crypto)
        ? STALE_NONCE_OF_OWNER
        : STALE_NONCE;
    }
    const chosen = this.#chosenAlgorithm(message);
    if (chosen === undefined) return BAD_REQUEST;
    // "If the value of the USERNAME or USERHASH attribute is not valid … 401", and if the integrity does not match
    const username = realm === this.realm ? this.#username(message) : undefined;
    if (username === undefined) return UNAUTHENTICATED;
    const { algorithm, attribute } = chosen;
    const { crypto } = this.#options;
    const mayUseOwn = !this.#options.strictExpiry || !this.#rest.hasExpired(username, wallMs);
    const isSame = owner?.username === username && owner.signature.attribute === attribute;
    const known = isSame && mayUseOwn ? [owner.signature.key] : [];
    for (const key of known) {
      if (isSignedWith(message, key, crypto)) return { kind: 'authentic', username, signature: { key, attribute } };
    }
    const key = this.#keys(username, algorithm, wallMs).find((one) => isSignedWith(message, one, crypto));
    return key ? { kind: 'authentic', username, signature: { key, attribute } } : UNAUTHENTICATED;
  }

  /** Whether the secrets and users of now still make that key, whatever the time. */
  isStillGood({ username, signature }: KnownOwner): boolean {
    const { crypto } = this.#options;
    const algorithms = [PasswordAlgorithm.md5, PasswordAlgorithm.sha256];
    const keys = algorithms.flatMap((algorithm) => this.#keys(username, algorithm, Number.NEGATIVE_INFINITY));
    return keys.some((key) => crypto.equal(key, signature.key));
  }

  /**
   * Which algorithm makes the key, and which attribute signs the answer: MESSAGE-INTEGRITY-SHA256 "unless the request was
   * processed as though PASSWORD-ALGORITHM was MD5". Undefined = 400: somebody on the way has taken our offer out.
   */
  #chosenAlgorithm(
    message: StunMessage,
  ): { readonly algorithm: PasswordAlgorithmValue; readonly attribute: Signature['attribute'] } | undefined {
    const list = message.attribute(StunAttribute.passwordAlgorithms);
    const one = message.attribute(StunAttribute.passwordAlgorithm);
    if (!list && !one) return { algorithm: PasswordAlgorithm.md5, attribute: 'sha1' };
    if (!list || !one || !this.passwordAlgorithms) return undefined;
    const isOurs =
      list.length === this.passwordAlgorithms.length && list.every((b, i) => b === this.passwordAlgorithms![i]);
    const algorithm = passwordAlgorithm(one);
    return isOurs && algorithm !== undefined ? { algorithm, attribute: 'sha256' } : undefined;
  }

  #username(message: StunMessage): string | undefined {
    const hash = message.attribute(StunAttribute.userhash);
    if (hash && !message.has(StunAttribute.username)) return this.#users.byHash(hash)?.name;
    const value = message.attribute(StunAttribute.username);
    return value && value.length <= MAX_USERNAME ? message.text(StunAttribute.username) : undefined;
  }

  #keys(username: string, algorithm: PasswordAlgorithmValue, wallMs: number): Uint8Array[] {
    const { realm, crypto } = this.#options;
    const stored = this.#users.byName(username);
    if (stored) {
      const digits = algorithm === PasswordAlgorithm.md5 ? stored.md5 : stored.sha256;
      const key = digits === undefined ? undefined : fromHex(digits);
      return key ? [key] : [];
    }
    const toKey = algorithm === PasswordAlgorithm.md5 ? longTermKey : longTermKeySha256;
    return this.#rest.passwords(username, wallMs).map((password) => toKey(username, realm, password, crypto));
  }
}
