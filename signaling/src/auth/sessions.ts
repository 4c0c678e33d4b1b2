import { base64url, type Crypto, fromBase64, hex, text, utf8 } from '@offhook/core';
import type { Account } from '../store/index.ts';
import type { TokenCheck } from './jwt.ts';

export const SESSION_LIFETIME_S = 12 * 3600;
/** However often a session is renewed: after so long its owner signs in again. */
export const FAMILY_LIFETIME_S = 30 * 86_400;
const LOGIN_LIFETIME_S = 24 * 3600;
const MAX_LOGIN_TOKENS = 1000;
const MAX_REVOKED = 10_000;

/** What a session says, its signature being good. */
export interface Session {
  readonly account: Account;
  /** The same in all that were renewed from one sign-in. */
  readonly family: string;
  readonly expiresAt: number;
}

/** A session as its owner gets it. */
export interface NewSession {
  readonly session: string;
  readonly family: string;
  readonly expiresAt: number;
}

/**
 * Sessions of browsers. A session is a signed statement of user, expiry and family, so it survives a restart of the
 * server and costs no memory; the signature covers the account's digest too, so a new password or a removed account
 * ends it. Renewed ones are of the family of the first; signing out ends the family, and is remembered until its newest
 * session would have ended (and forgotten by a restart). Times are Unix seconds: the browser keeps a session longer than
 * a process lives.
 *
 *     base64url(JSON [user, expiry, family, end of the family, salt]) "." base64url(HMAC-SHA256)
 */
export class Sessions {
  readonly #crypto: Crypto;
  readonly #secret: Uint8Array;
  readonly #account: (user: string) => Account | undefined;
  /** Families that were signed out, until when that has to be known. */
  readonly #revoked = new Map<string, number>();
  /** One-time login tokens: hash → user and expiry. */
  readonly #tokens = new Map<string, { user: string; expiresAt: number }>();

  constructor(options: { crypto: Crypto; secret: string; account: (user: string) => Account | undefined }) {
    this.#crypto = options.crypto;
    this.#secret = utf8(options.secret);
    this.#account = options.account;
  }

  /** A token for a login link, good once within a day. */
  makeLoginToken(user: string, nowS: number): string {
    const token = base64url(this.#crypto.randomBytes(24));
    for (const [key, { expiresAt }] of this.#tokens) if (expiresAt < nowS) this.#tokens.delete(key);
    if (this.#tokens.size >= MAX_LOGIN_TOKENS) this.#tokens.delete(this.#tokens.keys().next().value!);
    this.#tokens.set(this.#hash(token), { user, expiresAt: nowS + LOGIN_LIFETIME_S });
    return token;
  }

  /** The user of a login token, which is used up by this. */
  takeLoginToken(token: string, nowS: number): string | undefined {
    const key = this.#hash(token);
    const entry = this.#tokens.get(key);
    this.#tokens.delete(key);
    return entry && entry.expiresAt >= nowS && this.#account(entry.user) ? entry.user : undefined;
  }

  start(user: string, nowS: number): NewSession {
    return this.#make(user, { family: this.#random(), endsAt: nowS + FAMILY_LIFETIME_S }, nowS);
  }

  /** A further session of the same family, or undefined when this one is not good (any more). */
  renew(session: string, nowS: number): NewSession | undefined {
    const read = this.#read(session, nowS);
    return read && this.#make(read.account.user, read, nowS);
  }

  /** What a session speaks for, or undefined. */
  check(session: string, nowS: number): Session | undefined {
    return this.#read(session, nowS);
  }

  /** Sessions as bearer tokens of SIP requests (RFC 8898); a login token, which is good once, is none. */
  readonly asToken: TokenCheck = (token, nowS) => {
    const session = this.#read(token, nowS);
    return session && { user: session.account.user };
  };

  /** Ends that session and all of its family; the family, or undefined when the session was not good. */
  end(session: string, nowS: number): string | undefined {
    const read = this.#read(session, nowS);
    if (!read) return undefined;
    for (const [key, until] of this.#revoked) if (until < nowS) this.#revoked.delete(key);
    if (this.#revoked.size >= MAX_REVOKED) this.#revoked.delete(this.#revoked.keys().next().value!);
    this.#revoked.set(read.family, nowS + SESSION_LIFETIME_S);
    return read.family;
  }

  #make(user: string, of: { readonly family: string; readonly endsAt: number }, nowS: number): NewSession {
    const { family, endsAt } = of;
    const expiresAt = Math.min(nowS + SESSION_LIFETIME_S, endsAt);
    const body = base64url(utf8(JSON.stringify([user, expiresAt, family, endsAt, this.#random()])));
    return { session: `${body}.${this.#sign(body, this.#account(user)?.ha1Sha256 ?? '')}`, family, expiresAt };
  }

  #read(session: string, nowS: number): (Session & { readonly endsAt: number }) | undefined {
    if (session.length > 512) return undefined;
    const [body, signature, ...more] = session.split('.');
    if (!body || !signature || more.length > 0) return undefined;
    const content = parse(body);
    const account = content && this.#account(content.user);
    if (!account || !this.#crypto.equal(utf8(signature), utf8(this.#sign(body, account.ha1Sha256)))) return undefined;
    const { family, expiresAt, endsAt } = content;
    return expiresAt >= nowS && !this.#revoked.has(family) ? { account, family, expiresAt, endsAt } : undefined;
  }

  #random(): string {
    return hex(this.#crypto.randomBytes(8));
  }

  #hash(secret: string): string {
    return hex(this.#crypto.hash('sha256', utf8(secret)));
  }

  #sign(body: string, digest: string): string {
    return base64url(this.#crypto.hmac('sha256', this.#secret, utf8(`${body}.${digest}`)));
  }
}

interface Content {
  readonly user: string;
  readonly expiresAt: number;
  readonly family: string;
  readonly endsAt: number;
}

function parse(body: string): Content | undefined {
  try {
    const value: unknown = JSON.parse(text(fromBase64(body) ?? new Uint8Array(0)));
    if (!Array.isArray(value)) return undefined;
    const [user, expiresAt, family, endsAt] = value as unknown[];
    if (typeof user !== 'string' || typeof family !== 'string') return undefined;
    if (typeof expiresAt !== 'number' || typeof endsAt !== 'number') return undefined;
    return { user, expiresAt, family, endsAt };
  } catch {
    return undefined;
  }
}
