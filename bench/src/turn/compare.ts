import { type LoadOptions, ROWS, readLoadArguments, wholeNumber } from '../load/arguments.ts';
import { Generator } from '../load/generator-process.ts';
import { CALLS } from '../load/loads.ts';
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

interface Options extends LoadOptions {
  readonly gatherUs: number;
  readonly coturnThreads: number | undefined;
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
  return readLoadArguments(args, {
    help: HELP,
    rows: ROWS,
    own: { gather: '500', 'coturn-threads': '1' },
    read: ({ gather = '', 'coturn-threads': threads = '' }) => ({
      gatherUs: wholeNumber('gather', gather, { least: 0, most: 10_000 }),
      coturnThreads:
        threads === 'default' ? undefined : wholeNumber('coturn-threads', threads, { least: 0, most: 128 }),
    }),
  });
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
