import { spawn } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { alawPcap } from '../sipp.ts';
import type { System } from '../system.ts';
import { LOAD_CPU, pinned } from './process.ts';

export const PASSWORD = 'correct-Horse-7';

/** Upper ends of the bins of set-up times, milliseconds, as the scenario has them. */
const BINS = [5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000];

export interface LoadOptions {
  readonly system: System;
  readonly folder: string;
  /** `load-caller.xml` (default) or `register.xml`. */
  readonly scenario?: 'load-caller.xml' | 'register.xml';
  readonly callers: readonly string[];
  /** Whom each of them calls. */
  readonly callees: readonly string[];
  readonly calls: number;
  readonly ratePerS: number;
  readonly holdMs?: number;
  /** Speech is sent; SIPp needs a raw socket for that, so root. */
  readonly withSound?: boolean;
  readonly from?: string;
  readonly port?: number;
  readonly say?: (words: string) => void;
}

export interface LoadResult {
  readonly successful: number;
  readonly failed: number;
  readonly retransmissions: number;
  readonly seconds: number;
  /** From the first INVITE to the answer; the upper end of the bin that the percentile falls into. */
  readonly setUpMs: { readonly p50: number; readonly p95: number; readonly p99: number };
  /** What SIPp says of those that failed. */
  readonly why: Readonly<Record<string, number>>;
}

/** Accounts `<prefix>0` and so on. */
export async function addAccounts(system: System, prefix: string, count: number): Promise<string[]> {
  const names = Array.from({ length: count }, (_, i) => `${prefix}${i}`);
  for (const name of names) await system.addUser(name, PASSWORD);
  return names;
}

/** SIPp at a rate: one line of progress each five seconds. It is killed when its calls should have been over for long. */
export async function load(o: LoadOptions): Promise<LoadResult> {
  const folder = mkdtempSync(join(o.folder, 'load-'));
  const { scenario = 'load-caller.xml', holdMs = 1000, from = '127.0.0.1' } = o;
  writeFileSync(
    join(folder, 'users.csv'),
    [
      'SEQUENTIAL',
      ...o.callers.map((user, i) => userLine(user, o.system.domain, o.callees[i % o.callees.length])),
    ].join('\n'),
  );
  const sound = o.withSound ? `<nop><action><exec play_pcap_audio="${alawPcap()}"/></action></nop>` : '';
  const xml = readFileSync(scenarioPath(scenario), 'utf8')
    .replace('SOUND', sound)
    .replaceAll('MEDIA_PORT', o.withSound ? '[auto_media_port]' : '9')
    .replaceAll('EXPIRES', '3600')
    .replaceAll('EXPECTED', '200');
  writeFileSync(join(folder, 'scenario.xml'), xml);
  const expectedS = o.calls / o.ratePerS + holdMs / 1000;
  const args = [
    ...[`127.0.0.1:${o.system.ports.udp}`, '-sf', 'scenario.xml', '-inf', 'users.csv', '-i', from, '-mi', from],
    ...(o.port === undefined ? [] : ['-p', String(o.port)]),
    ...['-m', String(o.calls), '-r', String(o.ratePerS), '-l', '8000', '-d', String(holdMs), '-nostdin'],
    ...[
      '-buff_size',
      String(4 << 20),
      '-trace_stat',
      '-stf',
      'stat.csv',
      '-fd',
      '1',
      '-trace_err',
      '-error_file',
      'errors.log',
    ],
    ...[
      '-mp',
      String(22_000 + 4 * Math.floor(Math.random() * 500)),
      '-timeout',
      `${Math.ceil(expectedS + 60)}s`,
      '-timeout_error',
    ],
  ];
  const began = performance.now();
  const child = start(args, folder, expectedS + 70);
  const progress = setInterval(() => {
    const now = statistics(join(folder, 'stat.csv'));
    if (now) o.say?.(`${now.successful} done, ${now.failed} failed, ${now.retransmissions} retransmissions`);
  }, 5000);
  await child.gone;
  clearInterval(progress);
  const last = statistics(join(folder, 'stat.csv'));
  if (!last) throw new Error(`SIPp did not start:\n${readFileSync(join(folder, 'output'), 'utf8').slice(-2000)}`);
  return { ...last, seconds: (performance.now() - began) / 1000, why: reasons(join(folder, 'errors.log')) };
}

