import { ipFamily, parseUri } from '@offhook/core';
import { Dids, didProblem } from './dids.ts';
import { parseNetwork } from './networks.ts';
import { NumberPlan, type NumberSettings } from './numbers.ts';

/** How the caller's number is told to the trunk. */
export const IDENTITIES = ['p-asserted-identity', 'p-preferred-identity', 'remote-party-id', 'from'] as const;
export type Identity = (typeof IDENTITIES)[number];

/** What the provider lets us in by, where it knows us by a password and not by our address. */
export interface RegisterSettings {
  /** User part of the address that is registered (RFC 3261 10.2: To). */
  readonly user: string;
  /** One of both; the file's first line. A file keeps the secret out of the configuration. */
  readonly password?: string;
  readonly passwordFile?: string;
  /** User name of the digest, when it is not `user`. */
  readonly authUser?: string;
  /** The realm the password is for; else the one that the provider's first challenge to a REGISTER names. */
  readonly realm?: string;
  /** Wished validity, default 600. */
  readonly expiresS?: number;
  /** User part of our Contact, where the provider wants a certain one; else a random one that nobody can guess. */
  readonly contactUser?: string;
}

/** One trunk as the configuration has it. */
export interface TrunkConfig {
  /** SIP URIs of the provider's servers, in order of preference. */
  readonly targets: readonly string[];
  /** Host of From, To and Request-URI; default: that of the first target. */
  readonly domain?: string;
  /** None: the provider knows us by our address. */
  readonly register?: RegisterSettings;
  /** The number that is shown for callers who have none of their own on this trunk. */
  readonly callerId?: string;
  /** Show the number of a caller who comes from elsewhere, instead of `callerId`. */
  readonly passCallerId?: boolean;
  /** User part of From, where the provider wants its account there and the number in the identity header only. */
  readonly fromUser?: string;
  /** Default p-asserted-identity. */
  readonly identity?: Identity;
  readonly numbers?: NumberSettings;
  /** Called number → user, group or number here: `+493012345`, `+4930123*`, `+493012300-+493012399`. */
  readonly dids?: Readonly<Record<string, string>>;
  readonly inbound?: {
    /** Addresses and networks that calls come from beside the targets': `192.0.2.0/24`, `192.0.2.7:5080`. */
    readonly from?: readonly string[];
  };
  /** Lines: calls at once, both directions. */
  readonly maxCalls?: number;
  /** New calls a second, each direction. */
  readonly maxCallsPerSecond?: number;
  /** Calls out at once of one user. */
  readonly maxCallsPerUser?: number;
  /** Every so many seconds each target is asked whether it is there (OPTIONS); 0 = never. */
  readonly optionsS?: number;
  /** For TLS to the targets: whom to trust and what to show; files. */
  readonly tls?: {
    readonly ca?: string;
    readonly cert?: string;
    readonly key?: string;
    /** What of the provider's certificate is looked at: all (the default), who has signed it, or nothing. */
    readonly verify?: 'full' | 'authority' | 'none';
  };
}

export const TRUNK_DEFAULTS = {
  expiresS: 600,
  maxCalls: 10,
  maxCallsPerSecond: 5,
  maxCallsPerUser: 2,
  optionsS: 30,
  identity: 'p-asserted-identity',
} as const;

export type TrunkConfigs = Readonly<Record<string, TrunkConfig>>;

