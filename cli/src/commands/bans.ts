import type { BanStatus } from '@offhook/signaling';
import type { Finding } from '../doctor/finding.ts';
import { ask } from '../running.ts';
import { command } from '../spelling.ts';

/** What doctor and the list name at most. */
const NAMED = 3;

const out = (line: string) => process.stdout.write(`${line}\n`);

/** Lists the bans of the running system, lifts one, or makes one. */
export async function bans(
  data: string,
  { op, address, json }: { readonly op: string; readonly address: string | undefined; readonly json: boolean },
): Promise<number> {
  const answer = await ask(data, 'signaling', 'bans', { op, address });
  if (json) out(JSON.stringify(answer, undefined, 2));
  else if (op === 'lift') out(`${(answer as { lifted: string }).lifted} is listened to again`);
  else if (op === 'add') out(inWords(answer as BanStatus));
  else if ((answer as BanStatus[]).length === 0) out('nobody is banned');
  else for (const ban of answer as BanStatus[]) out(inWords(ban));
  return 0;
}

function inWords({ network, words, remainingS, times, udpOnly, dropped }: BanStatus): string {
  const often = times === 1 ? '' : `, for the ${ordinal(times)} time`;
  const over = udpOnly ? ' over UDP' : '';
  return `${network.padEnd(20)} banned${over} for ${time(remainingS)} more${often}: ${words}; ${dropped} refused since`;
}

function ordinal(n: number): string {
  const last = n % 100 >= 11 && n % 100 <= 13 ? 'th' : (['th', 'st', 'nd', 'rd'][n % 10] ?? 'th');
  return `${n}${last}`;
}

function time(seconds: number): string {
  if (seconds < 60) return `${seconds} s`;
  const minutes = Math.round(seconds / 60);
  return minutes < 60 ? `${minutes} min` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

/** Bans are no fault, but one of them may have hit a phone. */
export async function banFindings(data: string): Promise<Finding[]> {
  const list = (await ask(data, 'signaling', 'bans').catch(() => [])) as BanStatus[];
  if (list.length === 0) return [];
  const named = list.slice(0, NAMED).map(({ network, words }) => `${network} (${words})`);
  const more = list.length > NAMED ? ` and ${list.length - NAMED} more` : '';
  return [
    {
      what: 'bans',
      state: 'note',
      words: `nothing is taken from ${named.join(', ')}${more}`,
      remedy: `if one of these is yours: ${command(`bans lift ${list[0]!.network}`)}`,
    },
  ];
}
