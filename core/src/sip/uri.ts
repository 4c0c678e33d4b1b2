import { text, utf8 } from '../base/index.ts';
import { parseDecimal } from './chars.ts';
import { SIP_LIMITS } from './limits.ts';
import { Params } from './params.ts';

/** A SIP or SIPS URI (RFC 3261 19.1); of any other scheme only `scheme` and `opaque` are known. */
export class SipUri {
  scheme: string;
  /** Unescaped. Compare case-sensitively. */
  user: string | undefined;
  password: string | undefined;
  /** Lower case; IPv6 without brackets. */
  host: string;
  port: number | undefined;
  params: Params;
  /** `a=b&c=d` after the question mark, as it stands. */
  headers: string | undefined;
  /** The part after the colon for schemes other than sip and sips. */
  opaque: string | undefined;

  constructor(parts: {
    scheme?: string;
    user?: string;
    password?: string;
    host: string;
    port?: number;
    params?: Params;
    headers?: string;
    opaque?: string;
  }) {
    this.scheme = parts.scheme ?? 'sip';
    this.user = parts.user;
    this.password = parts.password;
    this.host = parts.host;
    this.port = parts.port;
    this.params = parts.params ?? new Params();
    this.headers = parts.headers;
    this.opaque = parts.opaque;
  }

  get isSip(): boolean {
    return this.scheme === 'sip' || this.scheme === 'sips';
  }

  clone(): SipUri {
    return new SipUri({ ...this, params: this.params.clone() } as SipUri);
  }

  toString(): string {
    if (this.opaque !== undefined) return `${this.scheme}:${this.opaque}`;
    const user =
      this.user === undefined
        ? ''
        : `${escapeUser(this.user)}${this.password === undefined ? '' : `:${this.password}`}@`;
    const host = this.host.includes(':') ? `[${this.host}]` : this.host;
    const port = this.port === undefined ? '' : `:${this.port}`;
    const headers = this.headers === undefined ? '' : `?${this.headers}`;
    return `${this.scheme}:${user}${host}${port}${this.params}${headers}`;
  }
}

const USER_SAFE = new Uint8Array(128);
for (const c of "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.!~*'()&=+$,;?/")
  USER_SAFE[c.charCodeAt(0)] = 1;

function escapeUser(user: string): string {
  let out = '';
  for (const b of utf8(user))
    out +=
      b < 128 && USER_SAFE[b] === 1 ? String.fromCharCode(b) : `%${b < 16 ? '0' : ''}${b.toString(16).toUpperCase()}`;
  return out;
}

/** Undoes %HH escapes; undefined when one is malformed. */
export function unescapeUri(escaped: string): string | undefined {
  if (!escaped.includes('%')) return escaped;
  const bytes = utf8(escaped);
  const out = new Uint8Array(bytes.length);
  let n = 0;
  for (let i = 0; i < bytes.length; i++) {
    if (bytes[i] !== 0x25) {
      out[n++] = bytes[i]!;
      continue;
    }
    const high = hexDigit(bytes[i + 1]);
    const low = hexDigit(bytes[i + 2]);
    if (high < 0 || low < 0) return undefined;
    out[n++] = high * 16 + low;
    i += 2;
  }
  return text(out.subarray(0, n));
}

function hexDigit(code: number | undefined): number {
  if (code === undefined) return -1;
  if (code >= 48 && code <= 57) return code - 48;
  const upper = code & 0xdf;
  return upper >= 65 && upper <= 70 ? upper - 55 : -1;
}

/** Parses a URI; undefined when it is malformed, has white space, or is longer than the limit. */
export function parseUri(source: string): SipUri | undefined {
  if (source.length > SIP_LIMITS.uri) return undefined;
  const colon = source.indexOf(':');
  if (colon < 1) return undefined;
  for (let i = 0; i < source.length; i++) {
    const c = source.charCodeAt(i);
    if (c <= 0x20 || c === 0x7f || c === 0x3c || c === 0x3e || c === 0x22) return undefined;
  }
  const isPlain = colon === 3 && source.startsWith('sip');
  const scheme = isPlain ? 'sip' : source.slice(0, colon).toLowerCase();
  if (!isPlain && !isScheme(scheme)) return undefined;
  const rest = source.slice(colon + 1);
  if (scheme !== 'sip' && scheme !== 'sips')
    return rest === '' ? undefined : new SipUri({ scheme, host: '', opaque: rest });

  // userinfo may hold ; and ? but hostport, parameters and headers hold no @ (RFC 3261 25.1).
  const at = rest.lastIndexOf('@');
  let user: string | undefined;
  let password: string | undefined;
  if (at >= 0) {
    const info = rest.slice(0, at);
    const mark = info.indexOf(':');
    user = unescapeUri(mark < 0 ? info : info.slice(0, mark));
    password = mark < 0 ? undefined : info.slice(mark + 1);
    if (!user || info.includes('@')) return undefined;
  }
  let tail = rest.slice(at + 1);
  let headers: string | undefined;
  const question = tail.indexOf('?');
  if (question >= 0) {
    headers = tail.slice(question + 1);
    tail = tail.slice(0, question);
  }
  const semicolon = tail.indexOf(';');
  const hostport = parseHostPort(semicolon < 0 ? tail : tail.slice(0, semicolon));
  const params = Params.parse(semicolon < 0 ? '' : tail.slice(semicolon));
  if (!hostport || !params) return undefined;
  // RFC 3261's grammar writes an IPv4 address within an IPv6 one after three colons; two are meant (RFC 5118 4.10).
  if (hostport.host.includes(':::')) hostport.host = hostport.host.replace(/:::(?=\d+\.\d+\.\d+\.\d+$)/, '::');
  const { host, port } = hostport;
  return new SipUri({ scheme, user, password, host, port, params, headers });
}

function isScheme(scheme: string): boolean {
  if (scheme.charCodeAt(0) < 97 || scheme.charCodeAt(0) > 122) return false;
  for (let i = 1; i < scheme.length; i++) {
    const c = scheme.charCodeAt(i);
    if (!((c >= 97 && c <= 122) || (c >= 48 && c <= 57) || c === 0x2b || c === 0x2d || c === 0x2e)) return false;
  }
  return true;
}

/** `host`, `host:port`, `[v6]:port`. The host comes back in lower case and without brackets. */
export function parseHostPort(source: string): { host: string; port: number | undefined } | undefined {
  let host: string;
  let rest: string;
  let isLower = true;
  if (source[0] === '[') {
    isLower = false;
    const close = source.indexOf(']');
    if (close < 3) return undefined;
    host = source.slice(1, close);
    rest = source.slice(close + 1);
    for (let i = 0; i < host.length; i++) if (!'0123456789abcdefABCDEF:.'.includes(host[i]!)) return undefined;
  } else {
    const colon = source.indexOf(':');
    host = colon < 0 ? source : source.slice(0, colon);
    rest = colon < 0 ? '' : source.slice(colon);
    if (host === '' || host.length > 255) return undefined;
    for (let i = 0; i < host.length; i++) {
      const c = host.charCodeAt(i);
      const fine =
        (c >= 48 && c <= 57) || (c >= 65 && c <= 90) || (c >= 97 && c <= 122) || c === 0x2d || c === 0x2e || c === 0x5f;
      if (!fine) return undefined;
      if (c >= 65 && c <= 90) isLower = false;
    }
  }
  if (!isLower) host = host.toLowerCase();
  if (rest === '') return { host, port: undefined };
  const port = rest[0] === ':' ? parseDecimal(rest.slice(1), 65_535) : undefined;
  return port === undefined ? undefined : { host, port };
}
