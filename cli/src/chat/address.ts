import { NameAddr, parseUri, SipUri } from '@offhook/core';

/** Longest name that is taken for one, from the keyboard and from outside. */
const MAX_NAME = 128;

/** Users that are shown as they are; others keep the escapes of their URI, so that none can look like a line of ours. */
const PLAIN = /^[\p{L}\p{N}\p{M}._~+*#$&=!'-]+$/u;

/** A person's address as SIP and as it is shown: of our own domain by the user's name alone. */
export class Person {
  readonly uri: SipUri;
  /** `bob`, or `bob@example.org` when the domain is another one. */
  readonly name: string;

  constructor(uri: SipUri, domain: string) {
    const { user, host, port } = uri;
    this.uri = new SipUri({ scheme: uri.scheme, user, host, port });
    const at = this.uri.toString().slice(uri.scheme.length + 1);
    this.name = host === domain && port === undefined && user !== undefined && PLAIN.test(user) ? user : at;
  }

  /** `<sip:bob@example.org>` */
  get address(): string {
    return new NameAddr(this.uri).toString();
  }
}

/** What a person types: `bob`, `bob@example.org`, `sip:bob@example.org`; undefined when it is no address. */
export function parsePerson(typed: string, domain: string): Person | undefined {
  const text = typed.trim();
  if (text === '' || text.length > MAX_NAME || /[\s<>"]/.test(text)) return undefined;
  const hasScheme = /^sips?:/i.test(text);
  if (!hasScheme && !text.includes('@')) {
    if (text.includes(':')) return undefined; // tel: and the like, or a host with its port
    const uri = parseUri(`sip:${domainHost(domain)}`);
    if (!uri) return undefined;
    uri.user = text;
    return new Person(uri, domain);
  }
  const uri = parseUri(hasScheme ? text : `sip:${text}`);
  return uri?.isSip && uri.user !== undefined ? new Person(uri, domain) : undefined;
}

/** A domain as it stands in a URI: IPv6 in brackets. */
export function domainHost(domain: string): string {
  return domain.includes(':') ? `[${domain}]` : domain;
}
