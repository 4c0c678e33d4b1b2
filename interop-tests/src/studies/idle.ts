import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { System, waitUntil } from '../system.ts';
import type { Census, IdleOrder, IdleTask } from './idle-phones.ts';
import { INSPECTABLE, Inspected } from './inspected.ts';
import { addAccounts, PASSWORD } from './load.ts';
import { cpuMs, descriptorsOf, LOAD_CPU, pinned, place } from './process.ts';
import { atLeast, atMost, exactly, rounded, type Study } from './study.ts';

const USERS = 1000;
const PHONES_PER_USER = 10;
/** Phones whose registration is no measure yet. */
const WARM_UP_USERS = 50;
const KIB_PER_PHONE = 12;
const BACK_WITHIN_S = 60;
/** Pings come each 25 s. */
const IDLE_S = 60;

export const idle: Study = {
  words: '10,000 idle phones over WebSocket: memory of each, CPU while they wait, all back after a kill',
  run: async ({ folder, say, seconds = IDLE_S }) => {
    // There is a limit for one address, also for loopback, that is a share of the descriptors; see transport/descriptors.ts.
    await using system = await System.start({ folder, env: INSPECTABLE });
    const users = await addAccounts(system, 'web', USERS);
    await place(system);
    const { pid } = await system.status('signaling');
    const of = (names: readonly string[]) => ({
      url: `ws://127.0.0.1:${system.ports.http}/sip`,
      ...{ domain: system.domain, password: PASSWORD, users: names, phonesPerUser: PHONES_PER_USER, atOnce: 100 },
    });
    say(`${WARM_UP_USERS * PHONES_PER_USER} phones come and go`);
    {
      await using some = new IdlePhones(of(users.slice(0, WARM_UP_USERS)));
      await some.ask('connect');
    }
    await waitUntil('they have gone', async () => (await system.metrics('signaling')).sip_connections === 0);
    const inspected = await Inspected.open(system, 'signaling');
    const before = await inspected.memory();
    const descriptors = descriptorsOf(pid);

    const count = USERS * PHONES_PER_USER;
    say(`${count} phones register`);
    await using phones = new IdlePhones(of(users));
    const usedMs = cpuMs(pid);
    const { ms } = (await phones.ask('connect')) as { ms: number };
    const cpuMsPerPhone = (cpuMs(pid) - usedMs) / count;
    const first = (await phones.ask('census')) as Census;
    const after = await inspected.memory();
    inspected.close();
    const kibPerPhone = (after.rssBytes - before.rssBytes) / 1024 / count;
    say(`registered in ${rounded(ms / 1000)} s, ${rounded(kibPerPhone)} KiB each; ${seconds} s of idleness`);

    const idleMs = cpuMs(pid);
    await sleep(seconds * 1000);
    const idleCpuPercent = (cpuMs(pid) - idleMs) / (seconds * 10);
    const waiting = (await phones.ask('census')) as Census;

    say('signalling is killed');
    const killed = performance.now();
    await system.killPart('signaling');
    await system.waitForPart('signaling');
    const awayMs = performance.now() - killed;
    await place(system);
    let back = waiting;
    await waitUntil(
      'all phones are back',
      async () => {
        back = (await phones.ask('census')) as Census;
        return back.registered === count && back.allBackMs !== undefined;
      },
      (BACK_WITHIN_S + 60) * 1000,
      () => JSON.stringify(back),
    );
    say(`all are back after ${rounded(back.allBackMs! / 1000)} s`);
    const registered = (await system.metrics('signaling')).sip_registrations!;
    return {
      checks: [
        exactly('phones registered', first.registered, count),
        atMost('KiB of memory for each', kibPerPhone, KIB_PER_PHONE),
        exactly('connections lost while idle', waiting.lost, 0),
        atLeast('phones back after the kill', back.registered, count),
        atMost('seconds until all were back', back.allBackMs! / 1000, BACK_WITHIN_S),
        exactly('REGISTERs that failed', back.failed, 0),
        exactly('connections that the new process refused', back.answeredOtherwise, 0),
        exactly('contacts that it knows', registered, count),
      ],
      figures: {
        phones: count,
        heapKibPerPhone: rounded((after.heapBytes - before.heapBytes) / 1024 / count),
        rssMiB: [before.rssBytes, after.rssBytes].map((bytes) => rounded(bytes / 2 ** 20)),
        descriptors: [descriptors, descriptors + count],
        registeredPerS: Math.round(count / (ms / 1000)),
        cpuMsPerRegistration: rounded(cpuMsPerPhone),
        idleSeconds: seconds,
        idleCpuPercent: rounded(idleCpuPercent),
        kill: {
          ...{
            awayMs: Math.round(awayMs),
            halfBackMs: Math.round(back.halfBackMs!),
            allBackMs: Math.round(back.allBackMs!),
          },
          ...{ attemptsWhileAway: back.refused, why: back.why },
        },
      },
    };
  },
};

/** The program of the phones; ended with all of its connections at the end of its scope. */
class IdlePhones {
  readonly #child;
  readonly #answers: AsyncIterator<string>;

  constructor(task: IdleTask) {
    const script = fileURLToPath(new URL('idle-phones.ts', import.meta.url));
    const [program, ...args] = [...pinned(LOAD_CPU), process.execPath, script, JSON.stringify(task)];
    this.#child = spawn(program!, args, { stdio: ['pipe', 'pipe', 'inherit'] });
    this.#answers = createInterface({ input: this.#child.stdout })[Symbol.asyncIterator]();
  }

  async ask(order: IdleOrder): Promise<unknown> {
    this.#child.stdin.write(`${order}\n`);
    const { value, done } = await this.#answers.next();
    if (done) throw new Error('the program of the phones has ended');
    return JSON.parse(value);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const gone = new Promise((resolve) => this.#child.once('exit', resolve));
    if (this.#child.exitCode !== null) return;
    this.#child.kill('SIGKILL');
    await gone;
  }
}
