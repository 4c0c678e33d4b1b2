import { ipFamily, type SocketAddress } from '@offhook/core';
import type { PartConfig, TlsSettings } from '@offhook/core/node';
import { type DigestSetting, JWT_ALGORITHMS, type JwtAlgorithm } from './auth/index.ts';
import type { Encryption, MediaPath } from './call/index.ts';
import { serverAt } from './locate/index.ts';
import { parseRelay } from './media/index.ts';
import type { RingGroup } from './routing/index.ts';
import type { OutsideSettings } from './server/outside.ts';
import { type TrunkConfigs, trunkConfigProblems } from './trunk/index.ts';

/** The configuration file of the signalling part. */
export interface SignalingConfig extends PartConfig {
  /** Where `offhook.sqlite` lies. */
  readonly dataDir: string;
  /** The domain of all accounts, and the realm of their passwords. */
  readonly domain: string;
  /** Where SIP is listened for. Port 0 = any, a port in use is skipped. */
  readonly sip: {
    readonly udp: readonly SocketAddress[];
    readonly tcp: readonly SocketAddress[];
    /** Over TLS; needs `tls`. */
    readonly tls?: readonly SocketAddress[];
    /**
     * The one digest algorithm phones are challenged with, for all or by transport, when their account has none of its own:
     * MD5 (the default), because many know no other.
     */
    readonly digest?: DigestSetting;
    /** Addresses of edge proxies in front of this server: their Path is believed, and they may speak for many. */
    readonly edges?: readonly string[];
    /** Tokens of another issuer that are taken in place of passwords (RFC 8898). */
    readonly bearer?: BearerSettings;
    /** What phones that show nothing are asked for, where tokens may travel: a password (the default), or a token. */
    readonly challenge?: 'digest' | 'bearer';
    /** Whether scanners are silenced and addresses banned for a while (the default). */
    readonly bans?: boolean;
  };
  readonly http: {
    /** Where the page, the API and SIP over WebSocket are; the same port at each address. */
    readonly addresses: readonly string[];
    readonly port: number;
    /** The port of the same over HTTPS; needs `tls`. */
    readonly tlsPort?: number;
    /** The built web phone. */
    readonly webRoot: string;
    /** Origins besides our own addresses that may sign in and open the SIP WebSocket: `https://phone.example.org`. */
    readonly allowedOrigins?: readonly string[];
    /** Sign-in attempts per minute from one address that is not loopback (default 10). */
    readonly loginsPerMinute?: number;
  };
  /** How other servers are found and connected to. */
  readonly outside?: OutsideSettings;
  /** The certificate of HTTPS and of SIP over TLS; without it there is neither. */
  readonly tls?: TlsSettings;
  /** Providers by name. */
  readonly trunks?: TrunkConfigs;
  /** The user's routes.ts, an absolute path; left out: calls go the built-in way. */
  readonly routes?: string;
  readonly media: {
    /** As Kamailio writes them: `udp:127.0.0.1:2223`. */
    readonly relays: readonly string[];
    /**
     * Between two browsers: opaque = encrypted from end to end. `none`: the same, and two phones that are no browsers
     * send media to each other.
     */
    readonly path: MediaPath;
    /**
     * `required`: phones are offered SRTP alone, and one without is told so (488). `optional` (default): a SIP phone is
     * offered plain RTP when a browser, or a phone with DTLS, calls it, and in the end when it refuses SRTP. The record of
     * the call says when an encrypted offer was answered in plain.
     */
    readonly encryption?: Encryption;
  };
  /** Users who are rung together and may take each other's calls, by the name that is called. */
  readonly groups?: Readonly<Record<string, RingGroup>>;
  /** What browsers are told of TURN; no uris: there is none. */
  readonly turn: { readonly uris: readonly string[]; readonly secret: string; readonly ttlS: number };
  /** Signs login sessions, so that they survive a restart. */
  readonly sessionSecret: string;
  /** Signs digest nonces, so that phones with one of an earlier process are told that it is stale, not wrong. */
  readonly nonceSecret: string;
}

export interface BearerSettings {
  /** Exactly as in the tokens' `iss`. */
  readonly issuer: string;
  /** This server's name there, as in the tokens' `aud`. */
  readonly audience: string;
  /** File with the issuer's public keys, a JWK Set; read anew when it changes. */
  readonly jwks: string;
  /** Which signatures are accepted (default: all three). */
  readonly algorithms?: readonly JwtAlgorithm[];
  /** Where phones get tokens: told to those whose token is not good. */
  readonly authzServer?: string;
}

