import { join } from 'node:path';
import { UsageError, type Values } from '../arguments.ts';
import { parsePerson } from '../chat/address.ts';
import { openPipe, openScript, openTerminal, type Script } from '../chat/console.ts';
import { History } from '../chat/history.ts';
import { takeInstance } from '../chat/instance.ts';
import { findPassword } from '../chat/password.ts';
import { shownLines } from '../chat/plain-text.ts';
import { Session } from '../chat/session.ts';
import { COMMANDS, parseTyped } from '../chat/typed.ts';
import { findServer } from '../chat/where.ts';
import { closest } from '../config/closest.ts';
import { ask } from '../running.ts';
import { command } from '../spelling.ts';

/** A chat from sign-in to farewell. Exit code 1: not signed in, or (of a script) a text that did not arrive. */
export async function chat(who: string, values: Values, data: () => Promise<string>): Promise<number> {
  const { server, transport, ca, to, json = false } = values;
  const script = process.stdin.isTTY ? undefined : openScript();
  if (to === undefined) await checkFirstLine(who, script);
  const { user, wire, folder, isLocal } = await findServer({ who, server, transport, ca, data });
  const { domain } = wire;
  const first = to === undefined ? undefined : parsePerson(to, domain);
  if (to !== undefined && !first) throw new UsageError(`--to: '${to}' is no address: bob, or bob@example.org`);
  if (isLocal) await checkUser(user, await data());
  const hint = isLocal ? `A new one is made by: ${command(`user passwd ${user}`)}` : '';
  const account = `${user}@${domain}`;
  const password = await findPassword({ file: values['password-file'], account, hint }, (words) =>
    process.stderr.write(`${words}\n`),
  );
  const instance = takeInstance(folder);
  const history = new History(join(folder, 'history'));
  const isTerminal = process.stdin.isTTY && process.stdout.isTTY && !json;
  // readline prints what it completes and what was typed before as it is
  const isShownAsItIs = (text: string) => shownLines(text)[0] === text;
  const people = () => history.people().filter(isShownAsItIs);
  const typedBefore = () =>
    history
      .texts()
      .filter(({ own, text }) => own && isShownAsItIs(text))
      .map(({ text }) => (text.startsWith('/') ? `/${text}` : text))
      .reverse();
  const session = new Session({
    account: { user, domain, password, instance: instance.urn },
    wire,
    history,
    to: first,
    isJson: json,
    open: (events) =>
      isTerminal
        ? openTerminal(events, { history: typedBefore(), completion: { commands: COMMANDS, people } })
        : openPipe(events, script ?? openScript()),
    refusedHint: isLocal
      ? `accounts: ${command('user list')}; a new password: ${command(`user passwd ${user}`)}`
      : 'look at the user’s name, the domain and the password',
  });
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => session.stop());
  process.stdout.on('error', () => session.stop()); // whoever read it is gone
  try {
    return await session.done;
  } finally {
    instance.release();
  }
}

/** A text that nobody is named for is no reason to sign in. Whoever has not typed yet may mean to answer others. */
async function checkFirstLine(who: string, script: Script | undefined): Promise<void> {
  const line = await script?.first();
  if (line === undefined || parseTyped(line).kind !== 'text') return;
  throw new UsageError(`to whom? ${command(`chat ${who} --to bob`)}, or '/to bob' as the first line`);
}

/** Of the system that runs here it is known who there is: a password is asked of nobody else. */
async function checkUser(user: string, data: string): Promise<void> {
  const users = ((await ask(data, 'signaling', 'users', { op: 'list' })) as { user: string }[]).map((one) => one.user);
  if (users.includes(user)) return;
  const meant = closest(user, users);
  const next = meant === undefined ? `accounts: ${command('user list')}` : `did you mean ${meant}?`;
  throw new Error(`there is no user ${user}; ${next}`);
}
