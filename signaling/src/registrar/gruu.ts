import { base64url, type Crypto, Params, SipUri, unescapeUri, utf8 } from '@offhook/core';
import { bareInstance } from './binding.ts';

/** What a globally routable user agent URI means: one phone of one user (RFC 5627). */
export interface Gruu {
  readonly user: string;
  /** As in +sip.instance, without brackets. */
  readonly instance: string;
}

/** Temporary ones of one contact; a phone gets one with each refresh, and the oldest is given up then. */
const MAX_TEMPORARY = 64;
const TEMPORARY = 'tgruu.';
/** param-unreserved and unreserved (RFC 3261 25.1). */
const PARAM_SAFE = /[^A-Za-z0-9\-_.!~*'()[\]/:&+$]/gu;

/** The public one: the address of record and the instance, for as long as there is the account. */
export function publicGruu({ user, instance }: Gruu, domain: string): string {
  const escaped = bareInstance(instance).replace(PARAM_SAFE, (c) =>
    [...utf8(c)].map((b) => `%${b.toString(16).toUpperCase().padStart(2, '0')}`).join(''),
  );
  return new SipUri({ user, host: domain, params: new Params().set('gr', escaped) }).toString();
}

/** What a public one names. */
export function readPublicGruu(uri: SipUri): Gruu | undefined {
  const gr = uri.params.get('gr');
  const instance = gr === undefined || gr === '' ? undefined : unescapeUri(gr);
  return instance === undefined || uri.user === undefined ? undefined : { user: uri.user, instance };
}

interface Issued extends Gruu {
  readonly tokens: string[];
}

/**
 * The temporary ones: random names that say nothing of who is behind them, nor that two are of the same. All that a
 * contact was given are good until it is gone or its phone registers under another Call-ID (RFC 5627 3.2, 5.4): until then
 * somebody may call back.
 *
 *     sip:tgruu.<22 characters of 128 random bits>@domain;gr
 */
export class TemporaryGruus {
  readonly #crypto: Crypto;
  /** By the key of the contacts that they are of. */
  readonly #issued = new Map<string, Issued>();
  readonly #keys = new Map<string, string>();

  constructor(crypto: Crypto) {
    this.#crypto = crypto;
  }

  /** Those that are good. */
  get size(): number {
    return this.#keys.size;
  }

  /** One more for the contacts of that key. */
  issue(key: string, of: Gruu): void {
    const issued = this.#issued.get(key) ?? { ...of, tokens: [] };
    this.#issued.set(key, issued);
    const token = TEMPORARY + base64url(this.#crypto.randomBytes(16));
    issued.tokens.push(token);
    this.#keys.set(token, key);
    if (issued.tokens.length > MAX_TEMPORARY) this.#keys.delete(issued.tokens.shift()!);
  }

  /** The newest of a contact. */
  newest(key: string, domain: string): string | undefined {
    const token = this.#issued.get(key)?.tokens.at(-1);
    return token && new SipUri({ user: token, host: domain, params: new Params().set('gr') }).toString();
  }

  /** Whose it is. */
  resolve(token: string | undefined): Gruu | undefined {
    const issued = this.#issued.get(this.#keys.get(token ?? '') ?? '');
    return issued && { user: issued.user, instance: issued.instance };
  }

  drop(key: string): void {
    for (const token of this.#issued.get(key)?.tokens ?? []) this.#keys.delete(token);
    this.#issued.delete(key);
  }
}
