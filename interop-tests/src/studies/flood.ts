import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { PlainPhone } from '../plain-phone.ts';
import { System } from '../system.ts';
import type { FloodTask } from './flood-sender.ts';
import { addAccounts, load, PASSWORD, phones } from './load.ts';
import { cpuMs, droppedByKernel, freePort, LOAD_CPU, pinned, place, rssBytes } from './process.ts';
import { atLeast, atMost, type Check, exactly, rounded, type Study } from './study.ts';

const PHASE_S = 45;
const CALLS_PER_S = 900;
const REGISTERS_PER_S = 5000;
const CALLERS = 100;
const HOLD_MS = 500;
const RUNNING_CALLS = 50;
const CONNECTIONS_PER_S = 1000;
/** Neither the callers' address nor those of other studies. */
const SOURCES = Array.from({ length: 8 }, (_, i) => `127.0.0.${20 + i}`);
const KINDS: readonly FloodTask['kind'][] = ['INVITE', 'REGISTER', 'half-open'];
/** A call is set up as fast as usual when it takes no longer than this, or three times what it took before. */
const FAST_MS = 50;
const RECOVERED_WITHIN_S = 5;
const GOODPUT_PERCENT = 90;
const MEMORY_MIB = 50;

export const flood: Study = {
  words:
    'floods of INVITE, REGISTER and half-open connections at twice the capacity: calls go on, memory is flat, recovery',
  run: async ({ folder, say, seconds = PHASE_S, callsPerS = CALLS_PER_S, registersPerS = REGISTERS_PER_S }) => {
    // As for the rates: only the calls with sound have a part of the media relay.
    await using system = await System.start({ folder, media: { path: 'none' } });
    await place(system);
    const { pid } = await system.status('signaling');
    const callers = await addAccounts(system, 'caller', CALLERS);
    const callees = await addAccounts(system, 'phone', CALLERS);
    const talkers = await addAccounts(system, 'talker', RUNNING_CALLS);
    await using _phones = await phones({ system, folder, users: callees, port: await freePort() });
    // Its port is the same all the time: phones that the server knows are what a flood must not take anything from.
    const port = await freePort();
    const talk = () =>
      load({
        ...{
          system,
          folder,
          callers,
          callees,
          ratePerS: callsPerS,
          calls: callsPerS * seconds,
          holdMs: HOLD_MS,
          port,
          say,
        },
      });
    await using running = new AsyncDisposableStack();
    const talking: PlainPhone[] = [];
    for (const user of talkers) {
      const phone = await PlainPhone.open(system, { user, password: PASSWORD });
      running.defer(() => phone.close());
      await phone.call('600');
      talking.push(phone);
    }
    const heard = () => talking.map(({ ownPackets }) => ownPackets);
    const [prober] = await addAccounts(system, 'prober', 1);
    const probe = new Probe(system, prober!);

    say(`${RUNNING_CALLS} calls with sound run; ${callsPerS} calls a second without a flood`);
    const usualMs = await probe.median(10);
    const heardFirst = heard();
    const began = performance.now();
    const quiet = await talk();
    const soundPerS = mean(heard().map((n, i) => n - heardFirst[i]!)) / ((performance.now() - began) / 1000);
    const quietRss = rssBytes(pid);
    say(`${quiet.successful} of ${quiet.successful + quiet.failed}; set-up ${JSON.stringify(quiet.setUpMs)}`);

    const checks: Check[] = [];
    const floods: Record<string, unknown> = {};
    for (const kind of KINDS) {
      const perS = kind === 'half-open' ? CONNECTIONS_PER_S : 2 * registersPerS;
      say(`${kind}: ${perS} a second from ${SOURCES.length} addresses`);
      const before = {
        heard: heard(),
        cpu: cpuMs(pid),
        figures: await system.metrics('signaling'),
        ms: performance.now(),
      };
      const lost = droppedByKernel(system.ports.udp!);
      const series: number[] = [];
      const sampling = setInterval(() => series.push(rounded(rssBytes(pid) / 2 ** 20)), 1000);
      const { udp, tcp, http } = system.ports;
      const flooding = send({
        ...{ kind, perS, domain: system.domain, ports: { udp: udp!, tcp: tcp!, http: http! }, sources: SOURCES },
        seconds: seconds + 3,
      });
      const result = await talk();
      const passedS = (performance.now() - before.ms) / 1000;
      const sound = Math.min(...heard().map((n, i) => n - before.heard[i]!)) / passedS;
      const cpuPercent = (cpuMs(pid) - before.cpu) / (passedS * 10);
      const sent = await flooding;
      const recoveredS = (await probe.recovery(Math.max(FAST_MS, 3 * usualMs))) / 1000;
      clearInterval(sampling);
      const after = await system.metrics('signaling');
      const goodput = (100 * result.successful) / Math.max(1, quiet.successful);
      const half = series.length >> 1;
      const grownMiB = Math.max(...series.slice(half)) - Math.max(...series.slice(0, half));
      checks.push(
        atLeast(`${kind}: calls that succeed, % of those without a flood`, goodput, GOODPUT_PERCENT),
        atLeast(`${kind}: sound that comes back in the worst running call, % of usual`, (100 * sound) / soundPerS, 95),
        atMost(`${kind}: memory in its second half beyond that of its first, MiB`, grownMiB, MEMORY_MIB),
        atMost(`${kind}: seconds after it until calls are set up as fast as usual`, recoveredS, RECOVERED_WITHIN_S),
      );
      const { successful, failed, retransmissions, setUpMs, why } = result;
      const changed = Object.entries(after).flatMap(([name, value]) => {
        const more = value - (before.figures[name] ?? 0);
        return /shed|dropped|refused|overload|rejected|strangers|TimedOut|timed_out|errors/.test(name) && more !== 0
          ? [[name, more]]
          : [];
      });
      floods[kind] = {
        ...{ sent, offeredCalls: callsPerS * seconds, successful, failed, retransmissions, setUpMs, why },
        ...{ cpuPercent: rounded(cpuPercent), lostInSocket: droppedByKernel(system.ports.udp!) - lost, rssMiB: series },
        counters: Object.fromEntries(changed),
      };
      say(`${kind}: ${JSON.stringify({ ...(floods[kind] as object), rssMiB: undefined })}`);
    }

    say('the running calls hang up');
    const ends = await Promise.allSettled(talking.map((phone) => phone.hangUp()));
    const { sip_internal_errors_total: errors } = await system.metrics('signaling');
    checks.push(
      exactly(
        'running calls that could be hung up',
        ends.filter(({ status }) => status === 'fulfilled').length,
        RUNNING_CALLS,
      ),
      exactly('internal errors', errors!, 0),
    );
    await running.disposeAsync();
    // Calls that failed have no caller to end them: the relay tells that they are silent.
    let left = '';
    try {
      await system.assertNothingLingers(240_000);
    } catch (error) {
      left = (error as Error).message;
    }
    checks.push(exactly(`what is left over${left && ` (${left})`}`, left === '' ? 0 : 1, 0));
    const { successful, failed, retransmissions, setUpMs, why } = quiet;
    return {
      checks,
      figures: {
        ...{
          callsPerS,
          secondsPerPhase: seconds,
          usualSetUpMs: rounded(usualMs),
          soundPacketsPerS: rounded(soundPerS),
        },
        quiet: { successful, failed, retransmissions, setUpMs, why, rssMiB: rounded(quietRss / 2 ** 20) },
        floods,
      },
    };
  },
};

