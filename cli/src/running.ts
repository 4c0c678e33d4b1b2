import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { AdminClient, type PartStatus } from '@offhook/core/node';
import { command } from './spelling.ts';
import { livingProcess, type OwnProcess } from './supervisor/pid-file.ts';
import type { PartReport } from './supervisor/supervisor.ts';

export const runDirOf = (data: string): string => join(data, 'run');
export const logOf = (data: string, part: string): string => join(data, 'log', `${part}.log`);

/** How long a part may take to say how it is; a busy one answers late, one that hangs never. */
const ANSWER_WITHIN_MS = 3000;

/** A part's process: one that answers has a status, one that hangs (or has just been started) a pid only. */
export interface FoundPart {
  readonly name: string;
  readonly own: OwnProcess | undefined;
  readonly status: PartStatus | undefined;
}

export interface FoundSupervisor {
  readonly pid: number;
  /** What it says of its parts; undefined when it does not answer. */
  readonly parts: readonly PartReport[] | undefined;
}

/** The parts of a data folder that answer on their admin sockets or live without answering, in the order of their names. */
export async function foundParts(data: string): Promise<FoundPart[]> {
  const names = new Set(
    filesIn(runDirOf(data))
      .filter((file) => /\.(?:sock|pid)$/.test(file))
      .map((file) => file.replace(/\.\w+$/, '')),
  );
  names.delete('supervisor');
  const found = await Promise.all(
    [...names].sort().map(async (name): Promise<FoundPart> => {
      const status = (await statusOf(data, name)) as PartStatus | undefined;
      return { name, status, own: livingProcess(join(runDirOf(data), `${name}.pid`)) };
    }),
  );
  return found.filter(({ own, status }) => own || status);
}

/** The supervisor of a data folder, if one lives. */
export async function foundSupervisor(data: string): Promise<FoundSupervisor | undefined> {
  const status = (await statusOf(data, 'supervisor')) as { pid: number; parts: PartReport[] } | undefined;
  if (status) return status;
  const own = livingProcess(supervisorPidFile(data));
  return own && { pid: own.pid, parts: undefined };
}

export const supervisorPidFile = (data: string): string => join(runDirOf(data), 'supervisor.pid');

async function statusOf(data: string, name: string): Promise<unknown> {
  try {
    return await call(data, name, 'status', {}, ANSWER_WITHIN_MS);
  } catch {
    return undefined;
  }
}

/** One verb on a connection of its own. */
export async function call(
  data: string,
  name: string,
  verb: string,
  args: Record<string, unknown> = {},
  withinMs?: number,
): Promise<unknown> {
  const client = await AdminClient.connect(join(runDirOf(data), `${name}.sock`));
  try {
    return await client.call(verb, args, withinMs);
  } finally {
    client.close();
  }
}

/** Nobody answers for that part. */
export class NotRunning extends Error {}

/** One verb of one part; the error says in words that it does not run, or does not answer. */
export async function ask(
  data: string,
  part: string,
  verb: string,
  args: Record<string, unknown> = {},
): Promise<unknown> {
  try {
    return await call(data, part, verb, args);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    const own = livingProcess(join(runDirOf(data), `${part}.pid`));
    if (own && message.startsWith('no answer'))
      throw new Error(`${part} runs (pid ${own.pid}) and does not answer. Look with: ${command('doctor')}`);
    if (code !== 'ENOENT' && code !== 'ECONNREFUSED') throw error;
    throw new NotRunning(absence(data, part, await foundParts(data)));
  }
}

/** Beside others that run, 'start' is no remedy: it would be refused. */
function absence(data: string, part: string, others: readonly FoundPart[]): string {
  if (others.length === 0)
    return `Offhook does not run with the data folder ${data} (no ${part} answers there). Start it with: ${command('start')}`;
  const names = others.map(({ name }) => name).join(', ');
  const words = `no ${part} answers in the data folder ${data}, though ${names} ${others.length === 1 ? 'runs' : 'run'} there`;
  return isRelayAlone(others) ? `${words}${relayAlone()}` : `${words}. Look with: ${command('doctor')}`;
}

export function isRelayAlone(parts: readonly FoundPart[]): boolean {
  return parts.every(({ name }) => name.startsWith('media-relay-'));
}

/** Why there are no others, and how they come. */
export function relayAlone(): string {
  return `, as after 'offhook relay', which starts the media relay alone. For all of Offhook: ${command('stop')}, then ${command('start')}`;
}

/** How the running system is reached, by the configuration that its signalling was started with. */
export interface Reach {
  readonly domain: string;
  /** Where SIP phones find it; loopback comes first. */
  readonly addresses: readonly string[];
  /** Those of them that are not loopback. */
  readonly hostAddresses: readonly string[];
  /** The CA that has made the certificate; undefined when it came from elsewhere. */
  readonly ownCa: string | undefined;
}

export function runningReach(data: string): Reach | undefined {
  try {
    const settings = JSON.parse(readFileSync(join(runDirOf(data), 'signaling.config.json'), 'utf8')) as {
      domain: string;
      sip: { udp: { address: string }[] };
      tls: { folder: string; cert?: string };
    };
    const { domain, sip, tls } = settings;
    const ownCa = tls.cert === undefined ? join(tls.folder, 'ca.pem') : undefined;
    return reachOf({ domain, addresses: sip.udp.map(({ address }) => address), ownCa });
  } catch {
    return undefined;
  }
}

export function reachOf({ domain, addresses, ownCa }: Omit<Reach, 'hostAddresses'>): Reach {
  // ::1 is where 127.0.0.1 is: to be told once is enough.
  const told = addresses.filter((address) => address !== '::1');
  return { domain, addresses: told, hostAddresses: told.filter((address) => !address.startsWith('127.')), ownCa };
}

function filesIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}
