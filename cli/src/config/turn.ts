import { ipFamily } from '@offhook/core';
import { parsePeerRule } from './peers.ts';

/** What can be set of TURN; what each key means stands in config.schema.json. */
export interface TurnSettings {
  readonly enabled: boolean;
  readonly port: number;
  readonly tlsPort: number;
  readonly tcp: boolean;
  readonly tls: boolean;
  readonly workers: number | 'auto';
  readonly relayPorts: { readonly min: number; readonly max: number };
  readonly peers: 'relay' | 'public';
  readonly allowedPeers: readonly string[];
  readonly deniedPeers: readonly string[];
  /** One public address, or those of this host's addresses. */
  readonly external?: string | Readonly<Record<string, string>>;
  readonly sha256: boolean;
  readonly natDiscovery: boolean;
  readonly strictExpiry: boolean;
  readonly ipv6Addresses: readonly string[];
  readonly http?: string;
  readonly alternateServer?: string;
  readonly limits: Readonly<Record<TurnLimit, number>>;
  readonly gatherUs: number;
  readonly credentialTtlS: number;
}

export type TurnLimit =
  | 'allocationsPerUser'
  | 'allocations'
  | 'permissions'
  | 'channels'
  | 'unauthenticatedPerS'
  | 'bytesPerS'
  | 'packetsPerS'
  | 'userBytesPerS'
  | 'userPacketsPerS'
  | 'userRequestsPerS'
  | 'connections'
  | 'connectionsPerSource';

/** What a schema can't say of TURN, in words. */
export function turnProblems(turn: TurnSettings, host: HostSettings): string[] {
  const problems: string[] = [];
  for (const name of ['allowedPeers', 'deniedPeers'] as const) {
    for (const text of turn[name]) {
      const rule = parsePeerRule(text);
      if ('problem' in rule) problems.push(`turn.${name}: ${rule.problem}`);
    }
  }
  if (turn.peers === 'relay' && turn.deniedPeers.length > 0)
    problems.push(
      'turn.deniedPeers says nothing with turn.peers "relay", which lets clients reach only what is allowed: take "public"',
    );
  problems.push(...externalProblems(turn.external, host.hostAddresses));
  for (const name of ['alternateServer', 'http'] as const) {
    const text = turn[name];
    if (text !== undefined && parseSocketAddress(text) === undefined)
      problems.push(`turn.${name}: '${text}' is no address and port, as 192.0.2.7:3478 or [2001:db8::7]:3478`);
  }
  if (turn.tcp && turn.tls && turn.port > 0 && turn.port === turn.tlsPort)
    problems.push(
      `turn.port and turn.tlsPort are both ${turn.port}: TCP and TLS need a port each (or set turn.tcp or turn.tls to false)`,
    );
  for (const address of turn.ipv6Addresses) {
    if (ipFamily(address) !== 6) problems.push(`turn.ipv6Addresses: '${address}' is no IPv6 address`);
    else if (address === '::') problems.push("turn.ipv6Addresses: '::' can't be told to peers; name the addresses");
  }
  if (turn.natDiscovery) {
    const few = host.hostAddresses !== undefined && host.hostAddresses.length < 2;
    if (!host.public || few)
      problems.push('turn.natDiscovery needs public, and two addresses of this host (RFC 5780 6)');
    if (turn.port === 0 || turn.port === 65535)
      problems.push(`turn.natDiscovery needs turn.port and the port after it: 1 to 65534, not ${turn.port}`);
  }
  return problems;
}

/** What else of the configuration counts. */
interface HostSettings {
  readonly public: boolean;
  readonly hostAddresses?: readonly string[];
}

function externalProblems(external: TurnSettings['external'], own: readonly string[] | undefined): string[] {
  if (external === undefined) return [];
  if (typeof external === 'string')
    return ipFamily(external) === 4
      ? []
      : [`turn.external: '${external}' is no IPv4 address, and no { local: public } either`];
  return Object.entries(external).flatMap(([local, outer]) => {
    if (ipFamily(local) !== 4) return [`turn.external: '${local}' is no IPv4 address`];
    if (ipFamily(outer) !== 4) return [`turn.external of ${local}: '${outer}' is no IPv4 address`];
    if (own && !own.includes(local)) return [`turn.external: ${local} is none of hostAddresses`];
    return [];
  });
}

/** `192.0.2.7:3478` or `[2001:db8::7]:3478`. */
export function parseSocketAddress(text: string): { readonly address: string; readonly port: number } | undefined {
  const [, v6, v4, digits] = /^(?:\[([^\]]+)\]|([^:]+)):(\d{1,5})$/.exec(text) ?? [];
  const address = v6 ?? v4 ?? '';
  const port = Number(digits);
  return ipFamily(address) === (v6 === undefined ? 4 : 6) && port >= 1 && port <= 65535 ? { address, port } : undefined;
}
