import { ipFamily, parseUri, type SipUri, socketKey } from '@offhook/core';

export type HopTransport = 'udp' | 'tcp' | 'tls';

/** One place that a request can be sent to, the result of RFC 3263. */
export interface Hop {
  readonly transport: HopTransport;
  readonly address: string;
  readonly port: number;
  /** Who the certificate has to be for: the domain of the URI, whatever DNS leads to (RFC 5922 7.1). */
  readonly name: string;
  /** What a person knows the address by: the target of the SRV record, or the address itself. */
  readonly host: string;
}

/** How a server outside proves who it is, and we to it, over TLS. */
export interface TlsPeer {
  /** PEM file of those who may have signed its certificate; without it, the authorities that Node trusts. */
  readonly caPath?: string;
  /** PEM files of the certificate that we show when asked; both or none. */
  readonly certPath?: string;
  readonly keyPath?: string;
  /**
   * `full` (the default): signed by a trusted authority, and for the domain called · `authority`: for whatever name ·
   * `none`: encrypted, but perhaps to somebody else.
   */
  readonly verify?: 'full' | 'authority' | 'none';
}

/** What a URI asks for, before any look-up (RFC 3263 4). */
export interface Target {
  /** "TARGET": the maddr parameter, else the host. A name in lower case without its last dot, or an address. */
  readonly host: string;
  readonly isNumeric: boolean;
  readonly port: number | undefined;
  /** Undefined when the URI leaves it open. */
  readonly transport: HopTransport | undefined;
  /** Nothing unencrypted will do. */
  readonly isSecure: boolean;
  readonly name: string;
}

export const DEFAULT_PORT: Readonly<Record<HopTransport, number>> = { udp: 5060, tcp: 5060, tls: 5061 };

/** `sip1.example.org:5060`, `[2001:db8::1]:5061`: for sentences. */
export function hopLabel({ host, port }: Hop): string {
  return socketKey({ address: host, port });
}

export function hopKey({ transport, address, port, name }: Hop): string {
  return `${transport} ${socketKey({ address, port })}${transport === 'tls' ? ` ${name}` : ''}`;
}

/** What a URI asks for, or why nothing can be sent to it, in words. */
export function targetOf(source: string): Target | { readonly error: string } {
  const uri = parseUri(source);
  if (!uri) return { error: 'this is no URI that can be read' };
  if (!uri.isSip) return { error: `a SIP address is wanted, not one that begins with ${uri.scheme}:` };
  const name = plainHost(uri.host);
  const host = plainHost(uri.params.get('maddr') ?? uri.host);
  const isNumeric = ipFamily(host) !== undefined;
  if (!isNumeric && !isLookupName(host)) return { error: `'${host.slice(0, 80)}' is neither a name nor an address` };
  if (isNumeric && !isUnicast(host)) return { error: `${host} is nobody's address` };
  if (uri.port === 0) return { error: 'nothing can be sent to port 0' };
  const transport = transportOf(uri);
  if (transport !== undefined && typeof transport !== 'string') return transport;
  const isSecure = uri.scheme === 'sips' || transport === 'tls';
  return { host, isNumeric, port: uri.port, transport, isSecure, name };
}

/** "If the URI specifies a transport protocol in the transport parameter, that transport protocol SHOULD be used." (4.1) */
function transportOf(uri: SipUri): HopTransport | { readonly error: string } | undefined {
  const wanted = uri.params.get('transport')?.toLowerCase();
  const isSips = uri.scheme === 'sips';
  switch (wanted) {
    case undefined:
      return undefined;
    case 'tcp':
      return isSips ? 'tls' : 'tcp'; // RFC 3261 26.2.2: sips over TCP is TLS
    case 'tls':
      return 'tls';
    case 'udp':
      return isSips ? { error: 'sips: and transport=udp exclude each other: TLS runs over TCP' } : 'udp';
    default:
      return { error: `transport=${wanted.slice(0, 20)} is not one to reach other servers by: udp, tcp or tls` };
  }
}

/** Without brackets and without the dot that ends a full name. */
function plainHost(host: string): string {
  return host
    .replace(/^\[(.*)\]$/, '$1')
    .replace(/\.$/, '')
    .toLowerCase();
}

/** Whether DNS can be asked for a name: labels of 1 to 63, 253 in all (RFC 1035 2.3.4); SRV names have underscores. */
export function isLookupName(name: string): boolean {
  return name.length <= 253 && /^[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*$/.test(name) && !/^[0-9.]+$/.test(name);
}

/** Whether an address is that of one machine: neither all (0.0.0.0, ::), nor many (multicast, broadcast). */
export function isUnicast(address: string): boolean {
  const first = Number.parseInt(address, 10);
  if (ipFamily(address) === 4) return first !== 0 && first < 224;
  return ipFamily(address) === 6 && !/^(ff|[0:]+$)/i.test(address);
}
