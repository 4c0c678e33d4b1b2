import type { Pinned } from '../pinned.ts';
import { freePort } from '../ports.ts';
import { percentile } from '../statistics.ts';
import { PASSWORD } from './offhook.ts';
import type { Server } from './server.ts';
import { line, type Scenario, type SippRun, startPhones, startSipp } from './sipp.ts';

export const DOMAIN = 'bench.example';
export const CALLERS = 100;
export const CALLEES = 100;
/** Two generators share the calls: each is a trunk of its own, and admission gives one trunk 200 requests a second. */
export const GENERATORS = 2;

/** One server under one load. */
export interface Sample {
  readonly round: number;
  readonly variant: string;
  /** Processor time of the server for one finished operation, µs. */
  readonly cpuUs: number;
  /** The same of the media relay, where it has a part. */
  readonly relayCpuUs?: number;
  readonly created: number;
  readonly completed: number;
  readonly failed: number;
  readonly retransmissions: number;
  /** 95 of 100 calls had their 180 (their 200) within this time, ms. */
  readonly p95To180Ms?: number;
  readonly p95To200Ms?: number;
}

export interface Load {
  readonly ratePerS: number;
  readonly seconds: number;
}

export const registrant = (i: number): string => `u${i}`;
export const caller = (i: number): string => `caller${i}`;
export const callee = (i: number): string => `callee${i}`;
export const number = (i: number): string => `+4930${String(1_000_000 + i)}`;

/** A server whose phones are registered and answer. */
export interface Manned {
  readonly server: Server;
  readonly phones: Pinned;
}

/** Registers the phones that are called, from the port where they will answer, and lets them answer. */
export async function man(server: Server, folder: string, hasPasswords: boolean): Promise<Manned> {
  const port = await freePort();
  const lines = Array.from({ length: CALLEES }, (_, i) => line(callee(i), PASSWORD, DOMAIN));
  const scenario = hasPasswords ? 'register-authenticated' : 'register';
  const sipp = await startSipp({ folder, scenario, server: server.port, lines, calls: CALLEES, ratePerS: 200, port });
  const { successful } = await sipp.end();
  if (successful !== CALLEES)
    throw new Error(`${server.name}: only ${successful} of ${CALLEES} phones could be registered`);
  return { server, phones: await startPhones(folder, port) };
}

/** REGISTER of as many addresses as there are requests, each for the first time. `first` counts on from pass to pass. */
export async function registers(
  server: Server,
  at: { folder: string; scenario: Scenario; first: number; load: Load; round: number; variant: string },
): Promise<Sample> {
  const { folder, scenario, load, round, variant } = at;
  const calls = load.ratePerS * load.seconds;
  const lines = Array.from({ length: calls }, (_, i) => line(registrant(at.first + i), PASSWORD, DOMAIN));
  const before = server.cpuNs();
  const sipp = await startSipp({ folder, scenario, server: server.port, lines, calls, ratePerS: load.ratePerS });
  const run = await sipp.end();
  return sample({ round, variant, runs: [run], cpuNs: server.cpuNs() - before });
}

/** Whole calls between two phones. `ports` are where generators have to call from, where the server knows them by that. */
export async function calls(
  server: Server,
  at: {
    folder: string;
    scenario: Scenario;
    load: Load;
    round: number;
    variant: string;
    ports?: readonly number[];
    relay?: Pinned;
    called?: (i: number) => string;
  },
): Promise<Sample> {
  const { folder, scenario, load, round, variant, relay, called = callee } = at;
  const lines = Array.from({ length: CALLERS }, (_, i) => line(caller(i), PASSWORD, DOMAIN, called(i % CALLEES)));
  const before = server.cpuNs();
  const relayBefore = relay?.cpuNs() ?? 0;
  const ratePerS = load.ratePerS / GENERATORS;
  const how = { folder, scenario, server: server.port, lines, calls: ratePerS * load.seconds, ratePerS, holdMs: 500 };
  const sipps = await Promise.all(
    Array.from({ length: GENERATORS }, (_, i) => startSipp({ ...how, port: at.ports?.[i] })),
  );
  const runs = await Promise.all(sipps.map((sipp) => sipp.end()));
  const cpuNs = server.cpuNs() - before;
  return sample({ round, variant, runs, cpuNs, relayNs: relay && relay.cpuNs() - relayBefore });
}

function sample(of: {
  round: number;
  variant: string;
  runs: readonly SippRun[];
  cpuNs: number;
  relayNs?: number;
}): Sample {
  const { round, variant, runs } = of;
  const sum = (count: (run: SippRun) => number) => runs.reduce((total, run) => total + count(run), 0);
  const completed = sum((run) => run.successful);
  const merged = (times: (run: SippRun) => readonly number[]) => runs.flatMap(times).sort((a, b) => a - b);
  const to200 = merged((run) => run.to200Ms);
  const perCall = (ns: number) => ns / 1000 / completed;
  return {
    round,
    variant,
    cpuUs: perCall(of.cpuNs),
    ...(of.relayNs === undefined ? {} : { relayCpuUs: perCall(of.relayNs) }),
    created: sum((run) => run.created),
    completed,
    failed: sum((run) => run.failed),
    retransmissions: sum((run) => run.retransmissions),
    ...(to200.length === 0
      ? {}
      : {
          p95To180Ms: percentile(
            merged((run) => run.to180Ms),
            0.95,
          ),
          p95To200Ms: percentile(to200, 0.95),
        }),
  };
}

/** Trunks by which the server knows generators that call from these ports. */
export function trunksAt(ports: readonly number[]): Readonly<Record<string, unknown>> {
  const dids = Object.fromEntries(Array.from({ length: CALLEES }, (_, i) => [number(i), callee(i)]));
  const trunk = (port: number) => ({
    targets: ['sip:127.0.0.99:5060'],
    callerId: '+49301',
    inbound: { from: [`127.0.0.1:${port}`] },
    dids,
    maxCalls: 10_000,
    maxCallsPerSecond: 1000,
    optionsS: 0,
  });
  return Object.fromEntries(ports.map((port, i) => [`generator-${i}`, trunk(port)]));
}
