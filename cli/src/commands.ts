import { UsageError, type Values } from './arguments.ts';
import { closest } from './config/closest.ts';
import { givenPassword } from './given-password.ts';
import { helpCommand } from './spelling.ts';

/*
 * Each command is loaded when it is called: most of the time that help, a mistake or `offhook user list` takes would else go
 * into reading the others.
 */

/** What a command is called with. */
export interface Invocation {
  readonly values: Values;
  /** The words after the command's name. */
  readonly words: readonly string[];
  /** The data folder; looked for when it is asked for. */
  readonly data: () => Promise<string>;
}

interface Command {
  /** How many words may follow, by the first of them. */
  readonly words?: number | ((op: string | undefined) => number);
  /** What its first word may be; without one it is `otherwise`, or missing. */
  readonly ops?: { readonly known: readonly string[]; readonly otherwise?: string; readonly missing: string };
  /** Operations that have a page of help and options of their own. */
  readonly pages?: readonly string[];
  run(call: Invocation & { readonly page: string }): number | Promise<number>;
}

const BAN_OPS = ['list', 'lift', 'add'] as const;
const USER_OPS = ['add', 'list', 'passwd', 'remove', 'calls'] as const;

const TURN_OPS = [
  ...(['status', 'users', 'drain', 'undrain', 'rotate-secret', 'credentials'] as const),
  ...(['coturn-conf', 'check-conf', 'serve'] as const),
];

export const COMMANDS: Readonly<Record<string, Command>> = {
  start: { run: async ({ values }) => (await import('./commands/start.ts')).start(values) },
  relay: { run: async ({ values }) => (await import('./commands/relay.ts')).relay(values) },
  stop: { run: async ({ data }) => (await import('./commands/control.ts')).stop(await data()) },
  status: {
    run: async ({ data, values }) => (await import('./commands/control.ts')).status(await data(), values.json ?? false),
  },
  doctor: { run: async ({ values }) => (await import('./commands/doctor.ts')).doctor(values, values.json ?? false) },
  trunks: {
    run: async ({ data, values }) => (await import('./commands/trunks.ts')).trunks(await data(), values.json ?? false),
  },
  calls: { run: async ({ data, values }) => (await import('./commands/calls.ts')).calls(await data(), values) },
  cdrs: { run: async ({ data, values }) => (await import('./commands/cdrs.ts')).cdrs(await data(), values) },
  link: {
    words: 1,
    run: async ({ words, data }) => {
      const who = needed(words[0], 'whose link? offhook link <user>.', 'link');
      return (await import('./commands/control.ts')).link(await data(), who);
    },
  },
  user: {
    words: (op) => (op === 'list' ? 1 : 2),
    ops: { known: USER_OPS, missing: `what about users? ${USER_OPS.join(', ')}.` },
    pages: USER_OPS,
    run: async ({ words: [op = '', who], values, data, page }) => {
      const name = op === 'list' ? undefined : needed(who, `whom? offhook ${page} <name>.`, page);
      const { name: displayName, digest, json = false } = values;
      if (op === 'calls') return (await import('./commands/user-calls.ts')).userCalls(await data(), name!, values);
      if (digest !== undefined && !['MD5', 'SHA-256'].includes(digest))
        throw new UsageError(`--digest is MD5 or SHA-256, not '${digest}'. See: ${helpCommand(page)}`);
      const password = await givenPassword(values.password);
      const { user } = await import('./commands/user.ts');
      return user(await data(), op, { name, password, displayName, digest, json });
    },
  },
  bans: {
    words: (op) => ((op ?? 'list') === 'list' ? 1 : 2),
    ops: { known: BAN_OPS, otherwise: 'list', missing: '' },
    run: async ({ words: [op = 'list', address], values, data, page }) => {
      if (op !== 'list') {
        const given = needed(address, `which address? offhook bans ${op} <address>.`, page);
        const { ipFamily } = await import('@offhook/core');
        if (ipFamily(given.replace(/\/64$/, '')) === undefined)
          throw new UsageError(`'${given.slice(0, 60)}' is no IP address. See: ${helpCommand(page)}`);
      }
      const { bans } = await import('./commands/bans.ts');
      return bans(await data(), { op, address, json: values.json ?? false });
    },
  },
  route: {
    words: 2,
    run: async ({ words, values: { trunk, at, file, json = false }, data, page }) => {
      const lacking = 'who calls whom? offhook route <from> <to>.';
      const [from, to] = [needed(words[0], lacking, page), needed(words[1], lacking, page)];
      const { route } = await import('./commands/route.ts');
      return route({ from, to, trunk, at, file, json, data });
    },
  },
  turn: {
    words: (op) => (op === 'users' ? 3 : op === 'check-conf' || op === 'credentials' ? 2 : 1),
    ops: { known: TURN_OPS, otherwise: 'status', missing: '' },
    pages: TURN_OPS,
    run: async (call) => (await import('./commands/turn.ts')).turn(call),
  },
  echo: {
    words: 1,
    pages: ['listen'],
    run: async ({ words, values, page }) => {
      if (page === 'echo listen') return (await import('./commands/echo-listen.ts')).echoListen(values);
      const lacking = 'which echo? offhook echo <url>, as in udp://host:7007; or offhook echo listen, to be one.';
      const url = needed(words[0], lacking, page);
      return (await import('./commands/echo.ts')).echo(url, values);
    },
  },
  chat: {
    words: 1,
    run: async ({ words, values, data }) => {
      const who = needed(words[0], 'who are you? offhook chat <user>.', 'chat');
      const { chat } = await import('./commands/chat.ts');
      return chat(who, values, data);
    },
  },
};

/** The page of help for a command, or for what it is asked to do. */
export function pageOf(name: string, op: string | undefined): string {
  const command = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined;
  return op !== undefined && command?.pages?.includes(op) ? `${name} ${op}` : name;
}

/** Throws UsageError for words after a command that it does not know, or too many. */
export function checkWords(name: string, words: readonly string[]): void {
  const { words: most = 0, ops, pages = [] } = COMMANDS[name]!;
  const page = pageOf(name, words[0]);
  if (ops) {
    const op = needed(words[0] ?? ops.otherwise, ops.missing, name);
    const meant = closest(op, ops.known);
    if (!ops.known.includes(op))
      throw new UsageError(
        `'offhook ${name} ${op}' does not exist: ${ops.known.join(', ')}${meant ? `; did you mean '${meant}'?` : '.'} See: ${helpCommand(name)}`,
      );
  }
  const [first] = words;
  // what has pages and no operations takes something else too, but no bare word that looks like a page's name
  const near = !ops && first !== undefined && /^[a-z]+$/i.test(first) ? closest(first, pages) : undefined;
  if (near !== undefined && near !== first)
    throw new UsageError(
      `'offhook ${name} ${first}' does not exist; did you mean '${near}'? See: ${helpCommand(`${name} ${near}`)}`,
    );
  const limit = typeof most === 'number' ? most : most(words[0]);
  if (words.length > limit) throw new UsageError(`'${words[limit]}' is one word too many. See: ${helpCommand(page)}`);
}

function needed(value: string | undefined, words: string, page: string): string {
  if (value === undefined || value === '') throw new UsageError(`${words} See: ${helpCommand(page)}`);
  return value;
}
