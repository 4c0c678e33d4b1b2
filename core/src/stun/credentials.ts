import { base64, type Crypto, utf8 } from '../base/index.ts';

/** The key of the long-term credential mechanism: MD5(user ":" realm ":" password) (RFC 8489 9.2.2). */
export function longTermKey(user: string, realm: string, password: string, crypto: Crypto): Uint8Array {
  return crypto.hash('md5', utf8(`${user}:${realm}:${password}`));
}

/** The same with PASSWORD-ALGORITHM SHA-256 (RFC 8489 9.2.2, 18.5.1.2). */
export function longTermKeySha256(user: string, realm: string, password: string, crypto: Crypto): Uint8Array {
  return crypto.hash('sha256', utf8(`${user}:${realm}:${password}`));
}

/** The key of the short-term mechanism, which ICE uses: the password itself (RFC 8489 9.1.1). */
export function shortTermKey(password: string): Uint8Array {
  return utf8(password);
}

/** A time-limited TURN user name: `<unix expiry>:<user>` (draft-uberti-behave-turn-rest-00 2.2, as coturn reads it). */
export function turnRestUsername(expiresAtUnixS: number, user: string): string {
  return `${Math.floor(expiresAtUnixS)}:${user}`;
}

/** Its password: base64(HMAC-SHA1(secret, username)). */
export function turnRestPassword(secret: string, username: string, crypto: Crypto): string {
  return base64(crypto.hmac('sha1', utf8(secret), utf8(username)));
}

/** USERHASH: SHA-256(user ":" realm) (RFC 8489 14.4). */
export function userHash(user: string, realm: string, crypto: Crypto): Uint8Array {
  return crypto.hash('sha256', utf8(`${user}:${realm}`));
}
