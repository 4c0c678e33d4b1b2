import { join } from 'node:path';
import { callAdmin, type PartStatus } from '@offhook/core/node';
import { ask, runDirOf, runningParts } from '../running.ts';
import { loginLink } from './start.ts';

const out = (line: string) => process.stdout.write(`${line}\n`);

/** Stops the supervisor, which stops the parts; without one, the parts themselves. */
export async function stop(data: string): Promise<number> {
  const parts = await runningParts(data);
  const supervised = await callAdmin(join(runDirOf(data), 'supervisor.sock'), 'stop').then(
    () => true,
    () => false,
  );
  if (!supervised) for (const { part } of parts) await ask(data, part, 'stop').catch(() => undefined);
  if (!supervised && parts.length === 0) {
    out(`nothing runs with the data folder ${data}`);
    return 0;
  }
  for (let waited = 0; waited < 10_000; waited += 100) {
    if ((await runningParts(data)).length === 0) {
      out('stopped');
      return 0;
    }
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  process.stderr.write(
    `still running after 10 s: ${(await runningParts(data)).map(({ part, pid }) => `${part} (pid ${pid})`).join(', ')}\n`,
  );
  return 1;
}

/** What runs, since when, on which ports. Exit code 3: nothing does. */
export async function status(data: string, json: boolean): Promise<number> {
  const parts = await runningParts(data);
  const supervisor = await callAdmin(join(runDirOf(data), 'supervisor.sock'), 'status').then(
    (answer) => (answer as { pid: number }).pid,
    () => undefined,
  );
  if (json) out(JSON.stringify({ supervisor, parts }, undefined, 2));
  else if (parts.length === 0) out(`nothing runs with the data folder ${data}`);
  else {
    out(
      supervisor === undefined
        ? "no supervisor: parts that die are not restarted; 'npm start' adopts them"
        : `supervisor (pid ${supervisor})`,
    );
    for (const part of parts) out(inWords(part));
  }
  return parts.length === 0 ? 3 : 0;
}

function inWords({ part, pid, state, startedAt, ports, details }: PartStatus): string {
  const where = Object.entries(ports).map(([name, port]) => `${name} ${port}`);
  const what = Object.entries(details).flatMap(([name, value]) =>
    typeof value === 'object' ? [] : [`${name} ${value}`],
  );
  return `${part.padEnd(14)} ${state}, pid ${pid}, since ${startedAt}; ${where.join(', ')}${what.length > 0 ? `; ${what.join(', ')}` : ''}`;
}

/** A one-time login link for a user. */
export async function link(data: string, user: string): Promise<number> {
  const { ports } = (await ask(data, 'signaling', 'status')) as PartStatus;
  out(await loginLink(data, user, ports.http!));
  return 0;
}
