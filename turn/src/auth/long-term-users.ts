import { type Crypto, hex, longTermKey, longTermKeySha256, userHash } from '@offhook/core';

/** A stored user: the keys of both password algorithms (RFC 8489 18.5.1), no password. Hexadecimal. */
export interface LongTermUser {
  readonly name: string;
  readonly md5: string;
  /** Missing where only the MD5 key was handed over, as in coturn's `user=name:0x…`: then SHA-256 is not to be had. */
  readonly sha256?: string;
}

/** The keys of a user, from the password. */
export function longTermUser(name: string, realm: string, password: string, crypto: Crypto): LongTermUser {
  return {
    name,
    md5: hex(longTermKey(name, realm, password, crypto)),
    sha256: hex(longTermKeySha256(name, realm, password, crypto)),
  };
}

/** What is wrong with a user's name, in words, or undefined. A name like `1700000000:…` would be a time-limited one. */
export function userNameProblem(name: unknown): string | undefined {
  if (typeof name !== 'string' || name === '') return 'a user needs a name';
  if (new TextEncoder().encode(name).length > 508) return 'a user name has at most 508 bytes (RFC 8489 14.3)';
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for
  if (/[\u0000-\u001f\u007f]/.test(name)) return 'a user name has no control characters';
  if (/^\d+(:|$)/.test(name)) return `'${name}' looks like a time-limited user name; let it begin with a letter`;
  return undefined;
}

/** Users with keys that don't expire, found by name or by USERHASH. */
export class LongTermUsers {
  readonly #byName = new Map<string, LongTermUser>();
  readonly #byHash = new Map<string, LongTermUser>();

  constructor(users: readonly LongTermUser[], realm: string, crypto: Crypto) {
    for (const user of users) {
      this.#byName.set(user.name, user);
      this.#byHash.set(hex(userHash(user.name, realm, crypto)), user);
    }
  }

  get size(): number {
    return this.#byName.size;
  }

  byName(name: string): LongTermUser | undefined {
    return this.#byName.get(name);
  }

  /** @param hash the value of USERHASH (RFC 8489 14.4) */
  byHash(hash: Uint8Array): LongTermUser | undefined {
    return this.#byHash.get(hex(hash));
  }
}
