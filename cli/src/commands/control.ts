import type { PartStatus } from '@offhook/core/node';
import {
  ask,
  call,
  type FoundPart,
  type FoundSupervisor,
  foundParts,
  foundSupervisor,
  logOf,
  runningReach,
  supervisorPidFile,
} from '../running.ts';
import { command } from '../spelling.ts';
import { processIdentity } from '../supervisor/identity.ts';
import { STOP_GRACE_MS } from '../supervisor/part-process.ts';
import { endOwn, isAlive, livingProcess, type OwnProcess, removePidFile } from '../supervisor/pid-file.ts';
import { httpsRemedy } from '../words.ts';
import { loginLink } from './start.ts';
import { warningsOf } from './warnings.ts';

const out = (line: string) => process.stdout.write(`${line}\n`);
/** Signalling, TURN and media one after the other, each with five seconds before SIGKILL, and some to spare. */
const STOPPED_WITHIN_MS = 25_000;

/** Stops the supervisor, which stops the parts; without one (or with one that hangs), the parts themselves. */
export async function stop(data: string): Promise<number> {
  const [supervisor, parts] = await Promise.all([foundSupervisor(data), foundParts(data)]);
  if (!supervisor && parts.length === 0) {
    out(`nothing runs with the data folder ${data}`);
    return 0;
  }
  const own = ownOf(supervisor?.pid);
  const told =
    supervisor?.parts !== undefined &&
    (await call(data, 'supervisor', 'stop').then(
      () => true,
      () => false,
    ));
  if (!told) await endHere(data, parts);
  const deadline = performance.now() + STOPPED_WITHIN_MS;
  for (;;) {
    const left = await foundParts(data);
    // the supervisor too: until it has ended, the next start is refused
    if (left.length === 0 && !(own && isAlive(own))) {
      out('stopped');
      return 0;
    }
    if (performance.now() > deadline) {
      const who = left.map((part) => `${part.name} (pid ${pidOf(part)})`);
      if (own && isAlive(own)) who.push(`supervisor (pid ${own.pid})`);
      process.stderr.write(`still running after ${STOPPED_WITHIN_MS / 1000} s: ${who.join(', ')}\n`);
      return 1;
    }
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

/** Ends a supervisor that does not answer, at once so that it restarts nothing, and then the parts. */
async function endHere(data: string, parts: readonly FoundPart[]): Promise<void> {
  const hung = livingProcess(supervisorPidFile(data));
  if (hung) {
    await endOwn(hung, 0);
    removePidFile(supervisorPidFile(data));
    out(`supervisor (pid ${hung.pid}): did not answer, killed`);
  }
  await Promise.all(
    parts.map(async ({ name, own, status }) => {
      const process = own ?? ownOf(status?.pid);
      if (process && (await endOwn(process, STOP_GRACE_MS)) === 'killed')
        out(`${name} (pid ${process.pid}): did not stop within ${STOP_GRACE_MS / 1000} s, killed`);
    }),
  );
}

function ownOf(pid: number | undefined): OwnProcess | undefined {
  const identity = pid === undefined ? undefined : processIdentity(pid);
  return pid === undefined || identity === undefined ? undefined : { pid, identity };
}

const pidOf = ({ own, status }: FoundPart): number | undefined => status?.pid ?? own?.pid;

/** What runs, since when, on which ports. Exit code 1: something of it starts still, or does not answer; 3: nothing runs. */
export async function status(data: string, json: boolean): Promise<number> {
  const [supervisor, parts] = await Promise.all([foundSupervisor(data), foundParts(data)]);
  const without = parts.filter((part) => part.status === undefined);
  const absent = (supervisor?.parts ?? []).filter(({ part }) => !parts.some(({ name }) => name === part));
  const starting = [...without.map(({ name }) => name), ...absent.map(({ part }) => part)].filter((name) =>
    isStarting(name, supervisor),
  );
  const silent = without.filter(({ name }) => !starting.includes(name));
  const down = absent.filter(({ part }) => !starting.includes(part));
  const nothing = !supervisor && parts.length === 0;
  if (json)
    out(
      JSON.stringify(
        {
          supervisor: supervisor?.pid,
          parts: parts.flatMap((part) => part.status ?? []),
          starting,
          silent: silent.map((part) => ({ part: part.name, pid: pidOf(part) })),
          down: down.map(({ part }) => part),
        },
        undefined,
        2,
      ),
    );
  else if (nothing) out(`nothing runs with the data folder ${data}`);
  else {
    out(supervisorWords(supervisor));
    for (const part of parts) {
      if (starting.includes(part.name)) continue;
      out(part.status ? inWords(part.status, supervisor) : silentWords(part));
      const { certificate } = part.status?.details ?? {};
      if (typeof certificate === 'string') out(`  certificate ${certificate}`);
      for (const words of warningsOf(part.status)) out(`  warning: ${words}`);
    }
    for (const name of starting) out(`${`${name}:`.padEnd(14)} starting`);
    for (const { part } of down) out(`${part.padEnd(14)} does not run; log: ${logOf(data, part)}`);
  }
  if (nothing) return 3;
  return starting.length > 0 || silent.length > 0 || down.length > 0 || (supervisor && !supervisor.parts) ? 1 : 0;
}

export function supervisorWords(supervisor: FoundSupervisor | undefined): string {
  if (!supervisor) return `no supervisor: parts that die are not restarted; adopt them with: ${command('start')}`;
  return supervisor.parts
    ? `supervisor (pid ${supervisor.pid})`
    : `supervisor: no answer (pid ${supervisor.pid}); parts that die are not restarted`;
}

/** The supervisor knows: a part that hangs is one that was ready before. */
export function isStarting(name: string, supervisor: FoundSupervisor | undefined): boolean {
  return supervisor?.parts?.some(({ part, state }) => part === name && state === 'starting') === true;
}

function silentWords(part: FoundPart): string {
  return `${`${part.name}:`.padEnd(14)} no answer (pid ${pidOf(part)})`;
}

function inWords({ part, pid, state, startedAt, ports, details }: PartStatus, supervisor?: FoundSupervisor): string {
  const where = Object.entries(ports).map(([name, port]) => `${name} ${port}`);
  const what = Object.entries(details).flatMap(([name, value]) =>
    typeof value === 'object' || name === 'certificate' ? [] : [`${name} ${value}`],
  );
  const { restarts = 0, lastEnd } = supervisor?.parts?.find((one) => one.part === part) ?? {};
  if (restarts > 0)
    what.push(`restarted ${restarts === 1 ? 'once' : `${restarts} times`} (${lastEnd ?? 'cause unknown'})`);
  return `${part.padEnd(14)} ${state}, pid ${pid}, since ${startedAt}; ${where.join(', ')}${what.length > 0 ? `; ${what.join(', ')}` : ''}`;
}

/** A one-time login link for a user; on standard error, the address that other machines need in it. */
export async function link(data: string, user: string): Promise<number> {
  const { ports } = (await ask(data, 'signaling', 'status')) as PartStatus;
  out(await loginLink(data, user, ports.http!));
  const reach = runningReach(data);
  const address = reach?.hostAddresses[0];
  if (address && ports.https)
    process.stderr.write(
      `on other machines https://${address}:${ports.https} stands for http://localhost:${ports.http}; ${httpsRemedy(reach.ownCa)}\n`,
    );
  return 0;
}
