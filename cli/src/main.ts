import { parseArgs } from 'node:util';
import { link, status, stop } from './commands/control.ts';
import { doctor } from './commands/doctor.ts';
import { start } from './commands/start.ts';
import { user } from './commands/user.ts';
import { closest } from './config/closest.ts';
import { ConfigError, loadConfig } from './config/config.ts';
import { version } from './root.ts';

const COMMON = `  --config <file>   configuration (default: offhook.config.json, if there is one)
  --data <folder>   data folder (default: ./data)`;

const HELP: Readonly<Record<string, string>> = {
  '': `offhook — a phone system: SIP server, TURN server, media relay and web phone

  offhook start                 start everything and stay
  offhook stop                  stop everything
  offhook status [--json]       what runs, and where
  offhook user add <name>       also: list, passwd <name>, remove <name>
  offhook link <user>           a one-time login link
  offhook doctor [--json]       what is wrong, and how to mend it
  offhook version

${COMMON}
  --help                        help for each command: offhook start --help`,
  start: `offhook start: starts media relay, TURN and signalling, restarts what dies, stops all on Ctrl-C.
Parts that run already (after a killed supervisor) are adopted.

${COMMON}
  --port <n>        HTTP port of the web phone (default 8080; 0 = any)
  --public          listen on this host's own addresses too, not only on loopback
  --quiet           say only what goes wrong`,
  stop: `offhook stop: stops the supervisor and all parts.\n\n${COMMON}`,
  status: `offhook status: the parts that run. Exit code 3 when none does.\n\n${COMMON}\n  --json            for programs`,
  user: `offhook user add <name> [--password <p>] [--name <display name>]
offhook user passwd <name> [--password <p>]
offhook user remove <name>
offhook user list

Without --password a random one is made and printed once.

${COMMON}
  --json            for programs`,
  link: `offhook link <user>: prints a link that signs in once, within a day.\n\n${COMMON}`,
  doctor: `offhook doctor: checks everything from the ports to the host and says in words what is wrong.
Exit code 1 when something is.\n\n${COMMON}\n  --json            for programs`,
  version: 'offhook version: prints the version.',
};

/** A mistake in the command line: words, and exit code 2. */
class UsageError extends Error {}

async function main(): Promise<number> {
  const { values, positionals } = parse();
  const [command = '', ...rest] = positionals;
  const name = command === 'users' ? 'user' : command;
  if (values.help || (name === '' && !values.version) || name === 'help') {
    process.stdout.write(`${HELP[name === 'help' ? (rest[0] ?? '') : name] ?? HELP['']}\n`);
    return 0;
  }
  if (values.version || name === 'version') {
    process.stdout.write(`${version()}\n`);
    return 0;
  }
  if (!Object.hasOwn(HELP, name)) {
    const meant = closest(
      command,
      Object.keys(HELP).filter((known) => known !== ''),
    );
    throw new UsageError(
      `'${command}' is no command of offhook${meant ? `; did you mean '${meant}'?` : ''} See: offhook --help`,
    );
  }
  const most = name === 'user' ? 2 : name === 'link' ? 1 : 0;
  if (rest.length > most) throw new UsageError(`'${rest[most]}' is one word too many. See: offhook ${name} --help`);
  if (name === 'start') return start(values);
  if (name === 'doctor') return doctor(values, values.json ?? false);
  const { data } = loadConfig(values, process.cwd());
  switch (name) {
    case 'stop':
      return stop(data);
    case 'status':
      return status(data, values.json ?? false);
    case 'link':
      return link(data, needed(rest[0], 'whose link? offhook link <user>'));
    default: {
      const op = needed(rest[0], 'offhook user add|list|passwd|remove');
      if (!['add', 'list', 'passwd', 'remove'].includes(op))
        throw new UsageError(`'offhook user ${op}' does not exist: add, list, passwd or remove`);
      const who = op === 'list' ? undefined : needed(rest[1], `whom? offhook user ${op} <name>`);
      return user(data, op, {
        name: who,
        password: values.password,
        displayName: values.name,
        json: values.json ?? false,
      });
    }
  }
}

function parse() {
  try {
    return parseArgs({
      allowPositionals: true,
      options: {
        config: { type: 'string' },
        data: { type: 'string' },
        port: { type: 'string' },
        public: { type: 'boolean' },
        quiet: { type: 'boolean' },
        json: { type: 'boolean' },
        password: { type: 'string' },
        name: { type: 'string' },
        help: { type: 'boolean', short: 'h' },
        version: { type: 'boolean' },
      },
    });
  } catch (error) {
    throw new UsageError((error as Error).message.split('. ')[0]!);
  }
}

function needed(value: string | undefined, words: string): string {
  if (value === undefined || value === '') throw new UsageError(words);
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
