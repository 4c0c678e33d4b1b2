import { isToken, parseDecimal } from './chars.ts';
import { SIP_LIMITS } from './limits.ts';
import { Params } from './params.ts';
import { parseHostPort } from './uri.ts';

/** The prefix that marks branches unique by RFC 3261 8.1.1.7. */
export const BRANCH_COOKIE = 'z9hG4bK';

/** One Via value (RFC 3261 20.42), `SIP/2.0/UDP host:port;branch=…`. */
export class Via {
  /** As written: UDP, TCP, TLS, WS, WSS … */
  transport: string;
  host: string;
  port: number | undefined;
  params: Params;

  constructor(transport: string, host: string, port: number | undefined, params: Params) {
    this.transport = transport;
    this.host = host;
    this.port = port;
    this.params = params;
  }

  get branch(): string {
    return this.params.get('branch') ?? '';
  }

  /** true: the sender asks for it (RFC 3581); a number: it has been filled in. */
  get rport(): number | true | undefined {
    const value = this.params.get('rport');
    if (value === undefined) return undefined;
    return value === '' ? true : parseDecimal(value, 65_535);
  }

  get received(): string | undefined {
    return this.params.get('received');
  }

  get sentBy(): string {
    const host = this.host.includes(':') ? `[${this.host}]` : this.host;
    return this.port === undefined ? host : `${host}:${this.port}`;
  }

  toString(): string {
    return `SIP/2.0/${this.transport} ${this.sentBy}${this.params}`;
  }
}

/** Parses one Via value; undefined when malformed or of another protocol version. */
export function parseVia(source: string): Via | undefined {
  const semicolon = source.indexOf(';');
  const head = (semicolon < 0 ? source : source.slice(0, semicolon)).trim();
  // SLASH may have white space around it (RFC 3261 25.1), and so may the colon before the port.
  const slash1 = head.indexOf('/');
  const slash2 = head.indexOf('/', slash1 + 1);
  if (slash1 < 0 || slash2 < 0) return undefined;
  if (head.slice(0, slash1).trim().toUpperCase() !== 'SIP' || head.slice(slash1 + 1, slash2).trim() !== '2.0')
    return undefined;
  const rest = head.slice(slash2 + 1).trim();
  let end = 0;
  while (end < rest.length && rest[end] !== ' ' && rest[end] !== '\t') end++;
  const transport = rest.slice(0, end);
  if (!isToken(transport)) return undefined;
  const hostport = parseHostPort(rest.slice(end).replaceAll(' ', '').replaceAll('\t', ''));
  const params = Params.parse(semicolon < 0 ? '' : source.slice(semicolon));
  if (!hostport || !params || (params.get('branch')?.length ?? 0) > SIP_LIMITS.branch) return undefined;
  return new Via(transport, hostport.host, hostport.port, params);
}
