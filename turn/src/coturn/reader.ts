import { ipFamily, type SocketAddress } from '@offhook/core';
import type { RelayAddress } from '../allocation/relay-address.ts';
import { userNameProblem } from '../auth/long-term-users.ts';
import type { TurnListen } from '../config.ts';
import { turnConfigProblems } from '../config-problems.ts';
import { DEFAULT_LIMITS, type TurnLimits } from '../limits.ts';
import { confLines, isOn } from './conf-line.ts';
import { ALREADY_SO, ONE_VALUE, READ, REFUSED, type ReadKey, UNSUPPORTED } from './keys.ts';
import { peersFrom } from './peer-lines.ts';
import { COTURN_PORT, COTURN_RELAY_PORTS, COTURN_TLS_PORT, type CoturnSettings, type CoturnUser } from './settings.ts';

export interface CoturnReading {
  /** As good as they could be read; to be used only when there are no problems. */
  readonly settings: CoturnSettings;
  /** Why the file can't be served, in words. */
  readonly problems: readonly string[];
  /** Keys that coturn does not know either. */
  readonly unknown: readonly string[];
  /** What is otherwise here than with coturn. */
  readonly notes: readonly string[];
}

export interface ReaderOptions {
  /** This machine's addresses, for a file without `listening-ip`: coturn takes them all then. */
  readonly own?: readonly string[];
  /** The key that was meant by one that nobody knows. */
  readonly closest?: (word: string, known: readonly string[]) => string | undefined;
  /** Looks into the files of the certificate: which of the two can't be used and why, in words. */
  readonly certificateProblem?: (files: {
    readonly cert: string;
    readonly pkey: string;
  }) => { readonly key: 'cert' | 'pkey'; readonly words: string } | undefined;
}

type Values = ReadonlyMap<ReadKey, readonly string[]>;

/** What has been said of a file so far. */
interface Said {
  readonly problems: string[];
  readonly unknown: string[];
  readonly notes: string[];
}

const KNOWN: readonly string[] = [
  ...READ,
  ...ALREADY_SO,
  ...[ONE_VALUE, REFUSED, UNSUPPORTED].flatMap((keys) => Object.keys(keys)),
  'rest-api-separator',
];

/** Reads a coturn.conf: docs/turn.md says which keys. Never throws; everything that is wrong is told at once. */
export function readCoturnConf(
  text: string,
  { own = [], closest, certificateProblem }: ReaderOptions = {},
): CoturnReading {
  const said: Said = { problems: [], unknown: [], notes: [] };
  const values = sort(text, said, closest);
  const listen = listeners(values, own, said);
  const relay = relays(values, listen, said);
  const { peers, problems, notes } = peersFrom(
    { allowed: all(values, 'allowed-peer-ip'), denied: all(values, 'denied-peer-ip') },
    { listen, relay },
  );
  said.problems.push(...problems);
  said.notes.push(...notes);
  const cert = last(values, 'cert');
  const pkey = last(values, 'pkey');
  if (listen.tls.length > 0 && cert !== undefined && pkey !== undefined) {
    const problem = certificateProblem?.({ cert, pkey });
    if (problem) said.problems.push(`line ${lastLine(text, problem.key)}: ${problem.key}: ${problem.words}`);
  }
  const realm = last(values, 'realm');
  if (realm === undefined) said.problems.push('realm is missing: credentials are made for one');
  const threads = number(values, 'relay-threads', { min: 0, max: 128 }, said);
  const nonceSecret = last(values, 'stateless-nonce-secret');
  const alternateServer = alternate(values, said);
  const limits = quotas(values, said);
  const settings: CoturnSettings = {
    listen,
    ...(listen.tls.length > 0 ? { tls: { folder: '', cert, key: pkey } } : {}),
    relay,
    realm: realm ?? '',
    ...credentials(values, said),
    peers,
    ...(Object.keys(limits).length > 0 ? { limits } : {}),
    ...(alternateServer ? { alternateServer } : {}),
    ...(threads === undefined ? {} : { workers: Math.min(Math.max(threads, 1), 64) }),
    ...(nonceSecret === undefined ? {} : { nonceSecret }),
    ...(discovers(values, listen, said) ? { natDiscovery: true } : {}),
  };
  // what our server itself would refuse
  if (said.problems.length === 0) said.problems.push(...turnConfigProblems({ ...settings, ...NOWHERE }));
  return { settings, ...said };
}

