import { isIP } from 'node:net';
import { isLoopback } from '@offhook/core';
import type { TurnConfig } from '@offhook/turn';
import {
  type At,
  type Composition,
  countOf,
  inUri,
  LOOPBACK,
  listenAddresses,
  muxAddresses,
  onPort,
  tlsFolder,
} from './composition.ts';
import type { Config } from './config/config.ts';
import { peerRules } from './config/peers.ts';
import { secretsPath } from './config/secrets.ts';
import { parseSocketAddress } from './config/turn.ts';
import type { Ports } from './supervisor/spec.ts';

/** What the TURN part is told beside where it runs. */
export type TurnPartSettings = Omit<TurnConfig, 'part' | 'runDir' | 'configHash'>;

/** The TURN part's settings, given the ports of the media relays, which its clients have to reach. */
export function turnSettings(composition: Composition, muxPorts: readonly number[]): TurnPartSettings {
  const { config, hostAddresses } = composition;
  const { turn } = config;
  const ipv4 = [LOOPBACK, ...hostAddresses];
  const local = [...ipv4, ...turn.ipv6Addresses];
  const external = externalAddresses(composition);
  const listen = [...listenAddresses(composition), ...turn.ipv6Addresses];
  const on = (addresses: readonly string[], port: number): At[] => addresses.map((address) => ({ address, port }));
  const media = muxAddresses(composition).flatMap((one) =>
    typeof one === 'string' ? [one] : [one.address, one.advertised],
  );
  const relays = muxPorts.flatMap((port) => media.map((address) => ({ address, portMin: port, portMax: port })));
  const http = turn.http === undefined ? undefined : parseSocketAddress(turn.http);
  const alternateServer = turn.alternateServer === undefined ? undefined : parseSocketAddress(turn.alternateServer);
  return {
    listen: {
      udp: turn.natDiscovery ? discoverable(listen, turn.port) : on(listen, turn.port),
      tcp: turn.tcp ? on(listen, turn.port) : [],
      tls: turn.tls ? on(listen, turn.tlsPort) : [],
    },
    ...(turn.tls ? { tls: tlsSettings(composition) } : {}),
    relay: {
      addresses: local.map((address) => {
        const outer = external.get(address);
        return outer === undefined ? { address } : { address, external: outer };
      }),
      portMin: turn.relayPorts.min,
      portMax: turn.relayPorts.max,
    },
    realm: config.domain,
    // read anew at each start, so that a change of the secret is no other configuration
    secrets: [],
    secretsFile: secretsPath(config.data),
    usersFile: turnUsersFile(config),
    peers: {
      base: turn.peers === 'public' ? 'public' : 'none',
      allow: [...relays, ...peerRules(turn.allowedPeers)],
      deny: [...peerRules(turn.deniedPeers), ...(turn.peers === 'public' ? ownAddresses(hostAddresses, external) : [])],
    },
    limits: turn.limits,
    strictExpiry: turn.strictExpiry,
    ...(alternateServer ? { alternateServer } : {}),
    ...(http ? { http } : {}),
    workers: countOf(turn.workers),
    nonceSecret: composition.secrets().turnNonce,
    sha256: turn.sha256,
    natDiscovery: turn.natDiscovery,
    gatherUs: turn.gatherUs,
  };
}

/** The same settings on the ports that the part had before. */
export function turnOnPorts(settings: Record<string, unknown>, ports: Ports): Record<string, unknown> {
  const { udp, tcp, tls } = settings.listen as TurnConfig['listen'];
  // the second port of NAT discovery stays next to the first
  const first = udp[0]?.port ?? 0;
  const moved = udp.map(({ address, port }) => ({ address, port: (ports.udp ?? first) + port - first }));
  return { ...settings, listen: { udp: moved, tcp: onPort(tcp, ports, 'tcp'), tls: onPort(tls, ports, 'tls') } };
}

/**
 * Where web phones are told that TURN is, by the ports that it has. Addresses that others know come first; over TCP and TLS
 * nobody has to go to its own machine, unless there is no other. TLS is by the names of the certificate, if it has some of
 * its own: Firefox refuses addresses there, and public authorities vouch for none.
 */
export function turnUris(composition: Composition, { udp, tcp, tls }: Ports): string[] {
  const external = externalAddresses(composition);
  const own = listenAddresses(composition).flatMap((address) => {
    const outer = external.get(address);
    return outer === undefined ? [address] : [outer, address];
  });
  const addresses = [...own, ...composition.config.turn.ipv6Addresses];
  const far = addresses.filter((address) => !isLoopback(address));
  const streams = far.length > 0 ? far : addresses;
  const names = far.length > 0 ? composition.config.tls.names.filter(isHostName) : [];
  const all = (scheme: string, places: readonly string[], port: number | undefined, transport: string) =>
    port === undefined ? [] : places.map((address) => `${scheme}:${inUri(address)}:${port}?transport=${transport}`);
  return [
    ...all('turn', addresses, udp, 'udp'),
    ...all('turn', streams, tcp, 'tcp'),
    ...all('turns', names.length > 0 ? names : streams, tls, 'tcp'),
  ];
}

function isHostName(name: string): boolean {
  return isIP(name) === 0 && !name.startsWith('*');
}

/** The certificate of all that speaks TLS: one for all parts, so they have to name the same. */
export function tlsSettings(composition: Composition) {
  const { config, hostAddresses } = composition;
  return {
    folder: tlsFolder(config.data),
    cert: config.tls.cert,
    key: config.tls.key,
    ca: config.tls.ca,
    names: [...config.tls.names, ...hostAddresses, ...externalAddresses(composition).values()],
  };
}

export function turnUsersFile({ data }: Pick<Config, 'data'>): string {
  return `${data}/turn-users.json`;
}

/** What this host's addresses are outside, by what they are here. */
export function externalAddresses({ config, hostAddresses }: Composition): ReadonlyMap<string, string> {
  const { external } = config.turn;
  if (external === undefined) return new Map();
  if (typeof external !== 'string')
    return new Map(Object.entries(external).filter(([local]) => hostAddresses.includes(local)));
  const [first] = hostAddresses;
  return new Map(first === undefined ? [] : [[first, external]]);
}

/** This machine's own services are nobody's peers, though its addresses be public; relayed addresses are reached all the same. */
function ownAddresses(hostAddresses: readonly string[], external: ReadonlyMap<string, string>) {
  return [...new Set([...hostAddresses, ...external.values()])].map((address) => ({ address }));
}

/** Two addresses with the same two ports (RFC 5780 6); loopback, which nobody is behind a NAT of, has the first only. */
function discoverable(listen: readonly string[], port: number): At[] {
  const far = listen.filter((address) => !isLoopback(address));
  const near = listen.filter((address) => isLoopback(address));
  const second = port === 0 ? [] : far.map((address) => ({ address, port: port + 1 }));
  return [...far.map((address) => ({ address, port })), ...second, ...near.map((address) => ({ address, port }))];
}
