import { spawn } from 'node:child_process';
import { text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { System } from '../system.ts';
import { type TurnAccount, turnAccount } from '../turn-client.ts';
import { addAccounts, PASSWORD } from './load.ts';
import { descriptorsOf, LOAD_CPU, pin, pinned, rssBytes } from './process.ts';
import { RelayUser } from './relay-user.ts';
import { atLeast, atMost, type Check, exactly, type Study } from './study.ts';
import type { TurnFloodTask } from './turn-flood-sender.ts';

const PHASE_S = 30;
const PAIRS = 50;
/** Clients of one user, below its quota. */
const CLIENTS_PER_USER = 10;
/** Fifty packets a second. */
const TICK_MS = 20;
const FLOODS: readonly Pick<TurnFloodTask, 'kind' | 'perS' | 'sources'>[] = [
  { kind: 'many sources', perS: 30_000, sources: 2000 },
  { kind: 'one source', perS: 30_000, sources: 1 },
  { kind: 'garbage', perS: 30_000, sources: 100 },
  { kind: 'half-open TLS', perS: 500, sources: 1 },
];
const MEMORY_MIB = 16;
const MIB = 1 << 20;
/** The server has its processor for itself in these studies. */
const TURN_CPU = 0;

export const turnFlood: Study = {
  words:
    'floods of Allocates, garbage and half-open TLS connections against TURN: relayed voice goes on, memory is flat',
  run: async ({ folder, say, seconds = PHASE_S }) => {
    await using system = await System.start({
      folder,
      settings: { turn: { port: 0, tlsPort: 0, relayPorts: { min: 0, max: 0 } } },
    });
    for (const [part, pid] of Object.entries(await system.pids())) pin(pid, part === 'turn' ? TURN_CPU : LOAD_CPU);
    const { pid, ports } = await system.status('turn');
    const names = await addAccounts(system, 'relayed', (2 * PAIRS) / CLIENTS_PER_USER);
    const accounts: TurnAccount[] = [];
    for (const name of names) accounts.push(await turnAccount(system, name, PASSWORD));
    await using running = new AsyncDisposableStack();
    const users: RelayUser[] = [];
    for (let i = 0; i < PAIRS; i++) {
      const pair = await Promise.all([i * 2, i * 2 + 1].map((n) => RelayUser.open(accounts[n % accounts.length]!)));
      const [a, b] = pair as [RelayUser, RelayUser];
      const [atA, atB] = [await a.allocate(), await b.allocate()];
      await a.bind(atB);
      await b.bind(atA);
      users.push(a, b);
      running.defer(() => pair.forEach((one) => void one.close()));
    }
    const voice = setInterval(() => {
      for (const user of users) user.send();
    }, TICK_MS);
    running.defer(() => clearInterval(voice));

    const checks: Check[] = [];
    const figures: Record<string, unknown> = {};
    const phase = async (name: string, flood?: TurnFloodTask) => {
      const before = users.map(({ sent, received }) => ({ sent, received }));
      const sender = flood && startSender(flood);
      await sleep((seconds * 1000) / 2);
      const half = rssBytes(pid);
      await sleep((seconds * 1000) / 2);
      const grown = (rssBytes(pid) - half) / MIB;
      const told = await sender;
      const sent = sum(users.map((user, i) => user.sent - before[i]!.sent));
      const received = sum(users.map((user, i) => user.received - before[i]!.received));
      const percent = (100 * received) / sent;
      const descriptors = descriptorsOf(pid);
      figures[name] = {
        sent,
        received,
        percent,
        grownMib: grown,
        descriptors,
        rssMib: rssBytes(pid) / MIB,
        flood: told,
      };
      say(
        `${name}: ${percent.toFixed(2)} % of ${sent} voice packets; ${JSON.stringify(told ?? {})}; ${grown.toFixed(1)} MiB more`,
      );
      return { percent, grown, told };
    };
    const quiet = await phase('no flood');
    checks.push(atLeast('voice packets without a flood, %', quiet.percent, 99.9));
    for (const flood of FLOODS) {
      const { percent, grown, told } = await phase(flood.kind, { ...flood, udp: ports.udp!, tls: ports.tls!, seconds });
      checks.push(atLeast(`${flood.kind}: voice packets, %`, percent, 99));
      checks.push(atMost(`${flood.kind}: memory, second half against first, MiB`, grown, MEMORY_MIB));
      if (flood.kind === 'one source') {
        checks.push(atMost('answers to one source a second', (told?.answered ?? 0) / seconds, 25));
      }
      const late = await RelayUser.open(accounts[0]!);
      const began = performance.now();
      await late.allocate();
      checks.push(atMost(`${flood.kind}: an Allocate afterwards, ms`, performance.now() - began, 1000));
      await late.request(0x004, (writer) => writer.u32(0x000d, 0));
      late.close();
    }
    const metrics = await system.metrics('turn');
    checks.push(exactly('allocations in the end', metrics.offhook_turn_allocations ?? -1, users.length));
    return { checks, figures };
  },
};

async function startSender(task: TurnFloodTask): Promise<{ sent: number; answered: number }> {
  const script = fileURLToPath(new URL('turn-flood-sender.ts', import.meta.url));
  const command = [...pinned(LOAD_CPU), process.execPath, script, JSON.stringify(task)];
  const child = spawn(command[0]!, command.slice(1), { stdio: ['ignore', 'pipe', 'inherit'] });
  const lines = (await text(child.stdout)).trim().split('\n');
  return JSON.parse(lines.at(-1)!) as { sent: number; answered: number };
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
