import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { machine } from '../machine.ts';
import { isAlone, runAlone } from '../namespace.ts';
import { stopAll } from '../pinned.ts';
import { isTaken } from '../ports.ts';
import { coturnVersion, startCoturn } from './coturn.ts';
import { Generator } from './generator-process.ts';
import { CALLS, FLAT172, LOADS, type Load, P1000 } from './loads.ts';
import { startOffhook } from './offhook.ts';
import { PROFILE_FLAGS, startProfile } from './profile.ts';
import { type RelayServer, SERVER } from './relay-server.ts';
import {
  type Direct,
  disturbance,
  inWords,
  isDisturbed,
  type Memory,
  OURS,
  PEER,
  type Results,
  type Sample,
  writeJson,
  writeTable,
} from './report.ts';

const SETTLE_MS = 600;
const MEASURE_MS = 2500;
const PROFILE_MS = 8000;
const PAUSE_MS = 400;
const DIRECT = { settleMs: 300, measureMs: 1000 };
/** V8 compiles what is used much; both servers get the same. */
const WARM_UPS: readonly { readonly load: Load; readonly ms: number }[] = [
  { load: P1000, ms: 800 },
  { load: FLAT172, ms: 1400 },
];
const MEMORY_ALLOCATIONS = 10_000;
const MEMORY_RUNS = 3;
const MEMORY_REST_MS = 3000;

const MEMORY = 'memory';
const ROWS = [...LOADS.map(({ name }) => name), MEMORY];
/** A grace for the end; sockets of thousands of allocations are closed by the system just as well. */
const STOP_MS = 2000;

const HELP = `usage: npm run bench -- turn [--rounds n] [--json] [--only load,…] [--gather µs] [--coturn-threads n|default]
                             [--profile folder]

CPU per packet, packets per second, latency and memory of our TURN server beside coturn, in interleaved rounds under the
same load on the same core.

  --rounds n             rounds, 5 or more for a figure that is told others (default 5)
  --json                 for programs: one line with everything, then one with the aims
  --only load,…          of ${ROWS.join(', ')} (default: all)
  --gather µs            how long our server may wait for a packet's company (default 500)
  --coturn-threads n     coturn's relay threads (default 1); 'default' = as many as it likes
  --profile folder       both servers' profiles by perf are written there, of one long round; the figures are not worth
                         much then

The last line says of each aim whether it was met. The exit code is 1 only when something could not be measured.
`;

interface Options {
  readonly rounds: number;
  readonly json: boolean;
  readonly loads: readonly Load[];
  readonly withMemory: boolean;
  readonly gatherUs: number;
  readonly coturnThreads: number | undefined;
  readonly profiles: string | undefined;
}

export async function compareTurn(args: string[]): Promise<void> {
  const options = readArguments(args);
  if (options === undefined) return;
  const coturn = coturnVersion();
  if (coturn === undefined || process.platform !== 'linux') {
    say(process.platform === 'linux' ? 'not installed: turnserver (Debian: coturn)' : 'this needs Linux');
    process.exitCode = 1;
    return;
  }
  if (!isAlone()) {
    const code = await runAlone();
    if (code !== undefined) {
      process.exitCode = code;
      return;
    }
    say('no network namespace of its own is to be had here: others have a part in this network');
  }
  const folder = mkdtempSync(join(tmpdir(), 'oh-bench-'));
  const interrupted = () => {
    rmSync(folder, { recursive: true, force: true });
    process.exit(130);
  };
  process.once('SIGINT', interrupted).once('SIGTERM', interrupted);
  try {
    const results = { ...(await measure(options, folder)), machine: machine({ coturn }) };
    if (options.json) writeJson(results);
    else writeTable(results);
  } catch (error) {
    say(`it could not be measured: ${(error as Error).message}`);
    process.exitCode = 1;
  } finally {
    await stopAll();
    rmSync(folder, { recursive: true, force: true });
    process.off('SIGINT', interrupted).off('SIGTERM', interrupted);
  }
}

