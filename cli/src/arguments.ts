import { parseArgs } from 'node:util';
import { closest } from './config/closest.ts';
import { command } from './spelling.ts';

/** A mistake in the command line: words, and exit code 2. */
export class UsageError extends Error {}

const OPTIONS = {
  config: { type: 'string' },
  data: { type: 'string' },
  port: { type: 'string' },
  public: { type: 'boolean' },
  quiet: { type: 'boolean' },
  json: { type: 'boolean' },
  password: { type: 'string' },
  name: { type: 'string' },
  forward: { type: 'string' },
  busy: { type: 'string' },
  'no-answer': { type: 'string' },
  after: { type: 'string' },
  dnd: { type: 'string' },
  trunk: { type: 'string' },
  at: { type: 'string' },
  file: { type: 'string' },
  digest: { type: 'string' },
  udp: { type: 'string', multiple: true },
  tcp: { type: 'string', multiple: true },
  tls: { type: 'string', multiple: true },
  ws: { type: 'string', multiple: true },
  wss: { type: 'string', multiple: true },
  cert: { type: 'string' },
  key: { type: 'string' },
  connections: { type: 'string' },
  'per-address': { type: 'string' },
  'max-size': { type: 'string' },
  idle: { type: 'string' },
  rate: { type: 'string' },
  count: { type: 'string' },
  interval: { type: 'string' },
  size: { type: 'string' },
  timeout: { type: 'string' },
  ca: { type: 'string' },
  fingerprint: { type: 'string' },
  insecure: { type: 'boolean' },
  server: { type: 'string' },
  transport: { type: 'string' },
  'password-file': { type: 'string' },
  to: { type: 'string' },
  user: { type: 'string' },
  with: { type: 'string' },
  from: { type: 'string' },
  direction: { type: 'string' },
  answered: { type: 'string' },
  status: { type: 'string' },
  since: { type: 'string' },
  until: { type: 'string' },
  'min-s': { type: 'string' },
  'max-s': { type: 'string' },
  text: { type: 'string' },
  limit: { type: 'string' },
  before: { type: 'string' },
  csv: { type: 'boolean' },
  wait: { type: 'boolean' },
  watch: { type: 'boolean' },
  force: { type: 'boolean' },
  ttl: { type: 'string' },
  for: { type: 'string' },
  out: { type: 'string' },
  conf: { type: 'string' },
  help: { type: 'boolean', short: 'h' },
  version: { type: 'boolean' },
} as const;

type Option = keyof typeof OPTIONS;
type Value<O extends Option> = (typeof OPTIONS)[O]['type'] extends 'string' ? string : boolean;
export type Values = { readonly [O in Option]?: Value<O> | undefined };

/** The options of each command beside those of all. */
const OWN: Readonly<Record<string, readonly Option[]>> = {
  start: ['port', 'public', 'quiet'],
  relay: ['public', 'quiet'],
  status: ['json'],
  doctor: ['json'],
  trunks: ['json'],
  calls: ['watch', 'json'],
  bans: ['json'],
  route: ['trunk', 'at', 'file', 'json'],
  chat: ['server', 'transport', 'password-file', 'to', 'ca', 'json'],
  cdrs: [
    ...(['user', 'with', 'from', 'to', 'direction', 'answered', 'status', 'since', 'until'] as const),
    ...(['min-s', 'max-s', 'text', 'limit', 'before', 'json', 'csv'] as const),
  ],
  user: ['json'],
  'user add': ['json', 'password', 'name', 'digest'],
  'user passwd': ['json', 'password', 'digest'],
  'user calls': ['json', 'forward', 'busy', 'no-answer', 'after', 'dnd'],
  'user list': ['json'],
  echo: ['count', 'interval', 'size', 'timeout', 'ca', 'fingerprint', 'insecure', 'json'],
  'echo listen': [
    ...(['udp', 'tcp', 'tls', 'ws', 'wss', 'public', 'cert', 'key', 'json', 'quiet'] as const),
    ...(['connections', 'per-address', 'max-size', 'idle', 'rate'] as const),
  ],
  'user remove': ['json'],
  turn: ['json'],
  'turn status': ['json'],
  'turn users': ['json', 'password'],
  'turn drain': ['to', 'wait'],
  'turn undrain': [],
  'turn rotate-secret': ['force'],
  'turn credentials': ['ttl', 'json'],
  'turn coturn-conf': ['for', 'out', 'public'],
  'turn check-conf': ['json'],
  'turn serve': ['conf'],
};
const ALL: readonly Option[] = ['config', 'data', 'help', 'version'];