/** Where it runs is nothing that a coturn.conf says. */
const NOWHERE = { part: 'turn', runDir: '', configHash: '' };

/** The values of each key that is read; of all others it is said what becomes of them. */
function sort(text: string, { problems, unknown, notes }: Said, closest: ReaderOptions['closest']): Values {
  const values = new Map<ReadKey, string[]>();
  for (const { number, key, value, hasComment } of confLines(text)) {
    const at = `line ${number}: ${key}`;
    if (hasComment) problems.push(`${at}: a comment needs a line of its own; coturn takes it for a part of the value`);
    else if (isRead(key)) values.set(key, [...(values.get(key) ?? []), value]);
    else if (Object.hasOwn(REFUSED, key)) {
      if (isOn(value)) problems.push(`${at} is refused: ${REFUSED[key]}`);
    } else if (Object.hasOwn(ONE_VALUE, key)) {
      const { value: only, instead } = ONE_VALUE[key]!;
      if (value !== '' && value !== only) notes.push(`${at}=${value} is not supported here: ${instead}`);
    } else if (key === 'rest-api-separator') {
      if (value !== ':') problems.push(`${at}: the time and the user of a name are parted by ':' here, not '${value}'`);
    } else if (Object.hasOwn(UNSUPPORTED, key)) {
      if (isOn(value)) notes.push(`${at} is not supported here: ${UNSUPPORTED[key]}`);
    } else if (!ALREADY_SO.has(key)) {
      const near = closest?.(key, KNOWN);
      unknown.push(`${at.slice(0, 100)}: nobody knows that key${near ? `; is '${near}' meant?` : ''}`);
    }
  }
  return values;
}

function listeners(values: Values, own: readonly string[], said: Said): TurnListen {
  const named = addresses(values, 'listening-ip', said);
  const at = named.length > 0 ? named : own;
  if (all(values, 'listening-ip').length === 0) {
    if (own.length === 0) said.problems.push('listening-ip is missing');
    else said.notes.push(`without listening-ip this machine's addresses are taken: ${own.join(', ')}`);
  }
  const port = number(values, 'listening-port', { min: 1, max: 65_535 }, said) ?? COTURN_PORT;
  const tlsPort = number(values, 'tls-listening-port', { min: 1, max: 65_535 }, said) ?? COTURN_TLS_PORT;
  const alt = number(values, 'alt-listening-port', { min: 0, max: 65_535 }, said);
  const both = isGiven(values, 'rfc5780') || (alt !== undefined && !isGiven(values, 'no-rfc5780'));
  const ports = both ? [port, alt || port + 1] : [port];
  const on = (key: ReadKey, ports: readonly number[]): SocketAddress[] =>
    isGiven(values, key) ? [] : at.flatMap((address) => ports.map((port) => ({ address, port })));
  const cert = last(values, 'cert');
  const pkey = last(values, 'pkey');
  const wantsTls = !isGiven(values, 'no-tls');
  if (wantsTls && (cert === undefined) !== (pkey === undefined))
    said.problems.push(`${cert === undefined ? 'cert' : 'pkey'} is missing: a certificate and its key belong together`);
  if (wantsTls && cert === undefined && pkey === undefined && last(values, 'tls-listening-port') !== undefined)
    said.notes.push('tls-listening-port: without cert and pkey there is no TLS, as with coturn');
  const listen = {
    udp: on('no-udp', ports),
    tcp: on('no-tcp', [port]),
    tls: cert === undefined || pkey === undefined ? [] : on('no-tls', [tlsPort]),
  };
  if (listen.tcp.length > 0 && listen.tls.length > 0 && port === tlsPort)
    said.problems.push(
      `listening-port and tls-listening-port are both ${port}: TCP and TLS need a port each here (or no-tcp, or no-tls)`,
    );
  if (at.length > 0 && listen.udp.length + listen.tcp.length + listen.tls.length === 0)
    said.problems.push('no-udp, no-tcp and no TLS: nothing is left to listen on');
  return listen;
}

