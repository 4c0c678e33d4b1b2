import { execFileSync, spawn } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export interface SippRun {
  /** 0 means every call went through the whole scenario. */
  readonly code: number | null;
  readonly successful: number;
  readonly failed: number;
  readonly retransmissions: number;
  readonly output: string;
}

export interface SippOptions {
  readonly folder: string;
  /** A file of scenarios/. */
  readonly scenario: string;
  /** Replaced in the scenario's text: `{EXPECTED: '200'}`. */
  readonly replace?: Readonly<Record<string, string>>;
  readonly server: string;
  readonly user: string;
  readonly password: string;
  /** Realm of the credentials SIPp is given is always the challenge's; this is the domain of From and To. */
  readonly domain: string;
  readonly calls: number;
  readonly ratePerS?: number;
  readonly transport?: 'u1' | 't1';
  /** The address it has, instead of 127.0.0.1. */
  readonly from?: string;
  readonly timeoutS?: number;
  /** Its own port, when others have to find it there (default: any). */
  readonly port?: number;
}

/** Runs one of the scenarios with Debian's SIPp against `server` (`127.0.0.1:5060`). */
export async function sipp(o: SippOptions): Promise<SippRun> {
  const folder = mkdtempSync(join(o.folder, 'sipp-'));
  let xml = readFileSync(scenarioUrl(o.scenario), 'utf8');
  for (const [name, value] of Object.entries(o.replace ?? {})) xml = xml.replaceAll(name, value);
  writeFileSync(join(folder, 'scenario.xml'), xml);
  writeFileSync(
    join(folder, 'users.csv'),
    `SEQUENTIAL\n${o.user};[authentication username=${o.user} password=${o.password}];${o.domain}\n`,
  );
  const child = spawn(
    'timeout',
    [
      ...[
        '-s',
        'KILL',
        String(o.timeoutS ?? 120),
        'sipp',
        o.server,
        '-sf',
        'scenario.xml',
        '-inf',
        'users.csv',
        '-i',
        o.from ?? '127.0.0.1',
      ],
      ...['-mi', '127.0.0.1', '-mp', String(await mediaPort()), '-t', o.transport ?? 'u1'],
      ...(o.port === undefined ? [] : ['-p', String(o.port)]),
      ...[
        '-m',
        String(o.calls),
        '-r',
        String(o.ratePerS ?? 20),
        '-l',
        '1000',
        '-nostdin',
        '-trace_stat',
        '-stf',
        'stat.csv',
        '-fd',
        '1',
      ],
      ...['-trace_err', '-error_file', 'errors.log', '-timeout', `${(o.timeoutS ?? 120) - 5}s`, '-timeout_error'],
    ],
    { cwd: folder, stdio: ['ignore', 'pipe', 'pipe'] },
  );
  let output = '';
  child.stdout.on('data', (d: Buffer) => {
    output = (output + d.toString()).slice(-20_000);
  });
  child.stderr.on('data', (d: Buffer) => {
    output = (output + d.toString()).slice(-20_000);
  });
  const code = await new Promise<number | null>((resolve) => child.once('close', resolve));
  const rows = readFileSync(join(folder, 'stat.csv'), 'utf8').trim().split('\n');
  const names = rows[0]!.split(';');
  const last = rows.at(-1)!.split(';');
  const count = (name: string) => Number(last[names.indexOf(name)]);
  try {
    output += readFileSync(join(folder, 'errors.log'), 'utf8').slice(0, 4000);
  } catch {
    // no errors, no file
  }
  return {
    code,
    successful: count('SuccessfulCall(C)'),
    failed: count('FailedCall(C)'),
    retransmissions: count('Retransmissions(C)'),
    output,
  };
}

/** The G.711 A-law recording that Debian ships with SIPp. */
export function alawPcap(): string {
  const files = execFileSync('dpkg', ['-L', 'sip-tester'], { encoding: 'utf8' }).split('\n');
  const found = files.find((name) => name.endsWith('g711a.pcap'));
  if (!found) throw new Error('sip-tester ships no g711a.pcap');
  return found;
}

/**
 * SIPp as a phone that takes every call and waits for its end, or does what a file of scenarios/ says; it must be
 * registered from the same port.
 */
export async function sippPhone(port: number, folder: string, scenario?: string): Promise<AsyncDisposable> {
  const does = scenario === undefined ? ['-sn', 'uas'] : ['-sf', fileURLToPath(scenarioUrl(scenario))];
  const media = String(await mediaPort());
  const child = spawn(
    'timeout',
    ['-s', 'KILL', '120', 'sipp', ...does, '-i', '127.0.0.1', '-p', String(port), '-mp', media, '-nostdin'],
    { cwd: folder, stdio: 'ignore' },
  );
  const gone = new Promise((resolve) => child.once('close', resolve));
  return {
    [Symbol.asyncDispose]: async () => {
      child.kill('SIGTERM');
      await gone;
    },
  };
}

function scenarioUrl(name: string): URL {
  return new URL(`../scenarios/${name}`, import.meta.url);
}

/** A port whose four are free: SIPp takes them for sound and pictures, whether its scenario has any or not. */
async function mediaPort(): Promise<number> {
  for (;;) {
    const port = 31_000 + 4 * Math.floor(Math.random() * 1000);
    if ((await Promise.all([0, 1, 2, 3].map((more) => isFree(port + more)))).every((free) => free)) return port;
  }
}

async function isFree(port: number): Promise<boolean> {
  const socket = createSocket('udp4');
  try {
    socket.bind(port, '127.0.0.1');
    await once(socket, 'listening');
    return true;
  } catch {
    return false;
  } finally {
    socket.close();
  }
}