export interface CommandLine {
  readonly values: Values;
  readonly words: readonly string[];
}

/** Splits the command line into options and words; throws UsageError for what is no option at all or lacks its value. */
export function parseCommandLine(args: readonly string[]): CommandLine {
  const { tokens } = parseArgs({
    args: [...args],
    options: OPTIONS,
    allowPositionals: true,
    strict: false,
    tokens: true,
  });
  const values: Record<string, string | boolean> = {};
  const words: string[] = tokens.flatMap((token) => (token.kind === 'positional' ? [token.value] : []));
  for (const token of tokens) {
    if (token.kind !== 'option') continue;
    const { name, rawName, value, inlineValue } = token;
    if (!Object.hasOwn(OPTIONS, name)) throw noSuch(rawName, words);
    const wantsValue = OPTIONS[name as Option].type === 'string';
    if (!wantsValue && value !== undefined)
      throw new UsageError(`${rawName} takes no value, and '${value}' was given.`);
    const isOption = !inlineValue && value !== '-' && value?.startsWith('-');
    if (wantsValue && (value === undefined || isOption))
      throw new UsageError(`${rawName} needs a value: ${rawName} <…> (or ${rawName}=<…>, when it begins with '-').`);
    const before = values[name];
    // what may be given several times adds up, with commas
    const addsUp = 'multiple' in OPTIONS[name as Option] && typeof before === 'string';
    values[name] = addsUp ? `${before},${value}` : (value ?? true);
  }
  return { values: values as Values, words };
}

/** What is no option at all, told of the command that was meant. */
function noSuch(given: string, [name = '', op]: readonly string[]): UsageError {
  const command = name === 'users' ? 'user' : name;
  const page = [`${command} ${op}`, command].find((one) => Object.hasOwn(OWN, one));
  return page === undefined ? unknown(given, Object.keys(OPTIONS), '') : unknown(given, [...OWN[page]!, ...ALL], page);
}

export interface NumberRange {
  readonly min: number;
  readonly max: number;
  /** Without the option. */
  readonly otherwise: number;
  /** `whole`: no fractions. */
  readonly kind: 'whole' | 'decimal';
}

/** An option's value as a number; throws UsageError when it is none, or outside. */
export function numberOption(values: Values, name: Option, { min, max, otherwise, kind }: NumberRange): number {
  const text = values[name];
  if (typeof text !== 'string') return otherwise;
  const isWell = kind === 'whole' ? /^\d{1,12}$/.test(text) : /^\d{1,12}(?:\.\d{1,6})?$/.test(text);
  const value = Number(text);
  if (isWell && value >= min && value <= max) return value;
  throw new UsageError(`--${name}: '${text}' is no ${kind === 'whole' ? 'whole ' : ''}number from ${min} to ${max}.`);
}

/** Throws UsageError for an option that this command does not have. */
export function checkOptions(name: string, values: Values): void {
  const known: readonly Option[] = [...(OWN[name] ?? []), ...ALL];
  for (const option of Object.keys(values))
    if (!known.includes(option as Option)) throw unknown(`--${option}`, known, name);
}

function unknown(given: string, known: readonly string[], name: string): UsageError {
  const near = given.startsWith('--') ? closest(given.slice(2), known) : undefined;
  const what = name === '' ? `'${given}' is no option of offhook` : `'offhook ${name}' has no option '${given}'`;
  const help = command(name === '' ? '--help' : `${name} --help`, { cwd: process.cwd() });
  return new UsageError(`${what}${near ? `; did you mean '--${near}'?` : '.'} See: ${help}`);
}
