import type { Cdr, CdrPage } from '@offhook/signaling';
import { UsageError, type Values } from '../arguments.ts';
import { closest } from '../config/closest.ts';
import { ask } from '../running.ts';
import { command } from '../spelling.ts';

/** Records in one answer of the server. */
const PAGE = 500;
const DEFAULT_LIMIT = 50;

/** Options of the command and the parameters they are to the server, which looks at what they hold. */
const PARAMETERS = {
  user: 'user',
  with: 'with',
  from: 'from',
  to: 'to',
  direction: 'direction',
  answered: 'answered',
  status: 'status',
  since: 'since',
  until: 'until',
  'min-s': 'minS',
  'max-s': 'maxS',
  text: 'text',
  before: 'before',
} as const;

type Option = keyof typeof PARAMETERS;

/** Resolves when it has gone out: what is left in a pipe when the process ends is lost, and a slow reader sets the pace. */
const out = (text: string) => new Promise<void>((resolve) => process.stdout.write(text, () => resolve()));

/** Ended calls, the newest first: in words, as JSON, or as CSV; where older ones are left, how to get them. */
export async function cdrs(data: string, values: Values): Promise<number> {
  const limit = limitOf(values.limit);
  if (values.json && values.csv) throw new UsageError('--json or --csv, not both.');
  const parameters = parametersOf(values);
  const write = values.json ? asJson() : values.csv ? await asCsv() : inWords();
  // Who has seen enough, as `head` has, closes the pipe.
  process.stdout.on('error', ({ code }: NodeJS.ErrnoException) => process.exit(code === 'EPIPE' ? 0 : 1));
  let left = limit;
  let before = values.before;
  do {
    const page = await search(data, { ...parameters, before, limit: Math.min(PAGE, left) });
    if (page.records.length === 0 && left === limit && values.user !== undefined) await checkUser(data, values.user);
    await write.page(page.records);
    left -= page.records.length;
    before = page.next && `${page.next.startedAt}${page.next.id === undefined ? '' : `.${page.next.id}`}`;
  } while (before !== undefined && left > 0);
  await write.end(left === limit);
  if (before !== undefined)
    process.stderr.write(`there may be older ones: ${command(`cdrs${asTyped(values)} --before ${before}`)}\n`);
  return 0;
}

function limitOf(value: string | undefined): number {
  if (value === undefined) return DEFAULT_LIMIT;
  if (!/^[1-9]\d{0,6}$/.test(value)) throw new UsageError(`--limit: a whole number from 1 on, not '${value}'.`);
  return Number(value);
}

function parametersOf(values: Values): Record<string, string | undefined> {
  const parameters: Record<string, string | undefined> = {};
  for (const [option, parameter] of Object.entries(PARAMETERS)) parameters[parameter] = values[option as Option];
  const { answered } = parameters;
  if (answered !== undefined && answered !== 'yes' && answered !== 'no')
    throw new UsageError(`--answered is yes or no, not '${answered}'.`);
  if (answered !== undefined) parameters.answered = String(answered === 'yes');
  return parameters;
}

/** What the server finds wrong with a parameter is said of the option. */
async function search(data: string, parameters: Record<string, string | number | undefined>): Promise<CdrPage> {
  try {
    return (await ask(data, 'signaling', 'cdrs', parameters)) as CdrPage;
  } catch (error) {
    const { message } = error as Error;
    for (const [option, parameter] of Object.entries(PARAMETERS))
      if (message.startsWith(`${parameter}: `)) throw new UsageError(`--${option}${message.slice(parameter.length)}.`);
    throw error;
  }
}

/** Who has no calls may not be there at all; the calls of an account that was removed are still found. */
async function checkUser(data: string, user: string): Promise<void> {
  const list = (await ask(data, 'signaling', 'users', { op: 'list' })) as readonly { readonly user: string }[];
  const names = list.map((one) => one.user);
  if (names.includes(user.toLowerCase()) || names.includes(user)) return;
  const meant = closest(user, names);
  throw new Error(
    `there is no user '${user}'${meant === undefined ? `; see: ${command('user list')}` : `; did you mean '${meant}'?`}`,
  );
}

/** The options as they were given, to be pasted again. */
function asTyped(values: Values): string {
  const words = Object.keys(PARAMETERS).flatMap((option) => {
    const value = option === 'before' ? undefined : values[option as Option];
    return value === undefined
      ? []
      : [` --${option} ${/^[\w.:+@-]+$/.test(value) ? value : `'${value.replaceAll("'", `'\\''`)}'`}`];
  });
  const { limit, json, csv } = values;
  return `${words.join('')}${limit === undefined ? '' : ` --limit ${limit}`}${json ? ' --json' : ''}${csv ? ' --csv' : ''}`;
}

interface Writer {
  page(records: readonly Cdr[]): Promise<void>;
  end(isEmpty: boolean): Promise<void>;
}

function inWords(): Writer {
  return {
    page: (records) => out(records.map((record) => `${line(record)}\n`).join('')),
    end: (isEmpty) => out(isEmpty ? 'no calls\n' : ''),
  };
}

function asJson(): Writer {
  let isFirst = true;
  return {
    page: async (records) => {
      if (records.length === 0) return;
      await out(`${isFirst ? '[\n' : ',\n'}${records.map((one) => `  ${JSON.stringify(one)}`).join(',\n')}`);
      isFirst = false;
    },
    end: (isEmpty) => out(isEmpty ? '[]\n' : '\n]\n'),
  };
}

async function asCsv(): Promise<Writer> {
  const { cdrsAsCsv } = await import('@offhook/signaling');
  let withHeader = true;
  return {
    page: async (records) => {
      await out(cdrsAsCsv(records, { withHeader }));
      withHeader = false;
    },
    end: async () => {},
  };
}

function line({ from, to, answeredBy, isPrivate, startedAt, answeredAt, endedAt, status, reason }: Cdr): string {
  const took = answeredBy === undefined || answeredBy === to ? '' : ` (${answeredBy})`;
  const who = `${from}${isPrivate ? ' (hidden)' : ''} → ${to}${took}`;
  const talked = answeredAt === undefined ? 'not answered' : `talked ${duration(endedAt - answeredAt)}`;
  return `${localTime(startedAt)}  ${who.padEnd(32)}  ${talked.padEnd(14)}  ${status} ${reason}`;
}

/** `2026-12-24 20:00:05`, here. */
function localTime(ms: number): string {
  const at = new Date(ms);
  const two = (n: number) => String(n).padStart(2, '0');
  const day = `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}`;
  return `${day} ${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`;
}

/** `1:05`, `1:00:00`. */
function duration(ms: number): string {
  const s = Math.round(ms / 1000);
  const two = (n: number) => String(n).padStart(2, '0');
  const [h, m] = [Math.floor(s / 3600), Math.floor(s / 60) % 60];
  return h > 0 ? `${h}:${two(m)}:${two(s % 60)}` : `${m}:${two(s % 60)}`;
}
