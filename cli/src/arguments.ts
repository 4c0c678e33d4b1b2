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
  help: { type: 'boolean', short: 'h' },
  version: { type: 'boolean' },
} as const;

type Option = keyof typeof OPTIONS;
type Value<O extends Option> = (typeof OPTIONS)[O]['type'] extends 'string' ? string : boolean;
export type Values = { readonly [O in Option]?: Value<O> | undefined };

/** The options of each command beside those of all. */
const OWN: Readonly<Record<string, readonly Option[]>> = {
  start: ['port', 'public', 'quiet'],
  status: ['json'],
  doctor: ['json'],
  trunks: ['json'],
  route: ['trunk', 'at', 'file', 'json'],
  user: ['json'],
  'user add': ['json', 'password', 'name', 'digest'],
  'user passwd': ['json', 'password', 'digest'],
  'user calls': ['json', 'forward', 'busy', 'no-answer', 'after', 'dnd'],
  'user list': ['json'],
  'user remove': ['json'],
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
  const words: string[] = [];
  for (const token of tokens) {
    if (token.kind === 'positional') words.push(token.value);
    if (token.kind !== 'option') continue;
    const { name, rawName, value, inlineValue } = token;
    if (!Object.hasOwn(OPTIONS, name)) throw unknown(rawName, Object.keys(OPTIONS), '');
    const wantsValue = OPTIONS[name as Option].type === 'string';
    if (!wantsValue && value !== undefined)
      throw new UsageError(`${rawName} takes no value, and '${value}' was given.`);
    if (wantsValue && (value === undefined || (!inlineValue && value.startsWith('-'))))
      throw new UsageError(`${rawName} needs a value: ${rawName} <…> (or ${rawName}=<…>, when it begins with '-').`);
    values[name] = value ?? true;
  }
  return { values: values as Values, words };
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
