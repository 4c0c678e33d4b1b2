import { mkdirSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { FLAT172, LOADS, type Load, P1000 } from './loads.ts';

/** What a bench under load may be told, whoever its contestants are. */
export interface LoadOptions {
  readonly rounds: number;
  readonly json: boolean;
  readonly loads: readonly Load[];
  readonly withMemory: boolean;
  /** A folder for profiles by perf. */
  readonly profiles: string | undefined;
}

const MEMORY = 'memory';
/** What `--only` chooses from. */
export const ROWS: readonly string[] = [...LOADS.map(({ name }) => name), MEMORY];
/** Those that every comparison of servers is about; a profile is of them alone. */
export const FIRST_LOADS: readonly string[] = [P1000.name, FLAT172.name];

/** Options of one bench alone: their names with what they are by default. */
type OwnDefaults = Readonly<Record<string, string | undefined>>;

interface LoadBench<Own> {
  readonly help: string;
  /** What is measured when nothing is chosen. */
  readonly rows: readonly string[];
  readonly own: OwnDefaults;
  /** @throws in words what can't be */
  readonly read: (values: OwnDefaults) => Own;
}

/** The options of a bench; undefined when its help was wanted, or when they can't be, which is said, exit code 2. */
export function readLoadArguments<Own>(args: string[], bench: LoadBench<Own>): (LoadOptions & Own) | undefined {
  const own = Object.entries(bench.own).map(
    ([name, value]) => [name, { type: 'string', ...(value === undefined ? {} : { default: value }) }] as const,
  );
  try {
    const { values } = parseArgs({
      args,
      options: {
        rounds: { type: 'string' },
        json: { type: 'boolean', default: false },
        only: { type: 'string' },
        profile: { type: 'string' },
        help: { type: 'boolean', default: false },
        ...Object.fromEntries(own),
      },
    });
    if (values.help) {
      process.stdout.write(bench.help);
      return undefined;
    }
    const { profile } = values;
    const given: Readonly<Record<string, unknown>> = values;
    const fallback = profile === undefined ? bench.rows : FIRST_LOADS;
    const rows = values.only === undefined ? fallback : some('only', values.only, ROWS);
    const options = {
      rounds: wholeNumber('rounds', values.rounds ?? (profile === undefined ? '5' : '1'), { least: 1, most: 100 }),
      json: values.json,
      loads: LOADS.filter(({ name }) => rows.includes(name)),
      withMemory: rows.includes(MEMORY),
      profiles: profile,
      ...bench.read(Object.fromEntries(own.map(([name]) => [name, given[name] as string | undefined]))),
    };
    if (profile !== undefined) mkdirSync(profile, { recursive: true });
    return options;
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n\n${bench.help}`);
    process.exitCode = 2;
    return undefined;
  }
}

export function wholeNumber(name: string, text: string, { least, most }: { least: number; most: number }): number {
  const value = Number(text);
  if (text !== '' && Number.isInteger(value) && value >= least && value <= most) return value;
  throw new Error(`--${name}: a number from ${least} to ${most}`);
}

/** The words of a list, each of which has to be known. */
export function some(name: string, text: string, known: readonly string[]): string[] {
  const words = text.split(',');
  const unknown = words.filter((word) => !known.includes(word));
  if (unknown.length === 0) return words;
  throw new Error(`--${name}: there is no ${unknown.join(', ')}; there are ${known.join(', ')}`);
}
