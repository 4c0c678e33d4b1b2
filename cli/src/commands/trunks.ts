import type { TrunkStatus } from '@offhook/signaling';
import type { Finding } from '../doctor/finding.ts';
import { ask } from '../running.ts';

const out = (line: string) => process.stdout.write(`${line}\n`);

/** The trunks of the running system. Exit code 1 when one of them is down. */
export async function trunks(data: string, json: boolean): Promise<number> {
  const list = (await ask(data, 'signaling', 'trunks')) as TrunkStatus[];
  if (json) out(JSON.stringify(list, undefined, 2));
  else if (list.length === 0) out('no trunks were configured when Offhook was started (docs/trunks.md says how)');
  else for (const one of list) for (const line of inWords(one)) out(line);
  return list.some(({ isUp }) => !isUp) ? 1 : 0;
}

function inWords({ trunk, isUp, why, registeredForS, targets, calls, maxCalls }: TrunkStatus): string[] {
  const registered = registeredForS === undefined ? '' : `, registered for ${registeredForS} s more`;
  const state = isUp ? 'up' : `down: ${why}`;
  return [
    `${trunk.padEnd(20)} ${state}${registered}; ${calls} of ${maxCalls} lines in use`,
    ...targets.map((target) => `  ${target.uri} ${targetState(target)}`),
  ];
}

function targetState({ isUp, isChecked, why }: TrunkStatus['targets'][number]): string {
  if (!isUp) return `down: ${why}`;
  if (!isChecked) return why === '' ? 'not asked (yet)' : `no answer yet: ${why}`;
  return why === '' ? 'up' : `up, but ${why}`;
}

/** A line for each trunk: what keeps calls from going over it. */
export async function trunkFindings(data: string): Promise<Finding[]> {
  const list = (await ask(data, 'signaling', 'trunks').catch(() => [])) as TrunkStatus[];
  return list.map(({ trunk, isUp, why, targets }) => {
    const what = `trunk ${trunk}`;
    const down = targets.filter((target) => !target.isUp);
    if (!isUp) return { what, state: 'bad', words: why, remedy: remedyFor(why) };
    if (down.length === 0) return { what, state: 'good', words: 'up' };
    return { what, state: 'note', words: `up, but ${down.map((t) => `${t.uri} is down: ${t.why}`).join('; ')}` };
  });
}

function remedyFor(why: string): string {
  if (why.includes('refuses the password'))
    return 'compare user, authUser and password with what the provider gave; after a change: stop and start';
  if (why.includes('realm')) return 'set register.realm to the realm that the provider names';
  if (why.includes('there is no name')) return 'look at the name’s spelling, and at the name servers of this machine';
  if (why.includes('does not answer'))
    return 'look at its address and port, at the firewall and at the provider’s state page; a server that never answers OPTIONS needs `optionsS: 0`';
  return 'look at the provider’s state page, at the firewall, and at the trunk’s targets';
}
