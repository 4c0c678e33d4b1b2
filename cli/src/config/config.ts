import { existsSync, readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { ipFamily } from '@offhook/core';
import { Ajv } from 'ajv';
import schema from '../../config.schema.json' with { type: 'json' };
import { ROOT } from '../root.ts';
import { ConfigError } from './config-error.ts';
import { type MediaSettings, mediaProblems } from './media.ts';
import { soundPart } from './sound-part.ts';
import { type TrunkSettings, trunkProblems, withAbsolutePaths } from './trunks.ts';
import { type TurnSettings, turnProblems } from './turn.ts';
import { inWords, type SchemaNode } from './words.ts';

/** The whole configuration with its defaults filled in; what each key means stands in config.schema.json. */
export interface Config {
  readonly data: string;
  readonly public: boolean;
  readonly domain: string;
  /** Undefined: found by themselves. */
  readonly hostAddresses?: readonly string[];
  /** Undefined: loopback, and with `public` the host's own addresses. */
  readonly listen?: readonly string[];
  readonly http: { readonly port: number; readonly tlsPort: number; readonly allowedOrigins: readonly string[] };
  readonly sip: {
    readonly port: number;
    readonly tlsPort: number;
    readonly digest?: string | Readonly<Record<string, string>>;
    readonly edges: readonly string[];
    /** `jwks` is an absolute path. */
    readonly bearer?: { readonly jwks: string; readonly authzServer?: string };
    readonly challenge: 'digest' | 'bearer';
    readonly bans: boolean;
  };
  /** Without cert and key, an own CA makes them. Absolute paths. */
  readonly tls: {
    readonly cert?: string;
    readonly key?: string;
    readonly ca?: string;
    readonly names: readonly string[];
  };
  /** Ring groups by the name that is called. */
  readonly groups: Readonly<Record<string, { members: readonly string[]; ring: 'parallel' | 'serial'; ringS: number }>>;
  /** As signalling takes them (docs/trunks.md). Absolute paths. */
  readonly trunks: Readonly<Record<string, TrunkSettings>>;
  readonly media: MediaSettings;
  /** Absolute path of the user's routes; undefined: there are none. */
  readonly routes?: string;
  /** Alice and bob, made when there is no account, and links for them at each start. */
  readonly demoAccounts: boolean;
  readonly turn: TurnSettings;
}

/** What the command line may say over the file. */
export interface ConfigFlags {
  readonly config?: string | undefined;
  readonly data?: string | undefined;
  readonly port?: string | undefined;
  readonly public?: boolean | undefined;
}

const ajv = new Ajv({ allErrors: true, useDefaults: true, verbose: true, strict: true, allowUnionTypes: true });
ajv.addFormat('ipv4', /^(?:(?:25[0-5]|2[0-4]\d|1?\d?\d)(?:\.(?!$)|$)){4}$/);
const validate = ajv.compile<Config>(schema);

/** Everything that is wrong with a configuration object, in words; the defaults are filled into it. */
export function configProblems(config: unknown): string[] {
  if (validate(config)) return furtherProblems(config);
  const problems = inWords(validate.errors ?? [], schema as SchemaNode);
  const rest = soundPart(config, validate);
  const further = rest ? furtherProblems(rest.config).filter((words) => !follows(words, rest.removed)) : [];
  return [...problems, ...further];
}

/** Whether a mistake may only be there because a value was taken out: of the key itself, or of what that stands in. */
function follows(words: string, removed: readonly string[]): boolean {
  const subject = words.split(/[\s:]/, 1)[0]!;
  return removed.some((path) => path === subject || path.startsWith(`${subject}.`));
}

/** What a schema can't say. */
function furtherProblems(config: Config): string[] {
  const problems: string[] = [];
  const ranges = { 'media.rtpPorts': config.media.rtpPorts, 'turn.relayPorts': config.turn.relayPorts };
  for (const [name, { min, max }] of Object.entries(ranges)) {
    if (min > max) problems.push(`${name}: min ${min} is above max ${max}`);
    else if (min === 0 && max !== 0) problems.push(`${name}: min 0 (any free port) needs max 0 too`);
  }
  for (const address of config.listen ?? []) {
    if (ipFamily(address) === undefined) problems.push(`listen: '${address}' is no IP address`);
  }
  for (const address of config.sip.edges) {
    if (ipFamily(address) === undefined) problems.push(`sip.edges: '${address}' is no IP address`);
  }
  if (config.sip.challenge === 'bearer' && config.sip.bearer?.authzServer === undefined)
    problems.push('sip.challenge: bearer needs sip.bearer.authzServer, where phones get tokens');
  const { cert, key } = config.tls;
  if ((cert === undefined) !== (key === undefined))
    problems.push(`tls.${cert === undefined ? 'cert' : 'key'} is missing: a certificate and its key belong together`);
  problems.push(...trunkProblems(config.trunks), ...turnProblems(config.turn, config));
  problems.push(...mediaProblems(config.media));
  return problems;
}

const FILE = 'offhook.config.json';
const ROUTES = 'routes.ts';

/** The folder whose settings and data count: the current one if it has any, and else the project's own. */
export function homeOf(cwd: string, root: string): string {
  const signs = [FILE, 'data/run', 'data/secrets.json'];
  return signs.some((sign) => existsSync(join(cwd, sign))) ? cwd : root;
}

/** The file that is read, be it there or not. */
export function configPath({ config }: Pick<ConfigFlags, 'config'>, cwd: string, root = ROOT): string {
  return config === undefined ? join(homeOf(cwd, root), FILE) : resolve(cwd, config);
}

/**
 * Reads the configuration: the file (`offhook.config.json` of the current folder, or of the project's folder, unless
 * another is named), then the flags over it. Throws ConfigError with everything that is wrong.
 */
export function loadConfig(flags: ConfigFlags, cwd: string, root = ROOT): Config {
  const path = configPath(flags, cwd, root);
  const raw = readSettings(path, flags.config === undefined ? 'may be missing' : 'has to be there');
  const base = dirname(path);
  const config = raw ?? {};
  const problems: string[] = [];
  if (typeof config !== 'object' || config === null || Array.isArray(config)) {
    throw new ConfigError([`${path}: the whole file has to be one object, { … }`]);
  }
  const settings = config as Record<string, unknown>;
  problems.push(...configProblems(settings).map((words) => `${path}: ${words}`));
  if (flags.port !== undefined) {
    const port = /^\d{1,5}$/.test(flags.port) ? Number(flags.port) : -1;
    if (port < 0 || port > 65535) problems.push(`--port: '${flags.port}' is no port (0–65535)`);
    else if (problems.length === 0) settings.http = { ...(settings.http as object), port };
  }
  if (problems.length > 0) throw new ConfigError(problems);
  const filled = settings as unknown as Config;
  const files = (['cert', 'key', 'ca'] as const).flatMap((name) => {
    const path = filled.tls[name];
    return path === undefined ? [] : [[name, resolve(base, path)] as const];
  });
  const routes = routesPath(base, filled.routes);
  const { bearer } = filled.sip;
  return {
    ...filled,
    ...(bearer ? { sip: { ...filled.sip, bearer: { ...bearer, jwks: resolve(base, bearer.jwks) } } } : {}),
    tls: { ...filled.tls, ...Object.fromEntries(files) },
    trunks: withAbsolutePaths(filled.trunks, base),
    ...(routes === undefined ? {} : { routes }),
    public: flags.public ?? filled.public,
    data: flags.data !== undefined ? resolve(cwd, flags.data) : resolve(base, filled.data),
  };
}

/** Routes that are named and missing are no error: the server says so, goes the built-in way, and takes them when they come. */
function routesPath(base: string, named: string | undefined): string | undefined {
  if (named !== undefined) return resolve(base, named);
  const path = join(base, ROUTES);
  return existsSync(path) ? path : undefined;
}

export function readSettings(path: string, presence: 'may be missing' | 'has to be there'): unknown {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' && presence === 'may be missing') return undefined;
    throw new ConfigError([code === 'ENOENT' ? `${path}: there is no such file` : `${path}: ${message}`]);
  }
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new ConfigError([`${path}: this is not JSON: ${error instanceof Error ? error.message : String(error)}`]);
  }
}