/** Everything that is wrong with a configuration, in words; empty when it can be used. */
export function signalingConfigProblems(config: SignalingConfig): string[] {
  const problems: string[] = [];
  const say = (bad: boolean, words: string) => {
    if (bad) problems.push(words);
  };
  const isText = (v: unknown): v is string => typeof v === 'string' && v !== '';
  const at = (name: string, where: SocketAddress) => {
    say(ipFamily(String(where?.address)) === undefined, `${name}: '${where?.address}' is no IP address`);
    portAt(name, where?.port);
  };
  const portAt = (name: string, port: number) => {
    say(!Number.isInteger(port) || port < 0 || port > 65_535, `${name}: ${port} is no port`);
  };
  say(!isText(config.dataDir), 'dataDir: a folder is needed');
  say(!isText(config.domain) || !/^[a-z0-9]([a-z0-9.-]{0,252}[a-z0-9])?$/i.test(config.domain), 'domain: a host name');
  for (const kind of ['udp', 'tcp', 'tls'] as const) {
    const list = config.sip?.[kind];
    if (kind === 'tls' && list === undefined) continue;
    if (!Array.isArray(list)) problems.push(`sip.${kind}: a list of addresses is needed`);
    else for (const where of list as readonly SocketAddress[]) at(`sip.${kind}`, where);
  }
  problems.push(...identityProblems(config.sip ?? {}));
  const addresses = config.http?.addresses;
  say(!Array.isArray(addresses) || addresses.length === 0, 'http.addresses: at least one is needed');
  for (const address of Array.isArray(addresses) ? (addresses as readonly string[]) : [])
    at('http', { address, port: config.http.port });
  const { tls } = config;
  const wantsTls = config.http?.tlsPort !== undefined || config.sip?.tls !== undefined;
  if (config.http?.tlsPort !== undefined) portAt('http.tlsPort', config.http.tlsPort);
  say(wantsTls && tls === undefined, 'tls: needed for http.tlsPort and sip.tls');
  if (tls !== undefined) {
    say(!isText(tls.folder), 'tls.folder: a folder is needed');
    say((tls.cert === undefined) !== (tls.key === undefined), 'tls.cert and tls.key: both or none');
  }
  for (const server of config.outside?.nameServers ?? [])
    say(
      !serverAt(String(server)),
      `outside.nameServers: '${server}' is no address of a name server (an IP address, perhaps with a port)`,
    );
  const peers = config.outside?.tls;
  say(
    (peers?.certPath === undefined) !== (peers?.keyPath === undefined),
    'outside.tls: certPath and keyPath, both or none',
  );
  say(
    ![undefined, 'full', 'authority', 'none'].includes(peers?.verify),
    "outside.tls.verify: 'full', 'authority' or 'none'",
  );
  say(config.routes !== undefined && !isText(config.routes), 'routes: the path of a file');
  say(!isText(config.http?.webRoot), 'http.webRoot: the folder of the built web phone is needed');
  for (const origin of config.http?.allowedOrigins ?? []) {
    const good = URL.canParse(origin) && new URL(origin).origin === origin;
    say(!good, `http.allowedOrigins: '${origin}' is no origin like https://phone.example.org (no path, no slash)`);
  }
  problems.push(...trunkConfigProblems(config.trunks));
  const relays = config.media?.relays;
  say(!Array.isArray(relays) || relays.length === 0, 'media.relays: at least one is needed');
  for (const relay of Array.isArray(relays) ? (relays as readonly string[]) : [])
    say(parseRelay(String(relay)) === undefined, `media.relays: '${relay}' is not of the form udp:127.0.0.1:2223`);
  say(!['opaque', 'terminated', 'none'].includes(config.media?.path), "media.path: 'opaque', 'terminated' or 'none'");
  const { encryption = 'optional' } = config.media ?? {};
  say(!['optional', 'required'].includes(encryption), "media.encryption: 'optional' or 'required'");
  for (const [name, group] of Object.entries(config.groups ?? {})) {
    say(!Array.isArray(group?.members) || group.members.length === 0, `groups.${name}: members are needed`);
    say(!['parallel', 'serial'].includes(group?.ring), `groups.${name}.ring: 'parallel' or 'serial'`);
    say(!(group?.ringS > 0), `groups.${name}.ringS: seconds are needed`);
  }
  say(!Array.isArray(config.turn?.uris), 'turn.uris: a list is needed, empty when there is no TURN server');
  if (config.turn?.uris?.length > 0) {
    say(!isText(config.turn.secret), 'turn.secret: needed to make credentials');
    say(!(config.turn.ttlS >= 60), 'turn.ttlS: at least 60 seconds');
  }
  for (const name of ['sessionSecret', 'nonceSecret'] as const)
    say(!isText(config[name]) || config[name].length < 16, `${name}: at least 16 characters`);
  return problems;
}

/** How phones say who they are, and through whom. */
function identityProblems({ digest, edges = [], bearer, challenge, bans }: Partial<SignalingConfig['sip']>): string[] {
  const problems: string[] = [];
  const say = (bad: boolean, words: string) => {
    if (bad) problems.push(words);
  };
  const isText = (v: unknown): v is string => typeof v === 'string' && v !== '';
  for (const [name, algorithm] of Object.entries(typeof digest === 'object' ? digest : { digest })) {
    const where = name === 'digest' ? 'sip.digest' : `sip.digest.${name}`;
    say(
      name !== 'digest' && !['udp', 'tcp', 'tls', 'ws', 'wss'].includes(name),
      `${where}: there is no such transport`,
    );
    say(!['MD5', 'SHA-256', undefined].includes(algorithm), `${where}: 'MD5' or 'SHA-256'`);
  }
  if (Array.isArray(edges))
    for (const edge of edges as readonly unknown[])
      say(ipFamily(String(edge)) === undefined, `sip.edges: '${edge}' is no IP address`);
  else problems.push('sip.edges: a list of addresses is needed');
  say(!['digest', 'bearer', undefined].includes(challenge), "sip.challenge: 'digest' or 'bearer'");
  say(![true, false, undefined].includes(bans), 'sip.bans: true or false');
  say(challenge === 'bearer' && !bearer?.authzServer, 'sip.challenge: bearer needs sip.bearer.authzServer');
  if (bearer === undefined) return problems;
  for (const name of ['issuer', 'audience', 'jwks'] as const)
    say(!isText(bearer[name]), `sip.bearer.${name}: is needed`);
  const { algorithms = [], authzServer } = bearer;
  const known: readonly string[] = JWT_ALGORITHMS;
  say(
    !Array.isArray(algorithms) || algorithms.some((name) => !known.includes(name)),
    `sip.bearer.algorithms: some of ${known.join(', ')}`,
  );
  const isHttps =
    authzServer === undefined || (URL.canParse(authzServer) && new URL(authzServer).protocol === 'https:');
  say(!isHttps, 'sip.bearer.authzServer: an address with https://');
  return problems;
}
