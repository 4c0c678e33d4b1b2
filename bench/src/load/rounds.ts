import type { Pinned } from '../pinned.ts';
import type { Generator } from './generator-process.ts';
import { FLAT172, type Load, P1000 } from './loads.ts';
import { startProfile } from './profile.ts';
import { type Direct, disturbance, inWords, isDisturbed, type Sample } from './samples.ts';

const SETTLE_MS = 600;
const MEASURE_MS = 2500;
const PROFILE_MS = 8000;
const PAUSE_MS = 400;
const DIRECT = { settleMs: 300, measureMs: 1000 };
/** V8 compiles what is used much; every server gets the same. */
const WARM_UPS: readonly { readonly load: Load; readonly ms: number }[] = [
  { load: P1000, ms: 800 },
  { load: FLAT172, ms: 1400 },
];
/** A grace for the end; sockets of thousands of calls are closed by the system just as well. */
export const STOP_MS = 2000;

/** A server under test, on one core with all its threads. */
export interface Server {
  readonly name: string;
  readonly process: Pinned;
  /** How it was started, for those who want to do it again. */
  readonly command: string;
  readonly settings: string;
}

export interface Contestant {
  readonly name: string;
  readonly start: () => Promise<Server>;
  /** Gives a fresh server the calls that loads go through. */
  readonly setUp: (generator: Generator) => Promise<unknown>;
}

export interface RoundsOptions {
  readonly contestants: readonly Contestant[];
  readonly generator: Generator;
  readonly rounds: number;
  readonly loads: readonly Load[];
  /** A folder for profiles by perf. */
  readonly profiles: string | undefined;
}

export interface Measured {
  readonly samples: readonly Sample[];
  readonly direct: readonly Direct[];
  readonly servers: readonly Described[];
}

export interface Described {
  readonly name: string;
  readonly command: string;
  readonly settings: string;
}

/** Every contestant once in every round, started anew; whoever was first in one round is last in the next. */
export async function measureRounds(options: RoundsOptions): Promise<Measured> {
  const { contestants, generator, rounds, loads } = options;
  const samples: Sample[] = [];
  const direct: Direct[] = [];
  const servers = new Map<string, Described>();
  if (loads.length === 0) return { samples, direct, servers: [] };
  // The generator's own code is compiled.
  for (const { load, ms } of WARM_UPS) await generator.load({ load, path: 'direct', settleMs: 0, measureMs: ms });
  for (let round = 1; round <= rounds; round++) {
    for (const load of loads.filter((one) => one === P1000 || one === FLAT172)) {
      const traffic = await generator.load({ load, path: 'direct', ...DIRECT });
      direct.push({ round, load: load.name, ...traffic });
      const { deliveredPerS, p50Us, p99Us } = traffic;
      say(`round ${round}: no server: ${load.name}: ${deliveredPerS}/s, p50 ${p50Us} µs, p99 ${p99Us} µs`);
    }
    for (const contestant of round % 2 ? contestants : contestants.toReversed()) {
      const server = await contestant.start();
      const { name } = contestant;
      servers.set(name, { name, command: server.command, settings: server.settings });
      for (const sample of await underLoads({ ...options, contestant, server, round })) samples.push(sample);
      await server.process.stop(STOP_MS);
    }
  }
  return { samples, direct, servers: [...servers.values()] };
}

interface Run extends RoundsOptions {
  readonly contestant: Contestant;
  readonly server: Server;
  readonly round: number;
}

/**
 * A fresh server, its calls and its warm-up, then each load once; when others were in the way, once more, and the
 * measurement with less of them counts.
 */
async function underLoads(run: Run): Promise<Sample[]> {
  const { contestant, generator, loads, profiles } = run;
  const samples: Sample[] = [];
  await contestant.setUp(generator);
  for (const { load, ms } of WARM_UPS) await generator.load({ load, path: 'relay', settleMs: 0, measureMs: ms });
  for (const load of loads) {
    const first = await underLoad(run, load);
    const second = isDisturbed(first) && profiles === undefined ? await underLoad(run, load) : undefined;
    samples.push(second && disturbance(second) < disturbance(first) ? second : first);
  }
  return samples;
}

async function underLoad({ contestant, server, generator, round, profiles }: Run, load: Load): Promise<Sample> {
  await rest(PAUSE_MS);
  const { name } = contestant;
  const { pid } = server.process;
  const label = `${name.toLowerCase().replaceAll(' ', '-')}-${load.name}`;
  const profile = profiles === undefined ? undefined : await startProfile(pid, profiles, label);
  const measureMs = profile ? PROFILE_MS : MEASURE_MS;
  const traffic = await generator.load({ load, path: 'relay', settleMs: SETTLE_MS, measureMs, pid });
  await profile?.stop();
  if (!server.process.isRunning) throw new Error(`${name} has ended under ${load.name}`);
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

export interface Memory {
  readonly run: number;
  readonly server: string;
  readonly calls: number;
  /** Until all were made. */
  readonly seconds: number;
  readonly beforeKb: number;
  readonly afterKb: number;
  readonly bytesEach: number;
}

const REST_MS = 3000;

/** What each of many calls takes of a fresh server's memory; nothing is done to it, and the system's part is not in it. */
export async function measureMemory(
  run: number,
  { name, process }: { readonly name: string; readonly process: Pinned },
  make: () => Promise<{ readonly count: number; readonly seconds: number }>,
): Promise<Memory> {
  await rest(1000);
  const beforeKb = process.rssKb();
  const { count, seconds } = await make();
  await rest(REST_MS);
  const afterKb = process.rssKb();
  const bytesEach = Math.round(((afterKb - beforeKb) * 1024) / count);
  say(`memory: ${name}: ${(bytesEach / 1000).toFixed(1)} KB for each of ${count}, made in ${seconds} s`);
  return { run, server: name, calls: count, seconds, beforeKb, afterKb, bytesEach };
}

export function say(words: string): void {
  process.stderr.write(`${words}\n`);
}

function rest(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