const NAME = /^[a-z0-9][a-z0-9._-]{0,31}$/i;
const HOST = /^[a-z0-9]([a-z0-9.-]{0,252}[a-z0-9])?$/i;
/** Of users, numbers and realms that end up in headers of ours. */
const PLAIN = /^[^\s<>"\\@\p{Cc}]{1,128}$/u;
const MAX_TRUNKS = 100;
const MAX_LIST = 64;
const MAX_DIDS = 10_000;

/** Everything that is wrong with the trunks of a configuration, in words; empty when they can be used. */
export function trunkConfigProblems(trunks: unknown): string[] {
  if (trunks === undefined) return [];
  if (typeof trunks !== 'object' || trunks === null || Array.isArray(trunks))
    return ['trunks: an object is needed, { "provider": { … } }'];
  const entries = Object.entries(trunks as TrunkConfigs);
  const problems = entries.length > MAX_TRUNKS ? [`trunks: at most ${MAX_TRUNKS}`] : [];
  for (const [name, trunk] of entries.slice(0, MAX_TRUNKS)) {
    if (!NAME.test(name)) problems.push(`trunks: '${name.slice(0, 40)}' is no name (letters, digits, . _ -, up to 32)`);
    else if (typeof trunk !== 'object' || trunk === null) problems.push(`trunks.${name}: an object is needed`);
    else problems.push(...problemsOf(trunk).map((words) => `trunks.${name}.${words}`));
  }
  return problems;
}

function problemsOf(trunk: TrunkConfig): string[] {
  const problems: string[] = [];
  const say = (bad: boolean, words: string) => {
    if (bad) problems.push(words);
  };
  const isList = (value: unknown): value is readonly unknown[] => Array.isArray(value) && value.length <= MAX_LIST;
  const range = (name: string, value: unknown, [least, most]: readonly [number, number]) =>
    say(
      value !== undefined && !(typeof value === 'number' && value >= least && value <= most),
      `${name}: a number from ${least} to ${most}`,
    );
  const plain = (name: string, value: unknown) =>
    say(value !== undefined && !(typeof value === 'string' && PLAIN.test(value)), `${name}: a word without spaces`);

  if (!isList(trunk.targets) || trunk.targets.length === 0)
    problems.push('targets: the provider’s server is needed, as "sip:sip.provider.example"');
  else
    for (const target of trunk.targets)
      say(!isTarget(target), `targets: '${shown(target)}' is no URI like sip:host:port`);
  say(
    trunk.domain !== undefined && !(typeof trunk.domain === 'string' && isHost(trunk.domain)),
    'domain: a host name or an address',
  );
  plain('callerId', trunk.callerId);
  plain('fromUser', trunk.fromUser);
  say(
    trunk.register === undefined && trunk.callerId === undefined,
    'callerId: needed where there is no register: the number that calls show',
  );
  say(
    trunk.identity !== undefined && !IDENTITIES.includes(trunk.identity),
    `identity: one of ${IDENTITIES.map((one) => `'${one}'`).join(', ')}`,
  );
  if (trunk.register !== undefined) problems.push(...registerProblems(trunk.register).map((w) => `register.${w}`));
  if (trunk.numbers !== undefined) problems.push(...NumberPlan.problems(trunk.numbers).map((w) => `numbers.${w}`));
  problems.push(...didProblems(trunk));
  const from = trunk.inbound?.from;
  if (from !== undefined && !isList(from)) problems.push(`inbound.from: a list of addresses and networks is needed`);
  else
    for (const network of from ?? [])
      say(
        parseNetwork(String(network)) === undefined,
        `inbound.from: '${network}' is no address or network (a.b.c.d/n)`,
      );
  range('maxCalls', trunk.maxCalls, [1, 10_000]);
  range('maxCallsPerSecond', trunk.maxCallsPerSecond, [0.1, 1000]);
  range('maxCallsPerUser', trunk.maxCallsPerUser, [1, 10_000]);
  if (trunk.optionsS !== 0) range('optionsS (0 turns it off)', trunk.optionsS, [5, 3600]);
  const { cert, key, verify = 'full' } = trunk.tls ?? {};
  say(!['full', 'authority', 'none'].includes(verify), "tls.verify: 'full', 'authority' or 'none'");
  say((cert === undefined) !== (key === undefined), 'tls.cert and tls.key: both or none');
  return problems;
}

function registerProblems(register: RegisterSettings): string[] {
  if (typeof register !== 'object' || register === null) return [' an object is needed'];
  const problems: string[] = [];
  for (const name of ['user', 'authUser', 'contactUser'] as const) {
    const value = register[name];
    if (value === undefined && name !== 'user') continue;
    if (typeof value !== 'string' || !PLAIN.test(value)) problems.push(`${name}: a word without spaces`);
  }
  const { password, passwordFile, realm, expiresS } = register;
  if ((password === undefined) === (passwordFile === undefined))
    problems.push('password or passwordFile: one of both is needed');
  for (const [name, value] of Object.entries({ password, passwordFile, realm }))
    if (value !== undefined && (typeof value !== 'string' || value === '' || value.length > 1024))
      problems.push(`${name}: a text is needed`);
  if (expiresS !== undefined && !(Number.isInteger(expiresS) && expiresS >= 60 && expiresS <= 86_400))
    problems.push('expiresS: whole seconds from 60 to 86400');
  return problems;
}

function didProblems({ dids, numbers }: TrunkConfig): string[] {
  if (dids === undefined) return [];
  if (typeof dids !== 'object' || dids === null || Array.isArray(dids))
    return ['dids: an object is needed, { "+49…": "user" }'];
  const entries = Object.entries(dids);
  if (entries.length > MAX_DIDS) return [`dids: at most ${MAX_DIDS}`];
  const problems = entries.flatMap(([key, target]) => {
    const words = didProblem(key, target);
    return words === undefined ? [] : [`dids: ${words}`];
  });
  if (problems.length > 0 || NumberPlan.problems(numbers ?? {}).length > 0) return problems;
  return new Dids(dids, new NumberPlan(numbers)).doubles.map((key) => `dids: '${key}' is there twice`);
}

function isTarget(target: unknown): boolean {
  const uri = typeof target === 'string' ? parseUri(target) : undefined;
  return uri?.isSip === true && uri.user === undefined && uri.headers === undefined && isHost(uri.host);
}

/** A URI may hold a password, which is nobody's business. */
function shown(target: unknown): string {
  return String(target)
    .slice(0, 100)
    .replace(/:[^@]*@/, ':…@');
}

function isHost(host: string): boolean {
  return HOST.test(host) || ipFamily(host) !== undefined;
}

/** Host of From, To and Request-URI of a trunk. */
export function domainOf({ domain, targets }: TrunkConfig): string {
  return domain ?? parseUri(targets[0] ?? '')?.host ?? 'invalid';
}
