import { checkOptions, parseCommandLine, UsageError } from './arguments.ts';
import { COMMANDS, checkWords, pageOf } from './commands.ts';
import { closest } from './config/closest.ts';
import { ConfigError } from './config/config-error.ts';
import { HELP } from './help.ts';
import { version } from './root.ts';
import { calledAs, helpCommand } from './spelling.ts';

async function main(): Promise<number> {
  const { values, words } = parseCommandLine(process.argv.slice(2));
  const cwd = process.cwd();
  calledAs({ cwd, config: values.config, data: values.data });
  const asked = words[0] === 'help';
  const [given = '', ...rest] = asked ? words.slice(1) : words;
  const name = given === 'users' ? 'user' : given;
  const page = pageOf(name, rest[0]);
  if ((values.version || name === 'version') && !values.help && !asked) {
    process.stdout.write(`${version()}\n`);
    return 0;
  }
  if (name !== '' && (name.includes(' ') || !Object.hasOwn(HELP, name))) {
    const known = Object.keys(HELP).filter((one) => one !== '' && !one.includes(' '));
    const meant = closest(given, known);
    throw new UsageError(
      `'${given}' is no command of offhook${meant ? `; did you mean '${meant}'?` : '.'} See: ${helpCommand('')}`,
    );
  }
  if (values.help || asked || name === '') {
    process.stdout.write(`${HELP[page] ?? HELP[name]}\n`);
    return 0;
  }
  checkWords(name, rest);
  checkOptions(page, values);
  const data = async () => {
    const { findData } = await import('./config/find-data.ts');
    return findData(values, cwd, (line) => process.stderr.write(`${line}\n`));
  };
  return COMMANDS[name]!.run({ values, words: rest, data, page });
}

/** A pipe takes 64 kB at once: what its reader has not taken yet would be lost with this process. */
function written(): Promise<unknown> {
  return new Promise((resolve) => {
    process.stdout.once('error', resolve); // the reader has gone
    process.stdout.write('', resolve);
  });
}

try {
  const code = await main();
  await written();
  process.exit(code);
} catch (error) {
  const words = error instanceof Error ? error.message : String(error);
  process.stderr.write(
    `${error instanceof ConfigError ? 'the configuration can’t be used:\n' : 'offhook: '}${words}\n`,
  );
  process.exit(error instanceof UsageError || error instanceof ConfigError ? 2 : 1);
}
