import { join } from 'node:path';
import { UsageError, type Values } from '../arguments.ts';
import { parsePerson } from '../chat/address.ts';
import { openPipe, openTerminal } from '../chat/console.ts';
import { History } from '../chat/history.ts';
import { takeInstance } from '../chat/instance.ts';
import { findPassword } from '../chat/password.ts';
import { shownLines } from '../chat/plain-text.ts';
import { Session } from '../chat/session.ts';
import { COMMANDS } from '../chat/typed.ts';
import { findServer } from '../chat/where.ts';
import { command } from '../spelling.ts';

/** A chat from sign-in to farewell. Exit code 1: not signed in, or (of a script) a text that did not arrive. */
export async function chat(who: string, values: Values, data: () => string): Promise<number> {
  const { server, transport, ca, to, json = false } = values;
  const { user, wire, folder, isLocal } = await findServer({ who, server, transport, ca, data });
  const { domain } = wire;
  const first = to === undefined ? undefined : parsePerson(to, domain);
  if (to !== undefined && !first) throw new UsageError(`--to: '${to}' is no address: bob, or bob@example.org`);
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
        : openPipe(events),
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
