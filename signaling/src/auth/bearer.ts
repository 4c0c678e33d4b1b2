import { isLoopback, quote, type SipMessage } from '@offhook/core';
import type { Flow } from '../transaction/index.ts';
import type { Authentication } from './authenticator.ts';
import type { TokenCheck } from './jwt.ts';

export interface BearerOptions {
  /** Kinds of tokens, asked in turn. */
  readonly checks: readonly TokenCheck[];
  /** Where phones get tokens (RFC 8898 4); without it whose token is not good is challenged by digest. */
  readonly authzServer?: string;
  /** Phones that show nothing are asked for a token instead of a password, where tokens may travel. */
  readonly isAskedFor?: boolean;
}

/** Longer ones are not looked at. */
const LONGEST_TOKEN = 4096;
/** b64token of RFC 6750 2.1. */
const TOKEN = /^[A-Za-z0-9\-._~+/]+=*$/;

/**
 * Bearer tokens in place of digest (RFC 8898). Who has a token can use it, so it is taken over TLS, secure WebSockets and
 * loopback only: elsewhere it is refused unread, for others may know it now.
 */
export class Bearer {
  readonly counters = { accepted: 0, refused: 0, unencrypted: 0 };
  readonly #options: BearerOptions & { readonly realm: string; readonly isUser: (user: string) => boolean };
  readonly #nowS: () => number;

  /** @param nowS Unix seconds: tokens are older than this process. */
  constructor(options: BearerOptions & { realm: string; isUser: (user: string) => boolean }, nowS: () => number) {
    this.#options = options;
    this.#nowS = nowS;
  }

  /** Undefined when this request is for digest to judge. */
  authenticate(request: SipMessage, flow: Flow): Authentication | { kind: 'invalid'; why: string } | undefined {
    const given = request.headers('authorization').map((value) => value.trim());
    if (given.some((value) => /^digest\s/i.test(value))) return undefined;
    const credentials = given.find((value) => /^bearer(\s|$)/i.test(value));
    const isSafe = flow.transport === 'tls' || flow.transport === 'wss' || isLoopback(flow.remote.address);
    if (credentials === undefined) {
      const { isAskedFor } = this.#options;
      return isAskedFor && isSafe && given.length === 0 ? this.#challenge('no credentials were given') : undefined;
    }
    if (!isSafe) {
      this.counters.unencrypted++;
      const why = `a token that comes over ${flow.transport.toUpperCase()} may be known to others: use TLS or WSS, and another token`;
      return { kind: 'refused', status: 403, why };
    }
    const token = credentials.slice(6).trim();
    const verdict =
      token.length > LONGEST_TOKEN || !TOKEN.test(token) ? { problem: 'the token is malformed' } : this.#check(token);
    if ('user' in verdict) {
      this.counters.accepted++;
      return { kind: 'account', user: verdict.user };
    }
    this.counters.refused++;
    return this.#challenge(verdict.problem, 'invalid_token');
  }

  #check(token: string): { user: string } | { problem: string } {
    for (const check of this.#options.checks) {
      const verdict = check(token, this.#nowS());
      if (!verdict) continue;
      if ('user' in verdict && !this.#options.isUser(verdict.user))
        return { problem: 'the token is for no account here' };
      return verdict;
    }
    return { problem: 'the token is not good (any more)' };
  }

  /** One challenge for each answer: of two, many phones fail on both. */
  #challenge(why: string, error?: string): Authentication | { kind: 'invalid'; why: string } {
    const { authzServer, realm } = this.#options;
    if (authzServer === undefined) return { kind: 'invalid', why };
    const told = error === undefined ? '' : `, error="${error}", error_description=${quote(why)}`;
    const wwwAuthenticate = `Bearer realm=${quote(realm)}, authz_server=${quote(authzServer)}${told}`;
    return { kind: 'challenge', why, wwwAuthenticate };
  }
}