/** Phones of these users at one port of SIPp, which takes every call; registered for an hour. */
export async function phones(o: {
  readonly system: System;
  readonly folder: string;
  readonly users: readonly string[];
  readonly port: number;
  readonly from?: string;
}): Promise<AsyncDisposable> {
  const { system, users, port, from = '127.0.0.1' } = o;
  const registered = await load({
    ...{ system, folder: o.folder, scenario: 'register.xml', callers: users, callees: users, port, from },
    ...{ calls: users.length, ratePerS: 200, holdMs: 0 },
  });
  if (registered.failed > 0) throw new Error(`${registered.failed} phones could not be registered`);
  const folder = mkdtempSync(join(o.folder, 'phones-'));
  const media = String(26_000 + 4 * Math.floor(Math.random() * 500));
  const child = start(
    [
      ...[
        '-sf',
        scenarioPath('load-phone.xml'),
        '-i',
        from,
        '-p',
        String(port),
        '-mi',
        from,
        '-mp',
        media,
        '-rtp_echo',
      ],
      ...['-nostdin', '-buff_size', String(4 << 20)],
    ],
    folder,
    14_400,
  );
  return {
    [Symbol.asyncDispose]: async () => {
      child.stop();
      await child.gone;
    },
  };
}

function userLine(user: string, domain: string, callee = ''): string {
  return `${user};[authentication username=${user} password=${PASSWORD}];${domain};${callee}`;
}

function scenarioPath(name: string): string {
  return fileURLToPath(new URL(`../../scenarios/${name}`, import.meta.url));
}

function start(args: readonly string[], folder: string, withinS: number): { gone: Promise<void>; stop(): void } {
  const output = openSync(join(folder, 'output'), 'w');
  const [program, ...rest] = [
    ...pinned(LOAD_CPU),
    'timeout',
    '-s',
    'KILL',
    String(Math.ceil(withinS)),
    'sipp',
    ...args,
  ];
  const child = spawn(program!, rest, { cwd: folder, stdio: ['ignore', output, output] });
  closeSync(output);
  const gone = new Promise<void>((resolve, reject) => child.once('close', () => resolve()).once('error', reject));
  return { gone, stop: () => child.kill('SIGTERM') };
}

/** The last line of SIPp's figures, as soon as there is one. */
function statistics(
  path: string,
): Pick<LoadResult, 'successful' | 'failed' | 'retransmissions' | 'setUpMs'> | undefined {
  let rows: string[];
  try {
    rows = readFileSync(path, 'utf8').trim().split('\n');
  } catch {
    return undefined;
  }
  if (rows.length < 2) return undefined;
  const names = rows[0]!.split(';');
  const last = rows.at(-1)!.split(';');
  const count = (name: string) => Number(last[names.indexOf(name)] ?? 0) || 0;
  const bins = [
    ...BINS.map((ms) => `ResponseTimeRepartition1_<${ms}`),
    `ResponseTimeRepartition1_>=${BINS.at(-1)}`,
  ].map(count);
  const all = bins.reduce((a, b) => a + b, 0);
  const percentile = (part: number) => {
    let sum = 0;
    const at = bins.findIndex((n) => {
      sum += n;
      return sum >= all * part;
    });
    return all === 0 ? 0 : (BINS[at] ?? 60_000);
  };
  return {
    successful: count('SuccessfulCall(C)'),
    failed: count('FailedCall(C)'),
    retransmissions: count('Retransmissions(C)'),
    setUpMs: { p50: percentile(0.5), p95: percentile(0.95), p99: percentile(0.99) },
  };
}

/** What went wrong, by its kind: SIPp writes whole messages, of which their first lines tell enough. */
function reasons(path: string): Record<string, number> {
  const found: Record<string, number> = {};
  let text: string;
  try {
    text = readFileSync(path, 'latin1');
  } catch {
    return found; // no errors, no file
  }
  for (const [line] of text.matchAll(
    /^SIP\/2\.0 [3-6]\d\d .*$|(?<=: )[^:\n]*[Mm]ax(?:imum)? .*retrans[^,\n]*|^Reason: .*$/gm,
  )) {
    const words = line.trim().replace(/\d{3,}(?= |$)/g, (digits) => (digits.length === 3 ? digits : 'n'));
    found[words] = (found[words] ?? 0) + 1;
    if (Object.keys(found).length >= 20) break;
  }
  return found;
}
