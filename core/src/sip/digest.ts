import { type Crypto, hex, utf8 } from '../base/index.ts';
import { endOfQuoted, isToken, quote, unquote } from './chars.ts';

export type DigestAlgorithm = 'MD5' | 'SHA-256';

const HASH = { MD5: 'md5', 'SHA-256': 'sha256' } as const;

/** The fields of a WWW-Authenticate value (RFC 7616 3.3, RFC 8760). */
export interface DigestChallenge {
  readonly realm: string;
  readonly nonce: string;
  readonly opaque?: string;
  /** As written; undefined means MD5. */
  readonly algorithm?: string;
  readonly qop: readonly string[];
  readonly stale: boolean;
}

/** The fields of an Authorization value (RFC 7616 3.4). */
export interface DigestAuthorization {
  readonly username: string;
  readonly realm: string;
  readonly nonce: string;
  readonly uri: string;
  readonly response: string;
  readonly algorithm?: string;
  readonly cnonce?: string;
  readonly opaque?: string;
  readonly qop?: string;
  /** Eight hexadecimal digits. */
  readonly nc?: string;
}

/** `Digest a=b, c="d"` as a map of lower-case names; undefined when it is another scheme, malformed, or names a field twice. */
function fieldsOf(value: string): Map<string, string> | undefined {
  const trimmed = value.trim();
  if (trimmed.length > 4096 || trimmed.slice(0, 7).toLowerCase() !== 'digest ') return undefined;
  const fields = new Map<string, string>();
  let at = 7;
  while (at < trimmed.length) {
    const c = trimmed.charCodeAt(at);
    if (c === 0x2c || c === 0x20 || c === 0x09) {
      at++;
      continue;
    }
    const equals = trimmed.indexOf('=', at);
    if (equals <= at) return undefined;
    const name = fieldName(trimmed, at, equals);
    const end = endOfValue(trimmed, equals + 1);
    if (name === undefined || fields.has(name) || fields.size > 32) return undefined;
    fields.set(name, unquote(trimmed.slice(equals + 1, end).trim()));
    at = end + 1;
  }
  return fields;
}

/** A token in lower case. Most are written so, with nothing around them. */
function fieldName(text: string, from: number, to: number): string | undefined {
  let isPlain = true;
  for (let i = from; i < to; i++) {
    const c = text.charCodeAt(i);
    if (c < 0x61 || c > 0x7a) isPlain = false;
  }
  const name = text.slice(from, to);
  if (isPlain) return name;
  const token = name.trim().toLowerCase();
  return isToken(token) ? token : undefined;
}

/** Where the comma after a value stands, or the end. */
function endOfValue(text: string, from: number): number {
  let at = from;
  while (at < text.length && text.charCodeAt(at) !== 0x2c) {
    if (text.charCodeAt(at) !== 0x22) {
      at++;
      continue;
    }
    const end = endOfQuoted(text, at);
    if (end < 0) return text.length;
    at = end;
  }
  return at;
}

/** A WWW-Authenticate or Proxy-Authenticate value, or undefined when it is no usable Digest challenge. */
export function parseChallenge(value: string): DigestChallenge | undefined {
  const f = fieldsOf(value);
  const realm = f?.get('realm');
  const nonce = f?.get('nonce');
  if (!f || realm === undefined || !nonce) return undefined;
  return {
    realm,
    nonce,
    opaque: f.get('opaque'),
    algorithm: f.get('algorithm'),
    qop: (f.get('qop') ?? '')
      .split(',')
      .map((q) => q.trim().toLowerCase())
      .filter((q) => q !== ''),
    stale: f.get('stale')?.toLowerCase() === 'true',
  };
}

/** An Authorization or Proxy-Authorization value, or undefined when it is no complete Digest answer. */
export function parseAuthorization(value: string): DigestAuthorization | undefined {
  const f = fieldsOf(value);
  if (!f) return undefined;
  const [username, realm, nonce, uri, response] = ['username', 'realm', 'nonce', 'uri', 'response'].map((name) =>
    f.get(name),
  );
  if (!username || realm === undefined || !nonce || !uri || !response) return undefined;
  const qop = f.get('qop')?.toLowerCase();
  const nc = f.get('nc');
  if (qop !== undefined && (!nc || !/^[0-9a-fA-F]{8}$/.test(nc) || !f.get('cnonce'))) return undefined;
  return {
    username,
    realm,
    nonce,
    uri,
    response,
    algorithm: f.get('algorithm'),
    cnonce: f.get('cnonce'),
    opaque: f.get('opaque'),
    qop,
    nc,
  };
}

/** H(user:realm:password) in lower-case hexadecimal, what a server stores instead of the password (RFC 7616 3.4.2). */
export function ha1(algorithm: DigestAlgorithm, user: string, realm: string, password: string, crypto: Crypto): string {
  return hex(crypto.hash(HASH[algorithm], utf8(`${user}:${realm}:${password}`)));
}

/** The `response` value (RFC 7616 3.4.1): with qop=auth when a qop is given, else the old form of RFC 2069. */
export function digestResponse(
  input: {
    algorithm: DigestAlgorithm;
    ha1: string;
    method: string;
    uri: string;
    nonce: string;
    nc?: string;
    cnonce?: string;
    qop?: string;
  },
  crypto: Crypto,
): string {
  const h = (data: string) => hex(crypto.hash(HASH[input.algorithm], utf8(data)));
  const ha2 = h(`${input.method}:${input.uri}`);
  return input.qop === undefined
    ? h(`${input.ha1}:${input.nonce}:${ha2}`)
    : h(`${input.ha1}:${input.nonce}:${input.nc}:${input.cnonce}:${input.qop}:${ha2}`);
}

/** A WWW-Authenticate value with exactly one challenge. */
export function writeChallenge(c: {
  realm: string;
  nonce: string;
  algorithm: DigestAlgorithm;
  stale?: boolean;
  opaque?: string;
}): string {
  const opaque = c.opaque === undefined ? '' : `, opaque=${quote(c.opaque)}`;
  return `Digest realm=${quote(c.realm)}, nonce=${quote(c.nonce)}${opaque}, algorithm=${c.algorithm}, qop="auth"${c.stale ? ', stale=true' : ''}`;
}

/** The Authorization value that answers a challenge, with qop=auth when it is offered. */
export function answerChallenge(
  input: { challenge: DigestChallenge; username: string; password: string; method: string; uri: string; nc?: number },
  crypto: Crypto,
): string | undefined {
  const { challenge: c, username, method, uri } = input;
  const algorithm = (c.algorithm ?? 'MD5').toUpperCase();
  if (algorithm !== 'MD5' && algorithm !== 'SHA-256') return undefined;
  const qop = c.qop.includes('auth') ? 'auth' : undefined;
  const nc = (input.nc ?? 1).toString(16).padStart(8, '0');
  const cnonce = hex(crypto.randomBytes(8));
  const key = ha1(algorithm, username, c.realm, input.password, crypto);
  const response = digestResponse({ algorithm, ha1: key, method, uri, nonce: c.nonce, nc, cnonce, qop }, crypto);
  const extra = qop === undefined ? '' : `, qop=auth, nc=${nc}, cnonce=${quote(cnonce)}`;
  const opaque = c.opaque === undefined ? '' : `, opaque=${quote(c.opaque)}`;
  return `Digest username=${quote(username)}, realm=${quote(c.realm)}, nonce=${quote(c.nonce)}, uri=${quote(uri)}, response="${response}", algorithm=${algorithm}${extra}${opaque}`;
}
