import { join } from 'node:path';
import type { SocketAddress } from '@offhook/core';
import { DEFAULT_LIMITS, MAX_LIFETIME_S } from '../limits.ts';
import { confLine } from './conf-line.ts';
import { peerLines } from './peer-lines.ts';
import {
  COTURN_PORT,
  COTURN_RELAY_PORTS,
  COTURN_TLS_PORT,
  type CoturnSettings,
  type CoturnVersion,
} from './settings.ts';

export interface CoturnConf {
  readonly text: string;
  /** What coturn can't be told, or does otherwise; in the text as comments. */
  readonly notes: readonly string[];
}

/** Hardening that newer versions have by themselves: their option is gone, or without effect. */
const OLD_HARDENING = [
  ...['no-tlsv1', 'no-tlsv1_1', 'no-dtls', 'no-rfc5780', 'no-stun-backward-compatibility'],
  ...['response-origin-only-with-rfc5780', 'no-software-attribute', 'no-cli'],
];

/** A coturn.conf for the service that these settings, which have to be without problems, make of our own server. */
export function writeCoturnConf(settings: CoturnSettings, version: CoturnVersion): CoturnConf {
  const notes: string[] = [];
  const sections: readonly (readonly [string, readonly string[]])[] = [
    ['Where clients come', listenLines(settings, version, notes)],
    ['Relayed addresses', relayLines(settings, notes)],
    ['Who is let in', credentialLines(settings, notes)],
    ['Certificate; after a renewal: kill -USR2', tlsLines(settings, notes)],
    ['Hardening', hardeningLines(settings, version)],
    ['Limits; max-bps is bytes per second, per client and direction', limitLines(settings, version, notes)],
    ['Peers: what is allowed wins over what is denied', rulesOf(settings, version, notes)],
    ['How it runs', runLines(settings, version, notes)],
  ];
  const head = [
    `# coturn ${version === '4.6' ? '4.6' : 'from 4.17 on'}, for the same service as Offhook's TURN server.`,
    '# Comments stand on lines of their own: coturn reads one behind a value as a part of it.',
    ...(notes.length > 0 ? ['#', '# What coturn can’t be told, or does otherwise:'] : []),
    ...notes.map((note) => `# - ${note}`),
  ];
  const body = sections.flatMap(([title, lines]) => (lines.length === 0 ? [] : ['', `# ${title}`, ...lines]));
  return { text: `${[...head, ...body].join('\n')}\n`, notes };
}

function listenLines(settings: CoturnSettings, version: CoturnVersion, notes: string[]): string[] {
  const { listen, natDiscovery } = settings;
  const plain = [...listen.udp, ...listen.tcp];
  const ports = distinct(listen.udp.length > 0 ? listen.udp : listen.tcp, ({ port }) => port);
  const addresses = distinct([...plain, ...listen.tls], ({ address }) => address);
  const [port, second] = ports;
  const wanted = natDiscovery ? 2 : 1;
  if (ports.length > wanted || listen.tcp.some((at) => at.port !== port))
    notes.push(`coturn has one port for UDP and TCP: ${port || COTURN_PORT}`);
  if (distinct(listen.tls, (at) => at.port).length > 1) notes.push('coturn has one port for TLS: the first');
  const sets = [listen.udp, listen.tcp, listen.tls].filter((list) => list.length > 0);
  if (sets.some((list) => addresses.some((address) => !list.some((at) => at.address === address))))
    notes.push('coturn listens at each listening-ip with all that is on');
  if ([...plain, ...listen.tls].some((at) => at.port === 0))
    notes.push(`a port that may be any has to be a number for coturn: ${COTURN_PORT}, for TLS ${COTURN_TLS_PORT}`);
  // without a line coturn takes all addresses
  const named = addresses.filter((address) => address !== '0.0.0.0' && address !== '::');
  const lines = named.map((address) => `listening-ip=${address}`);
  if (plain.length > 0) lines.push(`listening-port=${port || COTURN_PORT}`);
  if (natDiscovery && second !== undefined) {
    if (version === '4.17') lines.push('rfc5780');
    lines.push(`alt-listening-port=${second}`);
  }
  if (listen.tls.length > 0) lines.push(`tls-listening-port=${listen.tls[0]!.port || COTURN_TLS_PORT}`);
  for (const kind of ['udp', 'tcp', 'tls'] as const) if (listen[kind].length === 0) lines.push(`no-${kind}`);
  return lines;
}

