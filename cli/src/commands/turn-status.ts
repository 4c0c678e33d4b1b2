import type { PartStatus } from '@offhook/core/node';
import { ask } from '../running.ts';
import { command } from '../spelling.ts';

const out = (line: string) => process.stdout.write(`${line}\n`);

/** What one user has used since the part was started. */
export interface UserFigures {
  readonly user: string;
  readonly allocations: number;
  readonly packetsToPeers: number;
  readonly bytesToPeers: number;
  readonly packetsToClient: number;
  readonly bytesToClient: number;
}

/** TURN as it runs, and who uses it. */
export async function turnStatus(data: string, json: boolean): Promise<number> {
  const status = (await ask(data, 'turn', 'status')) as PartStatus;
  const { users } = (await ask(data, 'turn', 'figures')) as { users: readonly UserFigures[] };
  if (json) out(JSON.stringify({ ...status, figures: users }, undefined, 2));
  else for (const line of inWords(status, users)) out(line);
  return 0;
}

function inWords({ state, pid, startedAt, ports, details }: PartStatus, users: readonly UserFigures[]): string[] {
  const where = Object.entries(ports).map(([name, port]) => `${name} ${port}`);
  const lines = [`turn ${state}, pid ${pid}, since ${startedAt}; ${where.join(', ')}`];
  const held = [counted(details.allocations, 'allocation'), counted(details.users, 'user')];
  if (details.workers !== undefined) held.push(counted(details.workers, 'worker'));
  lines.push(`  ${held.join(', ')}`);
  if (state === 'draining') {
    const to = details.drainsTo === undefined ? 'clients are refused' : `clients are sent to ${details.drainsTo}`;
    lines.push(`  no new allocations are made, ${to}; to take them again: ${command('turn undrain')}`);
  }
  if (users.length > 0) lines.push('', row('user', 'allocations', 'to peers', 'to clients'));
  const most = [...users].sort((a, b) => b.bytesToPeers + b.bytesToClient - a.bytesToPeers - a.bytesToClient);
  for (const one of most)
    lines.push(
      row(
        one.user,
        String(one.allocations),
        `${bytes(one.bytesToPeers)} in ${one.packetsToPeers}`,
        `${bytes(one.bytesToClient)} in ${one.packetsToClient}`,
      ),
    );
  return lines;
}

function row(user: string, allocations: string, toPeers: string, toClients: string): string {
  return `${user.padEnd(24)} ${allocations.padStart(11)} ${toPeers.padStart(24)} ${toClients.padStart(24)}`;
}

function counted(count: unknown, what: string): string {
  return `${count} ${what}${count === 1 ? '' : 's'}`;
}

function bytes(count: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB'];
  const at = Math.min(Math.floor(Math.log10(Math.max(count, 1)) / 3), units.length - 1);
  return `${at === 0 ? count : (count / 1000 ** at).toFixed(1)} ${units[at]}`;
}
