import { existsSync, readFileSync } from 'node:fs';
import { isIP } from 'node:net';
import { dirname, resolve } from 'node:path';
import { Ajv, type ErrorObject } from 'ajv';
import { suggest } from './suggest.ts';

/** What `offhook.config.json` says, with every default filled in. The keys are described in config.schema.json. */
export interface Config {
  readonly domain: string;
  readonly public: boolean;
  readonly http: { readonly address: string; readonly port: number };
  readonly sip: { readonly address: string; readonly udp: number; readonly tcp: number };
  readonly media: {
    readonly path: 'opaque' | 'terminated';
    readonly workers: number;
    readonly ngPort: number;
    readonly muxPort: number;
    readonly rtpMin: number;
    readonly rtpMax: number;
    readonly timeoutS: number;
  };
  readonly turn: {
    readonly enabled: boolean;
    readonly port: number;
    readonly relayMin: number;
    readonly relayMax: number;
    readonly realm: string;
    readonly ttlS: number;
  };
  /** Absolute. */
  readonly data: string;
  readonly demoAccounts: boolean;
}

/** The command line wins over the file. */
export interface ConfigOverrides {
  readonly data?: string;
  readonly port?: number;
  readonly public?: boolean;
}

interface SchemaNode {
  readonly type?: string;
  readonly properties?: Readonly<Record<string, SchemaNode>>;
  readonly enum?: readonly string[];
  readonly minimum?: number;
  readonly maximum?: number;
  readonly minLength?: number;
  readonly maxLength?: number;
}

const schema = JSON.parse(readFileSync(new URL('../config.schema.json', import.meta.url), 'utf8')) as SchemaNode;
const validate = new Ajv({ allErrors: true, useDefaults: true }).compile<Config>(schema);

/** Everything that is wrong with a configuration, in words. */
export class ConfigError extends Error {
  readonly problems: readonly string[];

  constructor(source: string, problems: readonly string[]) {
    super(`${source} can't be used:\n${problems.map((problem) => `  ${problem}`).join('\n')}`);
    this.problems = problems;
  }
}

/**
 * Reads the configuration: the file named, else `offhook.config.json` in the working directory if there is one, else
 * the defaults alone. Throws ConfigError with all problems at once.
 */
export function loadConfig(file: string | undefined, overrides: ConfigOverrides = {}, cwd = process.cwd()): Config {
  const path = resolve(cwd, file ?? 'offhook.config.json');
  if (file === undefined && !existsSync(path)) return checkConfig({}, 'the command line', cwd, overrides, cwd);
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    throw new ConfigError(path, [`it can't be read: ${(error as Error).message}`]);
  }
  let value: unknown;
  try {
    value = JSON.parse(text.replace(/^\uFEFF/, ''));
  } catch (error) {
    throw new ConfigError(path, [`it is not valid JSON: ${(error as Error).message}`]);
  }
  return checkConfig(value, path, dirname(path), overrides, cwd);
}

/** Checks and completes one configuration value; relative paths in it are taken from `base`. */
export function checkConfig(
  value: unknown,
  source: string,
  base: string,
  overrides: ConfigOverrides = {},
  cwd = base,
): Config {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new ConfigError(source, [`the whole of it has to be an object in braces, not ${show(value)}`]);
  }
  const config = structuredClone(value) as Config;
  const problems = validate(config) ? [] : (validate.errors ?? []).map((error) => inWords(error, config));
  const port = overrides.port ?? 0;
  if (!(Number.isInteger(port) && port >= 0 && port <= 65535)) {
    problems.push(`--port: has to be a whole number from 0 to 65535, not ${show(overrides.port)}`);
  }
  problems.push(...crossChecks(config));
  if (problems.length > 0) throw new ConfigError(source, [...new Set(problems)]);
  return {
    ...config,
    public: overrides.public ?? config.public,
    http: { ...config.http, port: overrides.port ?? config.http.port },
    turn: { ...config.turn, realm: config.turn.realm || config.domain },
    data: overrides.data === undefined ? resolve(base, config.data) : resolve(cwd, overrides.data),
  };
}