function relayLines({ relay }: CoturnSettings, notes: string[]): string[] {
  const { addresses, portMin, portMax } = relay;
  if (portMin === 0)
    notes.push(`relayed ports that may be any are ${COTURN_RELAY_PORTS.min}–${COTURN_RELAY_PORTS.max} with coturn`);
  return [
    ...addresses.map(({ address }) => `relay-ip=${address}`),
    ...addresses.flatMap(({ address, external }) =>
      external === undefined ? [] : `external-ip=${external}/${address}`,
    ),
    `min-port=${portMin || COTURN_RELAY_PORTS.min}`,
    `max-port=${portMax || COTURN_RELAY_PORTS.max}`,
  ];
}

function credentialLines({ realm, secrets, users = [], usersFile }: CoturnSettings, notes: string[]): string[] {
  const lines = written([['realm', realm]], notes);
  if (secrets.length > 0) {
    if (users.length > 0 || usersFile !== undefined)
      notes.push('coturn takes no long-term users beside use-auth-secret, so there are none here');
    return [
      ...lines,
      'use-auth-secret',
      ...written(
        secrets.map((secret) => ['static-auth-secret', secret]),
        notes,
      ),
    ];
  }
  if (users.length === 0) notes.push('nobody is let in: there is neither static-auth-secret nor user');
  const words = users.map((user) => [
    'user',
    'key' in user ? `${user.name}:0x${user.key}` : `${user.name}:${user.password}`,
  ]);
  return [...lines, 'lt-cred-mech', ...written(words as [string, string][], notes)];
}

function tlsLines({ listen, tls }: CoturnSettings, notes: string[]): string[] {
  if (listen.tls.length === 0 || !tls) return [];
  const cert = tls.cert ?? join(tls.folder, 'server.pem');
  const key = tls.key ?? join(tls.folder, 'server.key');
  return written(
    [
      ['cert', cert],
      ['pkey', key],
    ],
    notes,
  );
}

function hardeningLines({ natDiscovery }: CoturnSettings, version: CoturnVersion): string[] {
  const old = OLD_HARDENING.filter((line) => !(natDiscovery && line === 'no-rfc5780'));
  return [
    'stale-nonce=600',
    `max-allocate-lifetime=${MAX_LIFETIME_S}`,
    'no-tcp-relay',
    'no-multicast-peers',
    ...(version === '4.6' ? old : ['unauthorized-ratelimit']),
  ];
}

function limitLines({ limits = {} }: CoturnSettings, version: CoturnVersion, notes: string[]): string[] {
  const { allocationsPerUser, allocations, bytesPerS, unauthenticatedPerS } = { ...DEFAULT_LIMITS, ...limits };
  const told = [
    'allocationsPerUser',
    'allocations',
    'bytesPerS',
    ...(version === '4.17' ? ['unauthenticatedPerS'] : []),
  ];
  const untold = Object.keys(DEFAULT_LIMITS).filter((name) => !told.includes(name));
  notes.push(`limits that coturn has not: ${untold.join(', ')}`);
  notes.push(`permissions of an allocation: ${version === '4.6' ? 'coturn has no limit' : 'coturn’s limit is 1024'}`);
  return [
    `user-quota=${allocationsPerUser}`,
    `total-quota=${allocations}`,
    `max-bps=${bytesPerS}`,
    ...(version === '4.17' ? [`unauthorized-ratelimit-rps=${unauthenticatedPerS}`] : []),
  ];
}

function rulesOf(settings: CoturnSettings, version: CoturnVersion, notes: string[]): readonly string[] {
  const rules = peerLines(settings, version);
  notes.push(...rules.notes);
  return rules.lines;
}

function runLines(settings: CoturnSettings, version: CoturnVersion, notes: string[]): string[] {
  const { workers, nonceSecret, alternateServer, sha256 } = settings;
  if (alternateServer) notes.push('alternate-server would send all clients away at once, so it is left out');
  if (sha256) notes.push('coturn signs with SHA-1 only');
  const lines = ['syslog'];
  if (workers !== undefined) lines.push(`relay-threads=${workers}`);
  if (nonceSecret === undefined) return lines;
  if (version === '4.17') return [...lines, ...written([['stateless-nonce-secret', nonceSecret]], notes)];
  notes.push('stateless-nonce-secret: coturn 4.6 keeps each client’s nonce itself');
  return lines;
}

/** Lines with values that come from people. */
function written(pairs: readonly (readonly [string, string])[], notes: string[]): string[] {
  return pairs.flatMap(([key, value]) => {
    const line = confLine(key, value);
    if (line === undefined)
      notes.push(`${key}: a value holds a line end or another control character, and is left out`);
    return line ?? [];
  });
}

function distinct<T>(list: readonly SocketAddress[], of: (at: SocketAddress) => T): T[] {
  return [...new Set(list.map(of))];
}
