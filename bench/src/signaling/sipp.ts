import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { GENERATOR_CPU, Pinned } from '../pinned.ts';
import { freePort, isTaken, waitUntil } from '../ports.ts';

export type Scenario = 'register' | 'register-authenticated' | 'call' | 'call-authenticated';

export interface SippOptions {
  readonly folder: string;
  readonly scenario: Scenario;
  readonly server: number;
  /** Fields of each call, one line each, used in turn. */
  readonly lines: readonly string[];
  readonly calls: number;
  readonly ratePerS: number;
  readonly port?: number;
  /** How long a call lasts once it is answered. */
  readonly holdMs?: number;
}

export interface SippRun {
  readonly created: number;
  readonly successful: number;
  readonly failed: number;
  readonly retransmissions: number;
  /** INVITE to 180 and to 200, milliseconds, ascending. */
  readonly to180Ms: readonly number[];
  readonly to200Ms: readonly number[];
}

/** Every call's fields: account, its password, domain, who is called. */
export function line(user: string, password: string, domain: string, callee = ''): string {
  return `${user};[authentication username=${user} password=${password}];${domain};${callee}`;
}

export function sippVersion(): string | undefined {
  try {
    // `sipp -v` prints its version and ends with 99
    execFileSync('sipp', ['-v'], { stdio: ['ignore', 'pipe', 'ignore'], encoding: 'utf8' });
  } catch (error) {
    const said = (error as { stdout?: string }).stdout;
    return said === undefined ? undefined : /SIPp v\S+?(?=\.?\s)/.exec(said)?.[0];
  }
  return 'SIPp';
}

/** A generator that has been started; `end` waits until its last call is over. */
export interface Generator {
  end(): Promise<SippRun>;
}

/** Starts SIPp on the generators' core. Its counters are believed, not its exit code. */
export async function startSipp(o: SippOptions): Promise<Generator> {
  const folder = mkdtempSync(join(o.folder, 'sipp-'));
  writeFileSync(join(folder, 'lines.csv'), `SEQUENTIAL\n${o.lines.join('\n')}\n`);
  const seconds = Math.ceil(o.calls / o.ratePerS + (o.holdMs ?? 0) / 1000) + 15;
  const log = join(folder, 'log');
  const port = o.port ?? (await freePort());
  const own = await Pinned.start(
    [
      ...[
        'timeout',
        '-s',
        'KILL',
        String(seconds + 5),
        'sipp',
        `127.0.0.1:${o.server}`,
        '-sf',
        scenarioPath(o.scenario),
      ],
      ...[
        '-inf',
        'lines.csv',
        '-i',
        '127.0.0.1',
        '-p',
        String(port),
        '-mi',
        '127.0.0.1',
        '-mp',
        String(await freePort(4)),
      ],
      ...['-m', String(o.calls), '-r', String(o.ratePerS), '-l', '10000', '-d', String(o.holdMs ?? 0), '-nostdin'],
      ...['-trace_stat', '-stf', 'stat.csv', '-fd', '1', '-trace_rtt', '-rtt_freq', '200'],
      ...['-trace_err', '-error_file', 'errors.log', '-timeout', `${seconds}s`, '-timeout_error'],
    ],
    { cpu: GENERATOR_CPU, cwd: folder, log },
  );
  return {
    end: async () => {
      await own.ended();
      await waitUntil(`SIPp leaves its port ${port}`, async () => !(await isTaken(port)), 5000);
      return results(folder, log);
    },
  };
}

export function scenarioPath(name: Scenario | 'phone'): string {
  return new URL(`scenarios/${name}.xml`, import.meta.url).pathname;
}

/** SIPp as all phones at one port: it answers whatever comes in. They must have registered from there before. */
export async function startPhones(folder: string, port: number): Promise<Pinned> {
  const own = mkdtempSync(join(folder, 'phones-'));
  const media = String(await freePort(4));
  const phones = await Pinned.start(
    [
      ...[
        'sipp',
        '-sf',
        scenarioPath('phone'),
        '-i',
        '127.0.0.1',
        '-p',
        String(port),
        '-mi',
        '127.0.0.1',
        '-mp',
        media,
      ],
      ...['-l', '10000', '-nostdin', '-trace_err', '-error_file', 'errors.log'],
    ],
    { cpu: GENERATOR_CPU, cwd: own, log: join(own, 'log') },
  );
  await waitUntil(`phones at port ${port}`, () => isTaken(port), 5000);
  return phones;
}

function results(folder: string, log: string): SippRun {
  const rows = readIfThere(join(folder, 'stat.csv')).trim().split('\n');
  const names = rows[0]!.split(';');
  const last = rows.at(-1)!.split(';');
  const count = (name: string) => Number(last[names.indexOf(name)]);
  const created = count('TotalCallCreated');
  if (rows.length < 2 || Number.isNaN(created))
    throw new Error(
      `SIPp has counted nothing:\n${readIfThere(log).slice(-1500)}${readIfThere(join(folder, 'errors.log')).slice(0, 1500)}`,
    );
  const times = responseTimes(folder);
  return {
    created,
    successful: count('SuccessfulCall(C)'),
    failed: count('FailedCall(C)'),
    retransmissions: count('Retransmissions(C)'),
    to180Ms: times.get('1') ?? [],
    to200Ms: times.get('2') ?? [],
  };
}

/** SIPp names the file after its scenario and its process. */
function responseTimes(folder: string): Map<string, number[]> {
  const times = new Map<string, number[]>();
  const name = readdirSync(folder).find((file) => file.endsWith('_rtt.csv'));
  if (name === undefined) return times;
  // Date_ms;response_time_ms;rtd_no
  for (const row of readFileSync(join(folder, name), 'utf8').trim().split('\n').slice(1)) {
    const [, ms, which] = row.split(';');
    if (which === undefined) continue;
    const own = times.get(which.trim()) ?? [];
    own.push(Number(ms));
    times.set(which.trim(), own);
  }
  for (const own of times.values()) own.sort((a, b) => a - b);
  return times;
}

function readIfThere(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