/** Calls the echo and hangs up, again and again. */
class Probe {
  readonly #system: System;
  readonly #user: string;

  constructor(system: System, user: string) {
    this.#system = system;
    this.#user = user;
  }

  /** Milliseconds from INVITE to its answer; undefined when there was none. */
  async #call(): Promise<number | undefined> {
    const phone = await PlainPhone.open(this.#system, { user: this.#user, password: PASSWORD });
    try {
      const began = performance.now();
      await phone.call('600');
      const ms = performance.now() - began;
      await phone.hangUp();
      return ms;
    } catch {
      return undefined;
    } finally {
      await phone.close();
    }
  }

  async median(times: number): Promise<number> {
    const all: number[] = [];
    for (let i = 0; i < times; i++) all.push((await this.#call()) ?? Number.POSITIVE_INFINITY);
    return all.sort((a, b) => a - b)[times >> 1]!;
  }

  /** Milliseconds until three calls in a row are set up within that time. */
  async recovery(withinMs: number): Promise<number> {
    const began = performance.now();
    let firstMs = 0;
    for (let row = 0; performance.now() - began < 60_000; await sleep(50)) {
      const startMs = performance.now() - began;
      const ms = await this.#call();
      if (ms === undefined || ms > withinMs) row = 0;
      else if (row++ === 0) firstMs = startMs;
      if (row === 3) return firstMs;
    }
    return Number.POSITIVE_INFINITY;
  }
}

async function send(task: FloodTask): Promise<unknown> {
  const script = fileURLToPath(new URL('flood-sender.ts', import.meta.url));
  const [program, ...args] = [...pinned(LOAD_CPU), process.execPath, script, JSON.stringify(task)];
  const child = spawn(program!, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  const [out, [code]] = await Promise.all([text(child.stdout), once(child, 'exit')]);
  if (code !== 0) throw new Error(`the flood ended with ${String(code)}`);
  return JSON.parse(out);
}

function mean(values: readonly number[]): number {
  return values.reduce((a, b) => a + b, 0) / values.length;
}
