import { base64url, type Crypto, fromBase64, hex, text, utf8 } from '@offhook/core';
import type { Account } from '../store/index.ts';

export const SESSION_LIFETIME_S = 12 * 3600;
const LOGIN_LIFETIME_S = 24 * 3600;
const MAX_LOGIN_TOKENS = 1000;
const MAX_REVOKED = 10_000;

/**
 * Sessions of browsers. A session is a signed statement of user and expiry, so it survives a restart of the server and
 * costs no memory; the signature covers the account's digest too, so a new password or a removed account ends it.
 * Signing out is remembered until the session would have ended (and forgotten by a restart). Times are Unix seconds:
 * the browser keeps a session longer than a process lives.
 */
export class Sessions {
  readonly #crypto: Crypto;
  readonly #secret: Uint8Array;
  readonly #account: (user: string) => Account | undefined;
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

  start(user: string, nowS: number): { session: string; expiresAt: number } {
    const expiresAt = nowS + SESSION_LIFETIME_S;
    const body = base64url(utf8(JSON.stringify([user, expiresAt, hex(this.#crypto.randomBytes(8))])));
    return { session: `${body}.${this.#sign(body, this.#account(user)?.ha1Sha256 ?? '')}`, expiresAt };
  }

  /** The account that a session speaks for, or undefined. */
  check(session: string, nowS: number): Account | undefined {
    if (session.length > 512) return undefined;
    const [body, signature, ...more] = session.split('.');
    if (!body || !signature || more.length > 0) return undefined;
    const content = parse(body);
    const account = content && this.#account(content.user);
    if (!account || !this.#crypto.equal(utf8(signature), utf8(this.#sign(body, account.ha1Sha256)))) return undefined;
    return content.expiresAt >= nowS && !this.#revoked.has(this.#hash(session)) ? account : undefined;
  }

  end(session: string, nowS: number): void {
    for (const [key, expiresAt] of this.#revoked) if (expiresAt < nowS) this.#revoked.delete(key);
    if (this.#revoked.size >= MAX_REVOKED) this.#revoked.delete(this.#revoked.keys().next().value!);
    if (this.check(session, nowS)) this.#revoked.set(this.#hash(session), nowS + SESSION_LIFETIME_S);
  }

  #hash(secret: string): string {
    return hex(this.#crypto.hash('sha256', utf8(secret)));
  }

  #sign(body: string, digest: string): string {
    return base64url(this.#crypto.hmac('sha256', this.#secret, utf8(`${body}.${digest}`)));
  }
}

function parse(body: string): { user: string; expiresAt: number } | undefined {
  try {
    const value: unknown = JSON.parse(text(fromBase64(body) ?? new Uint8Array(0)));
    if (!Array.isArray(value)) return undefined;
    const [user, expiresAt] = value as unknown[];
    return typeof user === 'string' && typeof expiresAt === 'number' ? { user, expiresAt } : undefined;
  } catch {
    return undefined;
  }
}
