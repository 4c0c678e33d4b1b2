import { checkOptions, parseCommandLine, UsageError } from './arguments.ts';
import { BAN_OPS, bans } from './commands/bans.ts';
import { link, status, stop } from './commands/control.ts';
import { doctor } from './commands/doctor.ts';
import { echo } from './commands/echo.ts';
import { echoListen } from './commands/echo-listen.ts';
import { route } from './commands/route.ts';
import { start } from './commands/start.ts';
import { trunks } from './commands/trunks.ts';
import { user } from './commands/user.ts';
import { userCalls } from './commands/user-calls.ts';
import { closest } from './config/closest.ts';
import { ConfigError } from './config/config.ts';
import { findData } from './config/find-data.ts';
import { HELP } from './help.ts';
import { version } from './root.ts';
import { calledAs, command as spelled } from './spelling.ts';

const USER_OPS = ['add', 'list', 'passwd', 'remove', 'calls'] as const;

async function main(): Promise<number> {
  const { values, words } = parseCommandLine(process.argv.slice(2));
  const cwd = process.cwd();
  calledAs({ cwd, config: values.config, data: values.data });
  const asked = words[0] === 'help';
  const [command = '', ...rest] = asked ? words.slice(1) : words;
  const name = command === 'users' ? 'user' : command;
  const page = pageOf(name, rest[0]);
  if (values.version || name === 'version') {
    if (!values.help && !asked) {
      process.stdout.write(`${version()}\n`);
      return 0;
    }
  }
  if (name !== '' && (name.includes(' ') || !Object.hasOwn(HELP, name))) {
    const known = Object.keys(HELP).filter((one) => one !== '' && !one.includes(' '));
    const meant = closest(command, known);
    throw new UsageError(
      `'${command}' is no command of offhook${meant ? `; did you mean '${meant}'?` : '.'} See: ${help('')}`,
    );
  }
  if (values.help || asked || name === '') {
    process.stdout.write(`${HELP[page] ?? HELP[name]}\n`);
    return 0;
  }
  if (name === 'user') {
    const op = needed(rest[0], `what about users? ${USER_OPS.join(', ')}.`, 'user');
    checkOp('user', op, USER_OPS);
  }
  if (name === 'bans') checkOp('bans', rest[0] ?? 'list', BAN_OPS);
  const most = wordsOf(name, rest[0]);
  if (rest.length > most) throw new UsageError(`'${rest[most]}' is one word too many. See: ${help(page)}`);
  checkOptions(page, values);
  if (name === 'start') return start(values);
  if (name === 'doctor') return doctor(values, values.json ?? false);
  if (page === 'echo listen') return echoListen(values);
  if (name === 'echo') {
    const words = 'which echo? offhook echo <url>, as in udp://host:7007; or offhook echo listen, to be one.';
    return echo(needed(rest[0], words, page), values);
  }
  const who = name === 'user' || name === 'bans' ? rest[1] : rest[0];
  if (name === 'link') needed(who, 'whose link? offhook link <user>.', 'link');
  if (name === 'user' && rest[0] !== 'list') needed(who, `whom? offhook ${page} <name>.`, page);
  if (name === 'bans' && (rest[0] ?? 'list') !== 'list')
    needed(who, `which address? offhook bans ${rest[0]} <address>.`, page);
  const folder = () => findData(values, cwd, (line) => process.stderr.write(`${line}\n`));
  if (name === 'route') {
    const { trunk, at, file, json = false } = values;
    const words = 'who calls whom? offhook route <from> <to>.';
    const [from, to] = [needed(rest[0], words, page), needed(rest[1], words, page)];
    return route({ from, to, trunk, at, file, json, data: folder });
  }
  const data = folder();
  if (values.digest !== undefined && !['MD5', 'SHA-256'].includes(values.digest))
    throw new UsageError(`--digest is MD5 or SHA-256, not '${values.digest}'. See: ${help(page)}`);
  switch (name) {
    case 'stop':
      return stop(data);
    case 'status':
      return status(data, values.json ?? false);
    case 'trunks':
      return trunks(data, values.json ?? false);
    case 'bans':
      return bans(data, { op: rest[0] ?? 'list', address: who, json: values.json ?? false });
    case 'link':
      return link(data, who!);
    default:
      if (rest[0] === 'calls') return userCalls(data, who!, values);
      return user(data, rest[0]!, {
        name: who,
        password: values.password,
        displayName: values.name,
        digest: values.digest,
        json: values.json ?? false,
      });
  }
}

/** The page of help for a command, or for what it is asked to do. */
function pageOf(name: string, op: string | undefined): string {
  if (name === 'user' && op !== undefined) return `user ${op}`;
  return name === 'echo' && op === 'listen' ? 'echo listen' : name;
}

/** Throws UsageError for a word after a command that it does not know. */
function checkOp(name: string, op: string, known: readonly string[]): void {
  if (known.includes(op)) return;
  const meant = closest(op, known);
  throw new UsageError(
    `'offhook ${name} ${op}' does not exist: ${known.join(', ')}${meant ? `; did you mean '${meant}'?` : '.'} See: ${help(name)}`,
  );
}

/** How many words a command may have after its name. */
function wordsOf(name: string, op: string | undefined): number {
  if (name === 'user' || name === 'bans') return (op ?? 'list') === 'list' ? 1 : 2;
  return name === 'route' ? 2 : name === 'link' || name === 'echo' ? 1 : 0;
}

/** The command that prints a page of help. */
function help(page: string): string {
  return spelled(`${page} --help`.trimStart(), { cwd: process.cwd() });
}

function needed(value: string | undefined, words: string, page: string): string {
  if (value === undefined || value === '') throw new UsageError(`${words} See: ${help(page)}`);
  return value;
}

try {
  process.exit(await main());
} catch (error) {
  const words = error instanceof Error ? error.message : String(error);
  process.stderr.write(
    `${error instanceof ConfigError ? 'the configuration can’t be used:\n' : 'offhook: '}${words}\n`,
  );
  process.exit(error instanceof UsageError || error instanceof ConfigError ? 2 : 1);
}