function readArguments(args: string[]): Options | undefined {
  try {
    const { values } = parseArgs({
      args,
      options: {
        rounds: { type: 'string' },
        json: { type: 'boolean', default: false },
        only: { type: 'string' },
        gather: { type: 'string', default: '500' },
        'coturn-threads': { type: 'string', default: '1' },
        profile: { type: 'string' },
        help: { type: 'boolean', default: false },
      },
    });
    if (values.help) {
      process.stdout.write(HELP);
      return undefined;
    }
    const number = (name: string, text: string, least: number, most: number) => {
      const value = Number(text);
      if (text !== '' && Number.isInteger(value) && value >= least && value <= most) return value;
      throw new Error(`--${name}: a number from ${least} to ${most}`);
    };
    const { profile } = values;
    const rows = values.only?.split(',') ?? (profile === undefined ? ROWS : ['p1000', 'flat172']);
    const unknown = rows.filter((row) => !ROWS.includes(row));
    if (unknown.length > 0) throw new Error(`--only: there is no ${unknown.join(', ')}; there are ${ROWS.join(', ')}`);
    const threads = values['coturn-threads'];
    const options = {
      rounds: number('rounds', values.rounds ?? (profile === undefined ? '5' : '1'), 1, 100),
      json: values.json,
      loads: LOADS.filter(({ name }) => rows.includes(name)),
      withMemory: rows.includes(MEMORY),
      gatherUs: number('gather', values.gather, 0, 10_000),
      coturnThreads: threads === 'default' ? undefined : number('coturn-threads', threads, 0, 128),
      profiles: profile,
    };
    if (profile !== undefined) mkdirSync(profile, { recursive: true });
    return options;
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n\n${HELP}`);
    process.exitCode = 2;
    return undefined;
  }
}

function say(words: string): void {
  process.stderr.write(`${words}\n`);
}

interface Contestant {
  readonly name: string;
  readonly start: () => Promise<RelayServer>;
}

async function measure(options: Options, folder: string): Promise<Omit<Results, 'machine'>> {
  const { rounds, loads, profiles, gatherUs, coturnThreads } = options;
  const flags = profiles === undefined ? [] : PROFILE_FLAGS;
  const contestants: readonly Contestant[] = [
    { name: PEER, start: () => startCoturn(folder, coturnThreads) },
    { name: OURS, start: () => startOffhook(folder, { gatherUs, flags }) },
  ];
  if (await isTaken(SERVER.port)) throw new Error(`UDP port ${SERVER.port} is somebody else's`);
  const generator = await Generator.start(folder);
  const samples: Sample[] = [];
  const direct: Direct[] = [];
  const memory: Memory[] = [];
  const servers = new Map<string, Results['servers'][number]>();
  // The generator's own code is compiled.
  for (const { load, ms } of WARM_UPS) await generator.load({ load, path: 'direct', settleMs: 0, measureMs: ms });
  for (let round = 1; loads.length > 0 && round <= rounds; round++) {
    for (const load of loads.filter((one) => one === P1000 || one === FLAT172)) {
      const traffic = await generator.load({ load, path: 'direct', ...DIRECT });
      direct.push({ round, load: load.name, ...traffic });
      say(
        `round ${round}: no server: ${load.name}: ${traffic.deliveredPerS}/s, p50 ${traffic.p50Us} µs, p99 ${traffic.p99Us} µs`,
      );
    }
    // Whoever was first in the round before is last.
    for (const { start } of round % 2 ? contestants : contestants.toReversed()) {
      const server = await start();
      servers.set(server.name, { name: server.name, command: server.command, settings: server.settings });
      for (const sample of await underLoads({ server, generator, round, loads, profiles })) samples.push(sample);
      await server.process.stop(STOP_MS);
    }
  }
  for (let run = 1; options.withMemory && run <= MEMORY_RUNS; run++)
    for (const { start } of contestants) {
      const server = await start();
      servers.set(server.name, { name: server.name, command: server.command, settings: server.settings });
      memory.push(await manyAllocations(server, generator, run));
      await server.process.stop(STOP_MS);
    }
  const { receiveBuffer } = generator;
  await generator.stop();
  return {
    rounds,
    loads,
    calls: CALLS,
    servers: [...servers.values()],
    generator: { receiveBuffer, isAlone: isAlone() },
    samples,
    direct,
    memory,
  };
}

interface Run {
  readonly server: RelayServer;
  readonly generator: Generator;
  readonly round: number;
  readonly loads: readonly Load[];
  readonly profiles: string | undefined;
}

/**
 * A fresh server, its allocations and its warm-up, then each load once; when others were in the way, once more, and the
 * measurement with less of them counts.
 */
async function underLoads({ server, generator, round, loads, profiles }: Run): Promise<Sample[]> {
  const samples: Sample[] = [];
  await generator.allocate({ count: CALLS, serverPort: SERVER.port, secret: SERVER.secret });
  for (const { load, ms } of WARM_UPS) await generator.load({ load, path: 'relay', settleMs: 0, measureMs: ms });
  for (const load of loads) {
    const run: LoadRun = { server, generator, round, load, profiles };
    const first = await underLoad(run);
    const second = isDisturbed(first) && profiles === undefined ? await underLoad(run) : undefined;
    samples.push(second && disturbance(second) < disturbance(first) ? second : first);
  }
  return samples;
}

interface LoadRun extends Omit<Run, 'loads'> {
  readonly load: Load;
}

async function underLoad({ server, generator, round, load, profiles }: LoadRun): Promise<Sample> {
  await rest(PAUSE_MS);
  const { name, process } = server;
  const { pid } = process;
  const label = `${name.toLowerCase()}-${load.name}`;
  const profile = profiles === undefined ? undefined : await startProfile(pid, profiles, label);
  const measureMs = profile ? PROFILE_MS : MEASURE_MS;
  const traffic = await generator.load({ load, path: 'relay', settleMs: SETTLE_MS, measureMs, pid });
  await profile?.stop();
  if (!process.isRunning) throw new Error(`${name} has ended under ${load.name}`);
  const { deadFlows, strays, cpuMs, delivered, seconds } = traffic;
  if (deadFlows + strays > 0) {
    const words = `nothing of ${deadFlows} flows came through, ${strays} packets were not what was expected`;
    throw new Error(`${name}, ${load.name}: ${words}`);
  }
  const cpuUs = (cpuMs * 1000) / delivered;
  const busyPercent = Number((cpuMs / seconds / 10).toFixed(1));
  const sample = { round, server: name, load: load.name, cpuUs, busyPercent, ...traffic };
  say(`round ${round}: ${inWords(sample)}`);
  return sample;
}

/** What each of many allocations takes of a fresh server's memory; nothing is done to it, and the system's part is not in it. */
async function manyAllocations(server: RelayServer, generator: Generator, run: number): Promise<Memory> {
  await rest(1000);
  const beforeKb = server.process.rssKb();
  const made = await generator.allocate({ count: MEMORY_ALLOCATIONS, serverPort: SERVER.port, secret: SERVER.secret });
  await rest(MEMORY_REST_MS);
  const afterKb = server.process.rssKb();
  const bytesEach = Math.round(((afterKb - beforeKb) * 1024) / made.count);
  const { count, seconds, retransmissions } = made;
  say(
    `memory: ${server.name}: ${(bytesEach / 1000).toFixed(1)} KB for each of ${count} allocations, made in ${seconds} s`,
  );
  return { run, server: server.name, allocations: count, seconds, retransmissions, beforeKb, afterKb, bytesEach };
}

function rest(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
