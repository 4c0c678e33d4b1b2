import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { machine } from '../machine.ts';
import { stopAll } from '../pinned.ts';
import { freePort } from '../ports.ts';
import { type IdlePhones, idlePhones, parsing } from './alone.ts';
import { kamailioVersion, startKamailio } from './kamailio.ts';
import {
  CALLEES,
  CALLERS,
  callee,
  caller,
  DOMAIN,
  GENERATORS,
  type Load,
  man,
  registrant,
  type Sample,
  trunksAt,
} from './loads.ts';
import { startOffhook } from './offhook.ts';
import { CALL, callPasses, type Pass, REGISTER, registerPasses, registrantsFor } from './passes.ts';
import { type Results, writeJson, writeTable } from './report.ts';
import type { Server } from './server.ts';
import { sippVersion } from './sipp.ts';

const WEB_PHONES = 6000;
const WEB_PHONE_RUNS = 3;
const PARSE_BATCHES = 7;
/** What a server does for an operation after its end: its longest timer (RFC 3261 17.2.2: 64*T1) and a little more. */
const AFTERWARDS_MS = 34_000;

const HELP = `usage: npm run bench -- signaling [--rounds n] [--json] [--only row,…] [--profile folder]

CPU time, set-up time and memory of our signalling beside Kamailio's, in interleaved rounds under the same SIPp load.

  --rounds n         rounds, 5 or more for a figure that is told others (default 5)
  --json             for programs: one line with everything, then one with the aims
  --only row,…       of register, call, trunk, media, parse, websocket, afterwards
  --profile folder   .cpuprofile files of our signalling are written there; the figures are not worth much then

The last line says of each aim whether it was met. The exit code is 1 only when something could not be measured.
`;

const ROWS = ['register', 'call', 'trunk', 'media', 'parse', 'websocket', 'afterwards'] as const;
type Row = (typeof ROWS)[number];

export async function compareSignaling(args: string[]): Promise<void> {
  const options = readArguments(args);
  if (options === undefined) return;
  const kamailio = kamailioVersion();
  const sipp = sippVersion();
  const missing = [...(kamailio ? [] : ['kamailio']), ...(sipp ? [] : ['sipp (Debian: sip-tester)'])];
  if (missing.length > 0 || process.platform !== 'linux') {
    say(process.platform === 'linux' ? `not installed: ${missing.join(', ')}` : 'this needs Linux');
    process.exitCode = 1;
    return;
  }
  const folder = mkdtempSync(join(tmpdir(), 'oh-bench-'));
  const servers: Server[] = [];
  const interrupted = () => process.exit(130);
  process.once('SIGINT', interrupted).once('SIGTERM', interrupted);
  try {
    const results = await measure({ ...options, folder, servers });
    const whole = { ...results, machine: machine({ kamailio: kamailio!, sipp: sipp! }) };
    if (options.json) writeJson(whole);
    else writeTable(whole);
  } catch (error) {
    say(`it could not be measured: ${(error as Error).message}`);
    process.exitCode = 1;
  } finally {
    for (const server of servers) await server.stop();
    await stopAll();
    rmSync(folder, { recursive: true, force: true });
    process.off('SIGINT', interrupted).off('SIGTERM', interrupted);
  }
}

interface Options {
  readonly rounds: number;
  readonly json: boolean;
  readonly rows: ReadonlySet<Row>;
  readonly profiles?: string;
}

