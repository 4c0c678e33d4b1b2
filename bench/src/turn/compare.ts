import { mkdirSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { Generator } from '../load/generator-process.ts';
import { CALLS, LOADS, type Load } from '../load/loads.ts';
import { PROFILE_FLAGS } from '../load/profile.ts';
import { type Contestant, type Memory, measureMemory, measureRounds, STOP_MS } from '../load/rounds.ts';
import { runBeside } from '../load/run.ts';
import { machine } from '../machine.ts';
import { isAlone } from '../namespace.ts';
import { isTaken } from '../ports.ts';
import { coturnVersion, startCoturn } from './coturn.ts';
import { startOffhook } from './offhook.ts';
import { SERVER } from './relay-server.ts';
import { OURS, PEER, type Results, writeJson, writeTable } from './report.ts';
import type { Allocated, AllocateRequest } from './requests.ts';

const MEMORY_ALLOCATIONS = 10_000;
const MEMORY_RUNS = 3;

const MEMORY = 'memory';
const ROWS = [...LOADS.map(({ name }) => name), MEMORY];

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
  const version = coturnVersion();
  await runBeside({ version, name: 'turnserver (Debian: coturn)' }, async (folder) => {
    const results = { ...(await measure(options, folder)), machine: machine({ coturn: version! }) };
    if (options.json) writeJson(results);
    else writeTable(results);
  });
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

async function measure(options: Options, folder: string): Promise<Omit<Results, 'machine'>> {
  const { rounds, loads, profiles, gatherUs, coturnThreads } = options;
  const flags = profiles === undefined ? [] : PROFILE_FLAGS;
  const setUp = (generator: Generator) => allocations(generator, CALLS);
  const contestants: readonly Contestant[] = [
    { name: PEER, start: () => startCoturn(folder, coturnThreads), setUp },
    { name: OURS, start: () => startOffhook(folder, { gatherUs, flags }), setUp },
  ];
  if (await isTaken(SERVER.port)) throw new Error(`UDP port ${SERVER.port} is somebody else's`);
  const generator = await Generator.start(new URL('generator.ts', import.meta.url), folder);
  const measured = await measureRounds({ contestants, generator, rounds, loads, profiles });
  const memory: Memory[] = [];
  for (let run = 1; options.withMemory && run <= MEMORY_RUNS; run++)
    for (const { name, start } of contestants) {
      const { process } = await start();
      memory.push(await measureMemory(run, { name, process }, () => allocations(generator, MEMORY_ALLOCATIONS)));
      await process.stop(STOP_MS);
    }
  const { receiveBuffer } = generator;
  await generator.stop();
  return { ...measured, rounds, loads, calls: CALLS, generator: { receiveBuffer, isAlone: isAlone() }, memory };
}

function allocations(generator: Generator, count: number): Promise<Allocated> {
  const request: AllocateRequest = { kind: 'allocate', count, serverPort: SERVER.port, secret: SERVER.secret };
  return generator.setUp(request) as Promise<Allocated>;
}
