import { domainToASCII } from 'node:url';
import { ipFamily } from '@offhook/core';

export const SCHEMES = ['udp', 'tcp', 'tls', 'ws', 'wss'] as const;
export type Scheme = (typeof SCHEMES)[number];

/** Where `offhook echo listen` listens unless told otherwise. */
export const DEFAULT_PORTS: Readonly<Record<Scheme, number>> = { udp: 7007, tcp: 7007, tls: 7008, ws: 7080, wss: 7443 };

/** What an echo is asked of. */
export interface EchoTarget {
  readonly scheme: Scheme;
  /** A name or an address, without brackets. */
  readonly host: string;
  readonly port: number;
  /** Path and query of a WebSocket, `/` at least; empty for the others. */
  readonly path: string;
}

const MAX_URL = 2048;
const WS_PORTS: Partial<Readonly<Record<Scheme, number>>> = { ws: 80, wss: 443 }; // RFC 6455 3

/** Reads a URL like `udp://host:port` or `wss://[::1]:7443/path`; what is wrong with it, in words, otherwise. */
export function parseEchoUrl(text: string): EchoTarget | string {
  if (text.length > MAX_URL) return `the URL is too long (${text.length} characters, ${MAX_URL} at most)`;
  const [, kind, rest] = /^([a-z][a-z0-9+.-]*):\/\/(.*)$/is.exec(text) ?? [];
  if (kind === undefined || rest === undefined)
    return `'${text}' does not say over what: one of ${SCHEMES.map((one) => `${one}://`).join(' ')}, as in udp://${/^[\w.:[\]-]+$/.test(text) ? text : 'host:7007'}`;
  const scheme = kind.toLowerCase();
  if (!isScheme(scheme))
    return `${scheme}:// is not one of ${SCHEMES.map((one) => `${one}://`).join(' ')}${near(scheme)}`;
  const [, authority = '', tail = ''] = /^([^/?#]*)(.*)$/s.exec(rest) ?? [];
  if (authority.includes('@')) return `'${text}': an echo needs no user name; leave out what stands before the @`;
  const at = splitHost(authority);
  if (typeof at === 'string') return `'${text}': ${at}`;
  const isWeb = scheme === 'ws' || scheme === 'wss';
  if (!isWeb && tail !== '' && tail !== '/') return `'${text}': ${scheme}:// has no path; end after the port`;
  const path = tail.replace(/#.*$/s, '');
  if (!/^[\x21-\x7e]*$/.test(path))
    return `'${text}': in the path, blanks and other letters are written as %20 and alike`;
  const port = at.port ?? WS_PORTS[scheme];
  if (port === undefined)
    return `'${text}' lacks the port: ${scheme}://${authority}:${DEFAULT_PORTS[scheme]} is that of 'offhook echo listen'${scheme === 'tls' ? '' : ', 7 that of RFC 862'}`;
  return { scheme, host: at.host, port, path: isWeb ? (path.startsWith('/') ? path : `/${path}`) : '' };
}

/** As it can be given again. */
export function urlOf({ scheme, host, port, path }: EchoTarget): string {
  return `${scheme}://${host.includes(':') ? `[${host}]` : host}:${port}${path === '/' ? '' : path}`;
}

interface HostPort {
  readonly host: string;
  readonly port: number | undefined;
}

/** `host`, `host:port`, `[v6]`, `[v6]:port`; words when it is none of them. */
export function splitHost(authority: string): HostPort | string {
  const bracketed = /^\[([^\]]*)\](?::(.*))?$/s.exec(authority);
  if (bracketed) {
    const address = bracketed[1]!;
    // A zone (RFC 6874) says over which interface a link-local address is meant.
    if (ipFamily(address.replace(/%(25)?[\w.-]+$/, '')) !== 6) return `'${address}' is no IPv6 address`;
    return withPort(address.replace(/%25/, '%'), bracketed[2]);
  }
  if (authority.split(':').length > 2) return `an IPv6 address stands in brackets: [${authority}] or [::1]:7007`;
  const [host = '', port] = authority.split(':');
  if (host === '') return 'it names no host';
  if (/^[\d.]+$/.test(host) && ipFamily(host) !== 4) return `'${host}' is no IPv4 address`;
  const ascii = domainToASCII(host);
  if (!/^(?=.{1,253}$)[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*\.?$/i.test(ascii)) return `'${host}' is no host name`;
  return withPort(ascii, port);
}

function withPort(host: string, text: string | undefined): HostPort | string {
  if (text === undefined) return { host, port: undefined };
  const port = /^\d{1,5}$/.test(text) ? Number(text) : -1;
  return port < 1 || port > 65535 ? `'${text}' is no port (1–65535)` : { host, port };
}

function isScheme(text: string): text is Scheme {
  return (SCHEMES as readonly string[]).includes(text);
}

function near(scheme: string): string {
  const meant: Readonly<Record<string, string>> = { http: 'ws', https: 'wss', sip: 'udp', sips: 'tls', ssl: 'tls' };
  const one = meant[scheme];
  return one === undefined ? '' : `; did you mean ${one}://?`;
}