/** What no single key can say. Keys of the wrong type have been reported already and are passed over. */
function crossChecks({ http, sip, media, turn }: Partial<Config>): string[] {
  const problems: string[] = [];
  for (const [key, address] of [
    ['http.address', http?.address],
    ['sip.address', sip?.address],
  ]) {
    if (typeof address === 'string' && address !== 'auto' && isIP(address) === 0) {
      problems.push(`${key}: has to be an IP address or "auto", not ${show(address)}`);
    }
  }
  const range = (section: string, low: string, from: unknown, high: string, to: unknown) => {
    if (typeof from !== 'number' || typeof to !== 'number') return false;
    if (from > to) problems.push(`${section}.${low}: ${from} is above ${section}.${high}, ${to}`);
    else if (from === 0 && to !== 0) problems.push(`${section}.${low}: 0 (any port) needs ${section}.${high} 0 too`);
    else return from > 0;
    return false;
  };
  range('turn', 'relayMin', turn?.relayMin, 'relayMax', turn?.relayMax);
  if (range('media', 'rtpMin', media?.rtpMin, 'rtpMax', media?.rtpMax) && media) {
    const each = Math.floor((media.rtpMax - media.rtpMin + 1) / media.workers);
    if (each < 4) {
      problems.push(
        `media.rtpMin: ${media.rtpMin}–${media.rtpMax} is too small for ${media.workers} workers: 4 ports each`,
      );
    }
  }
  if (typeof media?.workers === 'number') {
    for (const key of ['ngPort', 'muxPort'] as const) {
      if (media[key] + media.workers - 1 > 65535) problems.push(`media.${key}: leaves no ports for every worker`);
    }
  }
  return problems;
}

function inWords(error: ErrorObject, config: unknown): string {
  const path = error.instancePath.split('/').slice(1);
  const key = path.join('.');
  if (error.keyword === 'additionalProperties') {
    const unknown = String(error.params.additionalProperty);
    const here = Object.keys(nodeAt(path)?.properties ?? {}).filter((name) => name !== '$schema');
    const near = suggest(unknown, here);
    const elsewhere = near ? [] : allKeys(schema).filter((known) => known.split('.').at(-1) === unknown);
    const meant = near ? [...path, near].join('.') : elsewhere.join('" or "');
    const hint = meant ? `did you mean "${meant}"?` : `known here: ${here.join(', ')}`;
    return `${[...path, unknown].join('.')}: unknown key; ${hint}`;
  }
  let value = config;
  for (const name of path) value = (value as Record<string, unknown>)[name];
  return `${key}: has to be ${wanted(nodeAt(path) ?? {}, error)}, not ${show(value)}`;
}

function nodeAt(path: readonly string[]): SchemaNode | undefined {
  let node: SchemaNode | undefined = schema;
  for (const name of path) node = node?.properties?.[name];
  return node;
}

function allKeys(node: SchemaNode, prefix = ''): string[] {
  return Object.entries(node.properties ?? {}).flatMap(([name, child]) => [
    prefix + name,
    ...allKeys(child, `${prefix}${name}.`),
  ]);
}

function wanted(node: SchemaNode, error: ErrorObject): string {
  if (node.enum) return node.enum.map((word) => `"${word}"`).join(' or ');
  if (node.type === 'integer') return `a whole number from ${node.minimum} to ${node.maximum}`;
  if (node.type === 'boolean') return 'true or false';
  if (node.type === 'object') return 'an object in braces';
  if (error.keyword === 'pattern') return 'a host name of letters, digits, dots and hyphens';
  if (node.maxLength) return `a text of at most ${node.maxLength} characters`;
  return node.minLength ? 'a text that is not empty' : 'a text';
}

function show(value: unknown): string {
  const text = JSON.stringify(value) ?? String(value);
  return text.length > 60 ? `${text.slice(0, 57)}…` : text;
}
