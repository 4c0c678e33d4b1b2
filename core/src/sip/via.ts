import { isToken, parseDecimal } from './chars.ts';
import { SIP_LIMITS } from './limits.ts';
import { Params } from './params.ts';
import { parseHostPort } from './uri.ts';

/** The prefix that marks branches unique by RFC 3261 8.1.1.7. */
export const BRANCH_COOKIE = 'z9hG4bK';

/** One Via value (RFC 3261 20.42), `SIP/2.0/UDP host:port;branch=…`. */
export class Via {
  /** Name and version, `SIP/2.0` but in messages of another version, which still have to be answered (RFC 3261 8.2). */
  protocol = 'SIP/2.0';
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

  /** Without the brackets that some put around an IPv6 address; both forms are to be understood (RFC 5118 4.5). */
  get received(): string | undefined {
    const value = this.params.get('received');
    return value?.[0] === '[' && value.endsWith(']') ? value.slice(1, -1) : value;
  }

  get sentBy(): string {
    const host = this.host.includes(':') ? `[${this.host}]` : this.host;
    return this.port === undefined ? host : `${host}:${this.port}`;
  }

  toString(): string {
    return `${this.protocol}/${this.transport} ${this.sentBy}${this.params}`;
  }
}

/** Parses one Via value, of any protocol and version; undefined when malformed. */
export function parseVia(source: string): Via | undefined {
  const semicolon = source.indexOf(';');
  const head = (semicolon < 0 ? source : source.slice(0, semicolon)).trim();
  // SLASH may have white space around it (RFC 3261 25.1), and so may the colon before the port.
  const slash1 = head.indexOf('/');
  const slash2 = head.indexOf('/', slash1 + 1);
  if (slash1 < 0 || slash2 < 0) return undefined;
  const name = head.slice(0, slash1).trim();
  const version = head.slice(slash1 + 1, slash2).trim();
  const usual = version === '2.0' && name.toUpperCase() === 'SIP';
  if (!usual && !(isToken(name) && isToken(version))) return undefined;
  const rest = head.slice(slash2 + 1).trim();
  let end = 0;
  while (end < rest.length && rest[end] !== ' ' && rest[end] !== '\t') end++;
  const transport = rest.slice(0, end);
  if (!isToken(transport)) return undefined;
  let sentBy = rest.slice(end + 1);
  if (sentBy.includes(' ') || sentBy.includes('\t')) sentBy = sentBy.replaceAll(' ', '').replaceAll('\t', '');
  const hostport = parseHostPort(sentBy);
  const params = Params.parse(semicolon < 0 ? '' : source.slice(semicolon));
  if (!hostport || !params || (params.get('branch')?.length ?? 0) > SIP_LIMITS.branch) return undefined;
  const via = new Via(transport, hostport.host, hostport.port, params);
  if (!usual) via.protocol = `${name}/${version}`;
  return via;
}
