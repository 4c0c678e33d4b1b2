import { UsageError, type Values } from '../arguments.ts';
import { ask } from '../running.ts';

const out = (line: string) => process.stdout.write(`${line}\n`);

interface Settings {
  readonly doNotDisturb: boolean;
  readonly forward: {
    readonly always?: string;
    readonly busy?: string;
    readonly noAnswer?: string;
    readonly noAnswerS: number;
  };
}

/** Shows what becomes of a user's calls, after changing it when an option says so. */
export async function userCalls(data: string, user: string, values: Values): Promise<number> {
  const change = changeOf(values);
  const op = change === undefined ? 'settings' : 'change';
  const settings = (await ask(data, 'signaling', 'users', { op, user, change })) as Settings;
  if (values.json) out(JSON.stringify(settings, undefined, 2));
  else for (const line of inWords(user, settings)) out(line);
  return 0;
}

function changeOf(values: Values): object | undefined {
  const { forward, busy, 'no-answer': noAnswer, after, dnd } = values;
  if ([forward, busy, noAnswer, after, dnd].every((value) => value === undefined)) return undefined;
  if (dnd !== undefined && dnd !== 'on' && dnd !== 'off') throw new UsageError(`--dnd is on or off, not '${dnd}'.`);
  if (after !== undefined && !/^\d{1,3}$/.test(after))
    throw new UsageError(`--after: '${after}' is no number of seconds.`);
  const to = (value: string | undefined) => (value === 'off' ? null : value);
  return {
    doNotDisturb: dnd === undefined ? undefined : dnd === 'on',
    forward: {
      always: to(forward),
      busy: to(busy),
      noAnswer: to(noAnswer),
      noAnswerS: after === undefined ? undefined : Number(after),
    },
  };
}

function inWords(user: string, { doNotDisturb, forward }: Settings): string[] {
  const { always, busy, noAnswer, noAnswerS } = forward;
  const lines = [
    ...(always === undefined ? [] : [`all calls for ${user} go to ${always}`]),
    ...(doNotDisturb ? [`${user} does not want to be disturbed`] : []),
    ...(busy === undefined ? [] : [`when ${user} is busy or declines, calls go to ${busy}`]),
    ...(noAnswer === undefined ? [] : [`when nobody answers for ${noAnswerS} s, calls go to ${noAnswer}`]),
  ];
  return lines.length > 0 ? lines : [`calls for ${user} ring at ${user}'s phones, and go nowhere else`];
}
