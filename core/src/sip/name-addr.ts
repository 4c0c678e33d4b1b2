import { endOfQuoted, isTokenCode, quote, unquote } from './chars.ts';
import { SIP_LIMITS } from './limits.ts';
import { Params } from './params.ts';
import { parseUri, type SipUri } from './uri.ts';

/** `"Display" <sip:user@host;uri-param>;header-param`, the form of From, To, Contact, Route and others (RFC 3261 20.10). */
export class NameAddr {
  displayName: string | undefined;
  uri: SipUri;
  /** Header parameters, after the closing bracket. */
  params: Params;

  constructor(uri: SipUri, params: Params = new Params(), displayName?: string) {
    this.uri = uri;
    this.params = params;
    this.displayName = displayName;
  }

  get tag(): string | undefined {
    return this.params.get('tag');
  }

  clone(): NameAddr {
    return new NameAddr(this.uri.clone(), this.params.clone(), this.displayName);
  }

  toString(): string {
    const display = this.displayName === undefined || this.displayName === '' ? '' : `${quote(this.displayName)} `;
    return `${display}<${this.uri}>${this.params}`;
  }
}

/** Parses a name-addr or addr-spec with its parameters; undefined when malformed (an unbalanced quote or bracket too). */
export function parseNameAddr(source: string): NameAddr | undefined {
  const s = source.trim();
  let displayName: string | undefined;
  let at = 0;
  if (s[0] === '"') {
    at = endOfQuoted(s, 0);
    if (at < 0) return undefined;
    displayName = unquote(s.slice(0, at));
    while (s[at] === ' ' || s[at] === '\t') at++;
    if (s[at] !== '<') return undefined;
  } else {
    const open = s.indexOf('<');
    if (open >= 0) {
      // display-name = *(token LWS)
      for (let i = 0; i < open; i++) {
        const c = s.charCodeAt(i);
        if (!isTokenCode(c) && c !== 0x20 && c !== 0x09 && c < 128) return undefined;
      }
      displayName = s.slice(0, open).trim() || undefined;
      at = open;
    }
  }
  if (displayName !== undefined && displayName.length > SIP_LIMITS.displayName) return undefined;
  if (s[at] === '<') {
    const close = s.indexOf('>', at);
    if (close < 0) return undefined;
    const uri = parseUri(s.slice(at + 1, close).trim());
    const rest = s.slice(close + 1).trim();
    if (!uri || (rest !== '' && rest[0] !== ';')) return undefined;
    const params = Params.parse(rest);
    return params && checked(new NameAddr(uri, params, displayName));
  }
  // Without brackets the parameters belong to the header, and the URI can't hold comma, semicolon or question mark (20.10).
  const semicolon = s.indexOf(';');
  const bare = (semicolon < 0 ? s : s.slice(0, semicolon)).trim();
  if (bare.includes('?') || bare.includes(',')) return undefined;
  const uri = parseUri(bare);
  const params = Params.parse(semicolon < 0 ? '' : s.slice(semicolon));
  return uri && params && checked(new NameAddr(uri, params));
}

function checked(parsed: NameAddr): NameAddr | undefined {
  return (parsed.tag?.length ?? 0) > SIP_LIMITS.tag ? undefined : parsed;
}
