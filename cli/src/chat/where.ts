import { readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { parseHostPort } from '@offhook/core';
import type { PartStatus } from '@offhook/core/node';
import { UsageError } from '../arguments.ts';
import { ask, type Reach, runningReach } from '../running.ts';
import { readNamed } from './file.ts';
import type { ChatTransport, WireOptions } from './wire.ts';

const TRANSPORTS = ['udp', 'tcp', 'tls'] as const;

export interface Asked {
  /** As typed: alice, alice@example.org, sip:alice@example.org. */
  readonly who: string;
  readonly server: string | undefined;
  readonly transport: string | undefined;
  /** Path of a CA's certificate. */
  readonly ca: string | undefined;
  /** The data folder of the system that may run here. */
  readonly data: () => Promise<string>;
}

export interface Where {
  readonly user: string;
  readonly wire: WireOptions;
  /** Where this terminal keeps what it remembers of the account. */
  readonly folder: string;
  /** Signs in to the system that runs here. */
  readonly isLocal: boolean;
}

/** Which server, and as whom: what was said, else the system that runs here, else what the domain's DNS says. */
export async function findServer(asked: Asked): Promise<Where> {
  const transport = transportOf(asked.transport);
  const { user, domain } = whoIs(asked.who);
  const ca = asked.ca === undefined ? undefined : readNamed('--ca', asked.ca);
  const { local, why } = await localSystem(asked, domain);
  const isLocal = local !== undefined && (domain === undefined || domain === local.reach.domain);
  if (asked.server !== undefined) {
    const at = parseHostPort(asked.server);
    if (!at) throw new UsageError(`--server: '${asked.server}' is no host or host:port`);
    const isThis = isLocal && local.reach.addresses.concat('localhost').includes(at.host);
    const served = domain ?? (isThis ? local.reach.domain : at.host);
    const wire = {
      transport,
      host: at.host,
      port: at.port,
      domain: served,
      ca: ca ?? (isThis ? ownCa(local.reach) : undefined),
    };
    return { user, wire, folder: folderOf(isThis ? await asked.data() : undefined, user, served), isLocal: isThis };
  }
  if (isLocal) {
    const { reach, ports } = local;
    const port = ports[transport];
    if (port === undefined) throw new Error(`the system that runs here does not listen for SIP over ${transport}`);
    const host = reach.addresses.find((one) => one.startsWith('127.')) ?? reach.addresses[0] ?? '127.0.0.1';
    const wire = { transport, host, port, domain: reach.domain, ca: ca ?? ownCa(reach) };
    return { user, wire, folder: folderOf(await asked.data(), user, reach.domain), isLocal };
  }
  if (domain === undefined)
    throw new Error(`${why}\nFor an account elsewhere say where: offhook chat ${user}@example.org, or --server <host>`);
  const wire = { transport, host: domain, port: undefined, domain, ca };
  return { user, wire, folder: folderOf(undefined, user, domain), isLocal };
}

/** A domain that was said and is not the local system's needs no local system: it is asked for, and its absence is no error. */
async function localSystem(
  { data }: Asked,
  domain: string | undefined,
): Promise<{ local?: { reach: Reach; ports: PartStatus['ports'] }; why: string }> {
  try {
    const folder = await data();
    const { ports } = (await ask(folder, 'signaling', 'status')) as PartStatus;
    const reach = runningReach(folder);
    return reach ? { local: { reach, ports }, why: '' } : { why: `${folder} does not say how its system is reached` };
  } catch (error) {
    if (domain === undefined || !(error instanceof Error)) return { why: (error as Error).message };
    return { why: '' };
  }
}

function transportOf(wanted: string | undefined): ChatTransport {
  const known = TRANSPORTS.find((one) => one === (wanted ?? 'udp').toLowerCase());
  if (!known) throw new UsageError(`--transport is one of ${TRANSPORTS.join(', ')}, not '${wanted}'`);
  return known;
}

function whoIs(who: string): { user: string; domain: string | undefined } {
  const [user = '', host, ...more] = who.replace(/^sips?:/i, '').split('@');
  const at = host === undefined ? undefined : parseHostPort(host);
  const isWrong = user === '' || user.length > 64 || /[\s<>":;]/.test(user) || more.length > 0;
  if (isWrong || (host !== undefined && at?.port === undefined && !at))
    throw new UsageError(`'${who}' is no account: alice, or alice@example.org`);
  if (at?.port !== undefined)
    throw new UsageError(`'${who}': a port belongs to the server: offhook chat ${user}@${at.host} --server ${host}`);
  return { user, domain: at?.host };
}

function ownCa({ ownCa: path }: Reach): string | undefined {
  try {
    return path === undefined ? undefined : readFileSync(path, 'utf8');
  } catch {
    return undefined; // the handshake then says what is missing
  }
}

/** In the data folder of the local system, else where XDG says (`~/.local/share`). */
function folderOf(data: string | undefined, user: string, domain: string): string {
  const account = encodeURIComponent(`${user}@${domain}`).replaceAll('%40', '@').slice(0, 128);
  if (data !== undefined) return join(data, 'chat', account);
  const share = process.env.XDG_DATA_HOME || join(homedir(), '.local', 'share');
  return join(share, 'offhook', 'chat', account);
}