function readArguments(args: string[]): Options | undefined {
  try {
    const { values } = parseArgs({
      args,
      options: {
        rounds: { type: 'string', default: '5' },
        json: { type: 'boolean', default: false },
        only: { type: 'string', default: ROWS.join(',') },
        profile: { type: 'string' },
        help: { type: 'boolean', default: false },
      },
    });
    if (values.help) {
      process.stdout.write(HELP);
      return undefined;
    }
    const rounds = Number(values.rounds);
    if (!Number.isInteger(rounds) || rounds < 1 || rounds > 100) throw new Error('--rounds: a number from 1 to 100');
    const rows = values.only.split(',');
    const unknown = rows.filter((row) => !(ROWS as readonly string[]).includes(row));
    if (unknown.length > 0) throw new Error(`--only: there is no ${unknown.join(', ')}; there are ${ROWS.join(', ')}`);
    if (values.profile !== undefined) mkdirSync(values.profile, { recursive: true });
    return { rounds, json: values.json, rows: new Set(rows as Row[]), profiles: values.profile };
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n\n${HELP}`);
    process.exitCode = 2;
    return undefined;
  }
}

function say(words: string): void {
  process.stderr.write(`${words}\n`);
}

async function measure(o: Options & { folder: string; servers: Server[] }): Promise<Omit<Results, 'machine'>> {
  const { folder, rows, rounds, servers } = o;
  const withPeer = rows.has('register') || rows.has('call') || rows.has('trunk') || rows.has('media');
  const measured = withPeer ? await besidePeer(o) : undefined;
  const parsed = rows.has('parse') ? await parsing(PARSE_BATCHES) : undefined;
  if (parsed) say(`parser: ${parsed.usPerMessage.map((us) => us.toFixed(2)).join(', ')} µs`);
  const webPhones: IdlePhones[] = [];
  if (rows.has('websocket'))
    for (let run = 0; run < WEB_PHONE_RUNS; run++) {
      const idle = await idlePhones(folder, WEB_PHONES, `web-${run}`);
      say(`${idle.phones} idle WebSocket phones: ${(idle.rssBytes / 1000).toFixed(1)} KB each`);
      webPhones.push(idle);
    }
  return {
    rounds,
    loads: { register: REGISTER, call: CALL, webPhones: WEB_PHONES },
    registers: measured?.registers ?? [],
    calls: measured?.calls ?? [],
    memory: measured?.memory ?? [],
    afterwards: measured?.afterwards ?? [],
    servers: servers.map(({ name, command, settings }) => ({ name, command, settings })),
    parsed,
    webPhones,
  };
}

type Measured = Pick<Results, 'registers' | 'calls' | 'memory' | 'afterwards'>;

/** All that is measured beside Kamailio. */
async function besidePeer(o: Options & { folder: string; servers: Server[] }): Promise<Measured> {
  const { folder, rows, rounds, servers } = o;
  say('servers are started, phones registered');
  const started = async <S extends Server>(server: Promise<S>): Promise<S> => {
    servers.push(await server);
    return server;
  };
  const registrants = rows.has('register') ? registrantsFor(rounds) : 0;
  const people = [
    ...Array.from({ length: CALLERS }, (_, i) => caller(i)),
    ...Array.from({ length: CALLEES }, (_, i) => callee(i)),
  ];
  const trunkPorts = await Promise.all(Array.from({ length: GENERATORS }, () => freePort()));
  const kamailio = await man(await started(startKamailio(folder, DOMAIN)), folder, false);
  const common = { folder, domain: DOMAIN, profiles: o.profiles };
  const plain = await started(
    startOffhook({
      ...common,
      name: 'offhook',
      path: 'none',
      users: [...people, ...Array.from({ length: registrants }, (_, i) => registrant(i))],
      trunks: trunksAt(trunkPorts),
    }),
  );
  const mannedPlain = await man(plain, folder, true);
  const withMedia = rows.has('media')
    ? await started(startOffhook({ ...common, name: 'offhook-media', path: 'opaque', users: people }))
    : undefined;
  const mannedMedia = withMedia && (await man(withMedia, folder, true));
  const all = [kamailio, mannedPlain, ...(mannedMedia ? [mannedMedia] : [])];
  try {
    const passes = [
      ...(rows.has('register') ? registerPasses({ kamailio: kamailio.server, offhook: plain, folder }) : []),
      ...callPasses({ kamailio: kamailio.server, plain, withMedia, folder, trunkPorts, rows }),
    ];
    const measured: { registers: Sample[]; calls: Sample[] } = { registers: [], calls: [] };
    const run = async (pass: Pass, round: number, load: Load): Promise<Sample> => {
      const sample = await pass.run(round, load);
      say(`${round === 0 ? 'warm-up' : `round ${round}`}: ${pass.kind}: ${inWords(sample)}`);
      if (sample.completed === 0)
        throw new Error(`${sample.variant}: none of ${sample.created} ${pass.kind} succeeded`);
      return sample;
    };
    for (const pass of passes) for (const load of pass.warmUps) await run(pass, 0, load);
    for (let round = 1; round <= rounds; round++) {
      // Whoever was first in the round before is last.
      const first = round % passes.length;
      for (const pass of [...passes.slice(first), ...passes.slice(0, first)])
        measured[pass.kind].push(await run(pass, round, pass.load));
    }
    const memory = servers.map(({ name, rssKb }) => ({ name, rssKb: rssKb() }));
    return { ...measured, memory, afterwards: rows.has('afterwards') ? await afterwards(servers) : [] };
  } finally {
    for (const { phones } of all) await phones.stop();
  }
}

function inWords({ variant, cpuUs, completed, failed, retransmissions, p95To200Ms, relayCpuUs }: Sample): string {
  const relay = relayCpuUs === undefined ? '' : `, media relay ${relayCpuUs.toFixed(0)} µs`;
  const setUp = p95To200Ms === undefined ? '' : `, p95 to 200 ${p95To200Ms.toFixed(0)} ms`;
  const trouble = failed + retransmissions > 0 ? `, ${failed} failed, ${retransmissions} retransmissions` : '';
  return `${variant}: ${cpuUs.toFixed(0)} µs, ${completed} good${relay}${setUp}${trouble}`;
}

/** Processor time after the last load, when only timers are left. */
async function afterwards(servers: readonly Server[]): Promise<Results['afterwards']> {
  say(`servers are left alone for ${AFTERWARDS_MS / 1000} s`);
  const before = servers.map((server) => server.cpuNs());
  await new Promise((resolve) => setTimeout(resolve, AFTERWARDS_MS));
  return servers.map((server, i) => ({
    name: server.name,
    seconds: AFTERWARDS_MS / 1000,
    cpuMs: (server.cpuNs() - before[i]!) / 1e6,
  }));
}