function relays(values: Values, listen: TurnListen, said: Said): CoturnSettings['relay'] {
  const named = addresses(values, 'relay-ip', said);
  const heard = [...listen.udp, ...listen.tcp, ...listen.tls].map(({ address }) => address);
  const local = named.length > 0 ? named : [...new Set(heard)];
  const external = new Map<string, string>();
  for (const text of all(values, 'external-ip')) {
    const [outer = '', inner, more] = text.split('/');
    const bad = [outer, inner ?? outer].find((address) => ipFamily(address) === undefined);
    if (bad !== undefined || more !== undefined)
      said.problems.push(`external-ip=${text}: a public address is needed, or public/private`);
    else if (inner === undefined) {
      const family = local.filter((address) => address.includes(':') === outer.includes(':'));
      if (family.length > 1) said.notes.push(`external-ip=${outer} stands for each of ${family.join(', ')}`);
      for (const address of family) external.set(address, outer);
    } else if (local.includes(inner)) external.set(inner, outer);
    else said.problems.push(`external-ip=${text}: ${inner} is no relay-ip`);
  }
  const portMin = number(values, 'min-port', { min: 1, max: 65_535 }, said) ?? COTURN_RELAY_PORTS.min;
  const portMax = number(values, 'max-port', { min: 1, max: 65_535 }, said) ?? COTURN_RELAY_PORTS.max;
  if (portMin > portMax) said.problems.push(`min-port ${portMin} is above max-port ${portMax}`);
  const relayed = local.map((address): RelayAddress => {
    const outer = external.get(address);
    return outer === undefined ? { address } : { address, external: outer };
  });
  return { addresses: relayed, portMin, portMax };
}

/** Who is let in. Here secrets and long-term users go together; coturn takes the users only without use-auth-secret. */
function credentials(values: Values, said: Said): Pick<CoturnSettings, 'secrets' | 'users'> {
  const secrets = all(values, 'static-auth-secret');
  const users = all(values, 'user').flatMap((text) => user(text, said) ?? []);
  const bySecret = isGiven(values, 'use-auth-secret') || secrets.length > 0;
  const byUser = isGiven(values, 'lt-cred-mech') || users.length > 0;
  if (secrets.includes('')) said.problems.push('static-auth-secret needs a value');
  if (bySecret && secrets.length === 0)
    said.problems.push('use-auth-secret needs static-auth-secret; secrets in a database are not read');
  if (byUser && !bySecret && users.length === 0)
    said.problems.push('lt-cred-mech needs user=name:password; users in a database are not read');
  if (!bySecret && !byUser)
    said.problems.push(
      'nothing says who is let in, and coturn would let everybody; take use-auth-secret with static-auth-secret',
    );
  if (bySecret && users.length > 0)
    said.notes.push('user: these are let in beside static-auth-secret; with coturn they are not');
  return users.length > 0 ? { secrets, users } : { secrets };
}

function user(text: string, { problems }: Said): CoturnUser | undefined {
  const [, name, secret] = /^([^:]+):(.+)$/.exec(text) ?? [];
  if (name === undefined || secret === undefined) {
    problems.push('user: name:password is needed, or name:0x<key>');
    return undefined;
  }
  const problem = userNameProblem(name);
  if (problem !== undefined) problems.push(`user: ${problem}`);
  if (!secret.startsWith('0x')) return { name, password: secret };
  const key = secret.slice(2).toLowerCase();
  if (/^[0-9a-f]{32}$/.test(key)) return { name, key };
  problems.push(`user ${name}: a key is MD5(name:realm:password), 0x and 32 hexadecimal digits`);
  return undefined;
}

