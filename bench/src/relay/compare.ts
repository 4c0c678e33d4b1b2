import { FIRST_LOADS, type LoadOptions, ROWS, readLoadArguments, some, wholeNumber } from '../load/arguments.ts';
import { Generator } from '../load/generator-process.ts';
import { CALLS } from '../load/loads.ts';
import { PROFILE_FLAGS } from '../load/profile.ts';
import { type Contestant, type Memory, measureMemory, measureRounds, STOP_MS } from '../load/rounds.ts';
import { runBeside } from '../load/run.ts';
import { machine } from '../machine.ts';
import { isAlone } from '../namespace.ts';
import { isTaken } from '../ports.ts';
import { makeCalls } from './calls.ts';
import { startOffhook } from './offhook.ts';
import { COMBINATIONS, type Combination, nameOf, type Results, writeJson, writeTable } from './report.ts';
import { RELAY, rtpengineVersion, startRtpengine } from './rtpengine.ts';

const MEMORY_CALLS = 2000;
const MEMORY_RUNS = 2;
const DEFAULT_ROWS = [...FIRST_LOADS, 'memory'];
const PATHS = ['plain', 'srtp', 'opaque'];

const HELP = `usage: npm run bench -- relay [--rounds n] [--json] [--only load,…] [--paths path,…] [--threads n] [--profile folder]

CPU per packet, packets per second, latency and memory of our media relay beside rtpengine in user space, in interleaved
rounds under the same load on the same core.

  --rounds n        rounds, 5 or more for a figure that is told others (default 5)
  --json            for programs: one line with everything, then one with the aims
  --only load,…     of ${ROWS.join(', ')} (default: ${DEFAULT_ROWS.join(', ')})
  --paths path,…    of ${PATHS.join(', ')} (default: all); opaque is ours alone, set against rtpengine's plain calls
  --threads n       rtpengine's threads (default 1)
  --profile folder  profiles by perf are written there, of one long round; the figures are not worth much then

The last line says of each aim whether it was met. The exit code is 1 only when something could not be measured.
`;

interface Options extends LoadOptions {
  readonly combinations: readonly Combination[];
  readonly threads: number;
}

export async function compareRelays(args: string[]): Promise<void> {
  const options = readArguments(args);
  if (options === undefined) return;
  const version = rtpengineVersion();
  await runBeside({ version, name: 'rtpengine (Debian: rtpengine-daemon)' }, async (folder) => {
    const results = { ...(await measure(options, folder)), machine: machine({ rtpengine: version! }) };
    if (options.json) writeJson(results);
    else writeTable(results);
  });
}

function readArguments(args: string[]): Options | undefined {
  return readLoadArguments(args, {
    help: HELP,
    rows: DEFAULT_ROWS,
    own: { paths: undefined, threads: '1' },
    read: ({ paths, threads = '' }) => {
      const chosen = paths ? some('paths', paths, PATHS) : PATHS;
      return {
        // What opaque calls are set against has to be there.
        combinations: COMBINATIONS.filter(
          ({ relay, path }) =>
            chosen.includes(path) || (relay === 'rtpengine' && path === 'plain' && chosen.includes('opaque')),
        ),
        threads: wholeNumber('threads', threads, { least: 1, most: 64 }),
      };
    },
  });
}

async function measure(options: Options, folder: string): Promise<Omit<Results, 'machine'>> {
  const { rounds, loads, profiles, threads, combinations } = options;
  const flags = profiles === undefined ? [] : PROFILE_FLAGS;
  const contestants = combinations.map((one): Contestant => {
    return {
      name: nameOf(one),
      start: () => (one.relay === 'Offhook' ? startOffhook(folder, flags) : startRtpengine(folder, threads)),
      setUp: async (generator) => generator.setUp(await makeCalls(RELAY.ngPort, CALLS, one.path)),
    };
  });
  if (await isTaken(RELAY.ngPort)) throw new Error(`UDP port ${RELAY.ngPort} is somebody else's`);
  const generator = await Generator.start(new URL('generator.ts', import.meta.url), folder);
  const measured = await measureRounds({ contestants, generator, rounds, loads, profiles });
  const { receiveBuffer } = generator;
  await generator.stop();
  const memory: Memory[] = [];
  for (let run = 1; options.withMemory && run <= MEMORY_RUNS; run++)
    for (const one of combinations) {
      const { process } = await contestants[combinations.indexOf(one)]!.start();
      const make = async () => {
        const began = performance.now();
        await makeCalls(RELAY.ngPort, MEMORY_CALLS, one.path);
        return { count: MEMORY_CALLS, seconds: Number(((performance.now() - began) / 1000).toFixed(2)) };
      };
      memory.push(await measureMemory(run, { name: nameOf(one), process }, make));
      await process.stop(STOP_MS);
    }
  return { ...measured, rounds, loads, calls: CALLS, generator: { receiveBuffer, isAlone: isAlone() }, memory };
}
