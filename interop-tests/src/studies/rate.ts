import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { System } from '../system.ts';
import { INSPECTABLE, Inspected } from './inspected.ts';
import { addAccounts, load, PASSWORD, phones } from './load.ts';
import { cpuMs, droppedByKernel, freePort, LOAD_CPU, pinned, place } from './process.ts';
import type { RefreshResult, RefreshTask } from './refresh-phones.ts';
import { atLeast, type Outcome, rounded, type Study, type StudyOptions } from './study.ts';

/** Transactions stay for 32 s: a shorter step would be over before their number is what the rate makes it. */
const STEP_S = 45;
const MOST_FAILED = 0.001;
const CALLS_PER_S = 900;
const REGISTERS_PER_S = 5000;
/** Each has a share of transactions and a rate of its own; a generator that is one user would meet those. */
const CALLERS = 100;
const REGISTERED = 1000;
const HOLD_MS = 500;
/** V8 compiles what is used much: a server's first thousands of calls are no measure of what it can. */
const WARM_UP_PER_S = 150;
const WARM_UP_S = 30;
/** How far apart the last rate that was fine and the first that was not may be. */
const RESOLUTION = 0.1;

interface Step {
  readonly ratePerS: number;
  readonly isFine: boolean;
  readonly failed: number;
  readonly [more: string]: unknown;
}

export const rate: Study = {
  words: 'the highest rates of calls and of REGISTERs, signalling on one processor, at which fewer than 0.1 % fail',
  run: async (options) => {
    // The media relay would have the other processor, where the load is made: its limit is not the one that is sought.
    const media = { path: 'none' } as const;
    await using system = await System.start({ folder: options.folder, media, env: INSPECTABLE });
    await place(system);
    const calls = await highestCallRate(system, options);
    const registers = await highestRegisterRate(system, options);
    return {
      checks: [
        atLeast('calls per second', calls.highest, CALLS_PER_S),
        atLeast('authenticated REGISTERs per second', registers.highest, REGISTERS_PER_S),
      ],
      figures: {
        highest: { callsPerS: calls.highest, registersPerS: registers.highest },
        secondsPerStep: options.seconds ?? STEP_S,
        holdMs: HOLD_MS,
        calls: calls.steps,
        registers: registers.steps,
        counters: (await system.metrics('signaling')) satisfies Record<string, number>,
      },
    } satisfies Outcome;
  },
};

async function highestCallRate(system: System, o: StudyOptions) {
  const callers = await addAccounts(system, 'caller', CALLERS);
  const callees = await addAccounts(system, 'phone', CALLERS);
  const { pid } = await system.status('signaling');
  await using _phones = await phones({ system, folder: o.folder, users: callees, port: await freePort() });
  const inspected = o.profiles === undefined ? undefined : await Inspected.open(system, 'signaling');
  using _closed = { [Symbol.dispose]: () => inspected?.close() };
  const common = { system, folder: o.folder, callers, callees, holdMs: HOLD_MS, say: o.say };
  o.say(`${WARM_UP_PER_S} calls a second for ${WARM_UP_S} s to warm up`);
  await load({ ...common, ratePerS: WARM_UP_PER_S, calls: WARM_UP_PER_S * WARM_UP_S });
  return await search('calls', o.callsPerS ?? CALLS_PER_S, o, async (ratePerS, seconds) => {
    await settled(system);
    const usedMs = cpuMs(pid);
    const dropped = droppedByKernel(system.ports.udp!);
    const step = () => load({ ...common, ratePerS, calls: ratePerS * seconds });
    const result = inspected
      ? await inspected.profile(join(o.profiles!, `calls-${ratePerS}.cpuprofile`), step)
      : await step();
    const { successful, failed, retransmissions, setUpMs, why } = result;
    const cpuPercent = rounded((cpuMs(pid) - usedMs) / (result.seconds * 10));
    const kernelDropped = droppedByKernel(system.ports.udp!) - dropped;
    return { successful, failed, retransmissions, setUpMs, cpuPercent, kernelDropped, why };
  });
}

/** Calls of the step before are over, or 40 s are. */
async function settled(system: System): Promise<void> {
  const untilMs = performance.now() + 40_000;
  const calls = async () => (await system.status('signaling')).details.calls;
  while ((await calls()) !== 0 && performance.now() < untilMs) await new Promise((resolve) => setTimeout(resolve, 500));
}

async function highestRegisterRate(system: System, o: StudyOptions) {
  const users = await addAccounts(system, 'desk', REGISTERED);
  const { pid } = await system.status('signaling');
  return search('REGISTERs', o.registersPerS ?? REGISTERS_PER_S, o, async (ratePerS, seconds) => {
    const usedMs = cpuMs(pid);
    const began = performance.now();
    const dropped = droppedByKernel(system.ports.udp!);
    const { accepted, skipped, ...rest } = await refresh({
      ...{ serverPort: system.ports.udp!, domain: system.domain, password: PASSWORD, users, ratePerS, seconds },
    });
    const cpuPercent = rounded((cpuMs(pid) - usedMs) / ((performance.now() - began) / 100));
    const kernelDropped = droppedByKernel(system.ports.udp!) - dropped;
    // What could not even be asked in time is as bad as what failed.
    return { successful: accepted, ...rest, failed: rest.failed + skipped, cpuPercent, kernelDropped };
  });
}

/** Doubles or halves until it has one rate that is fine and one that is not, then goes between them. */
async function search(
  what: string,
  startPerS: number,
  { say, seconds = STEP_S }: StudyOptions,
  run: (ratePerS: number, seconds: number) => Promise<{ successful: number; failed: number }>,
): Promise<{ highest: number; steps: Step[] }> {
  const steps: Step[] = [];
  let fine = 0;
  let bad = Number.POSITIVE_INFINITY;
  for (let ratePerS = startPerS; bad - fine > fine * RESOLUTION && ratePerS >= 10; ) {
    say(`${ratePerS} ${what} a second for ${seconds} s`);
    const result = await run(ratePerS, seconds);
    const isFine = result.failed <= MOST_FAILED * (result.successful + result.failed);
    say(`${isFine ? 'fine' : 'too many'}: ${JSON.stringify(result)}`);
    steps.push({ ratePerS, isFine, ...result });
    if (isFine) fine = ratePerS;
    else bad = ratePerS;
    const next = bad === Number.POSITIVE_INFINITY ? fine * 1.3 : fine === 0 ? bad / 2 : (fine + bad) / 2;
    ratePerS = Math.round(next / 10) * 10;
    if (steps.some((step) => step.ratePerS === ratePerS)) break;
  }
  return { highest: fine, steps };
}

async function refresh(task: RefreshTask): Promise<RefreshResult> {
  const script = fileURLToPath(new URL('refresh-phones.ts', import.meta.url));
  const [program, ...args] = [...pinned(LOAD_CPU), process.execPath, script, JSON.stringify(task)];
  const child = spawn(program!, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  const [out, [code]] = await Promise.all([text(child.stdout), once(child, 'exit')]);
  if (code !== 0) throw new Error(`the phones ended with ${String(code)}`);
  return JSON.parse(out) as RefreshResult;
}