function quotas(values: Values, said: Said): Partial<TurnLimits> {
  const limits: { -readonly [K in keyof TurnLimits]?: number } = {};
  for (const [key, name] of [
    ['user-quota', 'allocationsPerUser'],
    ['total-quota', 'allocations'],
    ['max-bps', 'bytesPerS'],
    ['unauthorized-ratelimit-rps', 'unauthenticatedPerS'],
  ] as const) {
    const value = number(values, key, { min: 0, max: Number.MAX_SAFE_INTEGER }, said);
    if (value === 0)
      said.notes.push(`${key}=0: without a limit is not supported here: the default holds, ${DEFAULT_LIMITS[name]}`);
    else if (value !== undefined) limits[name] = value;
  }
  return limits;
}

function alternate(values: Values, said: Said): SocketAddress | undefined {
  const read = all(values, 'alternate-server').flatMap((text) => {
    const [, v6, v4, port] = /^(?:\[([^\]]+)\]|([^:]+))(?::(\d{1,5}))?$/.exec(text) ?? [];
    const at = { address: v6 ?? v4 ?? '', port: Number(port ?? COTURN_PORT) };
    if (ipFamily(at.address) !== undefined && at.port > 0 && at.port <= 65_535) return [at];
    said.problems.push(`alternate-server=${text}: an address and a port are needed, as 192.0.2.1:3478`);
    return [];
  });
  if (read.length > 0)
    said.notes.push(
      'alternate-server: clients are sent there while this server drains; coturn sends all of them at once',
    );
  if (read.length > 1) said.notes.push('alternate-server: the first is taken');
  return read[0];
}

function discovers(values: Values, { udp }: TurnListen, said: Said): boolean {
  const alt = all(values, 'alt-listening-port').length > 0;
  if (isGiven(values, 'no-rfc5780') || !(alt || isGiven(values, 'rfc5780'))) return false;
  const families = udp.map(({ address }) => address.includes(':'));
  // two addresses of one family, with two ports each (RFC 5780 6)
  if ([true, false].some((family) => families.filter((one) => one === family).length >= 4)) return true;
  said.notes.push('rfc5780: NAT behaviour discovery needs two listening-ip of one family, so it is off');
  return false;
}

function addresses(values: Values, key: ReadKey, said: Said): string[] {
  return all(values, key).filter((text) => {
    const good = ipFamily(text) !== undefined && !(key === 'relay-ip' && (text === '0.0.0.0' || text === '::'));
    if (!good) said.problems.push(`${key}=${text}: an IP address of this machine is needed`);
    return good;
  });
}

function number(
  values: Values,
  key: ReadKey,
  { min, max }: { readonly min: number; readonly max: number },
  said: Said,
): number | undefined {
  const text = last(values, key);
  if (text === undefined) return undefined;
  const value = Number(text);
  if (/^\d{1,16}$/.test(text) && value >= min && value <= max) return value;
  const most = max === Number.MAX_SAFE_INTEGER ? 'up' : String(max);
  said.problems.push(`${key}=${text}: a whole number is needed, from ${min} ${most === 'up' ? 'up' : `to ${most}`}`);
  return undefined;
}

function isRead(key: string): key is ReadKey {
  return (READ as readonly string[]).includes(key);
}

function all(values: Values, key: ReadKey): readonly string[] {
  return values.get(key) ?? [];
}

/** As in coturn, the last one of several counts. */
function last(values: Values, key: ReadKey): string | undefined {
  return values.get(key)?.at(-1);
}

function lastLine(text: string, key: ReadKey): number | undefined {
  return confLines(text).findLast((line) => line.key === key)?.number;
}

function isGiven(values: Values, key: ReadKey): boolean {
  return isOn(last(values, key) ?? 'off');
}
